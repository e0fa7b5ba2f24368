//! The tables of `migrations/sqlite/ledger`.

diesel::table! {
    installation (one) {
        one -> BigInt,
        id -> Text,
        last_round -> BigInt,
    }
}

diesel::table! {
    master_keys (id) {
        id -> BigInt,
        check_value -> Text,
    }
}

diesel::table! {
    campaigns (id) {
        id -> Text,
        rules -> Text,
        state -> Text,
        revision -> BigInt,
        epoch -> BigInt,
        open -> Bool,
        issued -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        title -> Text,
        validity_key -> Text,
    }
}

diesel::table! {
    titles (title, validity_key) {
        title -> Text,
        validity_key -> Text,
        campaign_id -> Text,
    }
}

diesel::table! {
    rounds (no) {
        no -> BigInt,
        campaign_id -> Text,
        spec -> Text,
        phase -> Text,
        supply -> Nullable<BigInt>,
        places -> BigInt,
        issued -> BigInt,
        added -> BigInt,
        drawn -> Bool,
        delay -> BigInt,
        left_at_close -> Nullable<BigInt>,
        last_n -> BigInt,
        retired -> Bool,
        claim_opens_at -> BigInt,
    }
}

diesel::table! {
    places (round_no, ticket) {
        round_no -> BigInt,
        ticket -> BigInt,
        user_id -> Text,
        reserved_at -> BigInt,
        n -> BigInt,
        leaf -> Nullable<Binary>,
    }
}

diesel::table! {
    draws (round_no) {
        round_no -> BigInt,
        places -> Nullable<BigInt>,
        root -> Nullable<Binary>,
        beacon -> Nullable<Binary>,
        used_beacon -> Nullable<Binary>,
        winners -> Nullable<BigInt>,
        last_score -> Nullable<Binary>,
        subtrees -> Nullable<Binary>,
        ranks -> Nullable<Binary>,
    }
}

diesel::table! {
    coupons (round_no, serial) {
        round_no -> BigInt,
        serial -> BigInt,
        campaign_id -> Text,
        user_id -> Text,
        state -> Text,
        claimed_at -> BigInt,
        expires_at -> BigInt,
        order_id -> Nullable<Text>,
        held_until -> Nullable<BigInt>,
        redeemed_at -> Nullable<BigInt>,
        notice_at -> Nullable<BigInt>,
        n -> BigInt,
    }
}

diesel::table! {
    orders (campaign_id, id) {
        campaign_id -> Text,
        id -> Text,
        round_no -> Nullable<BigInt>,
        serial -> Nullable<BigInt>,
        user_id -> Text,
        currency -> Nullable<Text>,
        amount -> Nullable<BigInt>,
        discount -> Nullable<BigInt>,
        state -> Text,
        redeemed_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    notices (round_no, serial, lead) {
        round_no -> BigInt,
        serial -> BigInt,
        lead -> BigInt,
    }
}

diesel::table! {
    events (seq) {
        seq -> BigInt,
        id -> Text,
        kind -> Text,
        campaign_id -> Text,
        round_no -> Nullable<BigInt>,
        serial -> Nullable<BigInt>,
        user_id -> Nullable<Text>,
        order_id -> Nullable<Text>,
        state -> Nullable<Text>,
        details -> Nullable<Text>,
        at -> BigInt,
    }
}

// SQLite's own: the last number given to each table that gives none twice.
diesel::table! {
    sqlite_sequence (name) {
        name -> Text,
        seq -> BigInt,
    }
}

diesel::table! {
    subscribers (name) {
        name -> Text,
        position -> BigInt,
        session -> Nullable<Text>,
        leased_until -> Nullable<BigInt>,
        created_at -> BigInt,
        seen_at -> BigInt,
    }
}

diesel::table! {
    deliveries (subscriber, seq) {
        subscriber -> Text,
        seq -> BigInt,
        key -> Text,
        attempts -> BigInt,
        next_at -> Nullable<BigInt>,
        error -> Text,
        failed_at -> BigInt,
    }
}

diesel::table! {
    audit_records (no) {
        no -> BigInt,
        action -> Text,
        actor -> Text,
        request -> Nullable<Text>,
        campaign_id -> Nullable<Text>,
        round_no -> Nullable<BigInt>,
        serial -> Nullable<BigInt>,
        user_id -> Nullable<Text>,
        before -> Nullable<Text>,
        after -> Nullable<Text>,
        at -> BigInt,
    }
}

diesel::table! {
    operators (request) {
        request -> Text,
        actor -> Text,
    }
}

diesel::table! {
    requests (id) {
        id -> Text,
        campaign_id -> Text,
        verb -> Text,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        name -> Text,
        metadata -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    round_refusals (round_no, verb, reason) {
        round_no -> BigInt,
        verb -> Text,
        reason -> Text,
        count -> BigInt,
    }
}

diesel::table! {
    round_arrivals (round_no, bucket) {
        round_no -> BigInt,
        bucket -> BigInt,
        won -> BigInt,
        lost -> BigInt,
    }
}

diesel::table! {
    journal_cursors (campaign_id) {
        campaign_id -> Text,
        epoch -> BigInt,
        n -> BigInt,
        chain -> Text,
        last_at -> Nullable<BigInt>,
        acknowledged -> BigInt,
    }
}

diesel::joinable!(titles -> campaigns (campaign_id));
diesel::joinable!(deliveries -> events (seq));
diesel::allow_tables_to_appear_in_same_query!(campaigns, titles, rounds);
diesel::allow_tables_to_appear_in_same_query!(deliveries, events);
