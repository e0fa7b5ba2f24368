---- Reserve and claim. args: epoch, n, round, whether the users are registered (1 or 0), users ... ----

-- Arguments before the first user.
local HEAD = 4

-- Answers to single users, in one word each. Any other word is a seat: what the user has had before.
local GRANTED = '+'
local NOT_OPEN_YET = 'o'
local CLOSED = 'c'
local PAUSED = 'p'
local UNKNOWN_USER = 'u'
local FULL = 'f'
local NOT_RESERVED = 'r'
local LIMIT_REACHED = 'l'
local DRAW_PENDING = 'd'
local NOT_DRAWN = 'n'
local SOLD_OUT = 's'

-- string.byte(':'), which cannot be asked while a library is being loaded.
local COLON = 58

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

-- What all users of a batch are refused who have not had a yes before, if they are.
local function refusal_of_all(batch, early, late)
    return window_refusal(batch.campaign.state, early, late) or not batch.admitted and UNKNOWN_USER or nil
end

-- What both read before they decide, or nil and the reply that says why they do not.
local function begin(keys, args)
    if #args - HEAD > MAX_BATCH then
        return nil, { 'BATCH_TOO_LARGE', #args - HEAD }
    end
    local campaign, no = campaign_of(keys, args)
    if no then
        return nil, no
    end
    local round, none = round_of(campaign, args[3])
    if none then
        return nil, none
    end
    local counts = campaign.counts_users and get_all(campaign.key .. ':users', args, HEAD + 1)
    return {
        campaign = campaign,
        round = round,
        admitted = args[4] == '1' or not round.registered_only,
        lines = { advance(round, campaign) },
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

-- Whether a seat's ticket has been drawn. One GETBIT for each user who could have a coupon: BITFIELD for many is no faster.
local function has_won(round, seat)
    local ticket = round.drawn and seat and string.match(seat, '^%d+')
    return ticket and redis.call('GETBIT', round.key .. ':winners', ticket) == 1
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
    local refusal = refusal_of_all(batch, early, late)
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
    local refusal = refusal_of_all(batch, early, late)
    local has_draw, without_luck = round.draw_limit ~= nil, round.drawn and NOT_DRAWN or DRAW_PENDING
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
        elseif has_draw and not has_won(round, seat) then
            answers[i] = without_luck
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

