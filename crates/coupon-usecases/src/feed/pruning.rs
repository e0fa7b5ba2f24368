//! Old events are forgotten, behind the slowest subscriber, but not for ever.

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{EventFilter, FeedRepository, LedgerError, Pruned, Retention, Subscriber};
use coupon_domain::time::Timestamp;
use tracing::{error, warn};

use crate::engine::Engine;
use crate::error::Fault;

/// Events deleted in one transaction.
pub(super) const CHUNK: u32 = 10_000;

impl Engine {
    /// Forgets events whose time is over, and looks at how far subscribers are behind. Any instance may do it at any time.
    ///
    /// # Errors
    /// If the ledger does not answer.
    pub async fn prune(&self) -> Result<Pruned, Fault> {
        let (feed, retention) = (self.stores.feed.as_ref(), self.settings.retention);
        let pruned = forget_old(feed, retention).await?;
        let oldest_due = self.stores.campaigns.now().await?.minus(retention.min);
        for (subscriber, lag) in self.subscribers().await? {
            show_lag(&subscriber.name, lag);
            if lag > 0 && holds_up(feed, &subscriber, oldest_due).await? {
                warn!(
                    subscriber = %subscriber.name, position = subscriber.position, lag, seen_at = ?subscriber.seen_at,
                    "events that are due to be forgotten wait for this subscriber; those past the longest retention are dropped"
                );
            }
        }
        Ok(pruned)
    }
}

pub(super) async fn forget_old(feed: &dyn FeedRepository, retention: Retention) -> Result<Pruned, LedgerError> {
    let mut all = Pruned::default();
    loop {
        let pruned = feed.prune_events(retention, CHUNK).await?;
        all.events += pruned.events;
        all.unread += pruned.unread;
        if pruned.unread > 0 {
            metrics::counter!("coupon_events_dropped_unread_total").increment(pruned.unread);
            error!(events = pruned.unread, "events were dropped that a subscriber had not had: they were too old");
        }
        if pruned.events < u64::from(CHUNK) {
            return Ok(all);
        }
    }
}

/// Whether the first event behind this subscriber is older than so.
pub(super) async fn holds_up(
    feed: &dyn FeedRepository,
    subscriber: &Subscriber,
    oldest_due: Timestamp,
) -> Result<bool, LedgerError> {
    let first = feed.events(subscriber.position, &EventFilter::default(), 1).await?;
    Ok(first.events.first().is_some_and(|(_, event)| event.at < oldest_due))
}

fn show_lag(name: &SubscriberName, lag: i64) {
    metrics::gauge!("coupon_feed_lag", "subscriber" => name.to_string()).set(lag as f64);
}

pub(super) fn forget_lag(name: &SubscriberName) {
    show_lag(name, 0);
}
