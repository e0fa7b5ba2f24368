---- The winners of a round that is drawn. args: epoch, n, the round, the length of the winners' bitmap in bytes, ... ----
--
-- The bitmap may be too large for one command, so that it comes in parts, which decide nothing; then the draw is concluded. Whoever is
-- cut off in between begins anew, over what is there.

-- A bit for each place.
local function winners_length(round)
    return math.ceil(round.places / 8)
end

-- Whether the winners that are here are as many as a drawn round has coupons.
local function lacks_winners(round)
    return round.drawn and redis.call('BITCOUNT', round.key .. ':winners') ~= (round.supply or 0)
end

-- Keeps a part of the winners from this byte on; false if they could not be concluded anyway.
local function keep_winners(round, at, length, first, part)
    local has_closed = math.max(RANK[round.phase], RANK[phase_at(round, at)]) > RANK.RESERVING
    if not has_closed or not awaits_draw(round) or length ~= winners_length(round) or first + #part > length then
        return false
    end
    redis.call('SETRANGE', round.key .. ':winners', whole(first), part)
    return true
end

-- args[5..]: number of the part's first byte, the part. What could not be concluded is not wanted; the conclusion says why.
local function put_winners(campaign, round, args)
    local kept = keep_winners(round, campaign.at, tonumber(args[4]), tonumber(args[5]), args[6])
    return { 'OK', kept and 'KEPT' or 'NOT_WANTED' }
end

-- What becomes of these winners at this instant; also the delay, if they are the ones. They are not there if somebody else has put
-- others over them since.
local function conclusion(round, at, length, digest)
    if not round.draw_limit or RANK[round.phase] <= RANK.RESERVING then
        return 'NOT_DUE'
    elseif round.drawn then
        return 'ALREADY_DRAWN'
    elseif length ~= winners_length(round) then
        return 'NOT_WHOLE'
    end
    local winners = redis.call('GET', round.key .. ':winners') or ''
    if redis.sha1hex(winners) ~= digest then
        return 'WINNERS_NOT_THERE'
    end
    -- The last byte's lowest bits that no ticket has.
    local unused = length * 8 - round.places
    local beyond = unused > 0 and string.byte(winners, -1) % 2 ^ unused ~= 0
    if beyond or redis.call('BITCOUNT', round.key .. ':winners') ~= (round.supply or 0) then
        return 'NOT_WHOLE'
    end
    return 'DRAWN', math.min(math.max(at - round.claim_opens, 0), LONGEST_DELAY)
end

-- args[5..]: SHA-1 of the bitmap, so that it is the caller's; the number of the last part's first byte, and that part: what fits into one
-- part nobody else can put theirs over.
local function conclude_draw(campaign, round, args)
    if args[7] then
        keep_winners(round, campaign.at, tonumber(args[4]), tonumber(args[6]), args[7])
    end
    local lines = { advance(round, campaign) }
    local answer, delay = conclusion(round, campaign.at, tonumber(args[4]), args[5])
    if answer == 'WINNERS_NOT_THERE' then
        return answered(campaign, {}, answer)
    elseif answer == 'DRAWN' then
        lines[#lines + 1] = 'drawn r-' .. round.number .. ' ' .. whole(round.supply or 0) .. ' ' .. args[5] .. ' ' ..
            whole(delay)
    end
    local reply = answered(campaign, lines, answer, delay)
    if #lines > 0 then
        round.last_n = campaign.n
        write_round(round)
    end
    if answer == 'DRAWN' then
        redis.call('HSET', round.key, 'drawn', '1', 'delay', whole(delay))
    end
    return reply
end

