//! The schema refuses what no rule allows, whoever writes it.

use coupon_domain::checkout::{Call, Redeem};
use coupon_domain::model::CampaignHead;
use coupon_domain::ports::{CouponRepository as _, Gate as _, LedgerError, RecordError, RecordRepository as _};
use coupon_domain::recording::{CouponRow, Recording};
use coupon_testkit::build::{
    campaign_id, coupon_id, eur, head, order, round, round_id, rules_like, second, user, users,
};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::shop::Shop;

/// Each statement is refused by its own constraint, of whose text this is a part.
pub(crate) fn expect_refused(conn: &mut SqliteConnection, statements: &[(&str, &str)]) {
    for (statement, constraint) in statements {
        let error = conn.batch_execute(statement).expect_err(statement).to_string();
        assert!(error.contains(constraint), "{statement}: {error}");
    }
}

/// Inserts a coupon of this round, serial, campaign, user, claim and end of validity.
fn a_coupon(values: &str) -> String {
    let columns = "round_no, serial, campaign_id, user_id, claimed_at, expires_at, n";
    format!("INSERT INTO coupons ({columns}) VALUES ({values}, 99)")
}

/// A round with ten places, five coupons of which the first is redeemed, on a connection beside the ledger's.
async fn a_full_ledger() -> (SqliteConnection, Shop) {
    let shop = Shop::with([round(1).reserving(0..240).ratio(1, 2)]).await;
    shop.gate.reserve(&shop.campaign, round_id(1), &users(10), true, shop.seen()).await.expect("decided");
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &users(5), true, shop.seen()).await.expect("decided");
    shop.record().await;
    let redeem = Redeem {
        coupon: coupon_id(1, 0),
        campaign: campaign_id("c"),
        user: user("u-0"),
        order: order("o"),
        amount: eur(5000),
        discount: Ok(eur(1000)),
    };
    shop.ledger.carry_out(&[Call::Redeem(redeem)]).await.expect("the ledger answers");
    (shop.beside(), shop)
}

#[tokio::test]
async fn a_campaign_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    expect_refused(
        &mut conn,
        &[
            ("INSERT INTO installation (one, id) VALUES (2, '00000000-0000-0000-0000-000000000000')", "one = 1"),
            ("UPDATE installation SET last_round = 268435456", "last_round BETWEEN"),
            (
                "INSERT INTO campaigns (id, rules, state, created_at, updated_at) VALUES ('x', '{}', 'DRAFT', 1, 1)",
                "title",
            ),
            (
                "INSERT INTO campaigns (id, rules, state, created_at, updated_at) VALUES ('x', 'no', 'DRAFT', 1, 1)",
                "JSON",
            ),
            ("UPDATE campaigns SET id = 'a b'", "length(id)"),
            ("UPDATE campaigns SET state = 'OPEN'", "state IN"),
            ("UPDATE campaigns SET epoch = 0, open = 1", "epoch > 0"),
            ("UPDATE campaigns SET revision = 0", "revision > 0"),
            ("UPDATE campaigns SET revision = 'one'", "cannot store"),
            ("UPDATE campaigns SET issued = -1", "issued >= 0"),
            ("UPDATE campaigns SET rules = json_set(rules, '$.total_limit', 4)", "total_limit"),
            ("UPDATE campaigns SET updated_at = created_at - 1", "updated_at >= created_at"),
            ("DELETE FROM campaigns", "FOREIGN KEY"),
            ("INSERT INTO titles SELECT title, validity_key, 'c' FROM titles", "UNIQUE"),
            ("INSERT INTO titles VALUES ('Free', 'x', 'unknown')", "FOREIGN KEY"),
            ("INSERT INTO requests SELECT id, campaign_id, 'PAUSE' FROM requests", "UNIQUE"),
            ("UPDATE requests SET verb = 'pause'", "verb"),
            ("UPDATE journal_cursors SET chain = 'x'", "length(chain)"),
            ("UPDATE journal_cursors SET n = 0", "last_at IS NULL"),
        ],
    );
}

