//! Notices: by many at once, and while checkouts and operators go on.

use std::time::{Duration, Instant};

use coupon_domain::campaign::{Revision, Rules, Scope};
use coupon_domain::ports::CouponRepository as _;
use coupon_testkit::build::{a_campaign, head, second, users};

use crate::migrated;
use crate::shop::Shop;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn of_two_at_once_neither_waits_and_each_notice_goes_out_once() {
    let shop = Shop::with_coupons(&users(2000)).await;
    shop.now_is(shop.fold.coupons[0].expires_at.minus(DAY)).await;

    let givers: Vec<_> = (0..2)
        .map(|_| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move {
                let mut looked_at = 0;
                while let some @ 1.. = ledger.give_notice(100).await.expect("answers") {
                    looked_at += some;
                }
                looked_at
            })
        })
        .collect();
    let mut looked_at = 0;
    for giver in givers {
        looked_at += giver.await.expect("no panic");
    }

    assert_eq!(looked_at, 2000);
    assert_eq!(shop.count("notices").await, 2000);
    assert_eq!(shop.count("events WHERE kind = 'coupon.expiring'").await, 2000);
    assert_eq!(shop.count("coupons WHERE notice_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn new_leads_are_looked_at_from_all_coupons_of_the_campaign_anew() {
    let rules = Rules { notice_leads: vec![DAY], ..a_campaign("c").rules };
    let mut shop = Shop::offering(migrated().await, rules.clone(), &head()).await;
    let entries = shop.claims(&users(25_000));
    shop.record(&entries).await;
    let expires_at = shop.fold.coupons[0].expires_at;
    shop.database
        .psql("UPDATE coupons SET user_id = 'lost:' || serial, notice_at = NULL WHERE serial < 10")
        .await
        .expect("burnt");
    shop.now_is(expires_at.minus(DAY)).await;
    assert_eq!(shop.ledger.give_notice(5000).await.expect("answers"), 5000);
    let longer = Rules { notice_leads: vec![DAY, 3 * DAY], ..rules };

    let revision = Revision { of: 1, scope: Scope::of(&shop.fold.rules, &longer), rules: longer, request: None };
    let entries = Vec::from_iter(shop.gate.revise(&revision, second(400)).entry);
    shop.record(&entries).await;

    let from_then_on = "coupons WHERE notice_at = expires_at - interval '3 days'";
    assert_eq!(shop.count(from_then_on).await, 24_990);
    while shop.ledger.give_notice(10_000).await.expect("answers") > 0 {}
    assert_eq!(shop.count("notices").await, 24_990);
}

/// A hundred thousand on one day: far below the 20 seconds that a release build on an idle machine is allowed.
#[tokio::test]
async fn a_hundred_thousand_notices_go_out_in_no_time() {
    let mut shop = Shop::with_coupons(&[]).await;
    let some = users(100_000);
    for some in some.chunks(20_000) {
        let entries = shop.claims(some);
        shop.record(&entries).await;
    }
    shop.now_is(shop.fold.coupons[0].expires_at.minus(DAY)).await;

    let begun = Instant::now();
    while shop.ledger.give_notice(2000).await.expect("answers") > 0 {}
    let took = begun.elapsed();

    assert_eq!(shop.count("events WHERE kind = 'coupon.expiring'").await, 100_000);
    assert!(took < Duration::from_secs(60), "{took:?}");
}
