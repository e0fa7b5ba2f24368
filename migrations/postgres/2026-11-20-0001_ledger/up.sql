-- The one clock seam: every time that the ledger decides comes from here, once per statement or transaction. Tests replace this function.
CREATE FUNCTION coupon_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT clock_timestamp() $$;
COMMENT ON FUNCTION coupon_now() IS 'The ledger''s clock.';

-- "C": recovery pages by user in the order of the bytes, as Rust compares them.
CREATE DOMAIN opaque_id AS text COLLATE "C"
    CONSTRAINT opaque_id_form CHECK (octet_length(VALUE) BETWEEN 1 AND 128 AND VALUE !~ '[^A-Za-z0-9._:@-]');
COMMENT ON DOMAIN opaque_id IS 'An id as callers know it, compared byte for byte.';

CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT installation_only_row CHECK (only_row),
    id uuid NOT NULL
);
COMMENT ON TABLE installation IS 'The id that tells this installation''s stores from others''.';

CREATE TABLE master_keys (
    id smallint PRIMARY KEY CONSTRAINT master_keys_id CHECK (id BETWEEN 0 AND 15),
    check_value text NOT NULL
);
COMMENT ON TABLE master_keys IS 'Tells instances with other master keys from ours. A check value reveals nothing of its key.';

CREATE TABLE campaigns (
    id opaque_id PRIMARY KEY,
    rules jsonb NOT NULL,
    title text COLLATE "C" NOT NULL GENERATED ALWAYS AS (rules ->> 'title') STORED,
    validity_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (rules ->> 'validity') STORED,
    state text NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    epoch bigint NOT NULL DEFAULT 0,
    open boolean NOT NULL DEFAULT false,
    issued bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT campaigns_title_length CHECK (char_length(title) BETWEEN 1 AND 250),
    CONSTRAINT campaigns_state CHECK (state IN ('DRAFT', 'ACTIVE', 'PAUSED', 'ENDED')),
    CONSTRAINT campaigns_revision CHECK (revision >= 1),
    CONSTRAINT campaigns_epoch CHECK (epoch >= 0),
    CONSTRAINT campaigns_open_has_epoch CHECK (NOT open OR epoch > 0),
    CONSTRAINT campaigns_issued CHECK (issued >= 0 AND issued <= coalesce((rules ->> 'total_limit')::bigint, issued)),
    CONSTRAINT campaigns_times CHECK (updated_at >= created_at)
);
CREATE INDEX campaigns_newest ON campaigns (created_at DESC, id DESC);
COMMENT ON TABLE campaigns IS 'What is offered, and the epoch of its gate. Title and validity are generated from the rules, so that there is one truth.';
COMMENT ON COLUMN campaigns.epoch IS 'Raised at each recovery of the gate; 0 before the campaign was ever opened.';
COMMENT ON COLUMN campaigns.open IS 'Whether the gate answers in this epoch; else the campaign is being recovered.';
COMMENT ON COLUMN campaigns.issued IS 'Coupons over all rounds, never more than the total limit in the rules.';

CREATE TABLE titles (
    title text COLLATE "C" NOT NULL,
    validity_key text COLLATE "C" NOT NULL,
    -- Deferred, since a title is kept before the campaign is created that gets it: so two of the same title wait for one another.
    campaign_id opaque_id NOT NULL REFERENCES campaigns DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (title, validity_key)
);
CREATE INDEX titles_campaign ON titles (campaign_id);
COMMENT ON TABLE titles IS 'Titles with the end of validity, each of one campaign that has not ended: that of its rules, and for a moment one that it is about to get.';

-- A code has 28 bits for a round's number.
CREATE SEQUENCE round_numbers AS integer MINVALUE 1 MAXVALUE 268435455 NO CYCLE;