#[tokio::test]
async fn a_round_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    expect_refused(
        &mut conn,
        &[
            ("UPDATE rounds SET supply = -1", "supply BETWEEN"),
            ("UPDATE rounds SET issued = 6", "issued <= supply"),
            ("UPDATE rounds SET supply = NULL, issued = 11", "issued <= places"),
            ("UPDATE rounds SET places = 1000001", "max_places"),
            ("UPDATE rounds SET phase = 'OVER'", "phase IN"),
            ("UPDATE rounds SET retired = 1", "phase = 'CLOSED'"),
            ("UPDATE rounds SET no = 2", "$.id"),
            ("UPDATE rounds SET spec = json_set(spec, '$.claim.opens', 0)", "reserve_closes_at <= claim_opens_at"),
            ("UPDATE rounds SET added = -1", "added BETWEEN"),
            ("UPDATE rounds SET added = 200000001", "added BETWEEN"),
            ("UPDATE rounds SET left_at_close = -1", "left_at_close >= 0"),
            ("UPDATE rounds SET left_at_close = 1, phase = 'RESERVING'", "left_at_close IS NULL OR"),
            ("UPDATE rounds SET delay = 1", "drawn = 1 OR delay = 0"),
            ("UPDATE rounds SET drawn = 1", "drawn = 0 OR"),
            ("DELETE FROM rounds", "FOREIGN KEY"),
        ],
    );
}

#[tokio::test]
async fn a_place_or_a_coupon_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    expect_refused(
        &mut conn,
        &[
            ("INSERT INTO places VALUES (1, 9, 'new', 1, 99, NULL)", "UNIQUE"),
            ("INSERT INTO places VALUES (1, 10, 'u-0', 1, 99, NULL)", "UNIQUE"),
            ("INSERT INTO places VALUES (1, -1, 'new', 1, 99, NULL)", "ticket >= 0"),
            ("INSERT INTO places VALUES (1, 10, 'a b', 1, 99, NULL)", "length(user_id)"),
            ("INSERT INTO places VALUES (1, 10, '', 1, 99, NULL)", "length(user_id)"),
            ("INSERT INTO places VALUES (1, 10, 'new', 'now', 99, NULL)", "cannot store"),
            ("INSERT INTO places VALUES (7, 10, 'new', 1, 99, NULL)", "FOREIGN KEY"),
            ("INSERT INTO places VALUES (1, 10, 'new', 1, 99, zeroblob(31))", "length(leaf)"),
            (&a_coupon("1, 0, 'c', 'new', 1, 2"), "UNIQUE"),
            (&a_coupon("1, 5, 'c', 'u-0', 1, 2"), "UNIQUE"),
            (&a_coupon("1, 5, 'x', 'new', 1, 2"), "FOREIGN KEY"),
            (&a_coupon("1, 5, 'c', 'new', 2, 2"), "expires_at > claimed_at"),
            (&a_coupon("1, 268435456, 'c', 'new', 1, 2"), "serial BETWEEN"),
            ("UPDATE coupons SET state = 'HELD' WHERE serial = 1", "order_id IS NOT NULL"),
            ("UPDATE coupons SET state = 'REDEEMED' WHERE serial = 1", "order_id IS NOT NULL"),
            ("UPDATE coupons SET state = 'ISSUED' WHERE serial = 0", "order_id IS NOT NULL"),
            ("UPDATE coupons SET state = 'HELD', order_id = 'o' WHERE serial = 1", "held_until IS NOT NULL"),
            ("UPDATE coupons SET held_until = 1 WHERE serial = 1", "held_until IS NOT NULL"),
            (
                "UPDATE coupons SET state = 'HELD', order_id = 'o', held_until = expires_at + 1 WHERE serial = 1",
                "held_until <= expires_at",
            ),
            ("UPDATE coupons SET state = 'HELD', order_id = 'unknown', held_until = 1 WHERE serial = 1", "FOREIGN KEY"),
            ("UPDATE coupons SET notice_at = expires_at", "notice_at < expires_at"),
            ("UPDATE coupons SET user_id = 'lost:1' WHERE serial = 1", "notice_at < expires_at"),
            ("INSERT INTO notices VALUES (1, 1, 0)", "lead > 0"),
            ("INSERT INTO notices VALUES (1, 99, 1)", "FOREIGN KEY"),
            ("INSERT INTO notices VALUES (1, 1, 1), (1, 1, 1)", "UNIQUE"),
            ("DELETE FROM coupons WHERE serial = 0", "FOREIGN KEY"),
        ],
    );
}

