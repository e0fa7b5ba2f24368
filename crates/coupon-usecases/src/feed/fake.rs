//! A feed with its subscribers and what is parked for them, in memory, on tokio's clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::ids::{CampaignId, OrderId, SubscriberName};
use coupon_domain::ports::{
    DeadLetter, DeliveryRepository, Event, EventFilter, EventKind, FeedPage, FeedRepository, LedgerError, Parked,
    Progress, Pruned, Retention, Subscriber,
};
use coupon_domain::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use uuid::Uuid;

/// The name of a subscriber.
pub(crate) fn name(word: &str) -> SubscriberName {
    SubscriberName::parse(word).expect("a name")
}

/// An event of this key.
pub(crate) fn event(key: &str, n: usize) -> Event {
    let mut event = Event::new(
        EventKind::OrderCancelled,
        CampaignId::parse("spring").expect("an id"),
        Timestamp::from_micros(i64::try_from(n).expect("a small number")),
    );
    event.id = format!("{key}-{n}");
    event.order = Some(OrderId::parse(key).expect("an id"));
    event
}

#[derive(Default)]
struct Reader {
    position: i64,
    session: Uuid,
    leased_until: Option<Instant>,
}

pub(crate) struct Row {
    pub(crate) attempts: u32,
    pub(crate) due_at: Option<Instant>,
    key: String,
    error: String,
}

#[derive(Default)]
pub(crate) struct State {
    events: Vec<Event>,
    readers: BTreeMap<SubscriberName, Reader>,
    pub(crate) parked: BTreeMap<(SubscriberName, i64), Row>,
    /// How often events were written down as parked.
    pub(crate) parkings: usize,
    pub(crate) prunings: VecDeque<Pruned>,
}

/// See the module.
pub(crate) struct FakeLedger {
    state: Mutex<State>,
    /// Whether it does not answer.
    pub(crate) away: AtomicBool,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

impl Default for FakeLedger {
    fn default() -> Self {
        Self { state: Mutex::default(), away: AtomicBool::new(false), changes: watch::Sender::new(0) }
    }
}

impl FakeLedger {
    pub(crate) fn write(&self, events: impl IntoIterator<Item = Event>) {
        self.change(|state| state.events.extend(events));
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().expect("not poisoned"))
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state.lock().expect("not poisoned"));
        self.changes.send_modify(|n| *n += 1);
        done
    }

    /// Waits until this holds.
    pub(crate) async fn until(&self, holds: impl Fn(&State) -> bool) {
        let mut changes = self.changes.subscribe();
        changes.wait_for(|_| self.look(&holds)).await.expect("the ledger is here");
    }

    fn answer<T>(&self, answer: impl FnOnce(&mut State) -> T) -> Result<T, LedgerError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(LedgerError::Unavailable("away".into()));
        }
        Ok(self.change(answer))
    }
}

impl State {
    pub(crate) fn position(&self, name: &SubscriberName) -> i64 {
        self.readers.get(name).map_or(0, |reader| reader.position)
    }

    pub(crate) fn dead(&self) -> usize {
        self.parked.values().filter(|row| row.due_at.is_none()).count()
    }

    fn end(&self) -> i64 {
        i64::try_from(self.events.len()).expect("a small number")
    }

    fn event(&self, position: i64) -> Event {
        self.events[usize::try_from(position - 1).expect("from 1 on")].clone()
    }

    fn alive<'a>(&'a self, outlet: &'a SubscriberName) -> impl Iterator<Item = (i64, &'a Row)> {
        self.parked
            .iter()
            .filter(move |((name, _), row)| name == outlet && row.due_at.is_some())
            .map(|((_, position), row)| (*position, row))
    }
}

