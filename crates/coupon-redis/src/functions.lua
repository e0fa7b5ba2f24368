#!lua name=coupon_v1

-- The gate of a campaign: coupon-domain's `model`, restated. A differential test holds the two equal.
--
-- Every function has one key, `{c:X}`, and builds the campaign's other keys from it; they share its slot:
--
--   {c:X}          hash    installation, epoch, frozen, opened, n, last_at, chain, state, issued, total_limit, max_per_user,
--                          counts_users
--   {c:X}:rounds   hash    round number -> the round's plan as JSON
--   {c:X}:users    hash    user -> coupons over the campaign, if counts_users
--   {c:X}:r:R      hash    the plan in single fields; phase, supply, places, issued, last_n
--   {c:X}:r:R:u    hash    user -> seat: `ticket:at`, `ticket:at:serial:at`, or `::serial:at` without a place
--   {c:X}:journal  stream  one entry per batch, its id is `epoch-n` of its last decision
--
-- `opened` in the hash is the epoch in which the campaign was last opened, 0 while it is being loaded. A seat's times are microseconds
-- since the round's first opening. Where a value may be missing, the field is empty.
--
-- The shape of each call: the time once, read everything, decide everything, XADD first, since it is the only write that can fail,
-- then the writes that cannot. A call that decides nothing writes nothing.

local MAX_BATCH = 500
-- Values in one command: unpack() puts them on Lua's stack, which is bounded.
local CHUNK = 200
-- How long rounds stay after their close, in microseconds: UNUSED_ROUND_KEPT and USED_ROUND_KEPT of the model.
local UNUSED_ROUND_KEPT = 600 * 1000000
local USED_ROUND_KEPT = 3600 * 1000000

local RANK = { PLANNED = 0, RESERVING = 1, WAITING = 2, CLAIMING = 3, CLOSED = 4 }

-- Answers to single users, in one word each. Any other word is a seat: what the user has had before.
local GRANTED = '+'
local NOT_OPEN_YET = 'o'
local CLOSED = 'c'
local PAUSED = 'p'
local FULL = 'f'
local NOT_RESERVED = 'r'
local LIMIT_REACHED = 'l'
local SOLD_OUT = 's'

-- Campaign key -> epoch in which this process opened it. Gone with the process: whatever comes up after a restart or a failover may
-- have lost decisions, so it answers NOT_LOADED until a recovery has compared it with the ledger.
local opened = {}

-- Microseconds since the Unix epoch. The one clock: tests replace this function and nothing else.
local function now()
    local time = redis.call('TIME')
    return time[1] * 1000000 + time[2]
end

-- Lua would write large numbers as 1.7e+15. Whole numbers are exact in a double up to 2^53: microseconds until the year 2255.
local function whole(number)
    return string.format('%.0f', number)
end

local function or_empty(number)
    return number and whole(number) or ''
end

