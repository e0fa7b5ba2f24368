-- The ledger in one SQLite file. Times are microseconds since the Unix epoch, money is whole minor units, ids compare byte for byte
-- (SQLite's BINARY collation).

CREATE TABLE installation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL CHECK (length(id) = 36),
    -- The last round number given away; a coupon's code has 28 bits for it.
    last_round INTEGER NOT NULL DEFAULT 0 CHECK (last_round BETWEEN 0 AND 268435455)
) STRICT;

-- Tells other master keys from ours. A check value reveals nothing of its key.
CREATE TABLE master_keys (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id BETWEEN 0 AND 15),
    check_value TEXT NOT NULL
) STRICT;

CREATE TABLE campaigns (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128 AND id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    rules TEXT NOT NULL CHECK (json_valid(rules)),
    state TEXT NOT NULL CHECK (state IN ('DRAFT', 'ACTIVE', 'PAUSED', 'ENDED')),
    revision INTEGER NOT NULL DEFAULT 1 CHECK (revision > 0),
    epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    open INTEGER NOT NULL DEFAULT 0 CHECK (open IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    title TEXT NOT NULL GENERATED ALWAYS AS (rules ->> '$.title') VIRTUAL CHECK (length(title) BETWEEN 1 AND 250),
    validity_key TEXT NOT NULL GENERATED ALWAYS AS (rules ->> '$.validity') VIRTUAL,
    CHECK (open = 0 OR epoch > 0)
) STRICT;
CREATE UNIQUE INDEX campaigns_one_per_title ON campaigns (title, validity_key) WHERE state <> 'ENDED';
CREATE INDEX campaigns_newest ON campaigns (created_at, id);

CREATE TABLE rounds (
    no INTEGER PRIMARY KEY CHECK (no BETWEEN 1 AND 268435455),
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    spec TEXT NOT NULL CHECK (json_valid(spec) AND spec ->> '$.id' = no),
    phase TEXT NOT NULL CHECK (phase IN ('PLANNED', 'RESERVING', 'WAITING', 'CLAIMING', 'CLOSED')),
    supply INTEGER CHECK (supply BETWEEN 0 AND 200000000),
    places INTEGER NOT NULL DEFAULT 0 CHECK (places BETWEEN 0 AND spec ->> '$.max_places'),
    issued INTEGER NOT NULL DEFAULT 0 CHECK (issued >= 0 AND (supply IS NULL OR issued <= supply)),
    last_n INTEGER NOT NULL CHECK (last_n > 0),
    retired INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1)),
    reserve_opens_at INTEGER GENERATED ALWAYS AS (spec ->> '$.reserve.opens') VIRTUAL,
    reserve_closes_at INTEGER GENERATED ALWAYS AS (spec ->> '$.reserve.closes') VIRTUAL,
    claim_opens_at INTEGER NOT NULL GENERATED ALWAYS AS (spec ->> '$.claim.opens') VIRTUAL,
    claim_closes_at INTEGER NOT NULL GENERATED ALWAYS AS (spec ->> '$.claim.closes') VIRTUAL,
    CHECK (reserve_opens_at < reserve_closes_at AND reserve_closes_at <= claim_opens_at),
    CHECK (claim_opens_at < claim_closes_at),
    -- No coupon without a place, where places are needed.
    CHECK (reserve_opens_at IS NULL OR issued <= places),
    CHECK (retired = 0 OR phase = 'CLOSED'),
    -- For the coupons' reference, which keeps their campaign that of their round.
    UNIQUE (no, campaign_id)
) STRICT;
-- Not unique: once a round has left the gate, the gate may open another with its start, and what it decided must be recorded.
CREATE INDEX rounds_latest ON rounds (campaign_id, claim_opens_at, no);

CREATE TABLE places (
    round_no INTEGER NOT NULL REFERENCES rounds (no),
    ticket INTEGER NOT NULL CHECK (ticket >= 0),
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 128 AND user_id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    reserved_at INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (round_no, ticket),
    UNIQUE (round_no, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE coupons (
    round_no INTEGER NOT NULL,
    serial INTEGER NOT NULL CHECK (serial BETWEEN 0 AND 268435455),
    campaign_id TEXT NOT NULL,
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 128 AND user_id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    state TEXT NOT NULL DEFAULT 'ISSUED' CHECK (state IN ('ISSUED', 'HELD', 'REDEEMED', 'EXPIRED', 'VOID')),
    claimed_at INTEGER NOT NULL,
    -- A coupon that was burnt may be so late: see the domain's loss.
    expires_at INTEGER NOT NULL CHECK (expires_at > claimed_at OR user_id GLOB 'lost:*'),
    order_id TEXT,
    redeemed_at INTEGER,
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (round_no, serial),
    UNIQUE (round_no, user_id),
    FOREIGN KEY (round_no, campaign_id) REFERENCES rounds (no, campaign_id),
    FOREIGN KEY (campaign_id, order_id) REFERENCES orders (campaign_id, id),
    CHECK ((state IN ('HELD', 'REDEEMED')) = (order_id IS NOT NULL)),
    CHECK ((state = 'REDEEMED') = (redeemed_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX coupons_of_user ON coupons (user_id);
-- Coupons of each user over a campaign, in order of users: how a gate is loaded.
CREATE INDEX coupons_of_campaign ON coupons (campaign_id, user_id);
CREATE INDEX coupons_to_expire ON coupons (expires_at) WHERE state = 'ISSUED';

CREATE TABLE orders (
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    id TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 128 AND id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    round_no INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    discount INTEGER NOT NULL CHECK (discount BETWEEN 0 AND amount),
    state TEXT NOT NULL CHECK (state IN ('HELD', 'REDEEMED', 'RELEASED', 'CANCELLED')),
    redeemed_at INTEGER,
    PRIMARY KEY (campaign_id, id),
    FOREIGN KEY (round_no, serial) REFERENCES coupons (round_no, serial),
    CHECK (state <> 'REDEEMED' OR redeemed_at IS NOT NULL),
    CHECK (redeemed_at IS NULL OR state IN ('REDEEMED', 'CANCELLED'))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX orders_one_per_coupon ON orders (round_no, serial) WHERE state IN ('HELD', 'REDEEMED');

CREATE TABLE events (
    -- Readers go by this number, so it is never given twice, not even after the newest rows were deleted.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (id <> ''),
    kind TEXT NOT NULL CHECK (kind GLOB '[a-z]*.[a-z]*'),
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    round_no INTEGER,
    serial INTEGER CHECK (serial IS NULL OR round_no IS NOT NULL),
    user_id TEXT,
    order_id TEXT,
    state TEXT,
    at INTEGER NOT NULL
) STRICT;

-- What each request of an operator did, so that its repeat does nothing.
CREATE TABLE requests (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    verb TEXT NOT NULL CHECK (verb <> '')
) STRICT, WITHOUT ROWID;

-- How far the recorder has come with each campaign's journal.
CREATE TABLE journal_cursors (
    campaign_id TEXT NOT NULL PRIMARY KEY REFERENCES campaigns (id),
    epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
    n INTEGER NOT NULL DEFAULT 0 CHECK (n >= 0),
    chain TEXT NOT NULL CHECK (length(chain) = 40),
    last_at INTEGER,
    acknowledged INTEGER NOT NULL DEFAULT 0 CHECK (acknowledged >= 0),
    CHECK ((n = 0) = (last_at IS NULL))
) STRICT, WITHOUT ROWID;
