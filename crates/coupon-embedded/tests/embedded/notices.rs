//! Notices and sweeps: what time does to coupons, and that finding them does not read all of them.

use std::time::Duration;

use coupon_domain::campaign::{Revision, Rules, Scope};
use coupon_domain::ports::{CouponRepository as _, EventKind, Gate as _};
use coupon_testkit::build::{coupon_id, head, round, round_id, rules, second, users};
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::shop::Shop;

const DAY: u64 = 86_400;

/// So many coupons, claimed in second 300, valid for thirty days.
async fn coupons(count: u32) -> Shop {
    let shop = Shop::with([round(1).valid_for(Duration::from_secs(30 * DAY)).fixed(count)]).await;
    shop.at(second(300)).await;
    for some in users(count).chunks(500) {
        shop.gate.claim(&shop.campaign, round_id(1), some, true, shop.seen()).await.expect("decided");
    }
    shop.record().await;
    shop
}

fn day(day: u64) -> coupon_domain::time::Timestamp {
    second(300).plus(Duration::from_secs(day * DAY))
}

/// Gives notices until there is nothing to be looked at.
async fn give_all(shop: &Shop) -> u32 {
    let mut all = 0;
    loop {
        match shop.ledger.give_notice(1000).await.expect("the ledger answers") {
            0 => return all,
            some => all += some,
        }
    }
}

#[tokio::test]
async fn notices_that_went_out_stay_so_over_a_restart() {
    let shop = coupons(3).await;
    shop.at(day(23)).await;
    assert_eq!(shop.ledger.give_notice(2).await.expect("the ledger answers"), 2);

    let shop = shop.restarted();
    assert_eq!(give_all(&shop).await, 1);
    assert_eq!(shop.told(EventKind::CouponExpiring).await, 3);
    let (_, last) = shop.events_behind(0, 1000).await.pop().expect("there are events");
    assert_eq!(last.details.notice.map(|notice| notice.late), Some(false));
    assert_eq!(last.details.expires_at, Some(day(30)));
}

#[tokio::test]
async fn other_leads_have_all_coupons_looked_at_anew() {
    let shop = coupons(3).await;
    shop.at(day(23)).await;
    assert_eq!(give_all(&shop).await, 3);
    let leads = vec![Duration::from_secs(7 * DAY), Duration::from_secs(DAY)];
    let revision = Revision {
        of: head().revision,
        scope: Scope::Labels,
        rules: Rules { notice_leads: leads, ..rules() },
        request: None,
    };
    shop.gate.revise(&shop.campaign, &revision, shop.seen()).await.expect("decided");
    shop.record().await;

    assert_eq!(give_all(&shop).await, 3);
    assert_eq!(shop.told(EventKind::CouponExpiring).await, 3, "that of seven days went out before");
    shop.at(day(29)).await;
    assert_eq!(give_all(&shop).await, 3);
    assert_eq!(shop.told(EventKind::CouponExpiring).await, 6);
    assert_eq!(give_all(&shop).await, 0);
}

#[tokio::test]
async fn ten_thousand_are_told_and_swept_once_each() {
    let shop = coupons(10_000).await;
    shop.at(day(24)).await;
    assert_eq!(give_all(&shop).await, 10_000);
    assert_eq!(shop.told(EventKind::CouponExpiring).await, 10_000);
    shop.at(day(30)).await;
    for _ in 0..10 {
        assert_eq!(shop.ledger.sweep(1000).await.expect("the ledger answers"), 1000);
    }
    assert_eq!(shop.ledger.sweep(1000).await.expect("the ledger answers"), 0);
    assert_eq!(shop.told(EventKind::CouponExpired).await, 10_000);
    let (coupon, _) = shop.ledger.coupon(coupon_id(1, 9_999)).await.expect("the ledger answers").expect("it is there");
    assert_eq!(coupon.state, coupon_domain::redemption::CouponState::Expired);
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// As the ledger asks: its partial indexes serve only who repeats their conditions.
#[tokio::test]
async fn what_is_due_is_found_by_an_index() {
    let shop = Shop::closed().await;
    let mut conn = shop.beside();
    for (index, condition) in [
        (
            "coupons_to_release",
            "(state = 'HELD' AND user_id NOT GLOB 'lost:*') AND held_until <= 1 ORDER BY held_until",
        ),
        (
            "coupons_to_expire",
            "(state = 'ISSUED' AND user_id NOT GLOB 'lost:*') AND expires_at <= 1 ORDER BY expires_at",
        ),
        ("coupons_to_notice", "state = 'ISSUED' AND notice_at <= 1 ORDER BY notice_at"),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN SELECT round_no FROM coupons WHERE {condition} LIMIT 10");
        let plan: Vec<Plan> = diesel::sql_query(explain).load(&mut conn).expect("SQLite plans");
        let plan: Vec<_> = plan.into_iter().map(|step| step.detail).collect();
        assert!(plan.len() == 1 && plan[0].contains(index), "{index}: {plan:?}");
    }
}