#[tokio::test]
async fn an_order_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    let another = "INSERT INTO orders SELECT campaign_id, 'o2', round_no, serial, user_id,";
    expect_refused(
        &mut conn,
        &[
            ("UPDATE orders SET discount = amount + 1", "discount BETWEEN"),
            ("UPDATE orders SET amount = -1, discount = -1", "amount >= 0"),
            ("UPDATE orders SET currency = 'eur'", "currency GLOB"),
            ("UPDATE orders SET redeemed_at = NULL", "redeemed_at IS NULL"),
            ("UPDATE orders SET currency = NULL", "currency IS NULL"),
            ("UPDATE orders SET amount = NULL", "amount IS NULL"),
            ("UPDATE orders SET discount = NULL", "discount IS NULL"),
            (
                "UPDATE orders SET redeemed_at = NULL, currency = NULL, amount = NULL, discount = NULL",
                "redeemed_at IS NOT NULL",
            ),
            ("UPDATE orders SET state = 'HELD'", "redeemed_at IS NULL OR state"),
            ("UPDATE orders SET state = 'RELEASED'", "redeemed_at IS NULL OR state"),
            ("UPDATE orders SET serial = 99", "FOREIGN KEY"),
            ("UPDATE orders SET serial = NULL", "serial IS NULL"),
            ("UPDATE orders SET round_no = NULL, serial = NULL", "state = 'CANCELLED'"),
            ("UPDATE orders SET round_no = NULL, serial = NULL, state = 'CANCELLED'", "redeemed_at IS NULL"),
            (&format!("{another} 'EUR', 1, 1, 'REDEEMED', 1 FROM orders"), "UNIQUE"),
            (&format!("{another} NULL, NULL, NULL, 'HELD', NULL FROM orders"), "UNIQUE"),
            ("INSERT INTO orders (campaign_id, id, user_id, state) VALUES ('c', 'o2', 'u', 'HELD')", "CANCELLED"),
        ],
    );
    let cancelled = "INSERT INTO orders (campaign_id, id, user_id, state) VALUES ('c', 'o2', 'u', 'CANCELLED')";
    conn.batch_execute(cancelled).expect("it was cancelled before it took a coupon");
}

#[tokio::test]
async fn an_event_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    let event =
        "INSERT INTO events (id, kind, campaign_id, at, round_no, serial, user_id, order_id, details) VALUES ('x',";
    expect_refused(
        &mut conn,
        &[
            (
                "INSERT INTO events (id, kind, campaign_id, at) SELECT id, 'round.opened', campaign_id, at FROM events",
                "UNIQUE",
            ),
            (&format!("{event} 'coupon.issued', 'c', 1, NULL, 1, 'u', NULL, NULL)"), "round_no IS NOT NULL"),
            (&format!("{event} 'coupon.issued', 'c', 1, 1, NULL, 'u', NULL, NULL)"), "serial IS NOT NULL"),
            (&format!("{event} 'place.reserved', 'c', 1, 1, 1, 'u', NULL, NULL)"), "serial IS NOT NULL"),
            (&format!("{event} 'round.opened', 'unknown', 1, 1, NULL, NULL, NULL, NULL)"), "FOREIGN KEY"),
            (&format!("{event} 'round.lost', 'c', 1, 1, NULL, NULL, NULL, NULL)"), "kind IN"),
            (&format!("{event} 'place.reserved', 'c', 1, 1, NULL, NULL, NULL, NULL)"), "user_id IS NOT NULL"),
            (&format!("{event} 'round.opened', 'c', 1, 1, NULL, 'u', NULL, NULL)"), "user_id IS NOT NULL"),
            (&format!("{event} 'coupon.voided', 'c', 1, 1, 1, NULL, NULL, NULL)"), "user_id IS NOT NULL"),
            (&format!("{event} 'coupon.redeemed', 'c', 1, 1, 1, 'u', NULL, NULL)"), "order_id IS NOT NULL"),
            (&format!("{event} 'coupon.released', 'c', 1, 1, 1, 'u', NULL, NULL)"), "order_id IS NOT NULL"),
            (&format!("{event} 'coupon.expired', 'c', 1, 1, 1, 'u', 'o', NULL)"), "order_id IS NOT NULL"),
            (&format!("{event} 'order.cancelled', 'c', 1, NULL, NULL, 'u', NULL, NULL)"), "order_id IS NOT NULL"),
            (&format!("{event} 'coupon.voided', 'c', 1, 1, 1, 'u', NULL, 'no')"), "json_valid"),
            (&format!("{event} 'coupon.voided', 'c', 1, 1, 1, 'u', NULL, '[]')"), "json_type"),
            (&format!("{event} 'coupon.voided', 'c', 1, 1, 1, 'u', NULL, '{{}}')"), "details <> "),
            (&format!("{event} 'coupon.expiring', 'c', 1, 1, 1, 'u', NULL, NULL)"), "notice"),
        ],
    );
}

