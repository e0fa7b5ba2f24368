//! What the gate answers to Reserve and Claim.

use crate::position::Position;
use crate::time::Timestamp;

/// Why the gate says no. The order of the variants is the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The window has not opened, or the campaign is a draft.
    NotOpenYet,
    /// The window has closed, or the campaign has ended.
    Closed,
    /// The operator paused the campaign.
    Paused,
    /// The campaign is for registered users only, and this one is not.
    UnknownUser,
    /// All places of the round are taken.
    Full,
    /// The claim needs a place, and the user has none.
    NotReserved,
    /// The user has as many coupons of this campaign as one may have.
    LimitReached,
    /// The round's draw is not done yet.
    DrawPending,
    /// The place was drawn, and lost.
    NotDrawn,
    /// No coupon is left in the round or the campaign.
    SoldOut,
}

impl Refusal {
    /// Every one, in order.
    pub const ALL: [Self; 10] = [
        Self::NotOpenYet,
        Self::Closed,
        Self::Paused,
        Self::UnknownUser,
        Self::Full,
        Self::NotReserved,
        Self::LimitReached,
        Self::DrawPending,
        Self::NotDrawn,
        Self::SoldOut,
    ];

    /// Its name in the wire contract, without the prefix.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotOpenYet => "NOT_OPEN_YET",
            Self::Closed => "CLOSED",
            Self::Paused => "PAUSED",
            Self::UnknownUser => "UNKNOWN_USER",
            Self::Full => "FULL",
            Self::NotReserved => "NOT_RESERVED",
            Self::LimitReached => "LIMIT_REACHED",
            Self::DrawPending => "DRAW_PENDING",
            Self::NotDrawn => "NOT_DRAWN",
            Self::SoldOut => "SOLD_OUT",
        }
    }

    /// Whether a repeat in the same round cannot differ. An operator can resume a campaign, add supply and register users; time opens
    /// windows.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Closed | Self::Full | Self::NotReserved | Self::LimitReached | Self::NotDrawn => true,
            Self::NotOpenYet | Self::Paused | Self::UnknownUser | Self::DrawPending | Self::SoldOut => false,
        }
    }
}

/// A reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number in the round: 0, 1, 2 ...
    pub ticket: u32,
    /// When it was taken, by the gate's clock.
    pub reserved_at: Timestamp,
}

/// A coupon as the gate knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// Its number in the round: 0, 1, 2 ...
    pub serial: u32,
    /// When it was issued, by the gate's clock.
    pub claimed_at: Timestamp,
}

/// A yes, an earlier yes again, or a no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<T> {
    /// A new yes.
    Granted(T),
    /// The yes of an earlier call.
    Replayed(T),
    /// A no.
    Refused(Refusal),
}

/// What proves an answer's place in the campaign's order of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Decisions taken up to this answer: of a new yes its own, else that of the decision before it.
    pub position: Position,
    /// The gate's time.
    pub at: Timestamp,
}

/// An outcome with its witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<T> {
    /// Yes or no.
    pub outcome: Outcome<T>,
    /// Where it stands.
    pub witness: Witness,
}
