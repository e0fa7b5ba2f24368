//! A receiver that is well gets everything.

use std::collections::HashMap;

use coupon_domain::ports::{Event, EventKind};

use super::samples::{of_kind, wave};
use super::{PublisherUnderTest, until_taken};

/// What the receiver reads is what was told, in every field.
pub async fn an_event_of_each_kind_arrives_with_all_its_fields(mut tested: PublisherUnderTest) {
    let events = EventKind::ALL.map(of_kind);
    for event in &events {
        // One after the other: many are of the same coupon.
        until_taken(&*tested.publisher, std::slice::from_ref(event)).await;
    }

    assert_eq!(tested.receiver.taken().await, events);
}

/// However often an event is told, its id lets the receiver keep one.
pub async fn a_repeat_is_known_by_its_id(mut tested: PublisherUnderTest) {
    let events = wave("first", 0, 10);
    until_taken(&*tested.publisher, &events).await;
    until_taken(&*tested.publisher, &events).await;
    until_taken(&*tested.publisher, &events[3..5]).await;

    let mut taken = tested.receiver.taken().await;
    taken.sort_by_key(|event| events.iter().position(|other| other.id == event.id));
    assert_eq!(taken, events);
}

/// One call after the other, a key's events arrive in the order of the calls.
pub async fn events_of_a_key_arrive_in_order(mut tested: PublisherUnderTest) {
    const WAVES: usize = 20;
    const COUPONS: usize = 50;
    for n in 0..WAVES {
        until_taken(&*tested.publisher, &wave("first", n, COUPONS)).await;
    }

    let taken = tested.receiver.taken().await;
    assert_eq!(taken.len(), WAVES * COUPONS);
    in_order(&taken);
}

/// A thousand in one call are no trouble.
pub async fn many_are_told_at_once(mut tested: PublisherUnderTest) {
    const MANY: usize = 1_000;
    until_taken(&*tested.publisher, &wave("first", 0, MANY)).await;

    assert_eq!(tested.receiver.taken().await.len(), MANY);
}

/// No events, no results.
pub async fn nothing_to_tell_is_told_at_once(mut tested: PublisherUnderTest) {
    assert!(tested.publisher.publish(&[]).await.is_empty());
    assert!(tested.receiver.taken().await.is_empty());
}

/// Each key's events come as [`wave`] numbers them.
pub(super) fn in_order(taken: &[Event]) {
    let mut last = HashMap::new();
    for event in taken {
        let before = last.insert(event.key(), &event.state);
        assert!(before.is_none_or(|before| before < &event.state), "{} comes after {before:?}", event.id);
    }
}