#[tokio::test]
async fn a_subscriber_or_a_record_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    let session = "'00000000-0000-0000-0000-000000000000'";
    conn.batch_execute("INSERT INTO subscribers VALUES ('till', 0, NULL, NULL, 1, 1)").expect("a subscriber");
    conn.batch_execute("INSERT INTO deliveries VALUES ('till', 1, 'k', 1, NULL, 'no', 1)").expect("a delivery");
    conn.batch_execute(&format!("INSERT INTO operators VALUES ({session}, 'ada')")).expect("an operator");
    expect_refused(
        &mut conn,
        &[
            ("INSERT INTO subscribers VALUES ('till', 0, NULL, NULL, 1, 1)", "UNIQUE"),
            ("INSERT INTO subscribers VALUES ('a b', 0, NULL, NULL, 1, 1)", "length(name)"),
            ("UPDATE subscribers SET position = -1", "position >= 0"),
            ("UPDATE subscribers SET session = 'x'", "length(session)"),
            ("UPDATE subscribers SET leased_until = 1", "session IS NOT NULL"),
            ("INSERT INTO deliveries VALUES ('till', 1, 'k', 1, NULL, 'no', 1)", "UNIQUE"),
            ("INSERT INTO deliveries VALUES ('nobody', 1, 'k', 1, NULL, 'no', 1)", "FOREIGN KEY"),
            ("INSERT INTO deliveries VALUES ('till', 9999, 'k', 1, NULL, 'no', 1)", "FOREIGN KEY"),
            ("UPDATE deliveries SET attempts = -1", "attempts >= 0"),
            ("UPDATE deliveries SET key = ''", "key <>"),
            ("UPDATE audit_records SET action = 'create'", "action NOT GLOB"),
            ("UPDATE audit_records SET actor = ''", "length(actor)"),
            ("UPDATE audit_records SET request = 'x'", "length(request)"),
            ("UPDATE audit_records SET after = 'no'", "json_valid"),
            ("UPDATE audit_records SET campaign_id = 'unknown'", "FOREIGN KEY"),
            ("UPDATE audit_records SET serial = 1", "round_no IS NOT NULL"),
            ("UPDATE operators SET request = 'x'", "length(request)"),
            ("UPDATE operators SET actor = 'a b'", "length(actor)"),
        ],
    );
}

#[tokio::test]
async fn a_user_or_a_count_that_no_rule_allows_is_refused() {
    let (mut conn, _shop) = a_full_ledger().await;
    conn.batch_execute("INSERT INTO users VALUES ('ada', '', '{}', 1)").expect("a user");
    conn.batch_execute("INSERT INTO round_refusals VALUES (1, 'CLAIM', 'FULL', 1)").expect("a count");
    conn.batch_execute("INSERT INTO round_arrivals VALUES (1, 0, 1, 1)").expect("a count");
    expect_refused(
        &mut conn,
        &[
            ("INSERT INTO users VALUES ('ada', '', '{}', 1)", "UNIQUE"),
            ("INSERT INTO users VALUES ('a b', '', '{}', 1)", "length(id)"),
            ("INSERT INTO users VALUES ('bob', '', '[]', 1)", "json_type"),
            ("INSERT INTO users VALUES ('bob', '', 'no', 1)", "json_valid"),
            ("INSERT INTO users VALUES ('bob', NULL, '{}', 1)", "NOT NULL"),
            ("INSERT INTO round_refusals VALUES (1, 'CLAIM', 'FULL', 1)", "UNIQUE"),
            ("INSERT INTO round_refusals VALUES (7, 'CLAIM', 'FULL', 1)", "FOREIGN KEY"),
            ("INSERT INTO round_refusals VALUES (1, 'REDEEM', 'FULL', 1)", "verb IN"),
            ("INSERT INTO round_refusals VALUES (1, 'CLAIM', 'LATE', 1)", "reason IN"),
            ("UPDATE round_refusals SET count = -1", "count >= 0"),
            ("INSERT INTO round_arrivals VALUES (1, 0, 1, 1)", "UNIQUE"),
            ("INSERT INTO round_arrivals VALUES (7, 0, 1, 1)", "FOREIGN KEY"),
            ("UPDATE round_arrivals SET bucket = -1", "bucket >= 0"),
            ("UPDATE round_arrivals SET won = -1", "won >= 0"),
            ("UPDATE round_arrivals SET lost = -1", "lost >= 0"),
        ],
    );
}