CREATE TABLE rounds (
    no integer PRIMARY KEY,
    campaign_id opaque_id NOT NULL REFERENCES campaigns,
    spec jsonb NOT NULL,
    reserve_opens_at timestamptz,
    reserve_closes_at timestamptz,
    claim_opens_at timestamptz NOT NULL,
    claim_closes_at timestamptz NOT NULL,
    phase text NOT NULL DEFAULT 'PLANNED',
    supply integer,
    places integer NOT NULL DEFAULT 0,
    issued integer NOT NULL DEFAULT 0,
    added integer NOT NULL DEFAULT 0,
    drawn boolean NOT NULL DEFAULT false,
    delay bigint NOT NULL DEFAULT 0,
    left_at_close bigint,
    last_n bigint NOT NULL,
    retired boolean NOT NULL DEFAULT false,
    CONSTRAINT rounds_no CHECK (no BETWEEN 1 AND 268435455),
    CONSTRAINT rounds_spec_is_of_this_round CHECK ((spec ->> 'id')::integer = no),
    CONSTRAINT rounds_phase CHECK (phase IN ('PLANNED', 'RESERVING', 'WAITING', 'CLAIMING', 'CLOSED')),
    CONSTRAINT rounds_reserve_window CHECK (
        (reserve_opens_at IS NULL) = (reserve_closes_at IS NULL)
        AND reserve_opens_at < reserve_closes_at AND reserve_closes_at <= claim_opens_at
    ),
    CONSTRAINT rounds_claim_window CHECK (claim_opens_at < claim_closes_at),
    CONSTRAINT rounds_supply CHECK (supply BETWEEN 0 AND 200000000),
    CONSTRAINT rounds_places CHECK (places >= 0 AND places <= (spec ->> 'max_places')::bigint),
    CONSTRAINT rounds_issued CHECK (issued >= 0 AND issued <= coalesce(supply, issued)),
    CONSTRAINT rounds_coupon_needs_place CHECK (reserve_opens_at IS NULL OR issued <= places),
    CONSTRAINT rounds_added CHECK (added BETWEEN 0 AND 200000000),
    CONSTRAINT rounds_draw_needs_places CHECK (NOT spec ? 'draw' OR reserve_opens_at IS NOT NULL),
    -- Nobody has won before reservation has closed; then it is known how many do.
    CONSTRAINT rounds_winners CHECK (
        NOT spec ? 'draw'
        OR CASE WHEN phase IN ('PLANNED', 'RESERVING') THEN issued = 0 ELSE supply IS NOT NULL AND supply <= places END
    ),
    CONSTRAINT rounds_drawn CHECK (NOT drawn OR (spec ? 'draw' AND phase NOT IN ('PLANNED', 'RESERVING'))),
    CONSTRAINT rounds_delay CHECK (delay BETWEEN 0 AND 3600000000 AND (drawn OR delay = 0)),
    CONSTRAINT rounds_left_at_close CHECK (
        left_at_close IS NULL OR (left_at_close >= 0 AND phase NOT IN ('PLANNED', 'RESERVING'))
    ),
    CONSTRAINT rounds_last_n CHECK (last_n > 0),
    CONSTRAINT rounds_retired CHECK (NOT retired OR phase = 'CLOSED')
);
CREATE INDEX rounds_latest ON rounds (campaign_id, claim_opens_at, no);
CREATE INDEX rounds_at_gate ON rounds (campaign_id) WHERE NOT retired;
COMMENT ON TABLE rounds IS 'One rush each, with what the recorder has counted. The windows are those of spec, for ordering and checks.';
COMMENT ON COLUMN rounds.supply IS 'Null while unknown, or where only the campaign''s total limit bounds it.';
COMMENT ON COLUMN rounds.added IS 'Coupons that an operator added to the supply, in all.';
COMMENT ON COLUMN rounds.drawn IS 'Whether the gate was told who won.';
COMMENT ON COLUMN rounds.delay IS 'Microseconds by which a late draw has moved the claim window.';
COMMENT ON COLUMN rounds.left_at_close IS 'Coupons that the campaign''s total limit left when reservation closed. Null before, or without a limit.';
COMMENT ON COLUMN rounds.last_n IS 'The number of the last decision in this round.';
COMMENT ON COLUMN rounds.retired IS 'Whether it has left the gate; from then on the ledger answers.';

