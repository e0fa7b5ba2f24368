---- A round, its phases and its supply ----

-- The rule of a supply that only the campaign's total limit bounds.
local SHARED_POOL = 'SHARED_POOL'

local RANK = { PLANNED = 0, RESERVING = 1, WAITING = 2, CLAIMING = 3, CLOSED = 4 }

local function round_key(campaign_key, number)
    return campaign_key .. ':r:' .. number
end

-- Each batch reads this, so it is no more than batches need: `last_n` is left to retirements, and `drawn` and `delay` are read only of
-- rounds that are drawn.
local function read_round(campaign_key, number)
    local key = round_key(campaign_key, number)
    local f = redis.call('HMGET', key, 'phase', 'reserve_opens', 'reserve_closes', 'claim_opens', 'claim_closes', 'rule',
        'max_places', 'registered_only', 'draw_limit', 'supply', 'places', 'issued', 'added')
    if not f[1] then
        return nil
    end
    local draw_limit, drawn, delay = tonumber(f[9]), false, 0
    if draw_limit then
        local d = redis.call('HMGET', key, 'drawn', 'delay')
        drawn, delay = d[1] == '1', tonumber(d[2])
    end
    return {
        key = key,
        number = number,
        phase = f[1],
        reserve_opens = tonumber(f[2]),
        reserve_closes = tonumber(f[3]),
        claim_opens = tonumber(f[4]),
        claim_closes = tonumber(f[5]),
        rule = f[6],
        max_places = tonumber(f[7]),
        registered_only = f[8] == '1',
        -- Only of a round that is drawn: the total limit that the draw was planned with, 0 without one.
        draw_limit = draw_limit,
        supply = tonumber(f[10]),
        places = tonumber(f[11]),
        issued = tonumber(f[12]),
        added = tonumber(f[13]),
        drawn = drawn,
        delay = delay,
    }
end

-- The round that a call names, or nil and the reply that says that it is not here.
local function round_of(campaign, number)
    local round = read_round(campaign.key, number)
    if not round then
        return nil, { 'NO_SUCH_ROUND', number }
    end
    return round
end

-- A function that is about a round of an open campaign, which args[3] names: of both and the arguments.
local function for_round(callback)
    return for_campaign(function(campaign, args)
        local round, none = round_of(campaign, args[3])
        return none or callback(campaign, round, args)
    end)
end

