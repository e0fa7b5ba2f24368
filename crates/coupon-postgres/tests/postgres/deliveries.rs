//! What is parked for outlets, while others prune, rewind and take over.

use std::time::Duration;

use coupon_domain::ports::{DeliveryRepository as _, FeedRepository as _, Parking, Progress};
use coupon_testkit::build::{second, subscriber, users};
use uuid::Uuid;

use crate::shop::Shop;

const MINUTE: Duration = Duration::from_secs(60);

fn parking(position: i64) -> Parking {
    Parking { position, key: "k".to_owned(), attempts: 1, retry_in: Some(Duration::ZERO), error: "no".to_owned() }
}

#[tokio::test]
async fn an_event_that_is_gone_is_not_parked_and_the_rest_is() {
    let shop = Shop::with_coupons(&users(2)).await;
    let (outlet, session) = (subscriber("hook"), Uuid::new_v4());
    shop.ledger.lease(&outlet, session, MINUTE).await.expect("answers");
    shop.database.psql("DELETE FROM events WHERE seq = 1").await.expect("pruned");

    let progress = Progress { position: Some(3), taken: Vec::new(), parked: vec![parking(1), parking(2), parking(3)] };
    assert!(shop.ledger.progress(&outlet, session, &progress).await.expect("answers"));

    let due = shop.ledger.due(&outlet, 10).await.expect("answers");
    assert_eq!(due.iter().map(|parked| parked.position).collect::<Vec<_>>(), [2]);
    assert_eq!(shop.count("deliveries").await, 2);
}

/// Who was at it would write down that it is further on.
#[tokio::test]
async fn who_was_at_an_outlet_that_is_moved_back_has_lost_its_lease() {
    let shop = Shop::with_coupons(&users(2)).await;
    let (outlet, session) = (subscriber("hook"), Uuid::new_v4());
    shop.ledger.lease(&outlet, session, MINUTE).await.expect("answers");
    let at = |position| Progress { position: Some(position), ..Progress::default() };
    assert!(shop.ledger.progress(&outlet, session, &at(4)).await.expect("answers"));

    assert!(shop.ledger.rewind(&outlet, 1).await.expect("answers"));

    assert!(!shop.ledger.progress(&outlet, session, &at(5)).await.expect("answers"));
    assert_eq!(shop.ledger.lease(&outlet, session, MINUTE).await.expect("answers"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_instances_one_leases_an_outlet_until_its_time_is_over() {
    let shop = Shop::with_coupons(&[]).await;
    for minute in 0..3 {
        shop.now_is(second(400 + 60 * minute)).await;
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let ledger = shop.ledger.clone();
                tokio::spawn(async move { ledger.lease(&subscriber("hook"), Uuid::new_v4(), MINUTE).await })
            })
            .collect();
        let mut leases = 0;
        for call in calls {
            leases += usize::from(call.await.expect("no panic").expect("answers").is_some());
        }
        assert_eq!(leases, 1, "minute {minute}");
    }
}
