//! Coupons after their claim.

use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::checkout::{Call, Changes, Outcome};
use coupon_domain::ids::CouponId;
use coupon_domain::loss::NOBODY;
use coupon_domain::notice::{self, Lifetime, Notice};
use coupon_domain::ports::{
    Clock as _, CouponFilter, CouponPage, CouponRepository, CouponTotals, Event, EventDetails, EventKind, LedgerError,
};
use coupon_domain::redemption::{CouponRecord, CouponState, OrderState};
use coupon_domain::time::Timestamp;
use coupon_testkit::contract::till::Till;
use uuid::Uuid;

use super::{Fault, MemoryLedger};

impl MemoryLedger {
    /// What a till answers that belongs to a ledger with this fault.
    fn carry_out_on(&self, till: &mut Till, call: &Call, at: Timestamp) -> (Outcome, Changes) {
        let by = if self.does(Fault::ExpiresLate) { at.minus(Duration::from_millis(1)) } else { at };
        let of_another = |coupon: &&mut CouponRecord| {
            coupon.state == CouponState::Held && coupon.order.as_ref() != call.order().map(|(_, order)| order)
        };
        let held = call.coupon().and_then(|id| till.coupons.get_mut(&id)).filter(of_another);
        if let Some(coupon) = held.filter(|_| self.does(Fault::RedeemsOthersHolds)) {
            (coupon.state, coupon.order, coupon.held_until) = (CouponState::Issued, None, None);
        }
        if self.does(Fault::ForgetsReleasedOrders) {
            till.orders.retain(|_, order| order.state != OrderState::Released);
        }
        let (mut outcomes, mut changes) = till.carry_out(std::slice::from_ref(call), by);
        if let Some(coupon) = call.coupon().and_then(|id| till.coupons.get_mut(&id)) {
            if self.does(Fault::RedeemsTwice) {
                coupon.state = CouponState::Issued;
            }
            if self.does(Fault::HoldsPastValidity)
                && let (Call::Hold(hold), Some(until)) = (call, coupon.held_until.as_mut())
            {
                *until = at.plus(hold.ttl);
            }
        }
        if self.does(Fault::ForgetsOrders) {
            till.orders.clear();
        }
        if self.does(Fault::ForgetsUnknownOrders) {
            till.orders.retain(|_, order| order.coupon.is_some());
        }
        if self.does(Fault::ForgetsReleases) {
            changes.events.retain(|event| event.kind != EventKind::CouponReleased);
        }
        if self.does(Fault::KeepsNoAudit) {
            changes.audits.clear();
        }
        (outcomes.remove(0), changes)
    }
}