-- All rounds of a campaign, by number.
local function read_rounds(campaign_key)
    local plans = redis.call('HGETALL', campaign_key .. ':rounds')
    local rounds = {}
    for i = 1, #plans, 2 do
        local round = read_round(campaign_key, plans[i])
        round.json = plans[i + 1]
        rounds[#rounds + 1] = round
    end
    table.sort(rounds, function(a, b) return tonumber(a.number) < tonumber(b.number) end)
    return rounds
end

-- The rule of a plan's supply: `FIXED 100`, `FLOOR 1 5` or another rounding, `SHARED_POOL`.
local function rule_of(supply)
    if supply == 'shared_pool' then
        return SHARED_POOL
    end
    local ratio = supply.ratio_of_places
    if not ratio then
        return 'FIXED ' .. whole(supply.fixed)
    end
    return ratio.rounding .. ' ' .. whole(ratio.numerator) .. ' ' .. whole(ratio.denominator)
end

-- A round of which nothing but its plan is known.
local function planned(campaign_key, json)
    local spec = cjson.decode(json)
    local reserve, draw = present(spec.reserve) or {}, present(spec.draw)
    local number = whole(spec.id)
    return {
        key = round_key(campaign_key, number),
        number = number,
        json = json,
        revision = spec.revision,
        reserve_opens = reserve.opens,
        reserve_closes = reserve.closes,
        claim_opens = spec.claim.opens,
        claim_closes = spec.claim.closes,
        rule = rule_of(spec.supply),
        max_places = spec.max_places,
        registered_only = spec.registered_users_only,
        draw_limit = draw and (present(draw.total_limit) or 0),
    }
end

-- Writes what batches and the clock change in a round.
local function write_round(round)
    redis.call('HSET', round.key, 'phase', round.phase, 'supply', or_empty(round.supply), 'places', whole(round.places),
        'issued', whole(round.issued), 'last_n', whole(round.last_n))
end

-- Adds a round, without seats and winners.
local function insert_round(campaign_key, round)
    redis.call('HSET', campaign_key .. ':rounds', round.number, round.json)
    redis.call('UNLINK', round.key, round.key .. ':u', round.key .. ':winners')
    redis.call('HSET', round.key, 'reserve_opens', or_empty(round.reserve_opens), 'reserve_closes',
        or_empty(round.reserve_closes), 'claim_opens', whole(round.claim_opens), 'claim_closes', whole(round.claim_closes),
        'rule', round.rule, 'max_places', whole(round.max_places), 'registered_only', round.registered_only and '1' or '0',
        'draw_limit', or_empty(round.draw_limit), 'added', whole(round.added), 'drawn', round.drawn and '1' or '0', 'delay',
        whole(round.delay))
    write_round(round)
end

local function remove_round(campaign_key, number)
    local key = round_key(campaign_key, number)
    redis.call('HDEL', campaign_key .. ':rounds', number)
    redis.call('UNLINK', key, key .. ':u', key .. ':winners')
end

-- Reads the keys that a round is about to be added to or removed from. In a cluster's slot that is moving away, a key that is not there
-- cannot be accessed, and that has to fail before the first write.
local function touch_round(campaign_key, number)
    local key = round_key(campaign_key, number)
    redis.call('HGET', campaign_key .. ':rounds', number)
    redis.call('HGET', key, 'phase')
    redis.call('HGET', key .. ':u', '')
    redis.call('GETBIT', key .. ':winners', 0)
end

local function is_used(round)
    return round.places > 0 or round.issued > 0
end

local function awaits_draw(round)
    return round.draw_limit ~= nil and not round.drawn
end

-- When a round is over. Claims wait for the draw: the window will move by its delay.
local function closes_at(round)
    return round.claim_closes + round.delay + (awaits_draw(round) and LONGEST_DELAY or 0)
end

-- The phase that the clock says.
local function phase_at(round, at)
    if at >= closes_at(round) then
        return 'CLOSED'
    end
    if at >= round.claim_opens + round.delay then
        return 'CLAIMING'
    end
    if round.reserve_opens and at >= round.reserve_closes then
        return 'WAITING'
    end
    if round.reserve_opens and at >= round.reserve_opens then
        return 'RESERVING'
    end
    return 'PLANNED'
end

-- a / b rounded down. Exact, which math.floor(a / b) is not for large a; the products here stay below 2^53.
local function divide(a, b)
    return (a - math.fmod(a, b)) / b
end

-- The supply that is known before reservation closes.
local function supply_at_start(round)
    return tonumber((string.match(round.rule, '^FIXED (%d+)$')))
end

-- The round's share of the places taken; nil if its rule is not a ratio.
local function share_of_places(round)
    local rounding, n, d = string.match(round.rule, '^(%a+) (%d+) (%d+)$')
    if not rounding then
        return nil
    end
    n, d = tonumber(n), tonumber(d)
    if rounding == 'FLOOR' then
        return divide(round.places * n, d)
    elseif rounding == 'CEIL' then
        return divide(round.places * n + d - 1, d)
    end
    -- NEAREST
    return divide(2 * round.places * n + d, 2 * d)
end

-- The round's supply once reservation has closed; nil if only the campaign's total limit bounds it. Of a round that is drawn it is the
-- number of winners.
local function supply_for(round, left)
    local share, limit = share_of_places(round), round.draw_limit
    if share and limit and limit > 0 then
        share = math.min(share, limit)
    end
    local supply = share or supply_at_start(round)
    if not supply then
        return nil
    end
    supply = math.min(supply + round.added, MAX_SUPPLY)
    return limit and math.min(supply, round.places, left or math.huge) or supply
end

-- What the total limit leaves to a round whose reservation closes, nil without one: what winners of others may still claim is not left.
local function left_in_total(campaign, rounds)
    if not campaign.total_limit then
        return nil
    end
    local left = campaign.total_limit - campaign.issued
    for _, round in ipairs(rounds) do
        if round.draw_limit and RANK[round.phase] > RANK.RESERVING and RANK[round.phase] < RANK.CLOSED then
            left = left - math.max((round.supply or 0) - round.issued, 0)
        end
    end
    return math.max(left, 0)
end

-- Latches the phase that the clock says; from then on it does not go back. The journal's line, or nil if nothing changed.
-- rounds: all of the campaign, if they have been read.
local function advance(round, campaign, rounds)
    local phase = phase_at(round, campaign.at)
    if RANK[phase] <= RANK[round.phase] then
        return nil
    end
    local left = left_in_total(campaign, rounds or read_rounds(campaign.key))
    if RANK[phase] > RANK.RESERVING and RANK[round.phase] <= RANK.RESERVING then
        round.supply = supply_for(round, left)
    end
    round.phase = phase
    return 'phase r-' .. round.number .. ' ' .. phase .. ' ' .. whole(round.places) .. ' ' .. or_dash(round.supply) .. ' ' ..
        or_dash(left)
end