/// Three rounds of a campaign with these limits; `u-0` has a coupon of each of the first two.
async fn two_rounds_claimed(limits: CampaignHead) -> Shop {
    let shop = Shop::closed_by(rules_like(&limits)).await;
    shop.open(limits).await;
    for (number, start) in [(1, 300), (2, 400), (3, 500)] {
        let spec = round(number).claiming(start..start + 60).build();
        shop.gate.open_round(&shop.campaign, &spec, shop.seen()).await.expect("it is open");
    }
    for (number, start) in [(1, 300), (2, 400)] {
        shop.at(second(start)).await;
        shop.gate.claim(&shop.campaign, round_id(number), &users(1), true, shop.seen()).await.expect("decided");
    }
    shop
}

#[tokio::test]
async fn a_user_has_no_more_coupons_over_all_rounds_than_the_rules_say() {
    let shop = two_rounds_claimed(CampaignHead { max_per_user: 2, ..head() }).await;
    shop.record().await;
    let mut conn = shop.beside();

    let third = a_coupon("3, 0, 'c', 'u-0', 1, 2");
    expect_refused(&mut conn, &[(&third, "coupons_max_per_user")]);

    conn.batch_execute(&third.replace("u-0", "u-1")).expect("another user's first");
    conn.batch_execute("UPDATE campaigns SET rules = json_set(rules, '$.max_per_user', 3)").expect("rules");
    conn.batch_execute("UPDATE coupons SET serial = 1 WHERE round_no = 3").expect("a free serial");
    conn.batch_execute(&third).expect("the rules allow three");
}

#[tokio::test]
async fn coupons_of_a_campaign_with_one_start_are_not_counted_over_rounds() {
    let shop = two_rounds_claimed(CampaignHead { counts_users: false, ..head() }).await;
    shop.record().await;
    let third = a_coupon("3, 0, 'c', 'u-0', 1, 2");
    shop.beside().batch_execute(&third).expect("a round has a start of its own");
}

#[tokio::test]
async fn a_recording_beyond_a_limit_is_a_failure_and_nothing_of_it_is_written() {
    let limits = CampaignHead { max_per_user: 2, total_limit: Some(2), ..head() };
    let shop = two_rounds_claimed(limits).await;
    let honest = shop.unrecorded().await;

    let falsify: [fn(&mut Recording); 3] = [
        // A third coupon of one user.
        |r| {
            r.coupons.push(CouponRow { round: round_id(3), n: 99, ..r.coupons[0].clone() });
            r.campaign.total_limit = Some(3);
            r.campaign.revisions = 1;
        },
        // A third coupon of two in all.
        |r| {
            let (round, user) = (round_id(3), user("u-1"));
            r.coupons.push(CouponRow { round, user, n: 99, ..r.coupons[0].clone() });
        },
        // More coupons than the round has.
        |r| r.changes.get_mut(&round_id(1)).expect("it was claimed in").issued = 101,
    ];
    for (index, falsify) in falsify.into_iter().enumerate() {
        let mut recording = honest.clone();
        falsify(&mut recording);
        let recorded = shop.ledger.record(&shop.campaign, &recording).await;
        assert!(matches!(recorded, Err(RecordError::Ledger(LedgerError::Broken(_)))), "{index}: {recorded:?}");
        assert_eq!(shop.unrecorded().await, honest, "{index}");
    }
    shop.ledger.record(&shop.campaign, &honest).await.expect("the honest one is recorded");
    assert_eq!(shop.ledger.snapshot(&shop.campaign).await.expect("the ledger answers").issued, 2);
}
