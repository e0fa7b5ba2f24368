//! The tables refuse what no rule allows, whoever writes it.

use coupon_domain::model::CampaignHead;
use coupon_testkit::build::{head, round, rules_like, second, users};

use crate::migrated;
use crate::shop::Shop;

/// What is written, and the constraint that refuses it.
const BAD_ROWS: [(&str, &str); 95] = [
    ("INSERT INTO installation (only_row, id) VALUES (false, gen_random_uuid())", "installation_only_row"),
    ("UPDATE campaigns SET state = 'OVER'", "campaigns_state"),
    ("UPDATE campaigns SET revision = 0", "campaigns_revision"),
    ("UPDATE campaigns SET epoch = -1", "campaigns_epoch"),
    ("UPDATE campaigns SET open = true, epoch = 0", "campaigns_open_has_epoch"),
    ("UPDATE campaigns SET updated_at = created_at - interval '1 microsecond'", "campaigns_times"),
    ("UPDATE campaigns SET rules = rules || '{\"title\": \"\"}'", "campaigns_title_length"),
    ("UPDATE campaigns SET id = 'a b'", "opaque_id_form"),
    ("UPDATE campaigns SET issued = -1", "campaigns_issued"),
    ("UPDATE campaigns SET rules = rules || '{\"total_limit\": 1}'", "campaigns_issued"),
    ("INSERT INTO titles SELECT title, validity_key, id FROM campaigns", "titles_pkey"),
    ("INSERT INTO titles VALUES ('title', 'validity', 'd')", "titles_campaign_id_fkey"),
    ("UPDATE rounds SET no = 8", "rounds_spec_is_of_this_round"),
    ("UPDATE rounds SET phase = 'OPEN'", "rounds_phase"),
    (
        "UPDATE rounds SET places = 9, reserve_opens_at = claim_opens_at, reserve_closes_at = claim_opens_at",
        "rounds_reserve_window",
    ),
    ("UPDATE rounds SET claim_closes_at = claim_opens_at", "rounds_claim_window"),
    ("UPDATE rounds SET supply = 200000001", "rounds_supply"),
    ("UPDATE rounds SET supply = issued - 1", "rounds_issued"),
    ("UPDATE rounds SET places = 1000001", "rounds_places"),
    (
        "UPDATE rounds SET places = 1, reserve_opens_at = claim_opens_at - interval '2 s', reserve_closes_at = claim_opens_at",
        "rounds_coupon_needs_place",
    ),
    ("UPDATE rounds SET added = -1", "rounds_added"),
    ("UPDATE rounds SET spec = spec || '{\"draw\": {}}'", "rounds_draw_needs_places"),
    (
        "UPDATE rounds SET spec = spec || '{\"draw\": {}}', places = supply - 1,
            reserve_opens_at = claim_opens_at - interval '2 s', reserve_closes_at = claim_opens_at",
        "rounds_winners",
    ),
    (
        "UPDATE rounds SET spec = spec || '{\"draw\": {}}', places = 3, supply = NULL,
            reserve_opens_at = claim_opens_at - interval '2 s', reserve_closes_at = claim_opens_at",
        "rounds_winners",
    ),
    (
        "UPDATE rounds SET spec = spec || '{\"draw\": {}}', places = 3, phase = 'RESERVING',
            reserve_opens_at = claim_opens_at - interval '2 s', reserve_closes_at = claim_opens_at",
        "rounds_winners",
    ),
    ("UPDATE rounds SET drawn = true", "rounds_drawn"),
    ("UPDATE rounds SET delay = 1", "rounds_delay"),
    ("UPDATE rounds SET drawn = true, delay = 3600000001", "rounds_delay"),
    ("UPDATE rounds SET left_at_close = -1", "rounds_left_at_close"),
    ("UPDATE rounds SET phase = 'RESERVING', left_at_close = 1", "rounds_left_at_close"),
    ("UPDATE rounds SET retired = true", "rounds_retired"),
    ("DELETE FROM rounds", "coupons_round_no_fkey"),
    ("INSERT INTO places VALUES (7, -1, 'ada', now(), 1)", "places_ticket"),
    ("INSERT INTO places VALUES (7, 0, 'ada', now(), 1), (7, 1, 'ada', now(), 2)", "places_round_user"),
    ("INSERT INTO places VALUES (8, 0, 'ada', now(), 1)", "places_round_no_fkey"),
    ("INSERT INTO places VALUES (7, 0, 'ada', now(), 1, '\\x00')", "places_leaf"),
    ("INSERT INTO draws (round_no) VALUES (8)", "draws_round_no_fkey"),
    ("INSERT INTO draws (round_no) VALUES (7), (7)", "draws_pkey"),
    ("INSERT INTO draws VALUES (7, 10000001, sha256(''), '')", "draws_places"),
    ("INSERT INTO draws VALUES (7, 0, '\\x00', '')", "draws_root"),
    ("INSERT INTO draws VALUES (7, 0, NULL, '')", "draws_root"),
    ("INSERT INTO draws VALUES (7, 257, sha256(''), sha256(''))", "draws_subtrees"),
    ("INSERT INTO draws (round_no, winners, ranks) VALUES (7, 0, '')", "draws_result_has_root"),
    (
        "INSERT INTO draws VALUES (7, 2, sha256(''), sha256(''), NULL, NULL, 3, sha256(''), '\\x0000000000000001')",
        "draws_winners",
    ),
    (
        "INSERT INTO draws VALUES (7, 2, sha256(''), sha256(''), NULL, NULL, 1, NULL, '\\x0000000000000001')",
        "draws_last_score",
    ),
    ("INSERT INTO draws VALUES (7, 2, sha256(''), sha256(''), NULL, NULL, 0, NULL, '\\x00000000')", "draws_ranks"),
    ("INSERT INTO draws VALUES (7, 2, sha256(''), sha256(''), NULL, NULL, 0, NULL, NULL)", "draws_ranks"),
    ("INSERT INTO draws VALUES (7, 0, sha256(''), '', 'beacon', NULL, 0, NULL, '')", "draws_used_beacon"),
    ("INSERT INTO draws (round_no, used_beacon) VALUES (7, 'beacon')", "draws_used_beacon"),
    ("UPDATE coupons SET serial = 268435456 WHERE serial = 0", "coupons_serial"),
    ("UPDATE coupons SET user_id = 'u-1'", "coupons_round_user"),
    ("UPDATE coupons SET state = 'GONE'", "coupons_state"),
    ("UPDATE coupons SET state = 'HELD', held_until = expires_at", "coupons_order"),
    ("UPDATE coupons SET order_id = 'o'", "coupons_order"),
    ("UPDATE coupons SET state = 'REDEEMED', order_id = 'o'", "coupons_redeemed_at"),
    ("UPDATE coupons SET expires_at = claimed_at", "coupons_expires_after_claim"),
    ("UPDATE coupons SET held_until = claimed_at", "coupons_held_until"),
    ("UPDATE coupons SET state = 'HELD', order_id = 'o'", "coupons_held_until"),
    (
        "UPDATE coupons SET state = 'HELD', order_id = 'o', held_until = expires_at + interval '1 microsecond'",
        "coupons_held_until",
    ),
    ("UPDATE coupons SET user_id = 'lost:' || serial", "coupons_notice_has_reader"),
    ("INSERT INTO orders VALUES ('c', 'o', NULL, NULL, 'u-0', NULL, NULL, NULL, 'RELEASED')", "orders_coupon"),
    ("INSERT INTO orders VALUES ('c', 'o', 7, NULL, 'u-0', NULL, NULL, NULL, 'CANCELLED')", "orders_coupon"),
    (
        "INSERT INTO orders VALUES ('c', 'o', NULL, NULL, 'u-0', 'EUR', 100, 1, 'CANCELLED', now())",
        "orders_redeemed_coupon",
    ),
    ("INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', 'EUR', 100, 101, 'REDEEMED', now())", "orders_discount"),
    ("INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', NULL, NULL, NULL, 'REDEEMED')", "orders_redeemed_at"),
    ("INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', 'EUR', 100, 1, 'HELD')", "orders_price"),
    ("INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', NULL, 100, 1, 'REDEEMED', now())", "orders_price"),
    (
        "INSERT INTO orders SELECT 'c', id, 7, 0, 'u-0', NULL, NULL, NULL, 'HELD' FROM unnest('{o,p}'::text[]) id",
        "orders_live_coupon",
    ),
    ("INSERT INTO events (id, kind, campaign_id, at) VALUES ('e', 'round.lost', 'c', now())", "events_kind"),
    (
        "INSERT INTO events (id, kind, campaign_id, user_id, at) VALUES ('e', 'campaign.created', 'c', 'ada', now())",
        "events_user_where_due",
    ),
    (
        "INSERT INTO events (id, kind, campaign_id, round_no, serial, at) VALUES ('e', 'coupon.expired', 'c', 7, 0, now())",
        "events_user_where_due",
    ),
    (
        "INSERT INTO events (id, kind, campaign_id, user_id, at) VALUES ('e', 'coupon.expired', 'c', 'ada', now())",
        "events_coupon_where_due",
    ),
    (
        "INSERT INTO events (id, kind, campaign_id, user_id, at) VALUES ('e', 'order.cancelled', 'c', 'ada', now())",
        "events_order_where_due",
    ),
    (
        "INSERT INTO events (id, kind, campaign_id, round_no, serial, user_id, order_id, at)
         VALUES ('e', 'coupon.voided', 'c', 7, 0, 'ada', 'o', now())",
        "events_order_where_due",
    ),
    (
        "INSERT INTO events (id, kind, campaign_id, details, at) VALUES ('e', 'campaign.created', 'c', '{}', now())",
        "events_details",
    ),
    ("INSERT INTO subscribers VALUES ('a', -1, NULL, NULL, now(), now())", "subscribers_position"),
    ("INSERT INTO subscribers VALUES ('a', 0, NULL, now(), now(), now())", "subscribers_lease_has_session"),
    ("INSERT INTO deliveries VALUES ('a', 1, 'k', 0, now(), '', now())", "deliveries_outlet_fkey"),
    (
        "INSERT INTO subscribers VALUES ('a', 0, NULL, NULL, now(), now());
         INSERT INTO deliveries VALUES ('a', 1000000, 'k', 0, now(), '', now())",
        "deliveries_position_fkey",
    ),
    (
        "INSERT INTO subscribers VALUES ('a', 0, NULL, NULL, now(), now());
         INSERT INTO deliveries VALUES ('a', 1, 'k', -1, now(), '', now())",
        "deliveries_attempts",
    ),
    ("INSERT INTO notices VALUES (7, 0, 0, false, now())", "notices_lead"),
    ("INSERT INTO notices VALUES (7, 0, 1, false, now()), (7, 0, 1, true, now())", "notices_pkey"),
    ("INSERT INTO notices VALUES (7, 2, 1, false, now())", "notices_round_no_serial_fkey"),
    ("INSERT INTO operators VALUES (gen_random_uuid(), 'a b')", "opaque_id_form"),
    ("INSERT INTO audit_records (action, actor, at) VALUES ('void', 'ada', now())", "audit_records_action"),
    (
        "INSERT INTO audit_records (action, actor, serial, at) VALUES ('VOID', 'ada', 1, now())",
        "audit_records_coupon_has_round",
    ),
    ("INSERT INTO users VALUES ('a b', '', '{}', now())", "opaque_id_form"),
    ("INSERT INTO users VALUES ('ada', '', '[]', now())", "users_metadata"),
    ("INSERT INTO round_refusals VALUES (8, 'CLAIM', 'SOLD_OUT', 1)", "round_refusals_round_no_fkey"),
    ("INSERT INTO round_refusals VALUES (7, 'REDEEM', 'SOLD_OUT', 1)", "round_refusals_verb"),
    ("INSERT INTO round_refusals VALUES (7, 'CLAIM', 'VOID', 1)", "round_refusals_reason"),
    ("INSERT INTO round_refusals VALUES (7, 'CLAIM', 'SOLD_OUT', -1)", "round_refusals_count"),
    ("INSERT INTO round_arrivals VALUES (7, -1, 0, 0)", "round_arrivals_bucket"),
    ("INSERT INTO round_arrivals VALUES (7, 0, 0, -1)", "round_arrivals_counts"),
    ("UPDATE journal_cursors SET chain = 'x'", "journal_cursors_chain"),
];

