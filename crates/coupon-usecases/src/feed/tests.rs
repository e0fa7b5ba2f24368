use std::sync::Arc;
use std::sync::atomic::Ordering;

use coupon_domain::ids::CampaignId;
use coupon_domain::ports::{Event, EventKind, Pruned, Retention};
use coupon_domain::time::Timestamp;
use futures::poll;
use tokio::time::Instant;

use super::fake::{FakeLedger, event, name};
use super::*;

/// A ledger with so many events, and this process's bell.
struct Shop {
    ledger: Arc<FakeLedger>,
    bell: Bell,
}

impl Shop {
    fn with(events: usize) -> Self {
        let ledger = Arc::new(FakeLedger::default());
        ledger.write((1..=events).map(|n| event("a", n)));
        Self { ledger, bell: Bell::default() }
    }

    async fn subscribe(&self, call: SubscribeCall) -> Result<Subscription, Fault> {
        Subscription::begin(self.ledger.clone(), self.bell.listen(), Settings::default(), call).await
    }

    async fn reader(&self, max_unacknowledged: u32) -> Subscription {
        self.subscribe(SubscribeCall { max_unacknowledged, ..call() }).await.expect("subscribed")
    }
}

fn call() -> SubscribeCall {
    SubscribeCall { name: Some(name("till")), after: None, filter: EventFilter::default(), max_unacknowledged: 100 }
}

fn of_another_campaign() -> EventFilter {
    EventFilter { kinds: Vec::new(), campaign: CampaignId::parse("autumn").ok() }
}

