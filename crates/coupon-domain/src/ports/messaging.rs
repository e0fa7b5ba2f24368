//! The journal between gate and ledger, and events to the world.

use async_trait::async_trait;
use uuid::Uuid;

use super::Source;
use crate::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use crate::journal::Entry;
use crate::time::Timestamp;

/// Why a journal did not answer.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store did not answer.
    #[error("the journal did not answer")]
    Unavailable(#[source] Source),
    /// An entry is not in the form that this version knows.
    #[error("the journal has a damaged entry: {0}")]
    Damaged(String),
}

/// The campaign's ordered, gap-free list of what its gate decided. Every adapter passes `coupon_testkit::journal_contract!`.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Entries behind decision `after`, in order: as many whole ones as hold at most `decisions` decisions, but at least one.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn read(&self, campaign: &CampaignId, after: u64, decisions: usize) -> Result<Vec<Entry>, JournalError>;

    /// Forgets entries whose decisions are all at or before `up_to` and older than `before`, by the gate's clock.
    ///
    /// # Errors
    /// See [`JournalError`].
    async fn trim(&self, campaign: &CampaignId, up_to: u64, before: Timestamp) -> Result<(), JournalError>;
}

/// What kind of change an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A campaign was created.
    CampaignCreated,
    /// A campaign's rules or total limit changed.
    CampaignUpdated,
    /// A campaign's state changed.
    CampaignStateChanged,
    /// A round was opened.
    RoundOpened,
    /// A round passed a boundary.
    RoundPhaseChanged,
    /// The winners of a round were told to its gate.
    RoundDrawn,
    /// Coupons were added to a round.
    RoundSupplyAdded,
    /// A place was taken.
    PlaceReserved,
    /// A coupon was issued.
    CouponIssued,
    /// A coupon was used for an order.
    CouponRedeemed,
}

impl EventKind {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::CampaignCreated,
        Self::CampaignUpdated,
        Self::CampaignStateChanged,
        Self::RoundOpened,
        Self::RoundPhaseChanged,
        Self::RoundDrawn,
        Self::RoundSupplyAdded,
        Self::PlaceReserved,
        Self::CouponIssued,
        Self::CouponRedeemed,
    ];

    /// Its word in tables and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CampaignCreated => "campaign.created",
            Self::CampaignUpdated => "campaign.updated",
            Self::CampaignStateChanged => "campaign.state_changed",
            Self::RoundOpened => "round.opened",
            Self::RoundPhaseChanged => "round.phase_changed",
            Self::RoundDrawn => "round.drawn",
            Self::RoundSupplyAdded => "round.supply_added",
            Self::PlaceReserved => "place.reserved",
            Self::CouponIssued => "coupon.issued",
            Self::CouponRedeemed => "coupon.redeemed",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// One change of state, as the ledger tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Stable over deliveries: `<campaign>-<n>` for what the gate decided, else a UUID v7.
    pub id: String,
    /// What changed.
    pub kind: EventKind,
    /// In which campaign.
    pub campaign: CampaignId,
    /// In which round.
    pub round: Option<RoundId>,
    /// Which coupon.
    pub coupon: Option<CouponId>,
    /// Whose.
    pub user: Option<UserId>,
    /// For which order.
    pub order: Option<OrderId>,
    /// The new state or phase, where that is what changed.
    pub state: Option<String>,
    /// When, by the clock of the store that decided it.
    pub at: Timestamp,
}

impl Event {
    /// The id of the event of a gate's decision.
    #[must_use]
    pub fn id_of_decision(campaign: &CampaignId, n: u64) -> String {
        format!("{campaign}-{n}")
    }

    /// The id of the event of a ledger's decision.
    #[must_use]
    pub fn id_of_uuid(id: Uuid) -> String {
        id.to_string()
    }
}

/// Tells the world of changes. Delivery is at least once: receivers know repeats by the event's id.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Tells of these changes, in order.
    ///
    /// # Errors
    /// If it is not certain that all were told; they are told again.
    async fn publish(&self, events: &[Event]) -> Result<(), Source>;
}
