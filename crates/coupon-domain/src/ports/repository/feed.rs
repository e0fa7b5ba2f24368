//! The feed of events: one durable order, read by position.

use async_trait::async_trait;
use std::time::Duration;
use uuid::Uuid;

use super::LedgerError;
use crate::ids::{CampaignId, SubscriberName};
use crate::ports::{Event, EventKind};
use crate::time::Timestamp;

/// Which events are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFilter {
    /// Of these kinds; none named means of all.
    pub kinds: Vec<EventKind>,
    /// Of this campaign.
    pub campaign: Option<CampaignId>,
}

impl EventFilter {
    /// Whether this event is asked for.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && self.campaign.as_ref().is_none_or(|campaign| *campaign == event.campaign)
    }
}

/// A piece of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedPage {
    /// Events with their positions, in order.
    pub events: Vec<(i64, Event)>,
    /// All events up to this position were looked at: go on from here. Never before where the page began.
    pub up_to: i64,
}

/// A reader that keeps its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Its name.
    pub name: SubscriberName,
    /// All events up to here are done with.
    pub position: i64,
    /// When it was first seen, by the ledger's clock.
    pub created_at: Timestamp,
    /// When it last subscribed, acknowledged or renewed its lease, by the ledger's clock.
    pub seen_at: Timestamp,
}

/// How long events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// At least so long.
    pub min: Duration,
    /// No longer than so, though a subscriber has not had them.
    pub max: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { min: Duration::from_secs(30 * DAY), max: Duration::from_secs(90 * DAY) }
    }
}

/// What pruning has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Events that are gone.
    pub events: u64,
    /// Of these so many that a subscriber had not had.
    pub unread: u64,
}

/// Reads of the feed, and who has read how far.
#[async_trait]
pub trait FeedRepository: Send + Sync {
    /// Events behind position `after` (0: from the first one kept) that the filter takes, at most `limit`. No event ever appears behind
    /// one that was told: an event that is still being written is waited for, or the page ends before it. Events of one
    /// [`key`](Event::key) come in the order of their changes.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn events(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<FeedPage, LedgerError>;

    /// A position that no event behind which was written before this call.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn end_of_feed(&self) -> Result<i64, LedgerError>;

    /// Makes `session` the one reader under this name, whoever was it before; answers with the position to go on from. A new name begins
    /// at `after`, or at 0; a known one is moved there if `after` is given.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn subscribe(&self, name: &SubscriberName, session: Uuid, after: Option<i64>) -> Result<i64, LedgerError>;

    /// Makes `session` the reader under this name for so long from now, by the ledger's clock, unless another one's lease has not run
    /// out; answers with the position. Whoever has it renews it thus. A new name begins at 0.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn lease(&self, name: &SubscriberName, session: Uuid, span: Duration) -> Result<Option<i64>, LedgerError>;

    /// How far this subscriber is, as long as `session` is its reader.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn position(&self, name: &SubscriberName, session: Uuid) -> Result<Option<i64>, LedgerError>;

    /// Keeps that a subscriber is done with all events up to this position. It never goes back. Answers how far it is, or none if there
    /// is no such subscriber.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn acknowledge_events(&self, name: &SubscriberName, position: i64) -> Result<Option<i64>, LedgerError>;

    /// All subscribers, by name.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn subscribers(&self) -> Result<Vec<Subscriber>, LedgerError>;

    /// Forgets a subscriber, and what was parked for it; whether there was one.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn unsubscribe(&self, name: &SubscriberName) -> Result<bool, LedgerError>;

    /// Deletes at most `limit` of the oldest events: those older than `retention.min` that every subscriber is done with and none has
    /// parked, and those older than `retention.max` in any case.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn prune_events(&self, retention: Retention, limit: u32) -> Result<Pruned, LedgerError>;
}
