//! What a shop's checkout does with coupons, and what it comes to: calls, answers and refusals. `Book` decides.

mod book;

use std::time::Duration;

use uuid::Uuid;

pub use self::book::{Book, Changes};
use crate::benefit::Unsuitable;
use crate::ids::{Actor, CampaignId, CouponId, OrderId, UserId};
use crate::money::Money;
use crate::redemption::{CouponState, OrderState};
use crate::time::Timestamp;

/// How long a coupon is held where nobody says otherwise.
pub const DEFAULT_HOLD: Duration = Duration::from_secs(10 * 60);
/// A coupon is held so long at most.
pub const MAX_HOLD: Duration = Duration::from_secs(24 * 60 * 60);
/// Why a coupon was released whose hold was over, in events.
pub const LAPSED: &str = "LAPSED";
/// What a request did that withdrew a coupon.
pub const VOID_COUPON: &str = "VOID_COUPON";

/// Locks a coupon for an order; the code was authentic for this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The coupon of the code.
    pub coupon: CouponId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// The user that the code is authentic for.
    pub user: UserId,
    /// The order.
    pub order: OrderId,
    /// For how long, at most [`MAX_HOLD`]; the end of the coupon's validity ends it too.
    pub ttl: Duration,
}

/// Uses a coupon for an order; the code was authentic for this user.
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

/// Gives an order's coupon back: for now (release) or for good (rollback).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GiveBack {
    /// The campaign.
    pub campaign: CampaignId,
    /// The order.
    pub order: OrderId,
    /// Whose order it is.
    pub user: UserId,
    /// The caller's own words, for the event. May be empty.
    pub reason: String,
}

/// Withdraws a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Void {
    /// The coupon.
    pub coupon: CouponId,
    /// The operator's own words, for event and audit. May be empty.
    pub reason: String,
    /// Whose call it is.
    pub by: Operator,
}

/// Whose call it is, and by which request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Who.
    pub actor: Actor,
    /// Makes repeats harmless.
    pub request: Option<Uuid>,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Locks a coupon for an order.
    Hold(Hold),
    /// Uses a coupon for an order.
    Redeem(Redeem),
    /// Ends an order's hold; the order may take a coupon again.
    Release(GiveBack),
    /// Cancels an order for good, known or not; its coupon can be used again.
    Rollback(GiveBack),
    /// Withdraws a coupon.
    Void(Void),
}

/// A coupon locked for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The coupon.
    pub coupon: CouponId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Whose.
    pub user: UserId,
    /// The order.
    pub order: OrderId,
    /// The first instant at which it is not held any more, by the ledger's clock.
    pub until: Timestamp,
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

/// What a yes brought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Of [`Call::Hold`].
    Held(Held),
    /// Of [`Call::Redeem`].
    Redeemed(Redemption),
    /// Of [`Call::Release`]: the order is RELEASED.
    Released,
    /// Of [`Call::Rollback`]: the order is CANCELLED.
    RolledBack,
    /// Of [`Call::Void`]: the coupon is VOID.
    Voided,
}

/// Why a call is refused. The variants up to `MinOrderNotMet` are in the order in which Hold and Redeem look at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutRefusal {
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
    /// The coupon is used for this order.
    AlreadyRedeemed(OrderId),
    /// This other order has locked the coupon.
    AlreadyHeld(OrderId),
    /// The coupon is past its validity.
    Expired,
    /// The order is in another currency than the benefit.
    CurrencyMismatch,
    /// The order is smaller than the benefit's minimum.
    MinOrderNotMet,
    /// Of Release and Rollback: this user has no such order.
    UnknownOrder,
    /// Of Release: the order is not held but in this state, and stays in it.
    OrderIs(OrderState),
    /// Of Void: the coupon cannot be withdrawn in this state.
    CouponIs(CouponState),
}

/// What a call comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A yes, done now.
    Done(Deed),
    /// A yes that an earlier call has done.
    Replayed(Deed),
    /// A no. Nothing was done.
    Refused(CheckoutRefusal),
    /// The ledger has no such coupon: the recorder has not brought it yet.
    NotRecorded,
}

impl Call {
    /// The coupon it names.
    #[must_use]
    pub fn coupon(&self) -> Option<CouponId> {
        match self {
            Self::Hold(hold) => Some(hold.coupon),
            Self::Redeem(redeem) => Some(redeem.coupon),
            Self::Void(void) => Some(void.coupon),
            Self::Release(_) | Self::Rollback(_) => None,
        }
    }

    /// The order it names.
    #[must_use]
    pub fn order(&self) -> Option<(&CampaignId, &OrderId)> {
        match self {
            Self::Hold(hold) => Some((&hold.campaign, &hold.order)),
            Self::Redeem(redeem) => Some((&redeem.campaign, &redeem.order)),
            Self::Release(back) | Self::Rollback(back) => Some((&back.campaign, &back.order)),
            Self::Void(_) => None,
        }
    }
}

impl Redeem {
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

impl Hold {
    /// The hold that this call comes to.
    #[must_use]
    pub fn held(&self, until: Timestamp) -> Held {
        Held {
            coupon: self.coupon,
            campaign: self.campaign.clone(),
            user: self.user.clone(),
            order: self.order.clone(),
            until,
        }
    }
}
