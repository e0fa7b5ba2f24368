//! The tables refuse what no rule allows, whoever writes it.

use coupon_testkit::build::users;

use crate::shop::Shop;

/// What is written, and the constraint that refuses it.
const BAD_ROWS: [(&str, &str); 34] = [
    ("INSERT INTO installation (only_row, id) VALUES (false, gen_random_uuid())", "installation_only_row"),
    ("UPDATE campaigns SET state = 'OVER'", "campaigns_state"),
    ("UPDATE campaigns SET revision = 0", "campaigns_revision"),
    ("UPDATE campaigns SET epoch = -1", "campaigns_epoch"),
    ("UPDATE campaigns SET open = true, epoch = 0", "campaigns_open_has_epoch"),
    ("UPDATE campaigns SET updated_at = created_at - interval '1 microsecond'", "campaigns_times"),
    ("UPDATE campaigns SET rules = rules || '{\"title\": \"\"}'", "campaigns_title_length"),
    ("UPDATE campaigns SET id = 'a b'", "opaque_id_form"),
    (
        "INSERT INTO campaigns (id, rules, state, created_at, updated_at) SELECT 'd', rules, state, created_at, updated_at FROM campaigns",
        "campaigns_title_validity",
    ),
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
    ("UPDATE rounds SET retired = true", "rounds_retired"),
    ("DELETE FROM rounds", "coupons_round_no_fkey"),
    ("INSERT INTO places VALUES (7, -1, 'ada', now(), 1)", "places_ticket"),
    ("INSERT INTO places VALUES (7, 0, 'ada', now(), 1), (7, 1, 'ada', now(), 2)", "places_round_user"),
    ("INSERT INTO places VALUES (8, 0, 'ada', now(), 1)", "places_round_no_fkey"),
    ("UPDATE coupons SET serial = 268435456 WHERE serial = 0", "coupons_serial"),
    ("UPDATE coupons SET user_id = 'u-1'", "coupons_round_user"),
    ("UPDATE coupons SET state = 'GONE'", "coupons_state"),
    ("UPDATE coupons SET state = 'HELD'", "coupons_order"),
    ("UPDATE coupons SET order_id = 'o'", "coupons_order"),
    ("UPDATE coupons SET state = 'REDEEMED', order_id = 'o'", "coupons_redeemed_at"),
    ("UPDATE coupons SET expires_at = claimed_at", "coupons_expires_after_claim"),
    ("INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', 'EUR', 100, 101, 'HELD', NULL)", "orders_discount"),
    ("INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', 'EUR', 100, 1, 'REDEEMED', NULL)", "orders_redeemed_at"),
    (
        "INSERT INTO orders VALUES ('c', 'o', 7, 0, 'u-0', 'EUR', 9, 1, 'HELD', NULL), ('c', 'p', 7, 0, 'u-0', 'EUR', 9, 1, 'HELD', NULL)",
        "orders_live_coupon",
    ),
    (
        "INSERT INTO events (id, kind, campaign_id, user_id, at) VALUES ('e', 'campaign.created', 'c', 'ada', now())",
        "events_user_where_due",
    ),
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
