---- A campaign, and how it decides ----

local function read_campaign(key)
    local f = redis.call('HMGET', key, 'epoch', 'frozen', 'n', 'last_at', 'chain', 'state', 'revision', 'issued', 'total_limit',
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
        revision = tonumber(f[7]),
        issued = tonumber(f[8]),
        total_limit = tonumber(f[9]),
        max_per_user = tonumber(f[10]),
        counts_users = f[11] == '1',
    }
end

-- Writes what operators change in a campaign.
local function write_campaign(campaign)
    redis.call('HSET', campaign.key, 'state', campaign.state, 'revision', whole(campaign.revision), 'total_limit',
        or_empty(campaign.total_limit), 'max_per_user', whole(campaign.max_per_user), 'counts_users',
        campaign.counts_users and '1' or '0')
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

-- A function that is about an open campaign: of that and the arguments.
local function for_campaign(callback)
    return function(keys, args)
        local campaign, no = campaign_of(keys, args)
        return no or callback(campaign, args)
    end
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
        redis.call('HSET', campaign.key, 'n', whole(campaign.n), 'last_at', at, 'chain', redis.sha1hex(head .. rows), 'issued',
            whole(campaign.issued))
    end
    return { 'OK', campaign.epoch, first, campaign.n, campaign.at, prev, rows }
end

-- Appends lines that are one decision each, and replies with this answer.
local function answered(campaign, lines, answer, detail)
    local reply = decide(campaign, lines, #lines)
    reply[8], reply[9] = answer, detail or ''
    return reply
end

-- What a request is answered that has done something before; nil if it has not. `-` stands for no request.
local function known(campaign, request, verb)
    local done = request ~= '-' and redis.call('HGET', campaign.key .. ':requests', request)
    if not done then
        return nil
    end
    return done == verb and 'REPEATED' or 'REQUEST_USED'
end

-- Remembers what a request has done.
local function keep(campaign, request, verb)
    if request ~= '-' then
        redis.call('HSET', campaign.key .. ':requests', request, verb)
    end
end