CREATE TABLE places (
    round_no integer NOT NULL REFERENCES rounds,
    ticket integer NOT NULL,
    user_id opaque_id NOT NULL,
    reserved_at timestamptz NOT NULL,
    n bigint NOT NULL,
    leaf bytea,
    PRIMARY KEY (round_no, ticket),
    CONSTRAINT places_round_user UNIQUE (round_no, user_id),
    CONSTRAINT places_ticket CHECK (ticket >= 0),
    CONSTRAINT places_leaf CHECK (octet_length(leaf) = 32),
    CONSTRAINT places_n CHECK (n > 0)
);
COMMENT ON TABLE places IS 'Reservations. A fact: rows are only added.';
COMMENT ON COLUMN places.leaf IS 'Of the tree over the places of a round that is drawn; null in others.';

CREATE TABLE draws (
    round_no integer PRIMARY KEY REFERENCES rounds ON DELETE CASCADE,
    places integer,
    root bytea,
    subtrees bytea,
    beacon bytea,
    used_beacon bytea,
    winners integer,
    last_score bytea,
    ranks bytea,
    CONSTRAINT draws_places CHECK (places BETWEEN 0 AND 10000000),
    CONSTRAINT draws_root CHECK (octet_length(root) = 32 AND (root IS NULL) = (places IS NULL)),
    CONSTRAINT draws_subtrees CHECK (
        (subtrees IS NULL) = (places IS NULL) AND octet_length(subtrees) = 32 * ((places + 255) / 256)
    ),
    CONSTRAINT draws_result_has_root CHECK (winners IS NULL OR root IS NOT NULL),
    CONSTRAINT draws_winners CHECK (winners BETWEEN 0 AND places),
    CONSTRAINT draws_last_score CHECK (
        octet_length(last_score) = 32 AND (last_score IS NOT NULL) = coalesce(winners > 0, false)
    ),
    CONSTRAINT draws_ranks CHECK ((ranks IS NULL) = (winners IS NULL) AND octet_length(ranks) = 4 * places),
    -- What was drawn with stays as it was.
    CONSTRAINT draws_used_beacon CHECK (
        CASE WHEN winners IS NULL THEN used_beacon IS NULL ELSE used_beacon IS NOT DISTINCT FROM beacon END
    )
);
-- Hashes and ranks do not compress, and a part of what is not compressed is read without the rest.
ALTER TABLE draws ALTER COLUMN subtrees SET STORAGE EXTERNAL, ALTER COLUMN ranks SET STORAGE EXTERNAL;
COMMENT ON TABLE draws IS 'The draw of a round as far as it has come. Each part is written once.';
COMMENT ON COLUMN draws.places IS 'Leaves under the root.';
COMMENT ON COLUMN draws.subtrees IS 'Roots of the aligned parts of 256 leaves, 32 bytes each.';
COMMENT ON COLUMN draws.beacon IS 'Public randomness, as soon as it is set.';
COMMENT ON COLUMN draws.used_beacon IS 'The beacon that was drawn with; null if it was drawn without one.';
COMMENT ON COLUMN draws.winners IS 'How many won; null until it is drawn.';
COMMENT ON COLUMN draws.last_score IS 'The highest score that won; null if nobody did.';
COMMENT ON COLUMN draws.ranks IS 'The rank of each ticket in turn, 4 bytes each, the most significant first.';