fn positions(told: Result<Vec<(i64, Event)>, Fault>) -> Vec<i64> {
    told.expect("told").into_iter().map(|(position, _)| position).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_told_all_in_order_and_then_what_comes() {
    let shop = Shop::with(3);
    let mut reader = shop.reader(100).await;
    assert_eq!(positions(reader.next().await), [1, 2, 3]);

    let mut next = Box::pin(reader.next());
    assert!(poll!(&mut next).is_pending());
    shop.ledger.write([event("a", 4)]);
    assert_eq!(positions(next.await), [4]);
}

#[tokio::test(start_paused = true)]
async fn a_ring_tells_at_once_and_another_process_is_noticed_a_look_later() {
    let shop = Shop::with(0);
    let mut reader = shop.reader(100).await;
    for (rings, longest) in [(true, Settings::default().gather), (false, Settings::default().look)] {
        let mut next = Box::pin(reader.next());
        assert!(poll!(&mut next).is_pending());
        shop.ledger.write([event("a", 1)]);
        if rings {
            shop.bell.ring();
        }
        let began = Instant::now();
        next.await.expect("told");
        assert!(began.elapsed() <= longest + Duration::from_millis(1), "{:?}, rung: {rings}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_so_many_are_told_before_some_are_acknowledged() {
    let shop = Shop::with(10);
    let mut reader = shop.reader(4).await;
    assert_eq!(positions(reader.next().await), [1, 2, 3, 4]);

    let mut next = Box::pin(reader.next());
    let waited = tokio::time::timeout(Duration::from_secs(60), &mut next).await;
    assert!(waited.is_err(), "there was no room for more");

    // By way of another instance: nobody rings here.
    acknowledge(shop.ledger.as_ref(), &name("till"), 3).await.expect("acknowledged");
    assert_eq!(positions(next.await), [5, 6, 7]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_again_goes_on_behind_what_was_acknowledged() {
    let shop = Shop::with(5);
    let mut reader = shop.reader(100).await;
    assert_eq!(positions(reader.next().await), [1, 2, 3, 4, 5]);
    acknowledge(shop.ledger.as_ref(), &name("till"), 2).await.expect("acknowledged");

    assert_eq!(positions(shop.reader(100).await.next().await), [3, 4, 5]);
    let mut elsewhere = shop.subscribe(SubscribeCall { after: Some(1), ..call() }).await.expect("subscribed");
    assert_eq!(positions(elsewhere.next().await), [2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn the_reader_before_is_told_no_more() {
    let shop = Shop::with(1);
    let mut first = shop.reader(100).await;
    first.next().await.expect("told");
    let mut waiting = Box::pin(first.next());
    assert!(poll!(&mut waiting).is_pending());

    let mut second = shop.reader(100).await;

    assert!(matches!(waiting.await, Err(Fault::TakenOver)));
    assert_eq!(positions(second.next().await), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_place_moves_past_what_the_filter_leaves_out() {
    let shop = Shop::with(7);
    let filtered = SubscribeCall { filter: of_another_campaign(), ..call() };
    let mut reader = shop.subscribe(filtered).await.expect("subscribed");
    let reading = tokio::spawn(async move { reader.next().await });

    shop.ledger.until(|state| state.position(&name("till")) == 7).await;
    shop.ledger.write([event("a", 8)]);
    shop.ledger.until(|state| state.position(&name("till")) == 8).await;
    assert!(!reading.is_finished(), "there was nothing to tell");
    reading.abort();
}

#[tokio::test(start_paused = true)]
async fn a_place_does_not_move_past_what_was_told_and_not_acknowledged() {
    let shop = Shop::with(1);
    let filter = EventFilter { kinds: vec![EventKind::OrderCancelled], campaign: None };
    let mut reader = shop.subscribe(SubscribeCall { filter, ..call() }).await.expect("subscribed");
    assert_eq!(positions(reader.next().await), [1]);
    shop.ledger.write([Event { kind: EventKind::CouponHeld, ..event("a", 2) }]);

    let mut next = Box::pin(reader.next());
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut next).await.is_err());
    assert_eq!(shop.ledger.look(|state| state.position(&name("till"))), 0);

    acknowledge(shop.ledger.as_ref(), &name("till"), 1).await.expect("acknowledged");
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut next).await.is_err());
    assert_eq!(shop.ledger.look(|state| state.position(&name("till"))), 2);
}

#[tokio::test(start_paused = true)]
async fn a_reader_without_a_name_begins_at_the_end_and_nobody_remembers_it() {
    let shop = Shop::with(3);
    let tail = SubscribeCall { name: None, max_unacknowledged: 0, ..call() };
    let mut tail = shop.subscribe(tail).await.expect("subscribed");
    shop.ledger.write((4..=6).map(|n| event("a", n)));
    assert_eq!(positions(tail.next().await), [4, 5, 6]);
    assert_eq!(shop.ledger.subscribers().await.expect("answered"), []);

    let behind = SubscribeCall { name: None, after: Some(2), ..call() };
    assert_eq!(positions(shop.subscribe(behind).await.expect("subscribed").next().await), [3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_was_away_costs_a_call_and_no_event() {
    let shop = Shop::with(2);
    let mut reader = shop.reader(100).await;
    shop.ledger.away.store(true, Ordering::Relaxed);
    assert!(matches!(reader.next().await, Err(Fault::Unavailable { .. })));
    shop.ledger.away.store(false, Ordering::Relaxed);
    assert_eq!(positions(reader.next().await), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let shop = Shop::with(3);
    let outlet = name("outlet:shop");
    for wrong in [
        SubscribeCall { name: Some(outlet.clone()), ..call() },
        SubscribeCall { max_unacknowledged: 0, ..call() },
        SubscribeCall { after: Some(4), ..call() },
        SubscribeCall { after: Some(-1), ..call() },
        SubscribeCall { name: None, after: Some(4), ..call() },
    ] {
        assert!(matches!(shop.subscribe(wrong.clone()).await, Err(Fault::Invalid(_))), "{wrong:?}");
    }
    let ledger = shop.ledger.as_ref();
    assert!(matches!(acknowledge(ledger, &name("till"), 1).await, Err(Fault::UnknownSubscriber(_))));
    shop.reader(100).await;
    assert!(matches!(acknowledge(ledger, &name("till"), 4).await, Err(Fault::Invalid(_))));
    assert!(matches!(acknowledge(ledger, &outlet, 1).await, Err(Fault::Invalid(_))));
    assert_eq!(acknowledge(ledger, &name("till"), 3).await.ok(), Some(3));
    assert_eq!(acknowledge(ledger, &name("till"), 1).await.ok(), Some(3), "it never goes back");
}

#[tokio::test]
async fn old_events_are_forgotten_chunk_by_chunk_and_unread_ones_counted() {
    let shop = Shop::with(0);
    let chunk = u64::from(pruning::CHUNK);
    let prunings = [(chunk, 0), (chunk, 3), (7, 1), (9, 9)].map(|(events, unread)| Pruned { events, unread });
    shop.ledger.change(|state| state.prunings.extend(prunings));

    let pruned = pruning::forget_old(shop.ledger.as_ref(), Retention::default()).await.expect("pruned");

    assert_eq!(pruned, Pruned { events: 2 * chunk + 7, unread: 4 });
}

#[tokio::test]
async fn a_subscriber_holds_events_up_if_the_first_behind_it_is_old() {
    let shop = Shop::with(5);
    shop.reader(100).await;
    acknowledge(shop.ledger.as_ref(), &name("till"), 2).await.expect("acknowledged");
    let till = shop.ledger.subscribers().await.expect("answered").remove(0);
    for (oldest_due, held_up) in [(3, false), (4, true)] {
        let oldest_due = Timestamp::from_micros(oldest_due);
        let answer = pruning::holds_up(shop.ledger.as_ref(), &till, oldest_due).await.expect("answered");
        assert_eq!(answer, held_up);
    }
}
