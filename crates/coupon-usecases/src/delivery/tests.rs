use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::{DeliveryRepository as _, Event, FeedRepository as _, NotTold};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::feed::Bell;
use crate::feed::fake::{FakeLedger, event, name};

/// Whether an event is taken.
type Taste = dyn Fn(&Event) -> bool + Send + Sync;

/// A receiver: keeps what it takes.
struct Receiver {
    takes: Box<Taste>,
    /// How long it takes to answer.
    slow: Duration,
    taken: watch::Sender<Vec<Event>>,
    tries: Mutex<HashMap<String, usize>>,
    /// How many are telling now.
    at_it: watch::Sender<usize>,
    /// Whether one was cut short.
    given_up: watch::Sender<bool>,
}

impl Receiver {
    fn that(takes: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(Duration::ZERO, takes)
    }

    fn slow(slow: Duration, takes: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            takes: Box::new(takes),
            slow,
            taken: watch::Sender::new(Vec::new()),
            tries: Mutex::default(),
            at_it: watch::Sender::new(0),
            given_up: watch::Sender::new(false),
        })
    }

    async fn has(&self, events: usize) -> Vec<Event> {
        self.taken.subscribe().wait_for(|taken| taken.len() >= events).await.expect("here").clone()
    }

    fn tries(&self, id: &str) -> usize {
        self.tries.lock().expect("not poisoned").get(id).copied().unwrap_or_default()
    }
}

/// Notes that somebody is telling, and whether that was cut short.
struct Telling<'a>(&'a Receiver, bool);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.at_it.send_modify(|n| *n -= 1);
        if !self.1 {
            self.0.given_up.send_replace(true);
        }
    }
}

#[async_trait]
impl EventPublisher for Receiver {
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), NotTold>> {
        self.at_it.send_modify(|n| *n += 1);
        assert_eq!(*self.at_it.borrow(), 1, "only one tells at a time");
        let mut telling = Telling(self, false);
        let keys: HashSet<String> = events.iter().map(Event::key).collect();
        assert_eq!(keys.len(), events.len(), "no key twice at once");
        tokio::time::sleep(self.slow).await;
        let mut answers = Vec::new();
        for event in events {
            *self.tries.lock().expect("not poisoned").entry(event.id.clone()).or_default() += 1;
            let takes = (self.takes)(event);
            if takes {
                self.taken.send_modify(|taken| taken.push(event.clone()));
            }
            answers.push(if takes { Ok(()) } else { Err(NotTold("not now".to_owned())) });
        }
        telling.1 = true;
        answers
    }
}

/// Couriers of one outlet on one ledger.
#[derive(Default)]
struct Post {
    ledger: Arc<FakeLedger>,
    bell: Bell,
}

impl Post {
    fn with(events: impl IntoIterator<Item = Event>) -> Self {
        let post = Self::default();
        post.ledger.write(events);
        post
    }

    fn carries_to(&self, receiver: &Arc<Receiver>) -> JoinHandle<()> {
        self.carries(outlet(receiver))
    }

    fn carries(&self, outlet: Outlet) -> JoinHandle<()> {
        tokio::spawn(Courier::new(self.ledger.clone(), self.ledger.clone(), outlet, self.bell.listen()).run())
    }

    /// Waits until the outlet is so far.
    async fn is_at(&self, position: i64) {
        self.ledger.until(|state| state.position(&name("outlet:shop")) == position).await;
    }
}

fn outlet(receiver: &Arc<Receiver>) -> Outlet {
    Outlet {
        name: Outlet::name_of("shop").expect("a name"),
        filter: EventFilter::default(),
        publisher: receiver.clone(),
        pace: Pace::default(),
    }
}

/// So many events of so many keys, in turn.
fn events(count: usize, keys: usize) -> Vec<Event> {
    (0..count).map(|n| event(&format!("k{}", n % keys), n)).collect()
}

/// Each key's events in the order in which the receiver first took them.
fn by_key(taken: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut seen = HashSet::new();
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in taken.iter().filter(|event| seen.insert(event.id.clone())) {
        by_key.entry(event.key()).or_default().push(event.id.clone());
    }
    by_key
}