CREATE TABLE coupons (
    round_no integer NOT NULL REFERENCES rounds,
    serial integer NOT NULL,
    user_id opaque_id NOT NULL,
    state text NOT NULL DEFAULT 'ISSUED',
    claimed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    order_id opaque_id,
    held_until timestamptz,
    redeemed_at timestamptz,
    notice_at timestamptz,
    n bigint NOT NULL,
    PRIMARY KEY (round_no, serial),
    CONSTRAINT coupons_round_user UNIQUE (round_no, user_id),
    CONSTRAINT coupons_serial CHECK (serial BETWEEN 0 AND 268435455),
    CONSTRAINT coupons_state CHECK (state IN ('ISSUED', 'HELD', 'REDEEMED', 'EXPIRED', 'VOID')),
    CONSTRAINT coupons_order CHECK ((order_id IS NOT NULL) = (state IN ('HELD', 'REDEEMED'))),
    CONSTRAINT coupons_held_until CHECK ((held_until IS NOT NULL) = (state = 'HELD') AND held_until <= expires_at),
    CONSTRAINT coupons_redeemed_at CHECK ((redeemed_at IS NOT NULL) = (state = 'REDEEMED')),
    CONSTRAINT coupons_notice_has_reader CHECK (notice_at IS NULL OR user_id NOT LIKE 'lost:%'),
    -- A coupon that was burnt may be so late: see the domain's loss.
    CONSTRAINT coupons_expires_after_claim CHECK (expires_at > claimed_at OR user_id LIKE 'lost:%'),
    CONSTRAINT coupons_n CHECK (n > 0)
);
CREATE INDEX coupons_user ON coupons (user_id, round_no, serial);
CREATE INDEX coupons_expiring ON coupons (expires_at) WHERE state = 'ISSUED' AND user_id NOT LIKE 'lost:%';
CREATE INDEX coupons_held ON coupons (held_until) WHERE state = 'HELD';
CREATE INDEX coupons_notice ON coupons (notice_at) WHERE state = 'ISSUED' AND notice_at IS NOT NULL;
COMMENT ON TABLE coupons IS 'Coupons from their issue on. A coupon past expires_at is expired, and one past held_until is not held any more, whether or not a sweeper has stored it.';
COMMENT ON COLUMN coupons.order_id IS 'The order it is held or redeemed for.';
COMMENT ON COLUMN coupons.notice_at IS 'The next instant at which a notice may be due; null if none is left. It stays while the coupon is held or redeemed.';

-- One coupon a user and round is a key. Over the rounds of a campaign they are counted here: once per statement, and not at all where
-- there is one start, hence one round. Plans are kept while the table grows from nothing to millions: the settings hold them to indexes.
CREATE FUNCTION refuse_coupons_beyond_max_per_user() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off SET jit = off AS $$
DECLARE
    too_many text;
BEGIN
    -- Who writes coupons of one campaign takes turns; a recorder has this lock already.
    PERFORM 1 FROM campaigns
    WHERE campaigns.id IN (SELECT rounds.campaign_id FROM rounds WHERE rounds.no IN (SELECT issued.round_no FROM issued))
        AND campaigns.rules #> '{schedule,start,recurring}' IS NOT NULL
    ORDER BY campaigns.id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT format('user %s of campaign %s', one.user_id, one.campaign_id) INTO too_many
    FROM (SELECT DISTINCT rounds.campaign_id, issued.user_id FROM issued JOIN rounds ON rounds.no = issued.round_no) AS one
    JOIN campaigns ON campaigns.id = one.campaign_id AND campaigns.rules #> '{schedule,start,recurring}' IS NOT NULL
    WHERE coalesce((campaigns.rules ->> 'max_per_user')::bigint, 1) < (
        SELECT count(*) FROM coupons JOIN rounds ON rounds.no = coupons.round_no
        WHERE coupons.user_id = one.user_id AND rounds.campaign_id = one.campaign_id
    )
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'new rows for relation "coupons" violate check constraint "coupons_max_per_user"'
            USING ERRCODE = 'check_violation', DETAIL = 'Too many coupons: ' || too_many || '.',
                TABLE = 'coupons', CONSTRAINT = 'coupons_max_per_user';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER coupons_max_per_user AFTER INSERT ON coupons REFERENCING NEW TABLE AS issued
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_coupons_beyond_max_per_user();
COMMENT ON TRIGGER coupons_max_per_user ON coupons IS 'A user has no more coupons over all rounds of a campaign than its rules say.';

