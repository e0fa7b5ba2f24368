//! How a coupon is used for an order: the decision, without a store.

use std::fmt;

use crate::benefit::Unsuitable;
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
    /// When it was redeemed, by the ledger's clock.
    pub redeemed_at: Option<Timestamp>,
}

impl CouponRecord {
    /// Where it stands at this instant, whether or not a sweeper has been there.
    #[must_use]
    pub fn state_at(&self, at: Timestamp) -> CouponState {
        match self.state {
            CouponState::Issued if at >= self.expires_at => CouponState::Expired,
            state => state,
        }
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
    /// The shop's id.
    pub id: OrderId,
    /// The coupon it took.
    pub coupon: CouponId,
    /// Whose.
    pub user: UserId,
    /// Before the discount.
    pub amount: Money,
    /// What came off.
    pub discount: Money,
    /// Where it stands.
    pub state: OrderState,
    /// When it was redeemed, by the ledger's clock.
    pub redeemed_at: Option<Timestamp>,
}

/// One call of Redeem with an authentic code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeem {
    /// The coupon of the code.
    pub coupon: CouponId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// The user that the code is authentic for.
    pub user: UserId,
    /// The order.
    pub order: OrderId,
    /// Before the discount.
    pub amount: Money,
    /// What comes off, or why the order does not suit the benefit.
    pub discount: Result<Money, Unsuitable>,
}

/// A coupon used for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// The coupon.
    pub coupon: CouponId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Whose.
    pub user: UserId,
    /// The order.
    pub order: OrderId,
    /// What came off.
    pub discount: Money,
    /// When, by the ledger's clock.
    pub redeemed_at: Timestamp,
}

/// Why Redeem says no. The order of the variants is the order in which they are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedeemRefusal {
    /// No such coupon for this user.
    UnknownCoupon,
    /// The order was cancelled.
    OrderCancelled,
    /// The order used this coupon with another amount or user.
    OrderMismatch,
    /// The order has another coupon.
    OrderHasCoupon,
    /// The operator withdrew the coupon.
    Void,
    /// The coupon is used for this other order.
    AlreadyRedeemed(OrderId),
    /// This other order has locked the coupon.
    AlreadyHeld(OrderId),
    /// The coupon is past its validity.
    Expired,
    /// The order is in another currency than the benefit.
    CurrencyMismatch,
    /// The order is smaller than the benefit's minimum.
    MinOrderNotMet,
}

/// What Redeem comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedeemOutcome {
    /// Used now.
    Redeemed(Redemption),
    /// An earlier call used it for this order.
    Replayed(Redemption),
    /// A no.
    Refused(RedeemRefusal),
    /// The ledger has no such coupon: the recorder has not brought it yet.
    NotRecorded,
}

/// What the ledger knows when it decides one Redeem.
#[derive(Debug, Clone, Default)]
pub struct RedeemFacts {
    /// The coupon's row.
    pub coupon: Option<CouponRecord>,
    /// The order's row.
    pub order: Option<OrderRecord>,
}

impl Redeem {
    /// Decides by these facts at this instant. A ledger that redeems in a statement of its own must answer exactly like this.
    #[must_use]
    pub fn decide(&self, facts: &RedeemFacts, at: Timestamp) -> RedeemOutcome {
        let Some(coupon) = &facts.coupon else { return RedeemOutcome::NotRecorded };
        if coupon.user != self.user {
            return RedeemOutcome::Refused(RedeemRefusal::UnknownCoupon);
        }
        if let Some(first) = facts.order.as_ref().and_then(|order| self.repeat_of(order)) {
            return first;
        }
        if let Some(refusal) = self.refusal(coupon, facts.order.as_ref(), at) {
            return RedeemOutcome::Refused(refusal);
        }
        match self.discount {
            Ok(discount) => RedeemOutcome::Redeemed(self.redemption(discount, at)),
            Err(Unsuitable::CurrencyMismatch) => RedeemOutcome::Refused(RedeemRefusal::CurrencyMismatch),
            Err(Unsuitable::MinOrderNotMet) => RedeemOutcome::Refused(RedeemRefusal::MinOrderNotMet),
        }
    }

    fn repeat_of(&self, order: &OrderRecord) -> Option<RedeemOutcome> {
        match order.state {
            OrderState::Cancelled => Some(RedeemOutcome::Refused(RedeemRefusal::OrderCancelled)),
            OrderState::Redeemed if order.coupon == self.coupon => {
                let same = order.amount == self.amount && order.user == self.user;
                Some(
                    order
                        .redeemed_at
                        .filter(|_| same)
                        .map_or(RedeemOutcome::Refused(RedeemRefusal::OrderMismatch), |at| {
                            RedeemOutcome::Replayed(self.redemption(order.discount, at))
                        }),
                )
            }
            OrderState::Redeemed | OrderState::Held | OrderState::Released => None,
        }
    }

    fn refusal(&self, coupon: &CouponRecord, order: Option<&OrderRecord>, at: Timestamp) -> Option<RedeemRefusal> {
        let live = |o: &&OrderRecord| matches!(o.state, OrderState::Held | OrderState::Redeemed);
        if order.filter(live).is_some_and(|o| o.coupon != self.coupon) {
            return Some(RedeemRefusal::OrderHasCoupon);
        }
        let other = coupon.order.clone().filter(|o| *o != self.order);
        match coupon.state_at(at) {
            CouponState::Void => Some(RedeemRefusal::Void),
            CouponState::Redeemed => other.map(RedeemRefusal::AlreadyRedeemed),
            CouponState::Held => other.map(RedeemRefusal::AlreadyHeld),
            CouponState::Expired => Some(RedeemRefusal::Expired),
            CouponState::Issued => None,
        }
    }

    /// The redemption that this call comes to.
    #[must_use]
    pub fn redemption(&self, discount: Money, redeemed_at: Timestamp) -> Redemption {
        Redemption {
            coupon: self.coupon,
            campaign: self.campaign.clone(),
            user: self.user.clone(),
            order: self.order.clone(),
            discount,
            redeemed_at,
        }
    }
}
