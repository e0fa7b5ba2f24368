//! Old events are deleted: behind the slowest reader, and at last in any case.

use std::time::Duration;

use coupon_domain::ports::{Parking, Progress, Pruned, Retention};
use uuid::Uuid;

use super::history::events_after;
use crate::build::{a_campaign, second, subscriber};
use crate::under_test::LedgerUnderTest;

const DAY: i64 = 86_400;

/// Seven days at least, thirty at most.
fn retention() -> Retention {
    let days = |days: i64| Duration::from_secs(days.unsigned_abs() * 86_400);
    Retention { min: days(7), max: days(30) }
}

/// One event on each of these days; their positions.
async fn events_on(ledger: &LedgerUnderTest, days: std::ops::Range<i64>) -> Vec<i64> {
    for day in days {
        ledger.clock.set(second(day * DAY)).await;
        ledger.campaigns.create(&a_campaign(&format!("day-{day}"))).await.expect("answers");
    }
    left(ledger).await
}

async fn left(ledger: &LedgerUnderTest) -> Vec<i64> {
    events_after(ledger, 0).await.into_iter().map(|(position, _)| position).collect()
}

/// Prunes a second after this day has begun.
async fn prune(ledger: &LedgerUnderTest, day: i64, limit: u32) -> Pruned {
    ledger.clock.set(second(day * DAY + 1)).await;
    ledger.feed.prune_events(retention(), limit).await.expect("the ledger answers")
}

fn read(events: u64) -> Pruned {
    Pruned { events, unread: 0 }
}

/// Though nobody reads them; new ones get positions behind.
pub async fn events_are_kept_for_their_least_time(ledger: LedgerUnderTest) {
    let all = events_on(&ledger, 0..10).await;
    ledger.clock.set(second(7 * DAY - 1)).await;
    assert_eq!(ledger.feed.prune_events(retention(), 100).await.expect("answers"), read(0));
    assert_eq!(prune(&ledger, 9, 100).await, read(3), "those of days 0, 1 and 2");
    assert_eq!(left(&ledger).await, all[3..]);
    assert_eq!(prune(&ledger, 100, 100).await, read(7));
    assert_eq!(left(&ledger).await, [0; 0]);
    let end = ledger.feed.end_of_feed().await.expect("answers");
    assert!(end >= all[9], "{end} is before {}", all[9]);
    let new = events_on(&ledger, 101..102).await;
    assert!(new[0] > all[9] && new[0] > end, "{new:?} behind {end}");
}

/// Whoever has read least decides; once it is gone, the next one.
pub async fn events_are_kept_for_the_slowest_subscriber(ledger: LedgerUnderTest) {
    let all = events_on(&ledger, 0..10).await;
    for (name, position) in [("fast", all[7]), ("slow", all[1]), ("late", 0)] {
        ledger.feed.subscribe(&subscriber(name), Uuid::new_v4(), Some(position)).await.expect("answers");
    }
    assert_eq!(prune(&ledger, 20, 100).await, read(0));
    ledger.feed.acknowledge_events(&subscriber("late"), all[4]).await.expect("answers");
    assert_eq!(prune(&ledger, 20, 100).await, read(2));
    assert_eq!(left(&ledger).await, all[2..]);
    ledger.feed.unsubscribe(&subscriber("slow")).await.expect("answers");
    assert_eq!(prune(&ledger, 20, 100).await, read(3));
    ledger.feed.unsubscribe(&subscriber("late")).await.expect("answers");
    assert_eq!(prune(&ledger, 15, 100).await, read(3), "and the fast one's only once they are old");
    assert_eq!(left(&ledger).await, all[8..]);
}

/// It is told how many a subscriber has not had.
pub async fn events_go_at_their_longest_time_though_unread(ledger: LedgerUnderTest) {
    let all = events_on(&ledger, 0..10).await;
    ledger.feed.subscribe(&subscriber("slow"), Uuid::new_v4(), Some(all[1])).await.expect("answers");
    assert_eq!(prune(&ledger, 29, 100).await, read(2));
    assert_eq!(prune(&ledger, 34, 100).await, Pruned { events: 3, unread: 3 }, "those of days 2, 3 and 4");
    assert_eq!(left(&ledger).await, all[5..]);
    assert_eq!(prune(&ledger, 100, 100).await, Pruned { events: 5, unread: 5 });
}

/// The oldest first; the rest is left to the next call.
pub async fn no_more_events_are_pruned_than_the_limit(ledger: LedgerUnderTest) {
    let all = events_on(&ledger, 0..10).await;
    for (pruned, gone) in [(4, 4), (4, 8), (2, 10), (0, 10)] {
        assert_eq!(prune(&ledger, 100, 4).await.events, pruned);
        assert_eq!(left(&ledger).await, all[gone..]);
    }
}

/// Its outlet has passed it by, but the receiver has not had it. At the longest time it goes, and is tried no more.
pub async fn a_parked_event_is_not_pruned_before_its_longest_time(ledger: LedgerUnderTest) {
    let all = events_on(&ledger, 0..10).await;
    let (outlet, session) = (subscriber("hook"), Uuid::new_v4());
    ledger.feed.lease(&outlet, session, Duration::from_secs(60)).await.expect("answers");
    let events = events_after(&ledger, 0).await;
    let park = |index: usize, retry_in| Parking {
        position: all[index],
        key: events[index].1.key(),
        attempts: 1,
        retry_in,
        error: "no answer".to_owned(),
    };
    let parked = vec![park(1, Some(Duration::ZERO)), park(3, None)];
    let progress = Progress { position: Some(all[9]), taken: Vec::new(), parked };
    assert!(ledger.deliveries.progress(&outlet, session, &progress).await.expect("answers"));

    assert_eq!(prune(&ledger, 20, 100).await.events, 8);
    assert_eq!(left(&ledger).await, [all[1], all[3]]);
    let due = ledger.deliveries.due(&outlet, 10).await.expect("answers");
    assert_eq!(due.iter().map(|parked| parked.position).collect::<Vec<_>>(), [all[1]]);
    assert_eq!(prune(&ledger, 50, 100).await.events, 2);
    assert_eq!(ledger.deliveries.due(&outlet, 10).await.expect("answers"), []);
    assert_eq!(ledger.deliveries.dead_letters(&outlet, 0, 10).await.expect("answers"), []);
}
