//! The journal between gate and ledger, and events to the world.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Source;
use crate::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use crate::journal::Entry;
use crate::notice::Notice;
use crate::redemption::Price;
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
    /// A coupon was locked for an order.
    CouponHeld,
    /// A coupon's hold has ended: by its order, or because its time was over.
    CouponReleased,
    /// A coupon was used for an order.
    CouponRedeemed,
    /// A coupon's order was cancelled, and the coupon given back.
    CouponRolledBack,
    /// An order that had no coupon was cancelled.
    OrderCancelled,
    /// An operator withdrew a coupon.
    CouponVoided,
    /// An unused coupon came to the end of its validity.
    CouponExpired,
    /// A notice: an unused coupon is about to expire. No change of state.
    CouponExpiring,
}

impl EventKind {
    /// Every one.
    pub const ALL: [Self; 17] = [
        Self::CampaignCreated,
        Self::CampaignUpdated,
        Self::CampaignStateChanged,
        Self::RoundOpened,
        Self::RoundPhaseChanged,
        Self::RoundDrawn,
        Self::RoundSupplyAdded,
        Self::PlaceReserved,
        Self::CouponIssued,
        Self::CouponHeld,
        Self::CouponReleased,
        Self::CouponRedeemed,
        Self::CouponRolledBack,
        Self::OrderCancelled,
        Self::CouponVoided,
        Self::CouponExpired,
        Self::CouponExpiring,
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
            Self::CouponHeld => "coupon.held",
            Self::CouponReleased => "coupon.released",
            Self::CouponRedeemed => "coupon.redeemed",
            Self::CouponRolledBack => "coupon.rolled_back",
            Self::OrderCancelled => "order.cancelled",
            Self::CouponVoided => "coupon.voided",
            Self::CouponExpired => "coupon.expired",
            Self::CouponExpiring => "coupon.expiring",
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
    /// What else is worth knowing.
    pub details: EventDetails,
    /// When, by the clock of the store that decided it. Of what time alone did, when its time had come.
    pub at: Timestamp,
}

/// What some kinds of events tell beside what all do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventDetails {
    /// Why, in the caller's words; of a hold whose time was over [`LAPSED`](crate::checkout::LAPSED).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a redemption: what the order came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Of a hold: when it ends. Of a notice: when the coupon expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Of a notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
}

impl EventDetails {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Event {
    /// An event without an id that names nothing but its campaign.
    #[must_use]
    pub fn new(kind: EventKind, campaign: CampaignId, at: Timestamp) -> Self {
        Self {
            id: String::new(),
            kind,
            campaign,
            round: None,
            coupon: None,
            user: None,
            order: None,
            state: None,
            details: EventDetails::default(),
            at,
        }
    }

    /// What its order is kept for: events of one key are told one after the other. A coupon; else a user's place, a round, an order, or the
    /// campaign itself.
    #[must_use]
    pub fn key(&self) -> String {
        match (&self.coupon, &self.round, &self.user, &self.order) {
            (Some(coupon), ..) => coupon.to_string(),
            (None, Some(round), Some(user), _) => format!("{round}/{user}"),
            (None, Some(round), None, _) => round.to_string(),
            (None, None, _, Some(order)) => format!("{}/{order}", self.campaign),
            (None, None, ..) => self.campaign.to_string(),
        }
    }

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

/// Why an event was not told, for people. It names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTold(pub String);

/// Tells the world of changes. Delivery is at least once: receivers know repeats by the event's id. Every adapter passes
/// `coupon_testkit::publisher_contract!`.
#[async_trait]
pub trait EventPublisher: Send + Sync {
    /// Tells of these changes, and says of each in turn whether the receiver has it for good. No two of them have the same
    /// [`Event::key`], so that they may be told at once. One that fails takes none of the others with it.
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), NotTold>>;
}
