//! Readers of the feed that keep their place, one under each name.

use std::time::Duration;

use coupon_domain::ports::Subscriber;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::build::{millisecond, second, subscriber};
use crate::under_test::LedgerUnderTest;

const MINUTE: Duration = Duration::from_secs(60);

/// From the first event or from wherever it likes; and again where it was, unless it says from where.
pub async fn a_subscriber_goes_on_where_it_was(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let (a, b, feed) = (subscriber("a"), subscriber("b"), &ledger.feed);
    let session = Uuid::new_v4;
    assert_eq!(feed.subscribe(&a, session(), None).await.expect("answers"), 0);
    assert_eq!(feed.subscribe(&b, session(), Some(7)).await.expect("answers"), 7);
    ledger.clock.set(second(10)).await;
    assert_eq!(feed.acknowledge_events(&a, 5).await.expect("answers"), Some(5));
    assert_eq!(feed.subscribe(&a, session(), None).await.expect("answers"), 5);
    ledger.clock.set(second(20)).await;
    assert_eq!(feed.subscribe(&b, session(), None).await.expect("answers"), 7);
    assert_eq!(feed.subscribe(&b, session(), Some(3)).await.expect("answers"), 3, "it may go back like this");
    let of = |name, position, seen_at| Subscriber { name, position, created_at: second(0), seen_at };
    let both = [of(a.clone(), 5, second(10)), of(b.clone(), 3, second(20))];
    assert_eq!(feed.subscribers().await.expect("answers"), both);

    assert!(feed.unsubscribe(&a).await.expect("answers"));
    assert!(!feed.unsubscribe(&a).await.expect("answers"));
    assert_eq!(feed.subscribers().await.expect("answers"), both[1..]);
    assert_eq!(feed.subscribe(&a, session(), None).await.expect("answers"), 0, "it is a new one");
}

/// Whatever comes late; and nothing can be acknowledged by nobody.
pub async fn what_was_acknowledged_never_goes_back(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let (a, session, feed) = (subscriber("a"), Uuid::new_v4(), &ledger.feed);
    assert_eq!(feed.acknowledge_events(&a, 5).await.expect("answers"), None);
    assert_eq!(feed.subscribers().await.expect("answers"), []);
    feed.subscribe(&a, session, None).await.expect("answers");
    for (position, kept) in [(0, 0), (5, 5), (3, 5), (5, 5), (0, 5), (9, 9)] {
        assert_eq!(feed.acknowledge_events(&a, position).await.expect("answers"), Some(kept));
        assert_eq!(feed.position(&a, session).await.expect("answers"), Some(kept));
    }
    let mut calls = JoinSet::new();
    for position in 10..42 {
        let (feed, a) = (ledger.feed.clone(), a.clone());
        calls.spawn(async move { feed.acknowledge_events(&a, position).await.expect("answers") });
    }
    calls.join_all().await;
    assert_eq!(feed.position(&a, session).await.expect("answers"), Some(41));
}

/// Whoever was there before is told to go.
pub async fn of_readers_under_one_name_the_last_one_stays(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let (a, feed) = (subscriber("a"), &ledger.feed);
    let [first, then] = [Uuid::new_v4(), Uuid::new_v4()];
    assert_eq!(feed.position(&a, first).await.expect("answers"), None);
    feed.subscribe(&a, first, Some(4)).await.expect("answers");
    assert_eq!(feed.position(&a, first).await.expect("answers"), Some(4));
    assert_eq!(feed.position(&a, then).await.expect("answers"), None);
    assert_eq!(feed.subscribe(&a, then, None).await.expect("answers"), 4);
    assert_eq!(feed.position(&a, first).await.expect("answers"), None);
    assert_eq!(feed.position(&a, then).await.expect("answers"), Some(4));
    feed.unsubscribe(&a).await.expect("answers");
    assert_eq!(feed.position(&a, then).await.expect("answers"), None);
}

/// By the ledger's clock, to the millisecond; whoever has it renews it.
pub async fn a_lease_is_one_sessions_until_it_runs_out(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let (a, feed) = (subscriber("a"), &ledger.feed);
    let [first, then] = [Uuid::new_v4(), Uuid::new_v4()];
    let lease = async |session| feed.lease(&a, session, MINUTE).await.expect("the ledger answers");
    assert_eq!(lease(first).await, Some(0));
    assert_eq!(lease(then).await, None);
    assert_eq!(feed.position(&a, then).await.expect("answers"), None);
    feed.acknowledge_events(&a, 5).await.expect("answers");
    ledger.clock.set(second(40)).await;
    assert_eq!(lease(first).await, Some(5), "renewed until second 100");
    ledger.clock.set(millisecond(99_999)).await;
    assert_eq!(lease(then).await, None);
    ledger.clock.set(second(100)).await;
    assert_eq!(lease(then).await, Some(5));
    assert_eq!(lease(first).await, None);
    assert_eq!(feed.position(&a, first).await.expect("answers"), None);
    assert_eq!(feed.position(&a, then).await.expect("answers"), Some(5));
    let [seen] = &feed.subscribers().await.expect("answers")[..] else { panic!("one subscriber") };
    assert_eq!((seen.position, seen.created_at, seen.seen_at), (5, second(0), second(100)));
}

/// Of a name that is new, and of one whose lease has run out.
pub async fn of_sessions_at_once_one_has_the_lease(ledger: LedgerUnderTest) {
    let a = subscriber("a");
    for at in [0, 60, 1000] {
        ledger.clock.set(second(at)).await;
        let mut calls = JoinSet::new();
        for _ in 0..16 {
            let (feed, a) = (ledger.feed.clone(), a.clone());
            calls.spawn(async move { feed.lease(&a, Uuid::new_v4(), MINUTE).await.expect("the ledger answers") });
        }
        let outcomes = calls.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_some()).count(), 1, "{outcomes:?} at {at}");
    }
}
