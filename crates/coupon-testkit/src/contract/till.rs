//! Coupons after their claim, in memory: what ledgers are compared with when coupons are redeemed.

use std::collections::{BTreeMap, HashMap};

use coupon_domain::ids::{CampaignId, CouponId, OrderId};
use coupon_domain::recording::CouponRow;
use coupon_domain::redemption::{
    CouponRecord, CouponState, OrderRecord, OrderState, Redeem, RedeemFacts, RedeemOutcome,
};
use coupon_domain::time::Timestamp;

/// The coupons and orders of any number of campaigns.
#[derive(Debug, Clone, Default)]
pub struct Till {
    /// By id.
    pub coupons: BTreeMap<CouponId, CouponRecord>,
    /// By campaign and id.
    pub orders: HashMap<(CampaignId, OrderId), OrderRecord>,
}

impl Till {
    /// Takes in a coupon that the gate issued.
    pub fn add(&mut self, campaign: &CampaignId, row: &CouponRow) {
        let id = CouponId { round: row.round, serial: row.serial };
        let record = CouponRecord {
            id,
            campaign: campaign.clone(),
            user: row.user.clone(),
            state: CouponState::Issued,
            claimed_at: row.claimed_at,
            expires_at: row.expires_at,
            order: None,
            redeemed_at: None,
        };
        self.coupons.insert(id, record);
    }

    /// What a decision needs.
    #[must_use]
    pub fn facts(&self, call: &Redeem) -> RedeemFacts {
        RedeemFacts {
            coupon: self.coupons.get(&call.coupon).cloned(),
            order: self.orders.get(&(call.campaign.clone(), call.order.clone())).cloned(),
        }
    }

    /// Decides one call and keeps what it comes to.
    pub fn redeem(&mut self, call: &Redeem, at: Timestamp) -> RedeemOutcome {
        let outcome = call.decide(&self.facts(call), at);
        if let RedeemOutcome::Redeemed(redemption) = &outcome {
            if let Some(coupon) = self.coupons.get_mut(&call.coupon) {
                coupon.state = CouponState::Redeemed;
                coupon.order = Some(call.order.clone());
                coupon.redeemed_at = Some(at);
            }
            let order = OrderRecord {
                id: call.order.clone(),
                coupon: call.coupon,
                user: call.user.clone(),
                amount: call.amount,
                discount: redemption.discount,
                state: OrderState::Redeemed,
                redeemed_at: Some(at),
            };
            self.orders.insert((call.campaign.clone(), call.order.clone()), order);
        }
        outcome
    }
}