CREATE TABLE orders (
    campaign_id opaque_id NOT NULL REFERENCES campaigns,
    id opaque_id NOT NULL,
    round_no integer,
    serial integer,
    user_id opaque_id NOT NULL,
    currency text COLLATE "C",
    amount bigint,
    discount bigint,
    state text NOT NULL,
    redeemed_at timestamptz,
    PRIMARY KEY (campaign_id, id),
    FOREIGN KEY (round_no, serial) REFERENCES coupons,
    CONSTRAINT orders_coupon CHECK (num_nulls(round_no, serial) IN (0, 2) AND (round_no IS NOT NULL OR state = 'CANCELLED')),
    CONSTRAINT orders_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT orders_amount CHECK (amount >= 0),
    CONSTRAINT orders_discount CHECK (discount BETWEEN 0 AND amount),
    CONSTRAINT orders_state CHECK (state IN ('HELD', 'REDEEMED', 'RELEASED', 'CANCELLED')),
    CONSTRAINT orders_redeemed_at CHECK (
        (redeemed_at IS NOT NULL OR state <> 'REDEEMED') AND (redeemed_at IS NULL OR state IN ('REDEEMED', 'CANCELLED'))
    ),
    CONSTRAINT orders_price CHECK (
        num_nulls(currency, amount, discount) = CASE WHEN redeemed_at IS NULL THEN 3 ELSE 0 END
    ),
    CONSTRAINT orders_redeemed_coupon CHECK (redeemed_at IS NULL OR round_no IS NOT NULL)
);
CREATE UNIQUE INDEX orders_live_coupon ON orders (round_no, serial) WHERE state IN ('HELD', 'REDEEMED');
COMMENT ON TABLE orders IS 'One row per order of a campaign; a coupon is held or redeemed by at most one.';
COMMENT ON COLUMN orders.round_no IS 'With serial the coupon that it took last; null if it was cancelled before it took one.';
COMMENT ON COLUMN orders.amount IS 'Before the discount, in minor units of the currency; from its redemption on.';
COMMENT ON COLUMN orders.discount IS 'What comes off, in minor units of the currency.';

CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    kind text NOT NULL,
    campaign_id opaque_id NOT NULL,
    round_no integer,
    serial integer,
    user_id opaque_id,
    order_id opaque_id,
    state text,
    details jsonb,
    at timestamptz NOT NULL,
    CONSTRAINT events_kind CHECK (kind IN (
        'campaign.created', 'campaign.updated', 'campaign.state_changed',
        'round.opened', 'round.phase_changed', 'round.drawn', 'round.supply_added',
        'place.reserved', 'coupon.issued', 'coupon.held', 'coupon.released', 'coupon.redeemed', 'coupon.rolled_back',
        'order.cancelled', 'coupon.voided', 'coupon.expired', 'coupon.expiring'
    )),
    CONSTRAINT events_coupon_has_round CHECK (serial IS NULL OR round_no IS NOT NULL),
    CONSTRAINT events_coupon_where_due CHECK ((serial IS NOT NULL) = (kind LIKE 'coupon.%')),
    CONSTRAINT events_user_where_due CHECK (
        (user_id IS NOT NULL) = (kind LIKE 'coupon.%' OR kind IN ('place.reserved', 'order.cancelled'))
    ),
    CONSTRAINT events_order_where_due CHECK (
        (order_id IS NOT NULL)
            = (kind IN ('coupon.held', 'coupon.released', 'coupon.redeemed', 'coupon.rolled_back', 'order.cancelled'))
    ),
    CONSTRAINT events_details CHECK (jsonb_typeof(details) = 'object' AND details <> '{}')
);
COMMENT ON TABLE events IS 'One row per change of state, and per notice, written with it. A fact: rows are only added, and pruned when they are old.';
COMMENT ON COLUMN events.seq IS 'The position in the feed. Drawn before the row can be seen: only positions behind which nobody is writing any more are told.';
COMMENT ON COLUMN events.id IS '<campaign>-<n> for what the gate decided, else a UUID v7. Stable over deliveries.';
COMMENT ON COLUMN events.details IS 'What some kinds tell beside what all do; null if there is nothing.';

