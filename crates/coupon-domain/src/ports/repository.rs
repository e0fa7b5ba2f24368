//! The ledger: the durable truth. Every adapter passes `coupon_testkit::repository_contract!`.

mod audit;
mod coupons;
mod deliveries;
mod draws;
mod feed;
mod statistics;
mod users;

use async_trait::async_trait;
use uuid::Uuid;

pub use self::audit::AuditRepository;
pub use self::coupons::{CouponFilter, CouponPage, CouponRepository, CouponTotals};
pub use self::deliveries::{DeadLetter, DeliveryRepository, Parked, Parking, Progress};
pub use self::draws::{BeaconOutcome, Conclusion, DrawRecord, DrawRepository, DrawResult, DrawRoot};
pub use self::feed::{EventFilter, FeedPage, FeedRepository, Pruned, Retention, Subscriber};
pub use self::statistics::{StatisticsRepository, Tally};
pub use self::users::{NewUser, User, UserCreation, UserRepository};
use super::Source;
use crate::campaign::{Campaign, CampaignState, Rules};
use crate::checkout::Operator;
use crate::ids::{CampaignId, RoundId, UserId};
use crate::model::{RoundHead, Seat};
use crate::position::Position;
use crate::recording::{Cursor, Recording};
use crate::time::Timestamp;

/// Why a ledger did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store could not be reached; nothing was written.
    #[error("the ledger cannot be reached")]
    Unavailable(#[source] Source),
    /// The store did not answer. What was asked may have been written: ask again, and it is answered like the first time.
    #[error("the ledger did not answer")]
    Unknown(#[source] Source),
    /// A statement failed or a row could not be read: a bug or damage.
    #[error("the ledger failed")]
    Broken(#[source] Source),
}

/// A campaign to be created.
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// Its id.
    pub id: CampaignId,
    /// What it offers.
    pub rules: Rules,
    /// DRAFT or ACTIVE.
    pub state: CampaignState,
    /// Whose call it is, and the request that creates it.
    pub by: Operator,
}

/// What became of creating a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It is there now.
    Created(Campaign),
    /// This request created this campaign before.
    Repeated(Campaign),
    /// This request did something else before.
    RequestUsed,
    /// A campaign that has not ended has the same title and end of validity.
    TitleTaken(CampaignId),
}

/// What a request did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// To which campaign.
    pub campaign: CampaignId,
    /// `CREATE`, `UPDATE`, `ADD_SUPPLY`, `SET_BEACON`, or the verb of a [`Transition`](crate::campaign::Transition).
    pub verb: String,
}

/// A round as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundRecord {
    /// The campaign.
    pub campaign: CampaignId,
    /// All else.
    pub head: RoundHead,
    /// Coupons that the campaign's total limit left when reservation closed; `None` before, or without a limit.
    pub left_at_close: Option<u64>,
}

/// How a campaign stands between its gate and the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its epoch; 0 if it was never opened.
    pub epoch: u64,
    /// Whether its gate answers in this epoch; else it is being recovered.
    pub open: bool,
    /// How far the ledger has come.
    pub cursor: Cursor,
    /// The highest decision that an instance has said it was told of.
    pub acknowledged: u64,
}

/// What a gate needs to be loaded, except for the seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the ledger is.
    pub cursor: Cursor,
    /// Where the campaign stands.
    pub state: CampaignState,
    /// What it offers.
    pub rules: Rules,
    /// Counts the changes of its rules and state.
    pub revision: u64,
    /// What operators' requests did, by their ids' bytes: their verbs, that of the campaign's creation too.
    pub requests: Vec<(Uuid, String)>,
    /// Coupons over all rounds.
    pub issued: u64,
    /// Rounds that have not left the gate.
    pub rounds: Vec<RoundHead>,
}

/// Campaigns, their rounds and the epochs of their gates.
#[async_trait]
pub trait CampaignRepository: Send + Sync {
    /// The id that tells this installation's stores from others'. The first call makes it.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn installation(&self) -> Result<Uuid, LedgerError>;

    /// The check value of the master key with this id: the one of whoever named the key first. It tells keys apart and reveals nothing.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn master_key(&self, key_id: u8, check: &str) -> Result<String, LedgerError>;

    /// The ledger's clock.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn now(&self) -> Result<Timestamp, LedgerError>;

    /// Creates a campaign with its event and audit record, once per request and per title and end of validity.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn create(&self, new: &NewCampaign) -> Result<CreateOutcome, LedgerError>;

