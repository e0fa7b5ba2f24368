---- The functions' names, which carry the version ----

-- What frees memory or needs next to none is answered by a Redis whose memory is full too.
local function register_for_full_memory(name, callback)
    redis.register_function({ function_name = name, callback = callback, flags = { 'allow-oom' } })
end

redis.register_function('reserve_v1', reserve)
redis.register_function('claim_v1', claim)
register_for_full_memory('tick_v1', for_campaign(tick))
redis.register_function('open_round_v1', for_campaign(open_round))
register_for_full_memory('transition_v1', for_campaign(transition))
redis.register_function('revise_v1', for_campaign(revise))
register_for_full_memory('add_supply_v1', for_campaign(add_supply))
redis.register_function('put_winners_v1', for_round(put_winners))
register_for_full_memory('conclude_draw_v1', for_round(conclude_draw))
register_for_full_memory('retire_v1', for_round(retire))
register_for_full_memory('freeze_v1', freeze)
redis.register_function('load_head_v1', for_frozen(load_head))
redis.register_function('load_round_v1', for_loading(load_round))
redis.register_function('load_seats_v1', for_loading_round(load_seats))
redis.register_function('load_winners_v1', for_loading_round(load_winners))
redis.register_function('load_requests_v1', for_loading(load_requests))
redis.register_function('load_counts_v1', for_loading(load_counts))
redis.register_function('load_open_v1', for_loading(load_open))
register_for_full_memory('reopen_v1', reopen)
