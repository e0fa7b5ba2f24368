#!lua name=coupon_v1

-- The gate of a campaign: coupon-domain's `model`, restated. A differential test holds the two equal. The library is one text, made of
-- the files of this folder in the order in which `LIBRARY` names them; each uses only what stands before it.
--
-- Every function has one key, `{c:X}`, and builds the campaign's other keys from it; they share its slot:
--
--   {c:X}              hash    installation, epoch, frozen, opened, n, last_at, chain, state, revision, issued, total_limit,
--                              max_per_user, counts_users
--   {c:X}:rounds       hash    round number -> the round's plan as JSON
--   {c:X}:users        hash    user -> coupons over the campaign, if counts_users
--   {c:X}:requests     hash    id of an operator's request that did something -> its verb
--   {c:X}:r:R          hash    the plan in single fields; phase, supply, places, issued, last_n, added, drawn, delay
--   {c:X}:r:R:u        hash    user -> seat: `ticket:at`, `ticket:at:serial:at`, or `::serial:at` without a place
--   {c:X}:r:R:winners  bitmap  bit t, from the most significant one of the first byte: ticket t has won. It counts once `drawn` is 1
--   {c:X}:journal      stream  one entry per batch, its id is `epoch-n` of its last decision
--
-- `opened` in the hash is the epoch in which the campaign was last opened, 0 while it is being loaded. A seat's times are microseconds
-- since the round's first opening. Where a value may be missing, the field is empty.
--
-- The shape of each call: the time once, read everything, decide everything, XADD first, since it is the only write that can fail,
-- then the writes that cannot. A call that decides nothing writes nothing; only the parts of a load and of a draw's winners are
-- written before anything is decided by them.

local MAX_BATCH = 500
-- Values in one command: unpack() puts them on Lua's stack, which is bounded.
local CHUNK = 200
-- How long rounds stay after their close, in microseconds: UNUSED_ROUND_KEPT and USED_ROUND_KEPT of the model.
local UNUSED_ROUND_KEPT = 600 * 1000000
local USED_ROUND_KEPT = 3600 * 1000000
-- How long claims wait for a draw at most, in microseconds: LONGEST_DELAY of the domain's `RoundSpec`.
local LONGEST_DELAY = 3600 * 1000000
-- Coupons there may be at most: MAX of the domain's `Supply`.
local MAX_SUPPLY = 200000000

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

local function or_dash(number)
    return number and whole(number) or '-'
end

-- A value of decoded JSON; nil if it is not there or null.
local function present(value)
    if value == cjson.null then
        return nil
    end
    return value
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