    /// A campaign.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn campaign(&self, id: &CampaignId) -> Result<Option<Campaign>, LedgerError>;

    /// Campaigns, newest first (by creation, then id), those after `after` in that order, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn campaigns(
        &self,
        state: Option<CampaignState>,
        after: Option<&CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, LedgerError>;

    /// What this request did, if anything.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn request(&self, id: Uuid) -> Result<Option<RequestRecord>, LedgerError>;

    /// Round numbers never given before.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn new_round_ids(&self, count: u32) -> Result<Vec<RoundId>, LedgerError>;

    /// A round, whether or not it has left the gate.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn round(&self, id: RoundId) -> Result<Option<RoundRecord>, LedgerError>;

    /// Rounds of a campaign, whether or not they have left the gate, latest first (by the start of claims, then number), those after
    /// `after` in that order, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn rounds(
        &self,
        campaign: &CampaignId,
        after: Option<RoundId>,
        limit: u32,
    ) -> Result<Vec<RoundRecord>, LedgerError>;

    /// Keeps a title and end of validity for a campaign that is about to get it, unless a campaign that has not ended has it: that one
    /// is answered. The recording of the new rules gives up what was kept before.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn keep_title(&self, campaign: &CampaignId, rules: &Rules) -> Result<Option<CampaignId>, LedgerError>;

    /// Gives up all titles of a campaign but the one of its rules: a change was not made after all.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn give_up_titles(&self, campaign: &CampaignId) -> Result<(), LedgerError>;

    /// How all campaigns stand that have not ended or have rounds at the gate.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn standings(&self) -> Result<Vec<Standing>, LedgerError>;

    /// How one campaign stands.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn standing(&self, campaign: &CampaignId) -> Result<Option<Standing>, LedgerError>;

    /// Keeps that decisions up to this one were told of. A recovery that finds less in gate and ledger knows by it that something is lost.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn acknowledge(&self, campaign: &CampaignId, n: u64) -> Result<(), LedgerError>;

    /// Begins a recovery: raises the epoch by one and marks the campaign as not open. `None` if its epoch is not `from` any more:
    /// another instance was faster.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn raise_epoch(&self, campaign: &CampaignId, from: u64) -> Result<Option<u64>, LedgerError>;

    /// Ends a recovery; false if the epoch has been raised again since.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn mark_open(&self, campaign: &CampaignId, epoch: u64) -> Result<bool, LedgerError>;
}

/// Why a recording was not written. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Another instance is recording this campaign.
    #[error("another instance is recording this campaign")]
    Busy,
    /// The cursor is elsewhere: another instance has recorded meanwhile.
    #[error("the cursor is at {}", .0.position)]
    Moved(Cursor),
    /// A row is there already that no entry before brought, or the entries are of an epoch that was over when the campaign was opened:
    /// there are two histories.
    #[error("the ledger has rows of another history: {0}")]
    Fork(String),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The journal's way into the ledger, and back into a gate.
#[async_trait]
pub trait RecordRepository: Send + Sync {
    /// How far the ledger has come with a campaign's journal.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn cursor(&self, campaign: &CampaignId) -> Result<Cursor, LedgerError>;

    /// Writes all rows with one event each (none for an unused round's end), an audit record for each operation, and moves the cursor, in
    /// one transaction, if the cursor is at `recording.from`. Coupons are looked at for notices from
    /// [`notice::first_due`](crate::notice::first_due) on; if the leads change, those of the campaign are looked at anew.
    ///
    /// # Errors
    /// See [`RecordError`].
    async fn record(&self, campaign: &CampaignId, recording: &Recording) -> Result<(), RecordError>;

    /// What a gate is loaded from, at one instant.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn snapshot(&self, campaign: &CampaignId) -> Result<Snapshot, LedgerError>;

    /// Seats of a round in order of the users' ids, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn seats(
        &self,
        round: RoundId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, Seat)>, LedgerError>;

    /// Coupons of each user over all rounds of a campaign in order of the users' ids, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn coupon_counts(
        &self,
        campaign: &CampaignId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, u32)>, LedgerError>;

    /// A user's seat in a round.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn seat(&self, round: RoundId, user: &UserId) -> Result<Seat, LedgerError>;
}

/// A position is known by whoever asks the ledger before the gate.
impl Standing {
    /// What a caller who only asked the ledger has seen.
    #[must_use]
    pub fn seen(&self) -> Position {
        Position { epoch: self.epoch, n: self.cursor.position.n }
    }
}
