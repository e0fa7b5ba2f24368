//! What the gates' journals do not tell: refusals, and the order in which claims arrived.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::LedgerError;
use crate::answer::Refusal;
use crate::choice::Verb;
use crate::ids::RoundId;
use crate::stats::ArrivalBucket;

/// Counts of a round. They are for people: an instance that is killed takes those of its last second with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Refusals by call and reason.
    pub refusals: BTreeMap<(Verb, Refusal), u64>,
    /// Claims that won or lost, by time since claims opened; one for each bucket, in order.
    pub arrivals: Vec<ArrivalBucket>,
}

/// Counts of rounds.
#[async_trait]
pub trait StatisticsRepository: Send + Sync {
    /// Adds to a round's counts. Counts of a round that was forgotten are dropped.
    ///
    /// # Errors
    /// See [`LedgerError`]. After `Unknown` they may have been added.
    async fn add_tally(&self, round: RoundId, tally: &Tally) -> Result<(), LedgerError>;

    /// A round's counts.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn tally(&self, round: RoundId) -> Result<Tally, LedgerError>;
}
