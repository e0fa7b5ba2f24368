//! What outlets could not deliver yet.

use std::time::Duration;

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{
    DeliveryRepository as _, Event, EventKind, FeedRepository as _, Parked, Parking, Progress, Retention,
};
use coupon_testkit::build::{second, subscriber};
use uuid::Uuid;

use crate::checkout::ten_coupons;
use crate::shop::Shop;

const SESSION: Uuid = Uuid::from_u128(1);
const SOON: Option<Duration> = Some(Duration::from_secs(30));

/// Ten coupons' events, and an outlet that is leased for long.
async fn an_outlet() -> (Shop, SubscriberName, Vec<(i64, Event)>) {
    let shop = ten_coupons().await;
    let outlet = subscriber("outlet");
    let long = Duration::from_secs(1_000_000);
    assert_eq!(shop.ledger.lease(&outlet, SESSION, long).await.expect("the ledger answers"), Some(0));
    let mut events = shop.events_behind(0, 1000).await;
    events.retain(|(_, event)| event.kind == EventKind::CouponIssued);
    (shop, outlet, events)
}

fn parking((position, _): &(i64, Event), key: &str, attempts: u32, retry_in: Option<Duration>) -> Parking {
    Parking { position: *position, key: key.to_owned(), attempts, retry_in, error: format!("try {attempts}") }
}

async fn park(shop: &Shop, outlet: &SubscriberName, parked: Vec<Parking>) {
    let progress = Progress { parked, ..Progress::default() };
    assert!(shop.ledger.progress(outlet, SESSION, &progress).await.expect("the ledger answers"));
}

async fn due(shop: &Shop, outlet: &SubscriberName) -> Vec<(i64, u32)> {
    let due = shop.ledger.due(outlet, 100).await.expect("the ledger answers");
    due.into_iter().map(|Parked { position, attempts, .. }| (position, attempts)).collect()
}

#[tokio::test]
async fn of_each_key_the_first_is_due_when_its_time_has_come() {
    let (shop, outlet, events) = an_outlet().await;
    let at = |index: usize| events[index].0;
    park(
        &shop,
        &outlet,
        vec![
            parking(&events[0], "a", 1, SOON),
            parking(&events[1], "a", 0, Some(Duration::ZERO)),
            parking(&events[2], "b", 2, Some(Duration::ZERO)),
            parking(&events[3], "c", 20, None),
            parking(&events[4], "c", 0, Some(Duration::ZERO)),
        ],
    )
    .await;
    assert_eq!(due(&shop, &outlet).await, [(at(2), 2), (at(4), 0)]);
    assert_eq!(due(&shop, &subscriber("other")).await, []);
    let keys: Vec<_> = ["a", "b", "c", "d"].map(str::to_owned).into();
    let mut parked = shop.ledger.parked_keys(&outlet, &keys).await.expect("the ledger answers");
    parked.sort();
    assert_eq!(parked, ["a", "b", "c"]);

    shop.at(second(330)).await;
    assert_eq!(due(&shop, &outlet).await, [(at(0), 1), (at(2), 2), (at(4), 0)]);
    let first = shop.ledger.due(&outlet, 1).await.expect("the ledger answers");
    assert_eq!(first, [Parked { position: at(0), event: events[0].1.clone(), attempts: 1 }]);

    let taken = vec![at(0), at(4)];
    let progress = Progress { position: Some(at(4)), taken, ..Progress::default() };
    assert!(shop.ledger.progress(&outlet, SESSION, &progress).await.expect("the ledger answers"));
    assert_eq!(due(&shop, &outlet).await, [(at(1), 0), (at(2), 2)]);
    assert_eq!(shop.ledger.parked_keys(&outlet, &keys).await.expect("the ledger answers").len(), 2);
    assert_eq!(shop.ledger.position(&outlet, SESSION).await.expect("the ledger answers"), Some(at(4)));
    let back = Progress { position: Some(1), ..Progress::default() };
    assert!(shop.ledger.progress(&outlet, SESSION, &back).await.expect("the ledger answers"));
    assert_eq!(shop.ledger.position(&outlet, SESSION).await.expect("the ledger answers"), Some(at(4)));
}