#[async_trait]
impl FeedRepository for FakeLedger {
    async fn events(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<FeedPage, LedgerError> {
        self.answer(|state| {
            let mut page = FeedPage { events: Vec::new(), up_to: after };
            while page.up_to < state.end() && page.events.len() < limit as usize {
                page.up_to += 1;
                let event = state.event(page.up_to);
                if filter.takes(&event) {
                    page.events.push((page.up_to, event));
                }
            }
            page
        })
    }

    async fn end_of_feed(&self) -> Result<i64, LedgerError> {
        self.answer(|state| state.end())
    }

    async fn subscribe(&self, name: &SubscriberName, session: Uuid, after: Option<i64>) -> Result<i64, LedgerError> {
        self.answer(|state| {
            let reader = state.readers.entry(name.clone()).or_default();
            reader.session = session;
            reader.position = after.unwrap_or(reader.position);
            reader.position
        })
    }

    async fn lease(&self, name: &SubscriberName, session: Uuid, span: Duration) -> Result<Option<i64>, LedgerError> {
        let now = Instant::now();
        self.answer(|state| {
            let reader = state.readers.entry(name.clone()).or_default();
            if reader.session != session && reader.leased_until.is_some_and(|until| until > now) {
                return None;
            }
            reader.session = session;
            reader.leased_until = Some(now + span);
            Some(reader.position)
        })
    }

    async fn position(&self, name: &SubscriberName, session: Uuid) -> Result<Option<i64>, LedgerError> {
        self.answer(|state| {
            state.readers.get(name).filter(|reader| reader.session == session).map(|reader| reader.position)
        })
    }

    async fn acknowledge_events(&self, name: &SubscriberName, position: i64) -> Result<Option<i64>, LedgerError> {
        self.answer(|state| {
            let reader = state.readers.get_mut(name)?;
            reader.position = reader.position.max(position);
            Some(reader.position)
        })
    }

    async fn subscribers(&self) -> Result<Vec<Subscriber>, LedgerError> {
        self.answer(|state| {
            let subscriber = |(name, reader): (&SubscriberName, &Reader)| Subscriber {
                name: name.clone(),
                position: reader.position,
                created_at: Timestamp::EPOCH,
                seen_at: Timestamp::EPOCH,
            };
            state.readers.iter().map(subscriber).collect()
        })
    }

    async fn unsubscribe(&self, name: &SubscriberName) -> Result<bool, LedgerError> {
        self.answer(|state| {
            state.parked.retain(|(outlet, _), _| outlet != name);
            state.readers.remove(name).is_some()
        })
    }

    async fn prune_events(&self, _: Retention, _: u32) -> Result<Pruned, LedgerError> {
        self.answer(|state| state.prunings.pop_front().unwrap_or_default())
    }
}

#[async_trait]
impl DeliveryRepository for FakeLedger {
    async fn due(&self, outlet: &SubscriberName, limit: u32) -> Result<Vec<Parked>, LedgerError> {
        let now = Instant::now();
        self.answer(|state| {
            let mut seen = BTreeSet::new();
            let due = state.alive(outlet).filter(|(_, row)| seen.insert(row.key.clone()));
            let due = due.filter(|(_, row)| row.due_at.is_some_and(|at| at <= now)).take(limit as usize);
            let parked = |(position, row): (i64, &Row)| Parked {
                position,
                event: state.event(position),
                attempts: row.attempts,
            };
            due.map(parked).collect()
        })
    }

    async fn parked_keys(&self, outlet: &SubscriberName, keys: &[String]) -> Result<Vec<String>, LedgerError> {
        self.answer(|state| {
            let parked: BTreeSet<&String> = state.alive(outlet).map(|(_, row)| &row.key).collect();
            keys.iter().filter(|key| parked.contains(key)).cloned().collect()
        })
    }

    async fn progress(&self, outlet: &SubscriberName, session: Uuid, progress: &Progress) -> Result<bool, LedgerError> {
        let now = Instant::now();
        self.answer(|state| {
            let Some(reader) = state.readers.get_mut(outlet).filter(|reader| reader.session == session) else {
                return false;
            };
            reader.position = reader.position.max(progress.position.unwrap_or_default());
            for position in &progress.taken {
                state.parked.remove(&(outlet.clone(), *position));
            }
            for parking in &progress.parked {
                let row = Row {
                    attempts: parking.attempts,
                    due_at: parking.retry_in.map(|wait| now + wait),
                    key: parking.key.clone(),
                    error: parking.error.clone(),
                };
                state.parked.insert((outlet.clone(), parking.position), row);
            }
            state.parkings += progress.parked.len();
            true
        })
    }

    async fn dead_letters(
        &self,
        outlet: &SubscriberName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        self.answer(|state| {
            let dead = state
                .parked
                .iter()
                .filter(|((name, position), row)| name == outlet && *position > after && row.due_at.is_none());
            let letter = |((_, position), row): (&(SubscriberName, i64), &Row)| DeadLetter {
                parked: Parked { position: *position, event: state.event(*position), attempts: row.attempts },
                error: row.error.clone(),
                failed_at: Timestamp::EPOCH,
            };
            dead.map(letter).take(limit as usize).collect()
        })
    }

    async fn revive(&self, outlet: &SubscriberName) -> Result<u64, LedgerError> {
        let now = Instant::now();
        self.answer(|state| {
            let dead = state.parked.iter_mut().filter(|((name, _), row)| name == outlet && row.due_at.is_none());
            dead.map(|(_, row)| (row.due_at, row.attempts) = (Some(now), 0)).count() as u64
        })
    }

    async fn rewind(&self, outlet: &SubscriberName, position: i64) -> Result<bool, LedgerError> {
        self.answer(|state| {
            let Some(reader) = state.readers.get_mut(outlet).filter(|reader| reader.position >= position) else {
                return false;
            };
            // Whoever is at it must not go on where it was.
            *reader = Reader { position, ..Reader::default() };
            true
        })
    }
}
