//! The schema refuses what no rule allows, whoever writes it.

use coupon_domain::ports::{CouponRepository as _, Gate as _};
use coupon_domain::redemption::Redeem;
use coupon_testkit::build::{campaign_id, coupon_id, eur, order, round, round_id, second, user, users};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::shop::Shop;

/// A round with ten places, five coupons of which the first is redeemed, on a connection beside the ledger's.
async fn a_full_ledger() -> (SqliteConnection, Shop) {
    let shop = Shop::with([round(1).reserving(0..240).ratio(1, 2)]).await;
    shop.gate.reserve(&shop.campaign, round_id(1), &users(10), shop.seen()).await.expect("decided");
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &users(5), shop.seen()).await.expect("decided");
    shop.record().await;
    let redeem = Redeem {
        coupon: coupon_id(1, 0),
        campaign: campaign_id("c"),
        user: user("u-0"),
        order: order("o"),
        amount: eur(5000),
        discount: Ok(eur(1000)),
    };
    shop.ledger.redeem(&[redeem]).await.expect("the ledger answers");
    let file = shop.path().join("ledger.sqlite");
    let mut conn = SqliteConnection::establish(file.to_str().expect("UTF-8")).expect("it opens");
    conn.batch_execute("PRAGMA foreign_keys = ON").expect("SQLite knows it");
    (conn, shop)
}

#[tokio::test]
async fn what_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    let refused = [
        "INSERT INTO installation (one, id) VALUES (2, '00000000-0000-0000-0000-000000000000')",
        "UPDATE installation SET last_round = 268435456",
        "INSERT INTO campaigns (id, rules, state, created_at, updated_at) SELECT 'x', rules, state, 1, 1 FROM campaigns",
        "INSERT INTO campaigns (id, rules, state, created_at, updated_at) VALUES ('x', '{}', 'DRAFT', 1, 1)",
        "INSERT INTO campaigns (id, rules, state, created_at, updated_at) VALUES ('x', 'no', 'DRAFT', 1, 1)",
        "UPDATE campaigns SET id = 'a b'",
        "UPDATE campaigns SET state = 'OPEN'",
        "UPDATE campaigns SET epoch = 0, open = 1",
        "UPDATE campaigns SET revision = 'one'",
        "DELETE FROM campaigns",
        "UPDATE rounds SET supply = -1",
        "UPDATE rounds SET issued = 6",
        "UPDATE rounds SET supply = NULL, issued = 11",
        "UPDATE rounds SET places = 1000001",
        "UPDATE rounds SET phase = 'OVER'",
        "UPDATE rounds SET retired = 1",
        "UPDATE rounds SET no = 2",
        "UPDATE rounds SET spec = json_set(spec, '$.claim.opens', 0)",
        "DELETE FROM rounds",
        "INSERT INTO places VALUES (1, 9, 'new', 1, 99)",
        "INSERT INTO places VALUES (1, 10, 'u-0', 1, 99)",
        "INSERT INTO places VALUES (1, -1, 'new', 1, 99)",
        "INSERT INTO places VALUES (1, 10, 'a b', 1, 99)",
        "INSERT INTO places VALUES (1, 10, '', 1, 99)",
        "INSERT INTO places VALUES (1, 10, 'new', 'now', 99)",
        "INSERT INTO places VALUES (7, 10, 'new', 1, 99)",
        "INSERT INTO coupons VALUES (1, 0, 'c', 'new', 'ISSUED', 1, 2, NULL, NULL, 99)",
        "INSERT INTO coupons VALUES (1, 5, 'c', 'u-0', 'ISSUED', 1, 2, NULL, NULL, 99)",
        "INSERT INTO coupons VALUES (1, 5, 'x', 'new', 'ISSUED', 1, 2, NULL, NULL, 99)",
        "INSERT INTO coupons VALUES (1, 5, 'c', 'new', 'ISSUED', 2, 2, NULL, NULL, 99)",
        "INSERT INTO coupons VALUES (1, 268435456, 'c', 'new', 'ISSUED', 1, 2, NULL, NULL, 99)",
        "UPDATE coupons SET state = 'HELD' WHERE serial = 1",
        "UPDATE coupons SET state = 'REDEEMED' WHERE serial = 1",
        "UPDATE coupons SET state = 'ISSUED' WHERE serial = 0",
        "UPDATE coupons SET state = 'HELD', order_id = 'unknown' WHERE serial = 1",
        "DELETE FROM coupons WHERE serial = 0",
        "UPDATE orders SET discount = amount + 1",
        "UPDATE orders SET amount = -1, discount = -1",
        "UPDATE orders SET currency = 'eur'",
        "UPDATE orders SET redeemed_at = NULL",
        "UPDATE orders SET state = 'HELD'",
        "UPDATE orders SET serial = 99",
        "INSERT INTO orders SELECT campaign_id, 'o2', round_no, serial, user_id, currency, 1, 1, 'REDEEMED', 1 FROM orders",
        "INSERT INTO orders SELECT campaign_id, 'o2', round_no, serial, user_id, currency, 1, 1, 'HELD', NULL FROM orders",
        "INSERT INTO events (id, kind, campaign_id, at) SELECT id, kind, campaign_id, at FROM events",
        "INSERT INTO events (id, kind, campaign_id, serial, at) VALUES ('x', 'coupon.issued', 'c', 1, 1)",
        "INSERT INTO events (id, kind, campaign_id, at) VALUES ('x', 'coupon.issued', 'unknown', 1)",
        "INSERT INTO requests SELECT id, campaign_id, 'PAUSE' FROM requests",
        "UPDATE journal_cursors SET chain = 'x'",
        "UPDATE journal_cursors SET n = 0",
    ];
    for statement in refused {
        let outcome = conn.batch_execute(statement);
        let error = outcome.expect_err(statement).to_string();
        let by_rule = ["constraint failed", "cannot store", "malformed JSON"].iter().any(|why| error.contains(why));
        assert!(by_rule, "{statement}: {error}");
    }
}

#[tokio::test]
async fn an_ended_campaign_gives_its_title_free() {
    let (mut conn, shop) = a_full_ledger().await;
    conn.batch_execute("UPDATE campaigns SET state = 'ENDED'").expect("a state");
    conn.batch_execute(
        "INSERT INTO campaigns (id, rules, state, created_at, updated_at) SELECT 'x', rules, 'DRAFT', 1, 1 FROM campaigns",
    )
    .expect("the title is free");
    drop(shop);
}
