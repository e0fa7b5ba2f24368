//! The gate: the one arbiter of a campaign's hot state.

use async_trait::async_trait;
use uuid::Uuid;

use super::Source;
use crate::answer::{Answer, Issued, Place};
use crate::campaign::{Revision, Transition};
use crate::ids::{CampaignId, RoundId, UserId};
use crate::model::{
    CampaignView, Decided, DrawConclusion, LoadChunk, LoadError, NoSuchRound, Retirement, Revised, RoundOpening,
    SupplyAdded, SupplyAddition, Transitioned,
};
use crate::position::{Chain, Position};
use crate::round::RoundSpec;

/// Users in one call of a gate at most.
pub const MAX_BATCH: usize = 500;

/// Why a gate did not answer. Unless said otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The campaign was not opened since this gate started; it has to be recovered.
    #[error("the campaign is not loaded")]
    NotLoaded,
    /// The campaign is being recovered.
    #[error("the campaign is being recovered")]
    Recovering,
    /// The gate has lost decisions that this caller has seen; it has to be recovered.
    #[error("the gate is at {0}, behind what was seen")]
    Stale(Position),
    /// The gate has a later epoch than the caller, who must learn it from the ledger.
    #[error("the gate has epoch {0}")]
    Fenced(u64),
    /// The round is not in the gate: it never was, or it has left.
    #[error(transparent)]
    NoSuchRound(#[from] NoSuchRound),
    /// The gate belongs to another installation.
    #[error("the gate belongs to installation {0}")]
    Foreign(Uuid),
    /// More than [`MAX_BATCH`] users.
    #[error("a batch has at most {MAX_BATCH} users, this one {0}")]
    BatchTooLarge(usize),
    /// What was loaded does not add up.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store cannot be used as it is set up: it would lose what it acknowledged. The text says which setting.
    #[error("{0}")]
    Unsafe(String),
    /// The store did not answer. What was asked may have been decided: ask again, and it is answered like the first time.
    #[error("the gate did not answer")]
    Unknown(#[source] Source),
}

/// What a gate knew of a campaign when it was frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frozen {
    /// Nothing: it has to be loaded.
    Empty,
    /// Decisions up to here, with the hash of the last journal entry.
    At(Position, Chain),
}

/// Decides reservations, claims and every change they depend on. Every adapter passes `coupon_testkit::gate_contract!`.
///
/// What every adapter keeps: an answer is durable before it is returned, a refusal too if it rests on a decision; a repeat gets the
/// first answer; a batch is decided in order, all of it or nothing; time never goes back behind the last decision; a batch that decides
/// nothing writes nothing. It answers exactly like [`CampaignModel`](crate::model::CampaignModel).
///
/// `seen` is the highest position that the caller knows: its epoch must be the gate's, and the gate must not be behind it.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Decides reservations of one round, at most [`MAX_BATCH`]. `registered`: whether these users are in the registry, which counts
    /// only in rounds for registered users.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError>;

    /// Decides claims of one round, at most [`MAX_BATCH`]. `registered` as in [`Gate::reserve`].
    ///
    /// # Errors
    /// See [`GateError`].
    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError>;

    /// Latches the phases that the clock says and tells how things stand.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError>;

    /// Opens a round.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn open_round(
        &self,
        campaign: &CampaignId,
        spec: &RoundSpec,
        seen: Position,
    ) -> Result<Decided<RoundOpening>, GateError>;

    /// Changes the campaign's state.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn transition(
        &self,
        campaign: &CampaignId,
        transition: Transition,
        request: Option<Uuid>,
        seen: Position,
    ) -> Result<Decided<Transitioned>, GateError>;

    /// Changes the campaign's rules as far as the gate knows them, and drops rounds ahead that are to be planned anew.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn revise(
        &self,
        campaign: &CampaignId,
        revision: &Revision,
        seen: Position,
    ) -> Result<Decided<Revised>, GateError>;

    /// Adds coupons to a round or to the campaign's total limit.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn add_supply(
        &self,
        campaign: &CampaignId,
        addition: &SupplyAddition,
        seen: Position,
    ) -> Result<Decided<SupplyAdded>, GateError>;

    /// Tells who won a round: bit t, counted from the most significant bit of the first byte, is set if ticket t did. The first call
    /// with as many winners as the round has coupons counts.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn conclude_draw(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Decided<DrawConclusion>, GateError>;

    /// Lets a round leave that is over for long enough, if the ledger has all of it: `seen` must not be ahead of `recorded`, the
    /// number of the last decision in the ledger, as far as this round goes.
    ///
    /// # Errors
    /// See [`GateError`].
    async fn retire(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        recorded: u64,
        seen: Position,
    ) -> Result<Decided<Retirement>, GateError>;

    /// First step of a recovery: from now on the campaign answers [`GateError::Recovering`]. Repeating it is harmless.
    ///
    /// # Errors
    /// [`GateError::Fenced`] if the gate's epoch is as large or larger and not this recovery's own, [`GateError::Foreign`],
    /// [`GateError::Unsafe`].
    async fn freeze(&self, campaign: &CampaignId, epoch: u64) -> Result<Frozen, GateError>;

    /// Loads a frozen campaign, chunk by chunk; the last one opens it.
    ///
    /// # Errors
    /// [`GateError::Fenced`] if the gate's epoch is not this one, [`GateError::Load`] if the parts do not make a whole.
    async fn load(&self, campaign: &CampaignId, epoch: u64, chunk: LoadChunk) -> Result<(), GateError>;

    /// Opens a frozen campaign that has lost nothing, as it is.
    ///
    /// # Errors
    /// [`GateError::Fenced`] if the gate's epoch is not this one, [`GateError::NotLoaded`] if there is nothing to open.
    async fn reopen(&self, campaign: &CampaignId, epoch: u64) -> Result<(), GateError>;

    /// Asks the store whether it is there and still set up to keep what it acknowledges.
    ///
    /// # Errors
    /// [`GateError::Unsafe`], [`GateError::Foreign`] or [`GateError::Unknown`].
    async fn check(&self) -> Result<(), GateError>;

    /// How durable a yes is, for people: `fsync before each answer` or the like.
    fn durability(&self) -> String;
}
