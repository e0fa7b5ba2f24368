//! Old events go, and nobody waits for it.

use std::time::Duration;

use coupon_domain::ports::{FeedRepository as _, Pruned, Retention};
use coupon_testkit::build::{subscriber, users};
use uuid::Uuid;

use crate::shop::Shop;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_prune_at_once_each_event_is_counted_once() {
    let shop = Shop::with_coupons(&users(1000)).await;
    let end = shop.ledger.end_of_feed().await.expect("answers");
    shop.ledger.subscribe(&subscriber("reader"), Uuid::new_v4(), Some(end - 200)).await.expect("answers");
    let retention = Retention { min: DAY, max: 3 * DAY };
    let prune = |shop: &Shop| {
        let ledger = shop.ledger.clone();
        tokio::spawn(async move {
            let mut all = Pruned::default();
            while let pruned = ledger.prune_events(retention, 64).await.expect("answers")
                && pruned.events > 0
            {
                (all.events, all.unread) = (all.events + pruned.events, all.unread + pruned.unread);
            }
            all
        })
    };

    for (days, events, unread) in [(2, 803, 0), (4, 200, 200)] {
        shop.now_is(coupon_testkit::build::second(400).plus(days * DAY)).await;
        let both = (prune(&shop), prune(&shop));
        let (a, b) = (both.0.await.expect("no panic"), both.1.await.expect("no panic"));
        assert_eq!((a.events + b.events, a.unread + b.unread), (events, unread));
    }
    assert_eq!(shop.count("events").await, 0);
    assert_eq!(shop.ledger.end_of_feed().await.expect("answers"), end);
}

#[tokio::test]
async fn an_event_that_somebody_is_about_to_park_is_left_alone() {
    let shop = Shop::with_coupons(&users(2)).await;
    let _parking = shop.session_after("BEGIN; SELECT 1 FROM events WHERE seq = 1 FOR KEY SHARE").await;
    shop.now_is(coupon_testkit::build::second(400).plus(100 * DAY)).await;

    let pruned = shop.ledger.prune_events(Retention::default(), 100).await.expect("answers");

    assert_eq!(pruned, Pruned { events: 4, unread: 0 });
    assert_eq!(shop.count("events").await, 1);
}