CREATE TABLE subscribers (
    name opaque_id PRIMARY KEY,
    position bigint NOT NULL,
    session uuid,
    lease_until timestamptz,
    created_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT subscribers_position CHECK (position >= 0),
    CONSTRAINT subscribers_lease_has_session CHECK (lease_until IS NULL OR session IS NOT NULL)
);
COMMENT ON TABLE subscribers IS 'Readers of the feed that keep their place, outlets among them. Events stay until all are done with them, or too old.';
COMMENT ON COLUMN subscribers.position IS 'All events up to here are done with.';
COMMENT ON COLUMN subscribers.session IS 'The one reader under this name.';
COMMENT ON COLUMN subscribers.lease_until IS 'Until when nobody else may lease it; null without a lease.';

CREATE TABLE deliveries (
    outlet opaque_id NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    position bigint NOT NULL REFERENCES events ON DELETE CASCADE,
    key text COLLATE "C" NOT NULL,
    attempts integer NOT NULL,
    next_at timestamptz,
    error text NOT NULL,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (outlet, position),
    CONSTRAINT deliveries_attempts CHECK (attempts >= 0)
);
CREATE INDEX deliveries_waiting ON deliveries (outlet, key, position) WHERE next_at IS NOT NULL;
-- For pruning.
CREATE INDEX deliveries_position ON deliveries (position);
COMMENT ON TABLE deliveries IS 'Events that an outlet''s receiver did not take, and those of the same key behind them.';
COMMENT ON COLUMN deliveries.attempts IS 'How often it was tried; 0 if it only waits for one before it.';
COMMENT ON COLUMN deliveries.next_at IS 'When to try again; null for a dead letter.';
COMMENT ON COLUMN deliveries.failed_at IS 'When it was parked last: with attempts, when the last one failed.';

CREATE TABLE notices (
    round_no integer NOT NULL,
    serial integer NOT NULL,
    lead bigint NOT NULL,
    late boolean NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (round_no, serial, lead),
    FOREIGN KEY (round_no, serial) REFERENCES coupons,
    CONSTRAINT notices_lead CHECK (lead > 0)
);
COMMENT ON TABLE notices IS 'Which notices have gone out, so that none does twice. A fact: rows are only added.';
COMMENT ON COLUMN notices.lead IS 'How long before the end of validity it was due, in microseconds.';

CREATE TABLE requests (
    id uuid PRIMARY KEY,
    -- Deferred, since the request is written before the campaign that it creates: so two of the same wait for one another.
    campaign_id opaque_id NOT NULL REFERENCES campaigns DEFERRABLE INITIALLY DEFERRED,
    verb text NOT NULL,
    CONSTRAINT requests_verb CHECK (verb ~ '^[A-Z_]{1,32}$')
);
CREATE INDEX requests_campaign ON requests (campaign_id);
COMMENT ON TABLE requests IS 'What operators'' requests did, so that a repeat does nothing.';

CREATE TABLE operators (
    request uuid PRIMARY KEY,
    actor opaque_id NOT NULL
);
COMMENT ON TABLE operators IS 'Who made a request that a gate was about to decide: its journal does not say, the recorder asks here.';

