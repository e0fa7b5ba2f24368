//! Coupons after their claim.

use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::ids::CouponId;
use coupon_domain::ports::{
    Clock as _, CouponFilter, CouponPage, CouponRepository, CouponTotals, Event, EventKind, LedgerError,
};
use coupon_domain::redemption::{CouponRecord, CouponState, Redeem, RedeemFacts, RedeemOutcome};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use super::{Fault, MemoryLedger, event};

#[async_trait]
impl CouponRepository for MemoryLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        Ok(self.books().till.coupons.get(&id).cloned().map(|coupon| (coupon, self.clock.now())))
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let (books, at) = (self.books(), self.clock.now());
        let own = |c: &&CouponRecord| {
            c.user == filter.user && filter.campaign.as_ref().is_none_or(|campaign| c.campaign == *campaign)
        };
        let all: Vec<_> = books.till.coupons.values().filter(own).collect();
        let mut totals = CouponTotals::default();
        for coupon in &all {
            *match coupon.state_at(at) {
                CouponState::Issued => &mut totals.issued,
                CouponState::Held => &mut totals.held,
                CouponState::Redeemed => &mut totals.redeemed,
                CouponState::Expired => &mut totals.expired,
                CouponState::Void => &mut totals.void,
            } += 1;
        }
        let wanted = all.into_iter().filter(|c| {
            filter.after.is_none_or(|after| c.id > after) && filter.state.is_none_or(|state| c.state_at(at) == state)
        });
        Ok(CouponPage { coupons: wanted.take(filter.limit as usize).cloned().collect(), totals, at })
    }

    async fn redeem(&self, calls: &[Redeem]) -> Result<Vec<RedeemOutcome>, LedgerError> {
        let (mut books, at) = (self.books(), self.clock.now());
        let mut outcomes = Vec::new();
        for call in calls {
            let by = if self.does(Fault::ExpiresLate) { at.minus(Duration::from_millis(1)) } else { at };
            let outcome = books.till.redeem(call, by);
            if let Some(coupon) = books.till.coupons.get_mut(&call.coupon).filter(|_| self.does(Fault::RedeemsTwice)) {
                coupon.state = CouponState::Issued;
            }
            if self.does(Fault::ForgetsOrders) {
                books.till.orders.clear();
            }
            if matches!(outcome, RedeemOutcome::Redeemed(_)) {
                let told = event(Event::id_of_uuid(Uuid::now_v7()), EventKind::CouponRedeemed, &call.campaign, at);
                let (coupon, user, order) = (Some(call.coupon), Some(call.user.clone()), Some(call.order.clone()));
                books.events.push(Event { round: Some(call.coupon.round), coupon, user, order, ..told });
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn redeem_facts(&self, call: &Redeem) -> Result<(RedeemFacts, Timestamp), LedgerError> {
        Ok((self.books().till.facts(call), self.clock.now()))
    }
}