#[tokio::test]
async fn a_row_that_no_rule_allows_is_refused_by_the_table() {
    let shop = Shop::with_coupons(&users(2)).await;

    for (statement, constraint) in BAD_ROWS {
        let refused = shop.database.psql(statement).await.expect_err(statement).to_string();
        assert!(refused.contains(&format!("\"{constraint}\"")), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn a_coupon_too_many_for_a_user_over_the_rounds_of_a_campaign_is_refused() {
    let limits = CampaignHead { max_per_user: 2, ..head() };
    let mut shop = Shop::offering(migrated().await, rules_like(&limits), &limits).await;
    let mut entries = shop.claims(&users(3));
    for number in 8..=9 {
        let hour = i64::from(number) * 3600;
        let spec = round(number).claiming(hour..hour + 60).build();
        entries.extend(shop.gate.open_round(&spec, second(301)).entry);
    }
    shop.record(&entries).await;
    let one_more = |round: u32, user: &str| {
        format!(
            "INSERT INTO coupons (round_no, serial, user_id, claimed_at, expires_at, n)
             VALUES ({round}, 0, 'new-{round}', now(), 'infinity', 9), ({round}, 1, '{user}', now(), 'infinity', 9)"
        )
    };

    shop.database.psql(&one_more(8, "u-1")).await.expect("the second of two");
    let refused = shop.database.psql(&one_more(9, "u-1")).await.expect_err("the third of two").to_string();

    assert!(refused.contains("\"coupons_max_per_user\"") && refused.contains("user u-1 of campaign c"), "{refused}");
    shop.database.psql(&one_more(9, "u-2")).await.expect("the second of two");
}