CREATE TABLE audit_records (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action text NOT NULL,
    actor opaque_id NOT NULL,
    request uuid,
    campaign_id opaque_id REFERENCES campaigns,
    round_no integer,
    serial integer,
    user_id opaque_id,
    before jsonb,
    after jsonb,
    at timestamptz NOT NULL,
    CONSTRAINT audit_records_action CHECK (action ~ '^[A-Z_]{1,32}$'),
    CONSTRAINT audit_records_coupon_has_round CHECK (serial IS NULL OR round_no IS NOT NULL)
);
CREATE INDEX audit_records_campaign ON audit_records (campaign_id, no);
COMMENT ON TABLE audit_records IS 'Who changed what, one row per operator''s change, written with it. A fact: rows are only added.';
COMMENT ON COLUMN audit_records.before IS 'What is changed, as it was; null if it was not there.';
COMMENT ON COLUMN audit_records.after IS 'What is changed, as it is now; null if it is gone.';

CREATE TABLE users (
    id opaque_id PRIMARY KEY,
    name text NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT users_metadata CHECK (jsonb_typeof(metadata) = 'object')
);
COMMENT ON TABLE users IS 'Registered users. Places, coupons and orders have the id alone: a user who is deleted stays in them.';
COMMENT ON COLUMN users.metadata IS 'The caller''s own labels.';

CREATE TABLE round_refusals (
    round_no integer NOT NULL REFERENCES rounds ON DELETE CASCADE,
    verb text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (round_no, verb, reason),
    CONSTRAINT round_refusals_verb CHECK (verb IN ('RESERVE', 'CLAIM')),
    CONSTRAINT round_refusals_reason CHECK (reason IN (
        'NOT_OPEN_YET', 'CLOSED', 'PAUSED', 'UNKNOWN_USER', 'FULL', 'NOT_RESERVED', 'LIMIT_REACHED', 'DRAW_PENDING', 'NOT_DRAWN', 'SOLD_OUT'
    )),
    CONSTRAINT round_refusals_count CHECK (count >= 0)
);
COMMENT ON TABLE round_refusals IS 'How often each call was refused for each reason. For people: an instance that is killed takes its last second with it.';

CREATE TABLE round_arrivals (
    round_no integer NOT NULL REFERENCES rounds ON DELETE CASCADE,
    bucket integer NOT NULL,
    won bigint NOT NULL,
    lost bigint NOT NULL,
    PRIMARY KEY (round_no, bucket),
    CONSTRAINT round_arrivals_bucket CHECK (bucket >= 0),
    CONSTRAINT round_arrivals_counts CHECK (won >= 0 AND lost >= 0)
);
COMMENT ON TABLE round_arrivals IS 'Claims that won or lost, by the time since claims opened. For people too.';
COMMENT ON COLUMN round_arrivals.bucket IS 'The number of the span of time.';

CREATE TABLE journal_cursors (
    campaign_id opaque_id PRIMARY KEY REFERENCES campaigns,
    epoch bigint NOT NULL DEFAULT 0,
    n bigint NOT NULL DEFAULT 0,
    chain text NOT NULL DEFAULT repeat('0', 40),
    last_at timestamptz,
    CONSTRAINT journal_cursors_epoch CHECK (epoch >= 0),
    CONSTRAINT journal_cursors_n CHECK (n >= 0),
    CONSTRAINT journal_cursors_chain CHECK (chain ~ '^[0-9a-f]{40}$'),
    CONSTRAINT journal_cursors_last_at CHECK ((n = 0) = (last_at IS NULL))
);
CREATE TABLE acknowledged (
    campaign_id opaque_id PRIMARY KEY REFERENCES campaigns,
    n bigint NOT NULL,
    CONSTRAINT acknowledged_n CHECK (n >= 0)
);
COMMENT ON TABLE acknowledged IS 'How far instances were told of decisions: what a recovery does not find up to there is lost. Not in journal_cursors, whose rows recorders lock.';
COMMENT ON TABLE journal_cursors IS 'How far the recorder has come with each campaign''s journal. Moved in the transaction that writes the rows.';
