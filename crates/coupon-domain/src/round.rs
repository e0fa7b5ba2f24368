//! What a round is before anything happens in it, and the phases it goes through.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::campaign::{Rules, Validity};
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
}

impl RoundSpec {
    /// The round of a campaign that starts at this instant.
    #[must_use]
    pub fn planned(rules: &Rules, id: RoundId, start: Timestamp, key_id: u8) -> Self {
        Self {
            id,
            reserve: rules.reservation_required.then(|| rules.schedule.reserve_window(start)),
            claim: rules.schedule.claim_window(start),
            supply: rules.supply,
            max_places: rules.places_per_round(),
            validity: rules.validity,
            key_id,
        }
    }

    /// The phase that the clock says; a gate never goes back from one it has journaled.
    #[must_use]
    pub fn phase_at(&self, at: Timestamp) -> Phase {
        if at >= self.claim.closes {
            return Phase::Closed;
        }
        if at >= self.claim.opens {
            return Phase::Claiming;
        }
        match self.reserve {
            Some(reserve) if at >= reserve.closes => Phase::Waiting,
            Some(reserve) if at >= reserve.opens => Phase::Reserving,
            Some(_) | None => Phase::Planned,
        }
    }

    /// The instant from which the gate counts this round's microseconds: its first opening.
    #[must_use]
    pub fn origin(&self) -> Timestamp {
        self.reserve.map_or(self.claim.opens, |reserve| reserve.opens)
    }

    /// When reservation closes and a ratio is worked out; without places, when claims open.
    #[must_use]
    pub fn supply_fixed_at(&self) -> Timestamp {
        self.reserve.map_or(self.claim.opens, |reserve| reserve.closes)
    }
}
