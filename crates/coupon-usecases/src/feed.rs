//! The feed of events for readers: who reads, how far they are, and how long events are kept.

mod bell;
#[cfg(test)]
pub(crate) mod fake;
mod pruning;
mod subscription;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{EventFilter, FeedRepository, Subscriber};

pub use self::bell::{Bell, Ear};
pub use self::subscription::Subscription;
use crate::delivery::OUTLET_PREFIX;
use crate::engine::Engine;
use crate::error::Fault;

/// How the feed is read.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whoever waits looks at the ledger so often: other instances do not ring this one's [`Bell`].
    pub look: Duration,
    /// After a ring more events may gather so long: one read for many.
    pub gather: Duration,
    /// Events read at once, at most.
    pub page: u32,
    /// A place is moved past events that the filter leaves out at most so often.
    pub skip: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(200),
            gather: Duration::from_millis(10),
            page: 1_000,
            skip: Duration::from_secs(1),
        }
    }
}

/// Asks for events as they come.
#[derive(Debug, Clone)]
pub struct SubscribeCall {
    /// Keeps its place under this name; none reads on from where it says, and nobody remembers how far it came.
    pub name: Option<SubscriberName>,
    /// Begin behind this position. None goes on at the place that is kept, or at the first event kept; without a name, at the end.
    pub after: Option<i64>,
    /// Which events.
    pub filter: EventFilter,
    /// With a name: no more events than these are told before some are acknowledged.
    pub max_unacknowledged: u32,
}

impl Engine {
    /// Subscribes. Under a name, whoever read under it before is told no more.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for a name that outlets use, a position that the feed has not reached, and room for no event.
    pub async fn subscribe(self: &Arc<Self>, call: SubscribeCall) -> Result<Subscription, Fault> {
        let feed = Arc::clone(&self.stores.feed);
        let subscription = Subscription::begin(feed, self.bell.listen(), self.settings.feed, call).await?;
        // The reader before, if it is in this process, need not wait for its next look.
        self.bell.ring();
        Ok(subscription)
    }

    /// Keeps that a subscriber is done with all events up to this position; answers how far it is, which may be further.
    ///
    /// # Errors
    /// [`Fault::UnknownSubscriber`]; [`Fault::Invalid`] for a name that outlets use and a position that the feed has not reached.
    pub async fn acknowledge_events(&self, name: &SubscriberName, position: i64) -> Result<i64, Fault> {
        let acknowledged = acknowledge(self.stores.feed.as_ref(), name, position).await?;
        self.bell.ring();
        Ok(acknowledged)
    }

    /// All subscribers, outlets too, by name; each with the number of positions it is behind the end of the feed.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn subscribers(&self) -> Result<Vec<(Subscriber, i64)>, Fault> {
        // The end first: a subscriber that moves meanwhile is not behind it then.
        let end = self.stores.feed.end_of_feed().await?;
        let subscribers = self.stores.feed.subscribers().await?;
        Ok(subscribers.into_iter().map(|subscriber| (end - subscriber.position, subscriber)).map(behind).collect())
    }

    /// Forgets a subscriber or an outlet, and what was parked for it. Events are not kept for it any more; if it comes again, or is still
    /// delivered to, it is new. One that is not there is no error.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn unsubscribe(&self, name: &SubscriberName) -> Result<(), Fault> {
        self.stores.feed.unsubscribe(name).await?;
        pruning::forget_lag(name);
        self.bell.ring();
        Ok(())
    }
}

fn behind((lag, subscriber): (i64, Subscriber)) -> (Subscriber, i64) {
    (subscriber, lag.max(0))
}

async fn acknowledge(feed: &dyn FeedRepository, name: &SubscriberName, position: i64) -> Result<i64, Fault> {
    refuse_outlets(name)?;
    refuse_beyond_end(feed, "position", position).await?;
    feed.acknowledge_events(name, position).await?.ok_or_else(|| Fault::UnknownSubscriber(name.clone()))
}

/// A reader under an outlet's name would make the outlet lose what the reader is told.
fn refuse_outlets(name: &SubscriberName) -> Result<(), Fault> {
    if name.as_str().starts_with(OUTLET_PREFIX) {
        return Err(Fault::field(
            "subscriber",
            format!("names that begin with \"{OUTLET_PREFIX}\" are the service's own"),
        ));
    }
    Ok(())
}

/// Whoever is put before the end of the feed by mistake would miss all that comes until then.
async fn refuse_beyond_end(feed: &dyn FeedRepository, field: &'static str, position: i64) -> Result<(), Fault> {
    if position < 0 {
        return Err(Fault::field(field, "must not be negative"));
    }
    let end = feed.end_of_feed().await?;
    if position > end {
        return Err(Fault::field(field, format!("the feed ends at {end}")));
    }
    Ok(())
}
