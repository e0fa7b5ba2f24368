//! Events that a receiver outside has not taken yet.
//!
//! An outlet is a subscriber whose events the service itself carries to a receiver. It goes on behind its position; what the receiver did
//! not take is parked, and so is everything of the same key behind it, so that the order per key holds while others go on.

use std::time::Duration;

use async_trait::async_trait;

use super::LedgerError;
use crate::ids::SubscriberName;
use crate::ports::Event;
use crate::time::Timestamp;

/// A parked event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its position in the feed.
    pub position: i64,
    /// The event.
    pub event: Event,
    /// How often it was tried.
    pub attempts: u32,
}

/// An event to be parked, or tried in vain once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parking {
    /// Its position in the feed.
    pub position: i64,
    /// Its [`key`](Event::key).
    pub key: String,
    /// How often it was tried by now; 0 if it only waits for one before it.
    pub attempts: u32,
    /// When to try again, from now on by the ledger's clock; none makes it a dead letter.
    pub retry_in: Option<Duration>,
    /// Why the last try failed, for people.
    pub error: String,
}

/// What an outlet has done since it was last written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Its position from now on; none leaves it. It never goes back.
    pub position: Option<i64>,
    /// Parked events that the receiver has taken now.
    pub taken: Vec<i64>,
    /// Events to be parked; those that are parked get these values.
    pub parked: Vec<Parking>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event, and how often it was tried.
    pub parked: Parked,
    /// Why the last try failed.
    pub error: String,
    /// When that was, by the ledger's clock.
    pub failed_at: Timestamp,
}

/// What is parked for outlets. The position of an outlet is that of its [`Subscriber`](super::Subscriber).
#[async_trait]
pub trait DeliveryRepository: Send + Sync {
    /// Parked events that are to be tried now: of each key the first one that is no dead letter, if its time has come; in order of their
    /// positions, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn due(&self, outlet: &SubscriberName, limit: u32) -> Result<Vec<Parked>, LedgerError>;

    /// Which of these keys have a parked event that is no dead letter, in no order.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn parked_keys(&self, outlet: &SubscriberName, keys: &[String]) -> Result<Vec<String>, LedgerError>;

    /// Writes progress down, all of it or nothing; false, and nothing is written, if `session` has no lease of the outlet any more.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn progress(
        &self,
        outlet: &SubscriberName,
        session: uuid::Uuid,
        progress: &Progress,
    ) -> Result<bool, LedgerError>;

    /// Dead letters behind this position, in order, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn dead_letters(
        &self,
        outlet: &SubscriberName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, LedgerError>;

    /// Makes all dead letters of an outlet due at once, with no tries behind them; how many there were.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn revive(&self, outlet: &SubscriberName) -> Result<u64, LedgerError>;

    /// Moves an outlet back to this position, so that all events behind it are told again; false if it is not that far, or there is no
    /// such outlet.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn rewind(&self, outlet: &SubscriberName, position: i64) -> Result<bool, LedgerError>;
}
