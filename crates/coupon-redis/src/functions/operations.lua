---- The scheduler's and the operators' calls. args: epoch, n, ... An operator's request is its id or `-` ----

local UPDATE = 'UPDATE'
local ADD_SUPPLY = 'ADD_SUPPLY'

-- Advances all rounds that the clock says: the journal's lines, and those rounds, still to be written.
local function advance_all(campaign, rounds)
    local lines, advanced = {}, {}
    for _, round in ipairs(rounds) do
        local line = advance(round, campaign, rounds)
        if line then
            lines[#lines + 1] = line
            advanced[#advanced + 1] = round
            round.last_n = campaign.n + #lines
        end
    end
    return lines, advanced
end

local function tick(campaign)
    local rounds = read_rounds(campaign.key)
    local lines, advanced = advance_all(campaign, rounds)
    local reply = decide(campaign, lines, #lines)
    for _, round in ipairs(advanced) do
        write_round(round)
    end
    reply[8], reply[9], reply[10] = campaign.state, campaign.revision, campaign.issued
    reply[11] = or_empty(campaign.total_limit)
    for _, round in ipairs(rounds) do
        local standing = { round.json, round.phase, or_empty(round.supply), round.places, round.issued, round.added,
            round.drawn and 1 or 0, round.delay }
        for _, value in ipairs(standing) do
            reply[#reply + 1] = value
        end
    end
    return reply
end

-- Why a round cannot be opened, with what belongs to that; nil if it can.
local function opening_refusal(campaign, round)
    if campaign.state == 'ENDED' then
        return 'CAMPAIGN_ENDED'
    elseif campaign.revision ~= round.revision then
        return 'OUTDATED', campaign.revision
    end
    local overlapping
    for _, there in ipairs(read_rounds(campaign.key)) do
        -- A round that is the same one comes before one that overlaps, wherever they stand.
        if there.number == round.number or there.claim_opens == round.claim_opens then
            return 'ALREADY_THERE', there.number
        elseif there.claim_opens < round.claim_closes and round.claim_opens < there.claim_closes then
            overlapping = overlapping or there.number
        end
    end
    if overlapping then
        return 'OVERLAPS', overlapping
    end
    return nil
end

-- args[3]: the round's plan as JSON.
local function open_round(campaign, args)
    local round = planned(campaign.key, args[3])
    local refusal, detail = opening_refusal(campaign, round)
    if refusal then
        return answered(campaign, {}, refusal, detail)
    end
    touch_round(campaign.key, round.number)
    local reply = answered(campaign, { 'round ' .. args[3] }, 'OPENED')
    round.phase, round.places, round.issued, round.last_n = 'PLANNED', 0, 0, campaign.n
    round.added, round.drawn, round.delay = 0, false, 0
    round.supply = supply_at_start(round)
    insert_round(campaign.key, round)
    return reply
end

-- args[3..]: the request, the operator's verb, the state it leads to, the states it starts from.
local function transition(campaign, args)
    local request, verb, to = args[3], args[4], args[5]
    local answer = known(campaign, request, verb)
    for i = 6, #args do
        answer = answer or campaign.state == args[i] and 'DONE'
    end
    answer = answer or campaign.state == to and 'UNCHANGED' or 'REFUSED'
    if answer ~= 'DONE' then
        return answered(campaign, {}, answer, campaign.state)
    end
    local reply = answered(campaign, { 'state ' .. to .. ' ' .. verb .. ' ' .. request }, answer, to)
    campaign.state, campaign.revision = to, campaign.revision + 1
    write_campaign(campaign)
    keep(campaign, request, verb)
    return reply
end

-- Why the rules cannot be changed, with what belongs to that; nil if they can. of: the revision that the change was made for.
local function revision_refusal(campaign, rounds, of, scope)
    if campaign.state == 'ENDED' then
        return 'ENDED'
    elseif campaign.revision ~= of then
        return 'OUTDATED', campaign.revision
    end
    for _, round in ipairs(rounds) do
        if is_used(round) and (scope == 'CAMPAIGN' or scope == 'ROUNDS' and round.phase ~= 'CLOSED') then
            return 'ROUND_IN_USE', round.number
        end
    end
    if scope == 'CAMPAIGN' and campaign.issued > 0 then
        return 'CAMPAIGN_IN_USE'
    end
    return nil
end

-- args[3..]: the request, the revision that the change was made for, its scope, the new total_limit, max_per_user and counts_users,
-- the rules as JSON.
local function revise(campaign, args)
    local request, scope, rounds, dropped = args[3], args[5], read_rounds(campaign.key), {}
    local lines, advanced = advance_all(campaign, rounds)
    local refusal, detail = known(campaign, request, UPDATE), nil
    if not refusal then
        refusal, detail = revision_refusal(campaign, rounds, tonumber(args[4]), scope)
    end
    if not refusal then
        campaign.revision = campaign.revision + 1
        -- Rounds ahead that the change reaches are planned anew.
        for _, round in ipairs(rounds) do
            if scope ~= 'LABELS' and not is_used(round) and round.phase ~= 'CLOSED' then
                dropped[#dropped + 1] = round
                lines[#lines + 1] = 'retired r-' .. round.number .. ' 0'
                touch_round(campaign.key, round.number)
            end
        end
        lines[#lines + 1] = 'rules ' .. request .. ' ' .. args[9]
        if scope == 'CAMPAIGN' then
            campaign.total_limit, campaign.max_per_user = tonumber(args[6]), tonumber(args[7])
            campaign.counts_users = args[8] == '1'
            -- To be removed: see touch_round.
            redis.call('HGET', campaign.key .. ':users', '')
        end
    end
    local reply = answered(campaign, lines, refusal or 'DONE', detail or campaign.revision)
    for _, round in ipairs(advanced) do
        write_round(round)
    end
    if not refusal then
        for _, round in ipairs(dropped) do
            remove_round(campaign.key, round.number)
        end
        if scope == 'CAMPAIGN' then
            redis.call('UNLINK', campaign.key .. ':users')
        end
        write_campaign(campaign)
        keep(campaign, request, UPDATE)
    end
    return reply
end

local function add_to_total(campaign, amount, request)
    -- A boundary that was passed before the addition comes before it: winners are as many as the limit left then.
    local lines, advanced = advance_all(campaign, read_rounds(campaign.key))
    local limit = campaign.total_limit and campaign.total_limit + amount
    local refusal
    if campaign.state == 'ENDED' then
        refusal = 'CLOSED'
    elseif not limit then
        refusal = 'NO_TOTAL_LIMIT'
    elseif limit > MAX_SUPPLY then
        refusal = 'TOO_MANY'
    end
    if not refusal then
        lines[#lines + 1] = 'total ' .. whole(amount) .. ' ' .. whole(limit) .. ' ' .. request
    end
    local reply = answered(campaign, lines, refusal or 'DONE')
    for _, round in ipairs(advanced) do
        write_round(round)
    end
    if not refusal then
        campaign.total_limit, campaign.revision = limit, campaign.revision + 1
        write_campaign(campaign)
        keep(campaign, request, ADD_SUPPLY)
    end
    return reply
end

-- Why no coupons can be added to a round; nil if they can.
local function addition_refusal(campaign, round, amount)
    if campaign.state == 'ENDED' or round.phase == 'CLOSED' then
        return 'CLOSED'
    elseif round.rule == SHARED_POOL then
        return 'NO_OWN_SUPPLY'
    elseif round.draw_limit and RANK[round.phase] > RANK.RESERVING then
        return 'WINNERS_FIXED'
    elseif math.max(round.supply or 0, round.added) + amount > MAX_SUPPLY then
        return 'TOO_MANY'
    end
    return nil
end

local function add_to_round(campaign, round, amount, request)
    local lines = { advance(round, campaign) }
    local refusal = addition_refusal(campaign, round, amount)
    if not refusal then
        round.added, round.supply = round.added + amount, round.supply and round.supply + amount
        lines[#lines + 1] = 'supply r-' .. round.number .. ' ' .. whole(amount) .. ' ' .. whole(round.added) .. ' ' ..
            or_dash(round.supply) .. ' ' .. request
    end
    local reply = answered(campaign, lines, refusal or 'DONE')
    if #lines > 0 then
        round.last_n = campaign.n
        write_round(round)
    end
    if not refusal then
        redis.call('HSET', round.key, 'added', whole(round.added))
        keep(campaign, request, ADD_SUPPLY)
    end
    return reply
end

-- args[3..]: the request, how many coupons, the round; empty: the campaign's total limit.
local function add_supply(campaign, args)
    local request, amount = args[3], tonumber(args[4])
    local before = known(campaign, request, ADD_SUPPLY)
    if before then
        return answered(campaign, {}, before)
    elseif args[5] == '' then
        return add_to_total(campaign, amount, request)
    end
    local round, none = round_of(campaign, args[5])
    return none or add_to_round(campaign, round, amount, request)
end

-- args[3..]: the round, the last decision that the ledger has.
local function retire(campaign, round, args)
    local used = is_used(round)
    local kept = used and USED_ROUND_KEPT or UNUSED_ROUND_KEPT
    local closed = round.phase == 'CLOSED' and campaign.at >= closes_at(round) + kept
    -- Nothing will happen any more in a round that an ended campaign left unused.
    local over = closed or campaign.state == 'ENDED' and not used
    local is_recorded = tonumber(redis.call('HGET', round.key, 'last_n')) <= tonumber(args[4])
    if not over or not is_recorded then
        return answered(campaign, {}, 'KEPT')
    end
    touch_round(campaign.key, round.number)
    local reply = answered(campaign, { 'retired r-' .. round.number .. (used and ' 1' or ' 0') }, 'RETIRED')
    remove_round(campaign.key, round.number)
    return reply
end

