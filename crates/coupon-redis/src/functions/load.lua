---- Recovery. args: the recovery's epoch, ... ----

local function has_place(seat)
    return string.byte(seat) ~= COLON
end

local function has_coupon(seat)
    return string.find(seat, ':[^:]*:') ~= nil
end

-- args[2]: the installation.
local function freeze(keys, args)
    local key, epoch = keys[1], tonumber(args[1])
    local f = redis.call('HMGET', key, 'epoch', 'frozen', 'installation', 'opened', 'n', 'chain')
    local there, was_opened = tonumber(f[1]), tonumber(f[4]) or 0
    if f[3] and f[3] ~= args[2] then
        return { 'FOREIGN', f[3] }
    end
    if there and (there > epoch or there == epoch and f[2] ~= '1') then
        return { 'FENCED', there }
    end
    for _, number in ipairs(redis.call('HKEYS', key .. ':rounds')) do
        local round = read_round(key, number)
        if not round or lacks_winners(round) then
            -- A round was lost, or its winners, so that this cannot be opened as it is.
            was_opened = 0
        end
    end
    -- From here on it must succeed.
    opened[key] = nil
    redis.call('HSET', key, 'epoch', whole(epoch), 'frozen', '1', 'installation', args[2])
    if was_opened == 0 then
        -- A load that was cut short begins anew.
        redis.call('HDEL', key, 'opened')
        return { 'OK' }
    end
    return { 'OK', was_opened, tonumber(f[5]), f[6] }
end

-- The frozen campaign that a recovery is about, or nil and the reply that says why not.
local function frozen_campaign(keys, args)
    local campaign = read_campaign(keys[1])
    if not campaign then
        return nil, { 'FENCED', 0 }
    end
    if campaign.epoch ~= tonumber(args[1]) or not campaign.frozen then
        return nil, { 'FENCED', campaign.epoch }
    end
    return campaign
end

-- The same, if its head has been loaded.
local function loading_campaign(keys, args)
    local campaign, no = frozen_campaign(keys, args)
    if campaign and redis.call('HGET', campaign.key, 'opened') ~= '0' then
        return nil, { 'NO_HEAD' }
    end
    return campaign, no
end

-- Functions that are about such a campaign: of that and the arguments.
local function for_frozen(callback)
    return function(keys, args)
        local campaign, no = frozen_campaign(keys, args)
        return no or callback(campaign, args)
    end
end

local function for_loading(callback)
    return function(keys, args)
        local campaign, no = loading_campaign(keys, args)
        return no or callback(campaign, args)
    end
end

-- The same for a round of it, which args[2] names: of both and the arguments.
local function for_loading_round(callback)
    return for_loading(function(campaign, args)
        local round = read_round(campaign.key, args[2])
        if not round then
            return { 'ROUND_NOT_WHOLE', args[2] }
        end
        return callback(campaign, round, args)
    end)
end

local function unfreeze(key, epoch)
    redis.call('HSET', key, 'frozen', '0', 'opened', whole(epoch))
    opened[key] = epoch
end

-- args[2..]: n, last_at, chain, state, revision, issued, total_limit, max_per_user, counts_users.
local function load_head(campaign, args)
    local key = campaign.key
    -- First, so that a load that is cut short is not taken for what was there before.
    redis.call('HSET', key, 'opened', '0')
    for _, number in ipairs(redis.call('HKEYS', key .. ':rounds')) do
        remove_round(key, number)
    end
    redis.call('UNLINK', key .. ':rounds', key .. ':users', key .. ':requests', key .. ':journal')
    redis.call('HSET', key, 'n', args[2], 'last_at', args[3], 'chain', args[4], 'state', args[5], 'revision', args[6],
        'issued', args[7], 'total_limit', args[8], 'max_per_user', args[9], 'counts_users', args[10])
    return { 'OK' }
end

-- args[2..]: the round's plan as JSON, phase, supply, places, issued, last_n, added, drawn (1 or 0), delay.
local function load_round(campaign, args)
    local round = planned(campaign.key, args[2])
    round.phase, round.supply, round.places = args[3], tonumber(args[4]), tonumber(args[5])
    round.issued, round.last_n, round.added = tonumber(args[6]), tonumber(args[7]), tonumber(args[8])
    round.drawn, round.delay = args[9] == '1', tonumber(args[10])
    insert_round(campaign.key, round)
    return { 'OK' }