#[async_trait]
impl CouponRepository for MemoryLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        Ok(self.books().till.coupons.get(&id).cloned().map(|coupon| (coupon, self.clock.now())))
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let (books, at) = (self.books(), self.clock.now());
        let own = |c: &&CouponRecord| {
            filter.user.as_ref().is_none_or(|user| c.user == *user)
                && filter.campaign.as_ref().is_none_or(|campaign| c.campaign == *campaign)
        };
        let mut all: Vec<_> = books.till.coupons.values().filter(own).collect();
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
        if self.does(Fault::ListsByClaim) {
            all.sort_by_key(|coupon| (coupon.claimed_at, coupon.id));
        }
        let wanted = all.into_iter().filter(|c| {
            filter.after.is_none_or(|after| c.id > after) && filter.state.is_none_or(|state| c.state_at(at) == state)
        });
        let coupons = wanted.take(filter.limit as usize).cloned().collect();
        Ok(CouponPage { coupons, totals: filter.user.is_some().then_some(totals), at })
    }

    async fn carry_out(&self, calls: &[Call]) -> Result<Vec<Outcome>, LedgerError> {
        let (mut books, at) = (self.books(), self.clock.now());
        let mut outcomes = Vec::new();
        for call in calls {
            let (outcome, changes) = self.carry_out_on(&mut books.till, call, at);
            books.tell(changes.events);
            books.audits.extend(changes.audits);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn foresee(&self, call: &Call) -> Result<Outcome, LedgerError> {
        let (mut books, at) = (self.books(), self.clock.now());
        if self.does(Fault::DoesWhatItForesees) {
            return Ok(books.till.carry_out(std::slice::from_ref(call), at).0.remove(0));
        }
        Ok(books.till.foresee(call, at))
    }

    async fn sweep(&self, limit: u32) -> Result<u32, LedgerError> {
        let (mut books, at) = (self.books(), self.clock.now());
        let over = |coupon: &&CouponRecord| {
            let burnt = coupon.user.as_str().starts_with(NOBODY) && !self.does(Fault::SweepsNobodys);
            !burnt && (coupon.has_lapsed(at) || coupon.state != coupon.state_at(at))
        };
        let limit = if self.does(Fault::SweepsWithoutLimit) { u32::MAX } else { limit };
        let some = books.till.coupons.values().filter(over).take(limit as usize);
        let some: Vec<_> = some.map(|coupon| coupon.id).collect();
        let mut changes = if self.does(Fault::SweepsTwice) {
            books.till.clone().sweep(&some, at)
        } else {
            books.till.sweep(&some, at)
        };
        if self.does(Fault::TellsWhenItSwept) {
            changes.events.iter_mut().for_each(|event| event.at = at);
        }
        books.tell(changes.events);
        Ok(u32::try_from(some.len()).expect("no test has so many coupons"))
    }

    async fn give_notice(&self, limit: u32) -> Result<u32, LedgerError> {
        let (mut books, at) = (self.books(), self.clock.now());
        let unused = |coupon: &CouponRecord| {
            let told = match coupon.state {
                CouponState::Issued => true,
                CouponState::Held => self.does(Fault::GivesNoticeOfHeldCoupons),
                CouponState::Void => self.does(Fault::GivesNoticeOfVoidCoupons),
                CouponState::Redeemed | CouponState::Expired => false,
            };
            told && !coupon.user.as_str().starts_with(NOBODY)
        };
        let time_has_come =
            |id: &CouponId| books.notices.get(id).and_then(|notices| notices.next).is_some_and(|next| next <= at);
        let due = books.till.coupons.values().filter(|coupon| time_has_come(&coupon.id));
        let (due, others): (Vec<_>, Vec<_>) = due.cloned().partition(unused);
        let some: Vec<_> = due.into_iter().take(limit as usize).collect();
        if self.does(Fault::SkipsNoticesForGood) {
            others.iter().for_each(|coupon| books.notices.entry(coupon.id).or_default().next = None);
        }
        for coupon in &some {
            let leads = books.campaigns[&coupon.campaign].campaign.rules.notice_leads.clone();
            let lifetime = Lifetime { claimed_at: coupon.claimed_at, expires_at: coupon.expires_at };
            let notices = books.notices.entry(coupon.id).or_default();
            let due = notice::due(lifetime, &leads, &notices.sent, at);
            if !self.does(Fault::GivesNoticeAgainAndAgain) {
                notices.next = due.next;
            }
            let Some(mut notice) = due.notice else { continue };
            if !self.does(Fault::GivesNoticeAgainAndAgain) && !self.does(Fault::ForgetsNotices) {
                notices.sent.push(notice.lead);
            }
            notice.late &= !self.does(Fault::IsNeverLate);
            books.tell([expiring(coupon, notice, at)]);
        }
        Ok(u32::try_from(some.len()).expect("no test has so many coupons"))
    }
}

fn expiring(coupon: &CouponRecord, notice: Notice, at: Timestamp) -> Event {
    let details = EventDetails { notice: Some(notice), expires_at: Some(coupon.expires_at), ..EventDetails::default() };
    Event {
        id: Event::id_of_uuid(Uuid::now_v7()),
        round: Some(coupon.id.round),
        coupon: Some(coupon.id),
        user: Some(coupon.user.clone()),
        details,
        ..Event::new(EventKind::CouponExpiring, coupon.campaign.clone(), at)
    }
}
