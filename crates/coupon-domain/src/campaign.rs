//! What a campaign offers, and whether such an offer is sound.

mod draft;
mod revision;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::draft::{RulesDraft, Violation};
pub use self::revision::{Revision, RulesField, RulesPatch, Scope};
use crate::benefit::Benefit;
use crate::ids::CampaignId;
use crate::schedule::Schedule;
use crate::supply::Supply;
use crate::time::Timestamp;

/// Who of those who ask gets a coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Allocation {
    /// In the order in which claims arrive at the gate.
    #[default]
    FirstCome,
    /// Every place has the same chance.
    Draw,
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CampaignState {
    /// Being prepared.
    Draft,
    /// Its rounds happen.
    Active,
    /// No new place and no new coupon.
    Paused,
    /// Over for good.
    Ended,
}

impl CampaignState {
    /// Its word in tables, keys and the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Ended => "ENDED",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Draft, Self::Active, Self::Paused, Self::Ended].into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for CampaignState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operator does to a campaign's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// DRAFT to ACTIVE.
    Activate,
    /// ACTIVE to PAUSED.
    Pause,
    /// PAUSED to ACTIVE.
    Resume,
    /// Any state to ENDED, for good.
    End,
}

impl Transition {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Activate, Self::Pause, Self::Resume, Self::End];

    /// The states it starts from.
    #[must_use]
    pub fn from(self) -> &'static [CampaignState] {
        match self {
            Self::Activate => &[CampaignState::Draft],
            Self::Pause => &[CampaignState::Active],
            Self::Resume => &[CampaignState::Paused],
            Self::End => &[CampaignState::Draft, CampaignState::Active, CampaignState::Paused],
        }
    }

    /// The state it leads to.
    #[must_use]
    pub fn to(self) -> CampaignState {
        match self {
            Self::Activate | Self::Resume => CampaignState::Active,
            Self::Pause => CampaignState::Paused,
            Self::End => CampaignState::Ended,
        }
    }

    /// Its word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "ACTIVATE",
            Self::Pause => "PAUSE",
            Self::Resume => "RESUME",
            Self::End => "END",
        }
    }
}

/// Until when a coupon can be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// The same instant for all.
    At(Timestamp),
    /// So long from its claim on.
    AfterClaim(Duration),
}

impl Validity {
    /// The first instant at which a coupon claimed then cannot be redeemed.
    #[must_use]
    pub fn expires_at(self, claimed_at: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::AfterClaim(span) => claimed_at.plus(span),
        }
    }
}

/// What a campaign offers. Sound by construction: see [`RulesDraft::check`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// What people call it.
    pub title: String,
    /// What a coupon is worth.
    pub benefit: Benefit,
    /// How many coupons a round has.
    pub supply: Supply,
    /// Who gets one.
    pub allocation: Allocation,
    /// When the rounds happen.
    pub schedule: Schedule,
    /// Whether a claim needs a place.
    pub reservation_required: bool,
    /// Coupons a user may have over all rounds; none means one.
    pub max_per_user: Option<u32>,
    /// Coupons over all rounds together.
    pub total_limit: Option<u32>,
    /// Places a round may have; none means the installation's cap.
    pub max_places: Option<u32>,
    /// Until when its coupons can be redeemed.
    pub validity: Validity,
    /// How long before its expiry the owner of an unused coupon is told; none means seven days.
    pub notice_leads: Vec<Duration>,
    /// The caller's own labels.
    pub metadata: BTreeMap<String, String>,
    /// Whether only users of the registry may reserve and claim.
    #[serde(default)]
    pub registered_users_only: bool,
    /// Public randomness that a draw waits for, such as `drand:quicknet:1234567`.
    #[serde(default)]
    pub beacon_source: Option<String>,
}

impl Rules {
    /// `max_per_user` where none is given.
    pub const MAX_PER_USER: u32 = 1;
    /// The installation's cap of places a round may have.
    pub const MAX_PLACES: u32 = 1_000_000;

    /// Coupons a user may have over all rounds.
    #[must_use]
    pub fn coupons_per_user(&self) -> u32 {
        self.max_per_user.unwrap_or(Self::MAX_PER_USER)
    }

    /// Places a round may have.
    #[must_use]
    pub fn places_per_round(&self) -> u32 {
        self.max_places.unwrap_or(Self::MAX_PLACES)
    }
}

/// A campaign as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What it offers.
    pub rules: Rules,
    /// Where it stands.
    pub state: CampaignState,
    /// Raised by each change of rules or state, by its gate.
    pub revision: u64,
    /// When it was created, by the ledger's clock.
    pub created_at: Timestamp,
    /// When it was last changed, by the ledger's clock.
    pub updated_at: Timestamp,
}
