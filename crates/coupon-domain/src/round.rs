//! What a round is before anything happens in it, and the phases it goes through.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::campaign::{Rules, Validity};
use crate::draw::{DrawParams, Hash};
use crate::ids::RoundId;
use crate::supply::Supply;
use crate::time::{Timestamp, Window};

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Before its first window.
    Planned,
    /// Reservation is open.
    Reserving,
    /// Between reservation and claims.
    Waiting,
    /// Claims are open.
    Claiming,
    /// Over.
    Closed,
}

impl Phase {
    /// Every one, in order.
    pub const ALL: [Self; 5] = [Self::Planned, Self::Reserving, Self::Waiting, Self::Claiming, Self::Closed];

    /// Its word in tables, keys and the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "PLANNED",
            Self::Reserving => "RESERVING",
            Self::Waiting => "WAITING",
            Self::Claiming => "CLAIMING",
            Self::Closed => "CLOSED",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a round is drawn, as it is known before reservation opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawPlan {
    /// Commits to the seed and the parameters; published with the round.
    pub commit: Hash,
    /// The seed, sealed with the round's master key.
    pub sealed_seed: String,
    /// The campaign's total limit when the round was planned, part of the parameters.
    pub total_limit: Option<u32>,
    /// Public randomness that the draw waits for until claims open.
    pub beacon_source: Option<String>,
}

/// One rush as it was planned. It does not change once the round has a place or a coupon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundSpec {
    /// Its number.
    pub id: RoundId,
    /// When places are given; `None` if the round needs none.
    pub reserve: Option<Window>,
    /// When coupons are given.
    pub claim: Window,
    /// How many coupons.
    pub supply: Supply,
    /// How many places at most.
    pub max_places: u32,
    /// Until when its coupons can be redeemed.
    pub validity: Validity,
    /// Which master key makes its codes.
    pub key_id: u8,
    /// The revision of the campaign's rules that it was planned by.
    pub revision: u64,
    /// Whether only users of the registry may reserve and claim.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub registered_users_only: bool,
    /// How it is drawn; `None` if the first to come get its coupons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<DrawPlan>,
}

impl RoundSpec {
    /// A draw that is late moves the claim window by its delay, but by no more than this.
    pub const LONGEST_DELAY: Duration = Duration::from_secs(3600);

    /// The round of a campaign that starts at this instant, by this revision of its rules; without a draw's plan.
    #[must_use]
    pub fn planned(rules: &Rules, revision: u64, id: RoundId, start: Timestamp, key_id: u8) -> Self {
        Self {
            id,
            reserve: rules.reservation_required.then(|| rules.schedule.reserve_window(start)),
            claim: rules.schedule.claim_window(start),
            supply: rules.supply,
            max_places: rules.places_per_round(),
            validity: rules.validity,
            key_id,
            revision,
            registered_users_only: rules.registered_users_only,
            draw: None,
        }
    }

    /// What the draw's commitment is about; `None` if the round is not drawn.
    #[must_use]
    pub fn draw_params(&self) -> Option<DrawParams> {
        DrawParams::new(self.id, self.supply, self.draw.as_ref()?.total_limit)
    }

    /// The round's supply once reservation has closed with so many places, `added` by the operator, and so many coupons left in the
    /// campaign's total limit. `None` if only that limit bounds it. Of a round that is drawn it is the number of winners.
    #[must_use]
    pub fn supply_for(&self, places: u32, added: u32, left_in_total: Option<u64>) -> Option<u32> {
        match self.draw_params() {
            Some(params) => Some(params.winners(places, added, left_in_total)),
            None => self.supply.for_places(places).map(|supply| supply.saturating_add(added).min(Supply::MAX)),
        }
    }

    /// The instant from which the gate counts this round's microseconds: its first opening.
    #[must_use]
    pub fn origin(&self) -> Timestamp {
        self.reserve.map_or(self.claim.opens, |reserve| reserve.opens)
    }
}
