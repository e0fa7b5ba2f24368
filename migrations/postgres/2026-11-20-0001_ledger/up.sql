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
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT campaigns_title_length CHECK (char_length(title) BETWEEN 1 AND 250),
    CONSTRAINT campaigns_state CHECK (state IN ('DRAFT', 'ACTIVE', 'PAUSED', 'ENDED')),
    CONSTRAINT campaigns_revision CHECK (revision >= 1),
    CONSTRAINT campaigns_epoch CHECK (epoch >= 0),
    CONSTRAINT campaigns_open_has_epoch CHECK (NOT open OR epoch > 0),
    CONSTRAINT campaigns_times CHECK (updated_at >= created_at)
);
CREATE UNIQUE INDEX campaigns_title_validity ON campaigns (title, validity_key) WHERE state <> 'ENDED';
CREATE INDEX campaigns_newest ON campaigns (created_at DESC, id DESC);
COMMENT ON TABLE campaigns IS 'What is offered, and the epoch of its gate. Title and validity are generated from the rules, so that there is one truth.';
COMMENT ON COLUMN campaigns.epoch IS 'Raised at each recovery of the gate; 0 before the campaign was ever opened.';
COMMENT ON COLUMN campaigns.open IS 'Whether the gate answers in this epoch; else the campaign is being recovered.';

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
    CONSTRAINT rounds_last_n CHECK (last_n > 0),
    CONSTRAINT rounds_retired CHECK (NOT retired OR phase = 'CLOSED')
);
CREATE INDEX rounds_latest ON rounds (campaign_id, claim_opens_at, no);
COMMENT ON TABLE rounds IS 'One rush each, with what the recorder has counted. The windows are those of spec, for ordering and checks.';
COMMENT ON COLUMN rounds.supply IS 'Null while unknown, or where only the campaign''s total limit bounds it.';
COMMENT ON COLUMN rounds.last_n IS 'The number of the last decision in this round.';
COMMENT ON COLUMN rounds.retired IS 'Whether it has left the gate; from then on the ledger answers.';

CREATE TABLE places (
    round_no integer NOT NULL REFERENCES rounds,
    ticket integer NOT NULL,
    user_id opaque_id NOT NULL,
    reserved_at timestamptz NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (round_no, ticket),
    CONSTRAINT places_round_user UNIQUE (round_no, user_id),
    CONSTRAINT places_ticket CHECK (ticket >= 0),
    CONSTRAINT places_n CHECK (n > 0)
);
COMMENT ON TABLE places IS 'Reservations. A fact: rows are only added.';

CREATE TABLE coupons (
    round_no integer NOT NULL REFERENCES rounds,
    serial integer NOT NULL,
    user_id opaque_id NOT NULL,
    state text NOT NULL DEFAULT 'ISSUED',
    claimed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    order_id opaque_id,
    redeemed_at timestamptz,
    n bigint NOT NULL,
    PRIMARY KEY (round_no, serial),
    CONSTRAINT coupons_round_user UNIQUE (round_no, user_id),
    CONSTRAINT coupons_serial CHECK (serial BETWEEN 0 AND 268435455),
    CONSTRAINT coupons_state CHECK (state IN ('ISSUED', 'HELD', 'REDEEMED', 'EXPIRED', 'VOID')),
    CONSTRAINT coupons_order CHECK ((order_id IS NOT NULL) = (state IN ('HELD', 'REDEEMED'))),
    CONSTRAINT coupons_redeemed_at CHECK ((redeemed_at IS NOT NULL) = (state = 'REDEEMED')),
    -- A coupon that was burnt may be so late: see the domain's loss.
    CONSTRAINT coupons_expires_after_claim CHECK (expires_at > claimed_at OR user_id LIKE 'lost:%'),
    CONSTRAINT coupons_n CHECK (n > 0)
);
CREATE INDEX coupons_user ON coupons (user_id, round_no, serial);
CREATE INDEX coupons_expiring ON coupons (expires_at) WHERE state = 'ISSUED';
COMMENT ON TABLE coupons IS 'Coupons from their issue on. A coupon past expires_at is expired, whether or not a sweeper has stored it.';
COMMENT ON COLUMN coupons.order_id IS 'The order it is held or redeemed for.';

CREATE TABLE orders (
    campaign_id opaque_id NOT NULL REFERENCES campaigns,
    id opaque_id NOT NULL,
    round_no integer NOT NULL,
    serial integer NOT NULL,
    user_id opaque_id NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount bigint NOT NULL,
    discount bigint NOT NULL,
    state text NOT NULL,
    redeemed_at timestamptz,
    PRIMARY KEY (campaign_id, id),
    FOREIGN KEY (round_no, serial) REFERENCES coupons,
    CONSTRAINT orders_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT orders_amount CHECK (amount >= 0),
    CONSTRAINT orders_discount CHECK (discount BETWEEN 0 AND amount),
    CONSTRAINT orders_state CHECK (state IN ('HELD', 'REDEEMED', 'RELEASED', 'CANCELLED')),
    CONSTRAINT orders_redeemed_at CHECK (
        (redeemed_at IS NOT NULL OR state <> 'REDEEMED') AND (redeemed_at IS NULL OR state IN ('REDEEMED', 'CANCELLED'))
    )
);
CREATE UNIQUE INDEX orders_live_coupon ON orders (round_no, serial) WHERE state IN ('HELD', 'REDEEMED');
COMMENT ON TABLE orders IS 'One row per order of a campaign; a coupon is held or redeemed by at most one.';
COMMENT ON COLUMN orders.amount IS 'Before the discount, in minor units of the currency.';
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
    at timestamptz NOT NULL,
    CONSTRAINT events_kind CHECK (kind IN (
        'campaign.created', 'campaign.state_changed', 'round.opened', 'round.phase_changed',
        'place.reserved', 'coupon.issued', 'coupon.redeemed'
    )),
    CONSTRAINT events_coupon_has_round CHECK (serial IS NULL OR round_no IS NOT NULL),
    CONSTRAINT events_user_where_due CHECK (
        (user_id IS NOT NULL) = (kind IN ('place.reserved', 'coupon.issued', 'coupon.redeemed'))
    ),
    CONSTRAINT events_order_where_due CHECK ((order_id IS NOT NULL) = (kind = 'coupon.redeemed'))
);
COMMENT ON TABLE events IS 'One row per change of state, written with it. A fact: rows are only added.';
COMMENT ON COLUMN events.id IS '<campaign>-<n> for what the gate decided, else a UUID v7. Stable over deliveries.';

CREATE TABLE requests (
    id uuid PRIMARY KEY,
    -- Deferred, since the request is written before the campaign that it creates: so two of the same wait for one another.
    campaign_id opaque_id NOT NULL REFERENCES campaigns DEFERRABLE INITIALLY DEFERRED,
    verb text NOT NULL,
    CONSTRAINT requests_verb CHECK (verb ~ '^[A-Z_]{1,32}$')
);
COMMENT ON TABLE requests IS 'What operators'' requests did, so that a repeat does nothing.';

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