end

-- args[2..]: the round; then of each user: id, ticket, reserved_at, serial, claimed_at.
local function load_seats(_, round, args)
    local size = (#args - 2) / 5
    if size > MAX_BATCH then
        return { 'BATCH_TOO_LARGE', size }
    end
    local origin, users, to_write = round.reserve_opens or round.claim_opens, {}, {}
    for i = 3, #args, 5 do
        local ticket, reserved_at, serial, claimed_at = args[i + 1], args[i + 2], args[i + 3], args[i + 4]
        local place = ticket ~= '' and ticket .. ':' .. whole(reserved_at - origin) or ':'
        local coupon = serial ~= '' and ':' .. serial .. ':' .. whole(claimed_at - origin) or ''
        users[#users + 1] = args[i]
        to_write[#to_write + 1] = args[i]
        to_write[#to_write + 1] = place .. coupon
    end
    -- Counted as they come, since counting a million seats at the end would stop the server. A seat that comes again counts once.
    local there, places, coupons = get_all(round.key .. ':u', users, 1), 0, 0
    local latest = {}
    for i, user in ipairs(users) do
        local old, new = latest[user] or there[i] or ':', to_write[2 * i]
        places = places + (has_place(new) and 1 or 0) - (has_place(old) and 1 or 0)
        coupons = coupons + (has_coupon(new) and 1 or 0) - (has_coupon(old) and 1 or 0)
        latest[user] = new
    end
    redis.call('HINCRBY', round.key, 'seated_places', places)
    redis.call('HINCRBY', round.key, 'seated_coupons', coupons)
    set_all(round.key .. ':u', to_write, 1)
    return { 'OK' }
end

-- args[2..]: the round, number of the part's first byte, the part of its winners.
local function load_winners(_, round, args)
    if round.drawn then
        redis.call('SETRANGE', round.key .. ':winners', args[3], args[4])
    end
    return { 'OK' }
end

-- Sets the pairs from args[2] on, and replies.
local function load_pairs(key, args)
    local size = (#args - 1) / 2
    if size > MAX_BATCH then
        return { 'BATCH_TOO_LARGE', size }
    end
    set_all(key, args, 2)
    return { 'OK' }
end

-- args[2..]: request, verb, request, verb ...
local function load_requests(campaign, args)
    return load_pairs(campaign.key .. ':requests', args)
end

-- args[2..]: user, coupons, user, coupons ...
local function load_counts(campaign, args)
    if not campaign.counts_users then
        return { 'OK' }
    end
    return load_pairs(campaign.key .. ':users', args)
end

-- Checks that all that was announced has come, and opens.
local function load_open(campaign)
    local rounds = read_rounds(campaign.key)
    for _, round in ipairs(rounds) do
        local seated = redis.call('HMGET', round.key, 'seated_places', 'seated_coupons')
        local seats_there = (tonumber(seated[1]) or 0) == round.places and (tonumber(seated[2]) or 0) == round.issued
        if not seats_there or lacks_winners(round) then
            return { 'ROUND_NOT_WHOLE', round.number }
        end
    end
    -- From here on it must succeed.
    for _, round in ipairs(rounds) do
        redis.call('HDEL', round.key, 'seated_places', 'seated_coupons')
    end
    unfreeze(campaign.key, campaign.epoch)
    return { 'OK' }
end

-- Opens what has lost nothing, as it is.
local function reopen(keys, args)
    local campaign = read_campaign(keys[1])
    local epoch = campaign and campaign.epoch or 0
    if epoch ~= tonumber(args[1]) then
        return { 'FENCED', epoch }
    end
    local was_opened = tonumber(redis.call('HGET', campaign.key, 'opened')) or 0
    -- Not frozen and not opened by this process: it was restarted since, and that takes a recovery of its own.
    if was_opened == 0 or not campaign.frozen and opened[campaign.key] ~= epoch then
        return { 'NOT_LOADED' }
    end
    unfreeze(campaign.key, epoch)
    return { 'OK' }
end

