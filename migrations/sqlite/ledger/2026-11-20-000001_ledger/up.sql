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
    -- Coupons over all rounds.
    issued INTEGER NOT NULL DEFAULT 0 CHECK (issued >= 0 AND issued <= coalesce(rules ->> '$.total_limit', issued)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL CHECK (updated_at >= created_at),
    title TEXT NOT NULL GENERATED ALWAYS AS (rules ->> '$.title') VIRTUAL CHECK (length(title) BETWEEN 1 AND 250),
    validity_key TEXT NOT NULL GENERATED ALWAYS AS (rules ->> '$.validity') VIRTUAL,
    -- Coupons of a user over all rounds at most; null where there is one start, hence one round. Stored, since each coupon looks at it.
    counted_per_user INTEGER GENERATED ALWAYS AS (
        CASE WHEN rules -> '$.schedule.start.recurring' IS NOT NULL THEN coalesce(rules ->> '$.max_per_user', 1) END
    ) STORED,
    CHECK (open = 0 OR epoch > 0)
) STRICT;
CREATE INDEX campaigns_newest ON campaigns (created_at, id);

-- Titles with the end of validity, each of one campaign that has not ended: that of its rules, and for a moment one that it is about to
-- get.
CREATE TABLE titles (
    title TEXT NOT NULL,
    validity_key TEXT NOT NULL,
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    PRIMARY KEY (title, validity_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX titles_of_campaign ON titles (campaign_id);

CREATE TABLE rounds (
    no INTEGER PRIMARY KEY CHECK (no BETWEEN 1 AND 268435455),
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    spec TEXT NOT NULL CHECK (json_valid(spec) AND spec ->> '$.id' = no),
    phase TEXT NOT NULL CHECK (phase IN ('PLANNED', 'RESERVING', 'WAITING', 'CLAIMING', 'CLOSED')),
    supply INTEGER CHECK (supply BETWEEN 0 AND 200000000),
    places INTEGER NOT NULL DEFAULT 0 CHECK (places BETWEEN 0 AND spec ->> '$.max_places'),
    issued INTEGER NOT NULL DEFAULT 0 CHECK (issued >= 0 AND (supply IS NULL OR issued <= supply)),
    -- Coupons that an operator added to the supply, in all.
    added INTEGER NOT NULL DEFAULT 0 CHECK (added BETWEEN 0 AND 200000000),
    -- Whether the gate was told who won.
    drawn INTEGER NOT NULL DEFAULT 0 CHECK (drawn IN (0, 1)),
    -- Microseconds by which a late draw has moved the claim window.
    delay INTEGER NOT NULL DEFAULT 0 CHECK (delay BETWEEN 0 AND 3600000000 AND (drawn = 1 OR delay = 0)),
    -- Coupons that the campaign's total limit left when reservation closed; null before, or without a limit.
    left_at_close INTEGER CHECK (left_at_close >= 0),
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
    CHECK (left_at_close IS NULL OR phase NOT IN ('PLANNED', 'RESERVING')),
    CHECK (spec -> '$.draw' IS NULL OR reserve_opens_at IS NOT NULL),
    -- As many win as there are coupons, and their number is known when reservation has closed.
    CHECK (spec -> '$.draw' IS NULL OR phase IN ('PLANNED', 'RESERVING') OR (supply IS NOT NULL AND supply <= places)),
    CHECK (drawn = 0 OR (spec -> '$.draw' IS NOT NULL AND phase NOT IN ('PLANNED', 'RESERVING'))),
    CHECK (retired = 0 OR phase = 'CLOSED'),
    -- For the coupons' reference, which keeps their campaign that of their round.
    UNIQUE (no, campaign_id)
) STRICT;
-- Not unique: once a round has left the gate, the gate may open another with its start, and what it decided must be recorded.
CREATE INDEX rounds_latest ON rounds (campaign_id, claim_opens_at, no);
CREATE INDEX rounds_at_gate ON rounds (campaign_id) WHERE retired = 0;

CREATE TABLE places (
    round_no INTEGER NOT NULL REFERENCES rounds (no),
    ticket INTEGER NOT NULL CHECK (ticket >= 0),
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 128 AND user_id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    reserved_at INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    -- Of the tree over the places of a round that is drawn; null in others.
    leaf BLOB CHECK (length(leaf) = 32),
    PRIMARY KEY (round_no, ticket),
    UNIQUE (round_no, user_id)
) STRICT, WITHOUT ROWID;

-- The draw of a round as far as it has come. Each part is written once. The long ones come last: who reads no further than the others
-- reads none of their pages.
CREATE TABLE draws (
    round_no INTEGER PRIMARY KEY REFERENCES rounds (no) ON DELETE CASCADE,
    -- Leaves under the root.
    places INTEGER CHECK (places BETWEEN 0 AND 10000000),
    root BLOB CHECK (length(root) = 32),
    -- Public randomness, as soon as it is set.
    beacon BLOB,
    -- The beacon that was drawn with; null if it was drawn without one.
    used_beacon BLOB,
    -- How many won; null until it is drawn.
    winners INTEGER CHECK (winners BETWEEN 0 AND places),
    -- The highest score that won; null if nobody did.
    last_score BLOB CHECK (length(last_score) = 32),
    -- Roots of the aligned parts of 256 leaves, 32 bytes each.
    subtrees BLOB CHECK (length(subtrees) = 32 * ((places + 255) / 256)),
    -- The rank of each ticket in turn, 4 bytes each, the most significant first.
    ranks BLOB CHECK (length(ranks) = 4 * places),
    CHECK ((root IS NULL) = (places IS NULL)),
    CHECK ((subtrees IS NULL) = (places IS NULL)),
    CHECK (winners IS NULL OR places IS NOT NULL),
    CHECK ((last_score IS NULL) = (winners IS NULL OR winners = 0)),
    CHECK ((ranks IS NULL) = (winners IS NULL)),
    -- What was drawn with stays as it was.
    CHECK (used_beacon IS CASE WHEN winners IS NULL THEN NULL ELSE beacon END)
) STRICT;

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
    held_until INTEGER CHECK (held_until <= expires_at),
    redeemed_at INTEGER,
    -- The next instant at which a notice may be due; null if none is left.
    notice_at INTEGER CHECK (notice_at IS NULL OR (notice_at < expires_at AND user_id NOT GLOB 'lost:*')),
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (round_no, serial),
    UNIQUE (round_no, user_id),
    FOREIGN KEY (round_no, campaign_id) REFERENCES rounds (no, campaign_id),
    FOREIGN KEY (campaign_id, order_id) REFERENCES orders (campaign_id, id),
    CHECK ((state IN ('HELD', 'REDEEMED')) = (order_id IS NOT NULL)),
    CHECK ((state = 'HELD') = (held_until IS NOT NULL)),
    CHECK ((state = 'REDEEMED') = (redeemed_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX coupons_of_user ON coupons (user_id);
-- Coupons of each user over a campaign, in order of users: how a gate is loaded.
CREATE INDEX coupons_of_campaign ON coupons (campaign_id, user_id);
CREATE INDEX coupons_to_release ON coupons (held_until) WHERE state = 'HELD';
-- What was burnt stays as it is.
CREATE INDEX coupons_to_expire ON coupons (expires_at) WHERE state = 'ISSUED' AND user_id NOT GLOB 'lost:*';
CREATE INDEX coupons_to_notice ON coupons (notice_at) WHERE state = 'ISSUED' AND notice_at IS NOT NULL;

-- One coupon a user and round is a key. Over the rounds of a campaign they are counted, where there may be several.
CREATE TRIGGER coupons_max_per_user AFTER INSERT ON coupons
BEGIN
    SELECT RAISE(ABORT, 'constraint failed: coupons_max_per_user')
    FROM campaigns
    WHERE campaigns.id = NEW.campaign_id
        AND counted_per_user IS NOT NULL
        AND counted_per_user < (
            SELECT count(*) FROM coupons
            WHERE coupons.campaign_id = NEW.campaign_id AND coupons.user_id = NEW.user_id
        );
END;

CREATE TABLE orders (
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    id TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 128 AND id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    -- The coupon it took last; null if it was cancelled before it took one.
    round_no INTEGER,
    serial INTEGER,
    user_id TEXT NOT NULL CHECK (length(user_id) BETWEEN 1 AND 128 AND user_id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    -- What it came to, from its redemption on.
    currency TEXT CHECK (currency GLOB '[A-Z][A-Z][A-Z]'),
    amount INTEGER CHECK (amount >= 0),
    discount INTEGER CHECK (discount BETWEEN 0 AND amount),
    state TEXT NOT NULL CHECK (state IN ('HELD', 'REDEEMED', 'RELEASED', 'CANCELLED')),
    redeemed_at INTEGER,
    PRIMARY KEY (campaign_id, id),
    FOREIGN KEY (round_no, serial) REFERENCES coupons (round_no, serial),
    CHECK ((round_no IS NULL) = (serial IS NULL)),
    CHECK (round_no IS NOT NULL OR (state = 'CANCELLED' AND redeemed_at IS NULL)),
    CHECK ((currency IS NULL) = (redeemed_at IS NULL)),
    CHECK ((amount IS NULL) = (redeemed_at IS NULL)),
    CHECK ((discount IS NULL) = (redeemed_at IS NULL)),
    CHECK (state <> 'REDEEMED' OR redeemed_at IS NOT NULL),
    CHECK (redeemed_at IS NULL OR state IN ('REDEEMED', 'CANCELLED'))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX orders_one_per_coupon ON orders (round_no, serial) WHERE state IN ('HELD', 'REDEEMED');

-- Notices that went out. None goes out twice.
CREATE TABLE notices (
    round_no INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    -- How long before the end of validity, in microseconds.
    lead INTEGER NOT NULL CHECK (lead > 0),
    PRIMARY KEY (round_no, serial, lead),
    FOREIGN KEY (round_no, serial) REFERENCES coupons (round_no, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    -- Readers go by this number, so it is never given twice, not even after the newest rows were deleted.
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (id <> ''),
    kind TEXT NOT NULL CHECK (kind IN (
        'campaign.created', 'campaign.updated', 'campaign.state_changed',
        'round.opened', 'round.phase_changed', 'round.drawn', 'round.supply_added',
        'place.reserved',
        'coupon.issued', 'coupon.held', 'coupon.released', 'coupon.redeemed', 'coupon.rolled_back', 'coupon.voided',
        'coupon.expired', 'coupon.expiring',
        'order.cancelled'
    )),
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    round_no INTEGER,
    serial INTEGER CHECK (serial IS NULL OR round_no IS NOT NULL),
    user_id TEXT,
    order_id TEXT,
    state TEXT,
    -- What only some kinds tell; null if there is nothing of it.
    details TEXT CHECK (json_valid(details) AND json_type(details) = 'object' AND details <> '{}'),
    at INTEGER NOT NULL,
    CHECK ((serial IS NOT NULL) = (kind GLOB 'coupon.*')),
    CHECK ((user_id IS NOT NULL) = (kind GLOB 'coupon.*' OR kind IN ('place.reserved', 'order.cancelled'))),
    CHECK ((order_id IS NOT NULL) = (kind IN (
        'coupon.held', 'coupon.released', 'coupon.redeemed', 'coupon.rolled_back', 'order.cancelled'
    ))),
    CHECK (kind <> 'coupon.expiring' OR (details -> '$.notice' IS NOT NULL AND details -> '$.expires_at' IS NOT NULL))
) STRICT;

-- Readers of the events that keep their place.
CREATE TABLE subscribers (
    name TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 128 AND name NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    -- All events up to here are done with.
    position INTEGER NOT NULL CHECK (position >= 0),
    -- Who reads under this name now; null if nobody does any more.
    session TEXT CHECK (length(session) = 36),
    -- Until then nobody else takes the name by a lease; null if it was not taken by one.
    leased_until INTEGER CHECK (leased_until IS NULL OR session IS NOT NULL),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Events that an outlet, which is a subscriber, could not deliver yet.
CREATE TABLE deliveries (
    subscriber TEXT NOT NULL REFERENCES subscribers (name) ON DELETE CASCADE,
    seq INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE,
    -- Events of one key are told one after the other.
    key TEXT NOT NULL CHECK (key <> ''),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    -- When to try again; null for a dead letter.
    next_at INTEGER,
    error TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    PRIMARY KEY (subscriber, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_by_key ON deliveries (subscriber, key, seq) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (subscriber, seq) WHERE next_at IS NULL;
CREATE INDEX deliveries_of_event ON deliveries (seq);

-- Who changed what: one row for each operator's change, in the order of writing.
CREATE TABLE audit_records (
    no INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 32 AND action NOT GLOB '*[^A-Z_]*'),
    actor TEXT NOT NULL CHECK (length(actor) BETWEEN 1 AND 128 AND actor NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    request TEXT CHECK (length(request) = 36),
    campaign_id TEXT REFERENCES campaigns (id),
    -- A round that nobody used is forgotten; what was done to it is not.
    round_no INTEGER,
    serial INTEGER CHECK (serial IS NULL OR round_no IS NOT NULL),
    user_id TEXT,
    -- What is changed, as it was and as it is now.
    before TEXT CHECK (json_valid(before)),
    after TEXT CHECK (json_valid(after)),
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_records_of_campaign ON audit_records (campaign_id, no) WHERE campaign_id IS NOT NULL;

-- Who makes a request that a gate is about to decide: the journal tells its number alone.
CREATE TABLE operators (
    request TEXT NOT NULL PRIMARY KEY CHECK (length(request) = 36),
    actor TEXT NOT NULL CHECK (length(actor) BETWEEN 1 AND 128 AND actor NOT GLOB '*[^-A-Za-z0-9._:@]*')
) STRICT, WITHOUT ROWID;

-- What each request of an operator did, so that its repeat does nothing.
CREATE TABLE requests (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    campaign_id TEXT NOT NULL REFERENCES campaigns (id),
    verb TEXT NOT NULL CHECK (length(verb) BETWEEN 1 AND 32 AND verb NOT GLOB '*[^A-Z_]*')
) STRICT, WITHOUT ROWID;
-- What a gate is loaded with.
CREATE INDEX requests_of_campaign ON requests (campaign_id);

-- Registered users. Places, coupons and orders have the id alone: a user who is deleted stays in them.
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 128 AND id NOT GLOB '*[^-A-Za-z0-9._:@]*'),
    name TEXT NOT NULL,
    -- The caller's own labels.
    metadata TEXT NOT NULL CHECK (json_valid(metadata) AND json_type(metadata) = 'object'),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How often each call was refused for each reason. For people: a process that is killed takes its last second with it.
CREATE TABLE round_refusals (
    round_no INTEGER NOT NULL REFERENCES rounds (no) ON DELETE CASCADE,
    verb TEXT NOT NULL CHECK (verb IN ('RESERVE', 'CLAIM')),
    reason TEXT NOT NULL CHECK (reason IN (
        'NOT_OPEN_YET', 'CLOSED', 'PAUSED', 'UNKNOWN_USER', 'FULL', 'NOT_RESERVED', 'LIMIT_REACHED', 'DRAW_PENDING', 'NOT_DRAWN',
        'SOLD_OUT'
    )),
    count INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (round_no, verb, reason)
) STRICT, WITHOUT ROWID;

-- Claims that won or lost, by the time since claims opened. For people too.
CREATE TABLE round_arrivals (
    round_no INTEGER NOT NULL REFERENCES rounds (no) ON DELETE CASCADE,
    -- The number of the span of time.
    bucket INTEGER NOT NULL CHECK (bucket >= 0),
    won INTEGER NOT NULL CHECK (won >= 0),
    lost INTEGER NOT NULL CHECK (lost >= 0),
    PRIMARY KEY (round_no, bucket)
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
