//! Events out to receivers: at least once, in order for each key, whatever fails.
//!
//! Of the instances that know an outlet one carries its events, as long as it has the lease of it. What the receiver does not take is
//! parked, with what comes behind it of the same key, and tried again later and later, until it is a dead letter. A receiver that takes
//! nothing at all is down: then nothing is parked, and the outlet stays where it is.

mod backoff;
mod courier;
mod health;
mod lease;
mod load;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ids::{InvalidId, SubscriberName};
use coupon_domain::ports::{DeadLetter, EventFilter, EventPublisher, Subscriber};

pub use self::backoff::Backoff;
use self::courier::Courier;
use crate::engine::Engine;
use crate::error::Fault;

/// How the names begin under which outlets keep their places. No reader may subscribe under such a name.
pub const OUTLET_PREFIX: &str = "outlet:";

/// A receiver outside, and what goes there.
#[derive(Clone)]
pub struct Outlet {
    /// Its place in the feed is kept under this name, which should come from [`Outlet::name_of`].
    pub name: SubscriberName,
    /// Which events it gets.
    pub filter: EventFilter,
    /// Tells the receiver.
    pub publisher: Arc<dyn EventPublisher>,
    /// How fast, and how patiently.
    pub pace: Pace,
}

impl Outlet {
    /// The name of the outlet that people call so.
    ///
    /// # Errors
    /// If it is not an id, or too long to be one with [`OUTLET_PREFIX`].
    pub fn name_of(word: &str) -> Result<SubscriberName, InvalidId> {
        SubscriberName::parse(word)?;
        SubscriberName::parse(&format!("{OUTLET_PREFIX}{word}"))
    }
}

/// How an outlet works.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Events told at once, at most.
    pub wave: usize,
    /// Events read at once, at most.
    pub page: u32,
    /// An event that has failed so often is a dead letter.
    pub max_attempts: u32,
    /// When a parked event is tried again.
    pub retry: Backoff,
    /// So many different events failing in a row say that the receiver is down.
    pub down_after: usize,
    /// How long a receiver that is down is left alone before the next try with one event.
    pub down: Backoff,
    /// The lease of an outlet. Another instance takes over so long after this one has fallen silent.
    pub lease: Duration,
    /// How often to look for events when there are none: other instances do not ring this one's bell.
    pub look: Duration,
    /// After a ring more events may gather so long.
    pub gather: Duration,
    /// While there is nothing to tell, a position that moves on is written down at most so often.
    pub note: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            wave: 256,
            page: 1_000,
            max_attempts: 20,
            retry: Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(60 * 60) },
            down_after: 10,
            down: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) },
            lease: Duration::from_secs(10),
            look: Duration::from_millis(200),
            gather: Duration::from_millis(10),
            note: Duration::from_secs(1),
        }
    }
}

/// What an outlet tells again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// Its dead letters.
    DeadLetters,
    /// All events behind this position that are still kept.
    Behind(i64),
}

impl Engine {
    /// Carries events to this outlet from now on, until the engine stops. Every instance may do so for the same outlet.
    pub fn deliver(self: &Arc<Self>, outlet: Outlet) {
        let feed = Arc::clone(&self.stores.feed);
        let deliveries = Arc::clone(&self.stores.deliveries);
        self.spawn(Courier::new(feed, deliveries, outlet, self.bell.listen()).run());
    }

    /// Dead letters of an outlet behind this position, in order, at most `limit`.
    ///
    /// # Errors
    /// [`Fault::UnknownSubscriber`].
    pub async fn dead_letters(
        &self,
        outlet: &SubscriberName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, Fault> {
        self.outlet(outlet).await?;
        Ok(self.stores.deliveries.dead_letters(outlet, after, limit).await?)
    }

    /// Has an outlet tell events again; answers how many dead letters there were, or how far it goes back. The receiver knows repeats by
    /// the events' ids.
    ///
    /// # Errors
    /// [`Fault::UnknownSubscriber`]; [`Fault::Invalid`] for a position that the outlet has not reached.
    pub async fn replay(&self, outlet: &SubscriberName, what: Replay) -> Result<u64, Fault> {
        let known = self.outlet(outlet).await?;
        let again = match what {
            Replay::DeadLetters => self.stores.deliveries.revive(outlet).await?,
            Replay::Behind(position) => {
                let too_far = || Fault::field("after", format!("the outlet is at {}", known.position));
                let behind = u64::try_from(known.position - position).map_err(|_| too_far())?;
                if position < 0 {
                    return Err(Fault::field("after", "must not be negative"));
                }
                if !self.stores.deliveries.rewind(outlet, position).await? {
                    return Err(too_far());
                }
                behind
            }
        };
        self.bell.ring();
        Ok(again)
    }

    async fn outlet(&self, name: &SubscriberName) -> Result<Subscriber, Fault> {
        let subscribers = self.stores.feed.subscribers().await?;
        let known = subscribers.into_iter().find(|subscriber| subscriber.name == *name);
        known.ok_or_else(|| Fault::UnknownSubscriber(name.clone()))
    }
}