#[tokio::test]
async fn dead_letters_are_kept_with_their_reason_and_tried_again_when_they_are_revived() {
    let (shop, outlet, events) = an_outlet().await;
    park(&shop, &outlet, vec![parking(&events[0], "a", 19, SOON), parking(&events[1], "b", 20, None)]).await;
    shop.at(second(310)).await;
    park(&shop, &outlet, vec![parking(&events[0], "a", 20, None)]).await;

    let shop = shop.restarted();
    let letters = shop.ledger.dead_letters(&outlet, 0, 100).await.expect("the ledger answers");
    let told: Vec<_> =
        letters.iter().map(|letter| (letter.parked.position, letter.error.as_str(), letter.failed_at)).collect();
    assert_eq!(told, [(events[0].0, "try 20", second(310)), (events[1].0, "try 20", second(300))]);
    assert_eq!(shop.ledger.dead_letters(&outlet, events[0].0, 100).await.expect("the ledger answers"), letters[1..]);
    assert_eq!(due(&shop, &outlet).await, []);

    assert_eq!(shop.ledger.revive(&outlet).await.expect("the ledger answers"), 2);
    assert_eq!(due(&shop, &outlet).await, [(events[0].0, 0), (events[1].0, 0)]);
    assert_eq!(shop.ledger.revive(&outlet).await.expect("the ledger answers"), 0);
}

#[tokio::test]
async fn without_the_lease_nothing_is_written() {
    let (shop, outlet, events) = an_outlet().await;
    let other = Uuid::from_u128(2);
    let progress =
        Progress { position: Some(3), parked: vec![parking(&events[0], "a", 0, SOON)], ..Progress::default() };
    let write = async |session| shop.ledger.progress(&outlet, session, &progress).await.expect("the ledger answers");
    assert!(!write(other).await);
    assert!(!shop.ledger.rewind(&outlet, 1).await.expect("the ledger answers"), "it is at 0");
    assert!(write(SESSION).await);
    assert!(shop.ledger.rewind(&outlet, 1).await.expect("the ledger answers"));
    assert!(!write(SESSION).await, "it would go on from where it was");
    let span = Duration::from_secs(10);
    assert_eq!(shop.ledger.lease(&outlet, other, span).await.expect("the ledger answers"), Some(1));
    shop.at(second(310)).await;
    assert!(!write(other).await, "its lease has run out");
}

#[tokio::test]
async fn what_is_parked_is_kept_until_it_is_too_old_and_goes_with_its_event_or_its_outlet() {
    let (shop, outlet, events) = an_outlet().await;
    let retention = Retention { min: Duration::from_secs(100), max: Duration::from_secs(1000) };
    park(&shop, &outlet, vec![parking(&events[0], "a", 20, None), parking(&events[1], "b", 1, SOON)]).await;
    let all = Progress { position: Some(1000), ..Progress::default() };
    assert!(shop.ledger.progress(&outlet, SESSION, &all).await.expect("the ledger answers"));

    shop.at(second(500)).await;
    let pruned = shop.ledger.prune_events(retention, 1000).await.expect("the ledger answers");
    assert_eq!(pruned.unread, 0);
    let kept: Vec<_> = shop.events_behind(0, 1000).await.into_iter().map(|(position, _)| position).collect();
    assert_eq!(kept, [events[0].0, events[1].0]);

    shop.at(second(5000)).await;
    let pruned = shop.ledger.prune_events(retention, 1).await.expect("the ledger answers");
    assert_eq!((pruned.events, pruned.unread), (1, 1));
    assert!(shop.ledger.dead_letters(&outlet, 0, 100).await.expect("the ledger answers").is_empty());
    // The outlet does not know yet that it is gone.
    park(&shop, &outlet, vec![parking(&events[0], "a", 1, SOON)]).await;
    assert_eq!(due(&shop, &outlet).await, [(events[1].0, 1)]);
    assert!(shop.ledger.unsubscribe(&outlet).await.expect("the ledger answers"));
    assert_eq!(due(&shop, &outlet).await, []);
}