-- The values of names[first..], from 1 on; what is not there is false.
local function get_all(key, names, first)
    local values = {}
    for from = first, #names, CHUNK do
        local part = redis.call('HMGET', key, unpack(names, from, math.min(from + CHUNK - 1, #names)))
        for i = 1, #part do
            values[from - first + i] = part[i]
        end
    end
    return values
end

-- Sets name, value, name, value, ... of values[first..].
local function set_all(key, values, first)
    for from = first, #values, CHUNK do
        redis.call('HSET', key, unpack(values, from, math.min(from + CHUNK - 1, #values)))
    end
end

---- Seats ----

-- string.byte(':'), which cannot be asked while a library is being loaded.
local COLON = 58

local function has_place(seat)
    return string.byte(seat) ~= COLON
end

local function has_coupon(seat)
    return string.find(seat, ':[^:]*:') ~= nil
end

---- Campaigns ----

local function read_campaign(key)
    local f = redis.call('HMGET', key, 'epoch', 'frozen', 'n', 'last_at', 'chain', 'state', 'issued', 'total_limit',
        'max_per_user', 'counts_users')
    if not f[1] then
        return nil
    end
    return {
        key = key,
        epoch = tonumber(f[1]),
        frozen = f[2] == '1',
        n = tonumber(f[3]) or 0,
        last_at = tonumber(f[4]),
        chain = f[5],
        state = f[6],
        issued = tonumber(f[7]),
        total_limit = tonumber(f[8]),
        max_per_user = tonumber(f[9]),
        counts_users = f[10] == '1',
    }
end

-- The campaign that a call is about, or nil and the reply that says why it is not answered. args: the caller's epoch and n.
local function campaign_of(keys, args)
    local campaign = read_campaign(keys[1])
    local epoch, n = tonumber(args[1]), tonumber(args[2])
    if not campaign then
        return nil, { 'NOT_LOADED' }
    end
    if campaign.frozen and campaign.epoch >= epoch then
        return nil, { 'RECOVERING' }
    end
    if opened[campaign.key] ~= campaign.epoch then
        return nil, { 'NOT_LOADED' }
    end
    if campaign.epoch > epoch then
        return nil, { 'FENCED', campaign.epoch }
    end
    if campaign.epoch < epoch or campaign.n < n then
        return nil, { 'STALE', campaign.epoch, campaign.n }
    end
    -- Never back behind the last decision, whatever the clock does.
    campaign.at = math.max(now(), campaign.last_at)
    return campaign
end

-- Appends the lines as one entry of so many decisions, if any, and begins the reply: position, time, and the entry's parts.
-- The chain hash is that of coupon-domain's `Entry::chain`.
local function decide(campaign, lines, decisions)
    local first, prev, rows = campaign.n + 1, campaign.chain, table.concat(lines, '\n')
    if decisions > 0 then
        campaign.n = campaign.n + decisions
        local id, at = whole(campaign.epoch) .. '-' .. whole(campaign.n), whole(campaign.at)
        local head = prev .. ' ' .. id .. ' ' .. whole(first) .. ' ' .. at .. '\n'
        redis.call('XADD', campaign.key .. ':journal', id, 'first', whole(first), 'at', at, 'prev', prev, 'rows', rows)
        -- From here on it must succeed.
        redis.call('HSET', campaign.key, 'n', whole(campaign.n), 'last_at', at, 'chain', redis.sha1hex(head .. rows),
            'state', campaign.state, 'issued', whole(campaign.issued))
    end
    return { 'OK', campaign.epoch, first, campaign.n, campaign.at, prev, rows }
end

---- Rounds ----

local function round_key(campaign_key, number)
    return campaign_key .. ':r:' .. number
end

local function read_round(campaign_key, number)
    local key = round_key(campaign_key, number)
    local f = redis.call('HMGET', key, 'phase', 'reserve_opens', 'reserve_closes', 'claim_opens', 'claim_closes', 'rule',
        'numerator', 'denominator', 'max_places', 'supply', 'places', 'issued', 'last_n')
    if not f[1] then
        return nil
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
        numerator = tonumber(f[7]),
        denominator = tonumber(f[8]),
        max_places = tonumber(f[9]),
        supply = tonumber(f[10]),
        places = tonumber(f[11]),
        issued = tonumber(f[12]),
        last_n = tonumber(f[13]),
    }
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

-- A round of which nothing but its plan is known.
local function planned(campaign_key, json)
    local spec = cjson.decode(json)
    local supply = type(spec.supply) == 'table' and spec.supply or {}
    local reserve = spec.reserve ~= cjson.null and spec.reserve or {}
    local ratio = supply.ratio_of_places or {}
    local number = whole(spec.id)
    return {
        key = round_key(campaign_key, number),
        number = number,
        json = json,
        reserve_opens = reserve.opens,
        reserve_closes = reserve.closes,
        claim_opens = spec.claim.opens,
        claim_closes = spec.claim.closes,
        rule = ratio.rounding or (supply.fixed and 'FIXED') or 'SHARED_POOL',
        numerator = ratio.numerator or supply.fixed,
        denominator = ratio.denominator,
        max_places = spec.max_places,
    }
end

-- Writes what changes in a round.
local function write_round(round)
    redis.call('HSET', round.key, 'phase', round.phase, 'supply', or_empty(round.supply), 'places', whole(round.places),
        'issued', whole(round.issued), 'last_n', whole(round.last_n))
end

-- Adds a round, without seats.
local function insert_round(campaign_key, round)
    redis.call('HSET', campaign_key .. ':rounds', round.number, round.json)
    redis.call('UNLINK', round.key, round.key .. ':u')
    redis.call('HSET', round.key, 'reserve_opens', or_empty(round.reserve_opens), 'reserve_closes',
        or_empty(round.reserve_closes), 'claim_opens', whole(round.claim_opens), 'claim_closes', whole(round.claim_closes),
        'rule', round.rule, 'numerator', or_empty(round.numerator), 'denominator', or_empty(round.denominator),
        'max_places', whole(round.max_places))
    write_round(round)
end

local function remove_round(campaign_key, number)
    local key = round_key(campaign_key, number)
    redis.call('HDEL', campaign_key .. ':rounds', number)
    redis.call('UNLINK', key, key .. ':u')
end

-- Reads what a round is about to be written to. In a cluster's slot that is moving away, a key that is not there cannot be accessed,
-- and that has to fail before the first write.
local function touch_round(key)
    redis.call('HGET', key, 'phase')
    redis.call('HGET', key .. ':u', '')
end

local function phase_at(round, at)
    if at >= round.claim_closes then
        return 'CLOSED'
    end
    if at >= round.claim_opens then
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

-- The round's supply once reservation has closed; nil if only the campaign's total limit bounds it.
local function supply_for_places(round)
    local n, d = round.numerator, round.denominator
    if round.rule == 'FIXED' then
        return n
    elseif round.rule == 'FLOOR' then
        return divide(round.places * n, d)
    elseif round.rule == 'CEIL' then
        return divide(round.places * n + d - 1, d)
    elseif round.rule == 'NEAREST' then
        return divide(2 * round.places * n + d, 2 * d)
    end
    return nil
end

-- Latches the phase that the clock says; from then on it does not go back. The journal's line, or nil if nothing changed.
local function advance(round, at)
    local phase = phase_at(round, at)
    if RANK[phase] <= RANK[round.phase] then
        return nil
    end
    if RANK[phase] > RANK.RESERVING and RANK[round.phase] <= RANK.RESERVING then
        round.supply = supply_for_places(round)
    end
    round.phase = phase
    local supply = round.supply and whole(round.supply) or '-'
    return 'phase r-' .. round.number .. ' ' .. phase .. ' ' .. whole(round.places) .. ' ' .. supply
end

-- The first three refusals of every call: a draft has not opened, an ended campaign is closed, a paused one comes after both.
local function window_refusal(state, early, late)
    if state == 'DRAFT' then
        return NOT_OPEN_YET
    elseif state == 'ENDED' then
        return CLOSED
    elseif early then
        return NOT_OPEN_YET
    elseif late then
        return CLOSED
    elseif state == 'PAUSED' then
        return PAUSED
    end
    return nil
end

---- Reserve and claim. args: epoch, n, round, users ... ----

-- Arguments before the first user.
local HEAD = 3

-- What both read before they decide, or nil and the reply that says why they do not.
local function begin(keys, args)
    if #args - HEAD > MAX_BATCH then
        return nil, { 'BATCH_TOO_LARGE', #args - HEAD }
    end
    local campaign, no = campaign_of(keys, args)
    if no then
        return nil, no
    end
    local round = read_round(campaign.key, args[HEAD])
    if not round then
        return nil, { 'NO_SUCH_ROUND', args[HEAD] }
    end
    local counts = campaign.counts_users and get_all(campaign.key .. ':users', args, HEAD + 1)
    return {
        campaign = campaign,
        round = round,
        lines = { advance(round, campaign.at) },
        -- What each user has had before this batch: a seat in the round, coupons of the campaign.
        seats = get_all(round.key .. ':u', args, HEAD + 1),
        counts = counts or {},
        -- The end of each seat given in this batch.
        since_opening = ':' .. whole(campaign.at - (round.reserve_opens or round.claim_opens)),
    }
end

-- Appends and writes what was decided: `granted` users were given a place or coupon each, from number `first` on.
local function finish(batch, kind, first, granted, users, seats, counts, answers)
    local campaign, round, lines = batch.campaign, batch.round, batch.lines
    local decisions = #lines + granted
    if granted > 0 then
        lines[#lines + 1] = kind .. ' r-' .. round.number .. ' ' .. whole(first) .. ' ' .. table.concat(users, ' ')
    end
    local reply = decide(campaign, lines, decisions)
    if decisions > 0 then
        round.last_n = campaign.n
        write_round(round)
        set_all(round.key .. ':u', seats, 1)
        set_all(campaign.key .. ':users', counts, 1)
    end
    reply[8] = round.reserve_opens or round.claim_opens
    reply[9] = first
    reply[10] = table.concat(answers, ' ')
    return reply
end

-- The loops below run for each user: they keep to locals, since each access to a table or a library costs.

local function reserve(keys, args)
    local batch, no = begin(keys, args)
    if no then
        return no
    end
    local round = batch.round
    -- A round that needs no places has no reservation to open.
    local late = RANK[round.phase] > RANK.RESERVING or not round.reserve_opens
    local early = RANK[round.phase] < RANK.RESERVING and not late
    local refusal = window_refusal(batch.campaign.state, early, late)
    local seats, counts, since_opening = batch.seats, batch.counts, batch.since_opening
    local first, places, max_places = round.places, round.places, round.max_places
    local max_per_user, byte, tonumber = batch.campaign.max_per_user, string.byte, tonumber
    -- Seats given in this batch are not in the hash yet, and a user may be in it twice.
    local given, granted, users, new_seats, answers = {}, 0, {}, {}, {}
    for i = 1, #args - HEAD do
        local user = args[i + HEAD]
        local seat = given[user] or seats[i]
        if seat and byte(seat) ~= COLON then
            answers[i] = seat
        elseif refusal then
            answers[i] = refusal
        elseif (tonumber(counts[i]) or 0) >= max_per_user then
            answers[i] = LIMIT_REACHED
        elseif places >= max_places then
            answers[i] = FULL
        else
            -- A seat without a place is `::serial:at`: the coupon's part stays.
            local new_seat = places .. since_opening .. (seat and string.sub(seat, 2) or '')
            places, granted = places + 1, granted + 1
            answers[i], given[user] = GRANTED, new_seat
            users[granted], new_seats[2 * granted - 1], new_seats[2 * granted] = user, user, new_seat
        end
    end
    round.places = places
    return finish(batch, 'place', first, granted, users, new_seats, {}, answers)
end

local function claim(keys, args)
    local batch, no = begin(keys, args)
    if no then
        return no
    end
    local campaign, round = batch.campaign, batch.round
    local early, late = RANK[round.phase] < RANK.CLAIMING, RANK[round.phase] > RANK.CLAIMING
    local refusal = window_refusal(campaign.state, early, late)
    local seats, counts, since_opening = batch.seats, batch.counts, batch.since_opening
    local needs_place, counts_users = round.reserve_opens ~= nil, campaign.counts_users
    local first = round.issued
    -- Infinite where neither the round nor the campaign has a bound; below zero if a bound was passed before.
    local left = math.min((round.supply or math.huge) - first, (campaign.total_limit or math.huge) - campaign.issued)
    local max_per_user, byte, find, tonumber = campaign.max_per_user, string.byte, string.find, tonumber
    -- Seats given in this batch are not in the hash yet, and a user may be in it twice.
    local given, granted, users, new_seats, new_counts, answers = {}, 0, {}, {}, {}, {}
    for i = 1, #args - HEAD do
        local user = args[i + HEAD]
        local seat = given[user] or seats[i]
        if seat and find(seat, ':%d*:') then
            answers[i] = seat
        elseif refusal then
            answers[i] = refusal
        elseif needs_place and not (seat and byte(seat) ~= COLON) then
            answers[i] = NOT_RESERVED
        elseif (tonumber(counts[i]) or 0) >= max_per_user then
            answers[i] = LIMIT_REACHED
        elseif granted >= left then
            answers[i] = SOLD_OUT
        else
            local new_seat = (seat or ':') .. ':' .. first + granted .. since_opening
            granted = granted + 1
            answers[i], given[user] = GRANTED, new_seat
            users[granted], new_seats[2 * granted - 1], new_seats[2 * granted] = user, user, new_seat
            if counts_users then
                -- Each user is granted at most once in a batch, so the count that was read still holds.
                new_counts[2 * granted - 1], new_counts[2 * granted] = user, counts[i] and whole(counts[i] + 1) or '1'
            end
        end
    end
    round.issued, campaign.issued = first + granted, campaign.issued + granted
    return finish(batch, 'coupon', first, granted, users, new_seats, new_counts, answers)
end

---- The scheduler's and the operators' calls. args: epoch, n, ... ----

local function tick(keys, args)
    local campaign, no = campaign_of(keys, args)
    if no then
        return no
    end
    local rounds, lines, advanced = read_rounds(campaign.key), {}, {}
    for _, round in ipairs(rounds) do
        local line = advance(round, campaign.at)
        if line then
            lines[#lines + 1] = line
            advanced[#advanced + 1] = round
            round.last_n = campaign.n + #lines
        end
    end
    local reply = decide(campaign, lines, #lines)
    for _, round in ipairs(advanced) do
        write_round(round)
    end
    reply[8], reply[9], reply[10] = campaign.state, campaign.issued, or_empty(campaign.total_limit)
    for _, round in ipairs(rounds) do
        for _, value in ipairs({ round.json, round.phase, or_empty(round.supply), round.places, round.issued }) do
            reply[#reply + 1] = value
        end
    end
    return reply
end

-- args[3]: the round's plan as JSON.
local function open_round(keys, args)
    local campaign, no = campaign_of(keys, args)
    if no then
        return no
    end
    local round = planned(campaign.key, args[3])
    local answer, other
    if campaign.state == 'ENDED' then
        answer = 'CAMPAIGN_ENDED'
    else
        for _, there in ipairs(read_rounds(campaign.key)) do
            -- A round that is the same one comes before one that overlaps, wherever they stand.
            if there.number == round.number or there.claim_opens == round.claim_opens then
                answer, other = 'ALREADY_THERE', there.number
                break
            elseif not answer and there.claim_opens < round.claim_closes and round.claim_opens < there.claim_closes then
                answer, other = 'OVERLAPS', there.number
            end
        end
    end
    touch_round(round.key)
    local lines = answer and {} or { 'round ' .. args[3] }
    local reply = decide(campaign, lines, #lines)
    if not answer then
        round.phase, round.places, round.issued, round.last_n = 'PLANNED', 0, 0, campaign.n
        round.supply = round.rule == 'FIXED' and round.numerator or nil
        insert_round(campaign.key, round)
    end
    reply[8], reply[9] = answer or 'OPENED', other or ''
    return reply
end

-- args[3..]: from, to, the operator's verb, the request's id or `-`.
local function transition(keys, args)
    local campaign, no = campaign_of(keys, args)
    if no then
        return no
    end
    local from, to, verb, request = args[3], args[4], args[5], args[6]
    local answer, lines = 'REFUSED', {}
    if campaign.state == from then
        answer, campaign.state = 'DONE', to
        lines[1] = 'state ' .. to .. ' ' .. verb .. ' ' .. request
    elseif campaign.state == to then
        answer = 'UNCHANGED'
    end
    local reply = decide(campaign, lines, #lines)
    reply[8], reply[9] = answer, campaign.state
    return reply
end

-- args[3..]: the round, the last decision that the ledger has.
local function retire(keys, args)
    local campaign, no = campaign_of(keys, args)
    if no then
        return no
    end
    local round = read_round(campaign.key, args[3])
    if not round then
        return { 'NO_SUCH_ROUND', args[3] }
    end
    local used = round.places > 0 or round.issued > 0
    local kept = used and USED_ROUND_KEPT or UNUSED_ROUND_KEPT
    local over = round.phase == 'CLOSED' and campaign.at >= round.claim_closes + kept
    local retired = over and round.last_n <= tonumber(args[4])
    touch_round(round.key)
    local lines = retired and { 'retired r-' .. round.number .. (used and ' 1' or ' 0') } or {}
    local reply = decide(campaign, lines, #lines)
    if retired then
        remove_round(campaign.key, round.number)
    end
    reply[8] = retired and 'RETIRED' or 'KEPT'
    return reply
end

---- Recovery. args: the recovery's epoch, ... ----

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
        if not read_round(key, number) then
            -- A round was lost, so that this cannot be opened as it is.
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

local function unfreeze(key, epoch)
    redis.call('HSET', key, 'frozen', '0', 'opened', whole(epoch))
    opened[key] = epoch
end

-- args[2..]: n, last_at, chain, state, issued, total_limit, max_per_user, counts_users.
local function load_head(keys, args)
    local campaign, no = frozen_campaign(keys, args)
    if no then
        return no
    end
    local key = campaign.key
    -- First, so that a load that is cut short is not taken for what was there before.
    redis.call('HSET', key, 'opened', '0')
    for _, number in ipairs(redis.call('HKEYS', key .. ':rounds')) do
        remove_round(key, number)
    end
    redis.call('UNLINK', key .. ':rounds', key .. ':users', key .. ':journal')
    redis.call('HSET', key, 'n', args[2], 'last_at', args[3], 'chain', args[4], 'state', args[5], 'issued', args[6],
        'total_limit', args[7], 'max_per_user', args[8], 'counts_users', args[9])
    return { 'OK' }
end

-- args[2..]: the round's plan as JSON, phase, supply, places, issued, last_n.
local function load_round(keys, args)
    local campaign, no = loading_campaign(keys, args)
    if no then
        return no
    end
    local round = planned(campaign.key, args[2])
    round.phase, round.supply, round.places = args[3], tonumber(args[4]), tonumber(args[5])
    round.issued, round.last_n = tonumber(args[6]), tonumber(args[7])
    insert_round(campaign.key, round)
    return { 'OK' }
end

-- args[2..]: the round; then of each user: id, ticket, reserved_at, serial, claimed_at.
local function load_seats(keys, args)
    local size = (#args - 2) / 5
    if size > MAX_BATCH then
        return { 'BATCH_TOO_LARGE', size }
    end
    local campaign, no = loading_campaign(keys, args)
    if no then
        return no
    end
    local round = read_round(campaign.key, args[2])
    if not round then
        return { 'ROUND_NOT_WHOLE', args[2] }
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

-- args[2..]: user, coupons, user, coupons ...
local function load_counts(keys, args)
    local size = (#args - 1) / 2
    if size > MAX_BATCH then
        return { 'BATCH_TOO_LARGE', size }
    end
    local campaign, no = loading_campaign(keys, args)
    if no then
        return no
    end
    if campaign.counts_users then
        set_all(campaign.key .. ':users', args, 2)
    end
    return { 'OK' }
end

-- Checks that all that was announced has come, and opens.
local function load_open(keys, args)
    local campaign, no = loading_campaign(keys, args)
    if no then
        return no
    end
    local rounds = read_rounds(campaign.key)
    for _, round in ipairs(rounds) do
        local seated = redis.call('HMGET', round.key, 'seated_places', 'seated_coupons')
        if (tonumber(seated[1]) or 0) ~= round.places or (tonumber(seated[2]) or 0) ~= round.issued then
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

-- What frees memory or needs next to none is answered by a Redis whose memory is full too.
local function register_for_full_memory(name, callback)
    redis.register_function({ function_name = name, callback = callback, flags = { 'allow-oom' } })
end

redis.register_function('reserve_v1', reserve)
redis.register_function('claim_v1', claim)
register_for_full_memory('tick_v1', tick)
redis.register_function('open_round_v1', open_round)
register_for_full_memory('transition_v1', transition)
register_for_full_memory('retire_v1', retire)
register_for_full_memory('freeze_v1', freeze)
redis.register_function('load_head_v1', load_head)
redis.register_function('load_round_v1', load_round)
redis.register_function('load_seats_v1', load_seats)
redis.register_function('load_counts_v1', load_counts)
redis.register_function('load_open_v1', load_open)
register_for_full_memory('reopen_v1', reopen)
