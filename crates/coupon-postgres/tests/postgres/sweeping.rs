//! Storing what time has done: in batches, by several at once, each coupon once.

use std::time::Duration;

use coupon_domain::checkout::LAPSED;
use coupon_domain::ports::{CouponRepository as _, EventKind};
use coupon_testkit::build::{second, users};

use crate::shop::{Shop, coupon, holds};

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sweepers_at_once_neither_waits_and_each_coupon_is_stored_once() {
    let shop = Shop::with_coupons(&users(2000)).await;
    let held: Vec<_> = (0..500).map(|i| holds(i, &format!("o-{i}"), Duration::from_secs(60))).collect();
    shop.carry_out(&held).await;
    shop.now_is(shop.fold.coupons[0].expires_at).await;

    let sweepers: Vec<_> = (0..2)
        .map(|_| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move {
                let mut stored = 0;
                while let some @ 1.. = ledger.sweep(100).await.expect("answers") {
                    stored += some as usize;
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for sweeper in sweepers {
        stored += sweeper.await.expect("no panic");
    }

    // One may have ended while the other was at the last ones.
    assert_eq!(stored, 2000);
    assert_eq!(shop.count("coupons WHERE state = 'EXPIRED'").await, 2000);
    assert_eq!(shop.count("orders WHERE state = 'RELEASED'").await, 500);
    assert_eq!(shop.count("events WHERE kind = 'coupon.expired'").await, 2000);
    assert_eq!(shop.count("events WHERE kind = 'coupon.released'").await, 500);
}

#[tokio::test]
async fn a_coupon_that_a_checkout_is_at_is_left_to_the_next_sweep() {
    let shop = Shop::with_coupons(&users(3)).await;
    shop.carry_out(&[holds(0, "o", Duration::from_secs(60))]).await;
    shop.now_is(second(460)).await;
    let checkout = shop.session_after("BEGIN; SELECT 1 FROM coupons WHERE serial = 0 FOR NO KEY UPDATE").await;

    assert_eq!(shop.ledger.sweep(10).await.expect("answers"), 0);
    drop(checkout);
    let mut stored = 0;
    while stored == 0 {
        stored = shop.ledger.sweep(10).await.expect("answers");
    }

    assert_eq!(stored, 1);
    let (_, event) = shop.events().await.pop().expect("events");
    assert_eq!((event.kind, event.coupon, event.at), (EventKind::CouponReleased, Some(coupon(0)), second(460)));
    assert_eq!(event.details.reason.as_deref(), Some(LAPSED));
}

#[tokio::test]
async fn coupons_that_were_burnt_as_nobodys_are_not_swept() {
    let shop = Shop::with_coupons(&users(2)).await;
    shop.database
        .psql("UPDATE coupons SET user_id = 'lost:1', notice_at = NULL WHERE serial = 0")
        .await
        .expect("burnt");
    shop.now_is(shop.fold.coupons[0].expires_at).await;

    assert_eq!(shop.ledger.sweep(10).await.expect("answers"), 1);
    assert_eq!(shop.ledger.sweep(10).await.expect("answers"), 0);
    assert_eq!(shop.count("coupons WHERE state = 'ISSUED'").await, 1);
}
