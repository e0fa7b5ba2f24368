//! Where coupons and orders stand. `checkout` says how they get there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{CampaignId, CouponId, OrderId, UserId};
use crate::money::Money;
use crate::time::Timestamp;

/// Where a coupon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CouponState {
    /// Can be redeemed.
    Issued,
    /// Locked for an order.
    Held,
    /// Used for an order.
    Redeemed,
    /// Past its validity.
    Expired,
    /// Withdrawn by the operator.
    Void,
}

impl CouponState {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Issued, Self::Held, Self::Redeemed, Self::Expired, Self::Void];

    /// Its word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "ISSUED",
            Self::Held => "HELD",
            Self::Redeemed => "REDEEMED",
            Self::Expired => "EXPIRED",
            Self::Void => "VOID",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for CouponState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A coupon as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponRecord {
    /// Its public id.
    pub id: CouponId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Whose it is.
    pub user: UserId,
    /// As stored; see [`CouponRecord::state_at`].
    pub state: CouponState,
    /// When it was issued, by the gate's clock.
    pub claimed_at: Timestamp,
    /// The first instant at which it cannot be redeemed.
    pub expires_at: Timestamp,
    /// The order it is held or redeemed for.
    pub order: Option<OrderId>,
    /// While it is held: the first instant at which it is not any more. Never after `expires_at`.
    pub held_until: Option<Timestamp>,
    /// When it was redeemed, by the ledger's clock.
    pub redeemed_at: Option<Timestamp>,
}

impl CouponRecord {
    /// Where it stands at this instant, whether or not a sweeper has been there.
    #[must_use]
    pub fn state_at(&self, at: Timestamp) -> CouponState {
        let state = if self.has_lapsed(at) { CouponState::Issued } else { self.state };
        match state {
            CouponState::Issued if at >= self.expires_at => CouponState::Expired,
            CouponState::Issued
            | CouponState::Held
            | CouponState::Redeemed
            | CouponState::Expired
            | CouponState::Void => state,
        }
    }

    /// Whether it is stored as held although the time of the hold is over.
    #[must_use]
    pub fn has_lapsed(&self, at: Timestamp) -> bool {
        self.state == CouponState::Held && self.held_until.is_some_and(|until| at >= until)
    }

    /// The order it is held or redeemed for at this instant.
    #[must_use]
    pub fn order_at(&self, at: Timestamp) -> Option<&OrderId> {
        self.order.as_ref().filter(|_| !self.has_lapsed(at))
    }
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    /// A coupon is locked for it.
    Held,
    /// A coupon is used for it.
    Redeemed,
    /// It gave its coupon back and may take one again.
    Released,
    /// It is cancelled for good.
    Cancelled,
}

impl OrderState {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Held, Self::Redeemed, Self::Released, Self::Cancelled];

    /// Its word in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Redeemed => "REDEEMED",
            Self::Released => "RELEASED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// An order as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRecord {
    /// The campaign that its coupon is of.
    pub campaign: CampaignId,
    /// The shop's id, unique in the campaign.
    pub id: OrderId,
    /// The coupon it took last; none if it was cancelled before it took one.
    pub coupon: Option<CouponId>,
    /// Whose.
    pub user: UserId,
    /// Before the discount, and what came off; from its redemption on.
    pub price: Option<Price>,
    /// Where it stands.
    pub state: OrderState,
    /// When it was redeemed, by the ledger's clock.
    pub redeemed_at: Option<Timestamp>,
}

/// What an order came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Before the discount.
    pub amount: Money,
    /// What came off, in the same currency; never more than the amount.
    pub discount: Money,
}
