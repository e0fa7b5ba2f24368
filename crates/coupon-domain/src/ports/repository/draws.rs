//! Draws in the ledger.

use async_trait::async_trait;

use super::LedgerError;
use crate::checkout::Operator;
use crate::draw::Hash;
use crate::ids::{CampaignId, RoundId};

/// What is known of a draw once reservation has closed: it follows from the places alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawRoot {
    /// Places taken.
    pub places: u32,
    /// The root of the tree over their leaves.
    pub root: Hash,
    /// The roots of the tree's aligned parts of 256 leaves, from which an inclusion proof is made without reading all leaves.
    pub subtrees: Vec<Hash>,
}

/// What a draw came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawResult {
    /// The bytes of the beacon that were used; none without a beacon.
    pub beacon: Option<Vec<u8>>,
    /// How many win.
    pub winners: u32,
    /// The highest score that wins; none if nobody does.
    pub last_score: Option<Hash>,
}

/// A draw as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrawRecord {
    /// Published once reservation has closed.
    pub root: Option<DrawRoot>,
    /// The beacon's bytes, as soon as they are set.
    pub beacon: Option<Vec<u8>>,
    /// Once it is drawn.
    pub result: Option<DrawResult>,
}

/// What became of setting a beacon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeaconOutcome {
    /// It is set.
    Set,
    /// It was set to the same bytes before.
    Repeated,
    /// It was set to other bytes before.
    SetOtherwise,
    /// The round was drawn without it.
    TooLate,
    /// This request did something else before.
    RequestUsed,
}

/// What became of concluding a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// This result is kept.
    Kept,
    /// There was a result before; that one counts.
    Earlier,
    /// The beacon's bytes are other ones by now than those of this result: draw again.
    OtherBeacon,
}

/// Draws: leaves, roots, beacons, results and ranks. Each thing is written once; whoever comes second learns of the first.
#[async_trait]
pub trait DrawRepository: Send + Sync {
    /// Leaves of a round that is drawn, in order of tickets from this one on, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn leaves(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<Hash>, LedgerError>;

    /// A round's draw as far as it has come; empty before its root is known.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn draw(&self, round: RoundId) -> Result<DrawRecord, LedgerError>;

    /// Keeps the root, unless there is one.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn keep_root(&self, round: RoundId, root: &DrawRoot) -> Result<(), LedgerError>;

    /// Keeps the beacon's bytes with an audit record, unless the round is drawn or has some. The request is kept as
    /// [`SET_BEACON`](crate::audit::SET_BEACON).
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn set_beacon(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        beacon: &[u8],
        by: &Operator,
    ) -> Result<BeaconOutcome, LedgerError>;

    /// Keeps a result and the rank of each ticket, unless there is one.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn conclude_draw(
        &self,
        round: RoundId,
        result: &DrawResult,
        ranks: &[u32],
    ) -> Result<Conclusion, LedgerError>;

    /// Ranks of a round that was drawn, in order of tickets from this one on, at most `limit`; rank 0 is the best.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn ranks(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<u32>, LedgerError>;
}