#[tokio::test(start_paused = true)]
async fn many_events_pass_without_a_pause() {
    let all = events(100_000, 30_000);
    let (post, receiver) = (Post::with(all.clone()), Receiver::that(|_| true));
    let began = Instant::now();
    let courier = post.carries_to(&receiver);

    let taken = receiver.has(all.len()).await;

    assert!(began.elapsed() < Duration::from_secs(1), "it waited: {:?}", began.elapsed());
    assert_eq!(by_key(&taken), by_key(&all));
    post.is_at(100_000).await;
    assert_eq!(receiver.taken.borrow().len(), all.len(), "once each");
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn each_key_keeps_its_order_whatever_fails() {
    let all = events(2_000, 60);
    let (post, receiver) = (Post::with(all.clone()), Receiver::that(|_| rand::random_ratio(7, 10)));
    let courier = post.carries_to(&receiver);

    let taken = receiver.has(all.len()).await;

    assert_eq!(by_key(&taken), by_key(&all));
    post.is_at(2_000).await;
    post.ledger.until(|state| state.parked.is_empty()).await;
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn an_event_that_always_fails_stops_only_its_key_until_it_is_a_dead_letter() {
    let mut all = events(600, 30);
    all.insert(7, event("poison", 1));
    all.push(event("poison", 2));
    let (post, receiver) = (Post::with(all), Receiver::that(|event| event.id != "poison-1"));
    let began = Instant::now();
    let courier = post.carries_to(&receiver);

    let others = receiver.has(600).await;
    assert!(began.elapsed() < Duration::from_secs(1), "the others waited: {:?}", began.elapsed());
    assert!(others.iter().all(|event| event.key() != "spring/poison"));

    let taken = receiver.has(601).await;
    assert_eq!(taken.last().map(|event| event.id.as_str()), Some("poison-2"));
    assert_eq!(post.ledger.look(|state| state.dead()), 1);
    assert_eq!(receiver.tries("poison-1"), 20);
    // Twice the waits' lower halves: 5 s doubling ten times, then ten of an hour.
    assert!(began.elapsed() > Duration::from_secs(4 * 60 * 60));
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn many_events_that_always_fail_do_not_stop_the_others_either() {
    let poison = |n: usize| event(&format!("poison{n}"), n);
    let mut all: Vec<Event> = (0..300).map(poison).collect();
    all.extend(events(600, 600));
    let (post, receiver) = (Post::with(all), Receiver::that(|event| !event.id.starts_with("poison")));
    let pace = Pace { max_attempts: 6, ..Pace::default() };
    let courier = post.carries(Outlet { pace, ..outlet(&receiver) });
    receiver.has(600).await;

    post.ledger.until(|state| state.dead() == 300).await;
    post.is_at(900).await;
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_was_down_for_an_hour_gets_everything_afterwards() {
    let all = events(3_000, 500);
    let up_from = Instant::now() + Duration::from_secs(60 * 60);
    let receiver = Receiver::that(move |_| Instant::now() >= up_from);
    let post = Post::with(all.clone());
    let courier = post.carries_to(&receiver);

    let taken = receiver.has(all.len()).await;

    assert!(up_from.elapsed() < Duration::from_secs(90), "it waited for long: {:?}", up_from.elapsed());
    assert_eq!(by_key(&taken), by_key(&all));
    post.is_at(3_000).await;
    assert_eq!(receiver.taken.borrow().len(), all.len(), "once each");
    assert_eq!(post.ledger.look(|state| state.parkings), 0, "nothing was parked");
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_trickling_events_that_fail_makes_no_dead_letter() {
    let up_from = Instant::now() + Duration::from_secs(60 * 60);
    let receiver = Receiver::that(move |_| Instant::now() >= up_from);
    let post = Post::default();
    let courier = post.carries_to(&receiver);
    let all = events(60, 7);
    for event in &all {
        post.ledger.write([event.clone()]);
        // The time in which they come, not a wait for something.
        tokio::time::advance(Duration::from_secs(60)).await;
    }

    let taken = receiver.has(all.len()).await;

    assert_eq!(by_key(&taken), by_key(&all));
    post.ledger.until(|state| state.parked.is_empty()).await;
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn two_instances_do_not_both_tell_and_the_other_goes_on() {
    let all = events(3_000, 300);
    let (post, receiver) = (Post::with(all.clone()), Receiver::slow(Duration::from_secs(3), |_| true));
    let first = post.carries_to(&receiver);
    let second = post.carries_to(&receiver);
    receiver.has(1_500).await;

    // At any instant, in the midst of a wave.
    first.abort();

    post.is_at(3_000).await;
    let taken = receiver.taken.borrow().clone();
    assert_eq!(by_key(&taken), by_key(&all));
    assert!(taken.len() <= all.len() + 1_000, "a page at most is told again");
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_the_lease_is_told_once_as_long_as_it_is_renewed() {
    let (post, receiver) = (Post::with(events(10, 10)), Receiver::slow(Duration::from_secs(300), |_| true));
    let (first, second) = (post.carries_to(&receiver), post.carries_to(&receiver));
    assert_eq!(receiver.has(10).await.len(), 10);
    post.is_at(10).await;
    assert!(!*receiver.given_up.borrow());
    first.abort();
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_the_lease_gives_up_what_is_under_way() {
    let (post, receiver) = (Post::with(events(10, 10)), Receiver::slow(Duration::from_secs(300), |_| true));
    let courier = post.carries_to(&receiver);
    receiver.at_it.subscribe().wait_for(|n| *n == 1).await.expect("here");
    let began = Instant::now();

    post.ledger.away.store(true, Ordering::Relaxed);
    receiver.given_up.subscribe().wait_for(|given_up| *given_up).await.expect("here");
    assert!(began.elapsed() < outlet(&receiver).pace.lease, "the ledger may have given the lease to another");

    post.ledger.away.store(false, Ordering::Relaxed);
    assert_eq!(receiver.has(10).await.len(), 10);
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn an_outlet_that_is_moved_back_tells_again() {
    let (post, receiver) = (Post::with(events(50, 10)), Receiver::that(|_| true));
    let courier = post.carries_to(&receiver);
    post.is_at(50).await;

    assert!(post.ledger.rewind(&name("outlet:shop"), 20).await.expect("answered"));

    let taken = receiver.has(80).await;
    assert_eq!(taken[50].id, taken[20].id);
    post.is_at(50).await;
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_told_again_when_somebody_asks_for_it() {
    let open = Arc::new(AtomicBool::new(false));
    let taste = {
        let open = Arc::clone(&open);
        move |event: &Event| event.key() != "spring/k3" || open.load(Ordering::SeqCst)
    };
    let (post, receiver) = (Post::with(events(20, 10)), Receiver::that(taste));
    let courier = post.carries_to(&receiver);
    post.ledger.until(|state| state.dead() == 2).await;

    open.store(true, Ordering::SeqCst);
    assert_eq!(post.ledger.revive(&name("outlet:shop")).await.expect("answered"), 2);

    let taken = receiver.has(20).await;
    assert_eq!(taken[18..].iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["k3-3", "k3-13"]);
    post.ledger.until(|state| state.parked.is_empty()).await;
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn the_position_moves_past_what_the_filter_leaves_out() {
    let (post, receiver) = (Post::with(events(5, 1)), Receiver::that(|_| true));
    let filter = EventFilter { kinds: Vec::new(), campaign: CampaignId::parse("autumn").ok() };
    let courier = post.carries(Outlet { filter, ..outlet(&receiver) });
    post.is_at(5).await;
    assert_eq!(receiver.taken.borrow().len(), 0);
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn a_new_event_is_told_at_once_if_it_was_rung_for() {
    let (post, receiver) = (Post::with(events(1, 1)), Receiver::that(|_| true));
    let courier = post.carries_to(&receiver);
    post.is_at(1).await;
    post.ledger.write(events(1, 1));
    post.bell.ring();
    let began = Instant::now();
    receiver.has(2).await;
    assert!(began.elapsed() <= Duration::from_millis(20), "{:?}", began.elapsed());
    courier.abort();
}

#[tokio::test(start_paused = true)]
async fn another_holder_of_the_lease_is_waited_for() {
    let (post, receiver) = (Post::with(events(1, 1)), Receiver::that(|_| true));
    let span = Duration::from_secs(10);
    post.ledger.lease(&name("outlet:shop"), Uuid::new_v4(), span).await.expect("answered").expect("leased");
    let began = Instant::now();
    let courier = post.carries_to(&receiver);
    receiver.has(1).await;
    assert!(began.elapsed() >= span && began.elapsed() < 2 * span, "{:?}", began.elapsed());
    courier.abort();
}
