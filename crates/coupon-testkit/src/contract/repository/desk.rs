//! A checkout's calls, short.

use std::time::Duration;

use coupon_domain::checkout::{Call, CheckoutRefusal, DEFAULT_HOLD, Deed, GiveBack, Hold, Outcome, Redeem, Void};
use coupon_domain::ids::{CouponId, OrderId};
use coupon_domain::money::Money;
use coupon_domain::ports::{Event, EventKind};
use coupon_domain::redemption::{CouponRecord, CouponState};
use coupon_domain::time::Timestamp;

use super::history::{History, events_after};
use crate::build::{a_campaign, by, campaign_id, coupon_id, order, round, round_id, rules, second, user, users};
use crate::under_test::LedgerUnderTest;

/// Ten coupons of round 1 in campaign `c`, the one with serial i owned by `u-i`, valid from second 300 until second 1300. It is second 400.
pub(super) async fn ten_coupons(ledger: &LedgerUnderTest) -> History {
    ledger.clock.set(second(400)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360).valid_for(Duration::from_secs(1000)), second(0));
    history.claim(round_id(1), &users(10), second(300));
    history.record(ledger).await;
    history
}

/// A call for an order of this amount; 20 % come off, from 10.00 EUR on.
pub(super) fn redeem(campaign: &str, coupon: CouponId, who: &str, order_id: &str, amount: Money) -> Redeem {
    let discount = rules().benefit.discount(amount);
    Redeem { coupon, campaign: campaign_id(campaign), user: user(who), order: order(order_id), amount, discount }
}

/// A call for a coupon of campaign `c` by its owner.
pub(super) fn redeem_of(serial: u32, order_id: &str, amount: Money) -> Redeem {
    redeem("c", coupon_id(1, serial), &format!("u-{serial}"), order_id, amount)
}

/// A call for a coupon of campaign `c` by its owner, for ten minutes.
pub(super) fn hold_of(serial: u32, order_id: &str) -> Hold {
    Hold {
        coupon: coupon_id(1, serial),
        campaign: campaign_id("c"),
        user: user(&format!("u-{serial}")),
        order: order(order_id),
        ttl: DEFAULT_HOLD,
    }
}

/// Of an order of user `u-<owner>` in campaign `c`.
pub(super) fn back(owner: u32, order_id: &str) -> GiveBack {
    let (campaign, user) = (campaign_id("c"), user(&format!("u-{owner}")));
    GiveBack { campaign, order: order(order_id), user, reason: String::new() }
}

/// Of a coupon of campaign `c`.
pub(super) fn void_of(serial: u32) -> Void {
    Void { coupon: coupon_id(1, serial), reason: "a misprint".to_owned(), by: by(None) }
}

/// Whatever is a call.
pub(super) trait IntoCall {
    fn call(&self) -> Call;
}

impl IntoCall for Call {
    fn call(&self) -> Call {
        self.clone()
    }
}

impl IntoCall for Hold {
    fn call(&self) -> Call {
        Call::Hold(self.clone())
    }
}

impl IntoCall for Redeem {
    fn call(&self) -> Call {
        Call::Redeem(self.clone())
    }
}

impl IntoCall for Void {
    fn call(&self) -> Call {
        Call::Void(self.clone())
    }
}

/// The order gives its coupon back for now.
pub(super) fn release(back: GiveBack) -> Call {
    Call::Release(back)
}

/// The order is cancelled.
pub(super) fn rollback(back: GiveBack) -> Call {
    Call::Rollback(back)
}

/// Carries out one call.
pub(super) async fn ask(ledger: &LedgerUnderTest, call: &impl IntoCall) -> Outcome {
    let mut outcomes = ledger.coupons.carry_out(&[call.call()]).await.expect("the ledger answers");
    assert_eq!(outcomes.len(), 1, "one call, one answer");
    outcomes.remove(0)
}

/// Carries out several calls at once.
pub(super) async fn ask_all(ledger: &LedgerUnderTest, calls: &[Call]) -> Vec<Outcome> {
    let outcomes = ledger.coupons.carry_out(calls).await.expect("the ledger answers");
    assert_eq!(outcomes.len(), calls.len(), "one answer each");
    outcomes
}

/// What a call would come to.
pub(super) async fn foresee(ledger: &LedgerUnderTest, call: &impl IntoCall) -> Outcome {
    ledger.coupons.foresee(&call.call()).await.expect("the ledger answers")
}

pub(super) fn redeemed(call: &Redeem, at: Timestamp) -> Outcome {
    Outcome::Done(Deed::Redeemed(call.redemption(call.discount.expect("it suits"), at)))
}

pub(super) fn replayed(call: &Redeem, at: Timestamp) -> Outcome {
    Outcome::Replayed(Deed::Redeemed(call.redemption(call.discount.expect("it suits"), at)))
}

pub(super) fn held(call: &Hold, until: Timestamp) -> Outcome {
    Outcome::Done(Deed::Held(call.held(until)))
}

pub(super) fn held_before(call: &Hold, until: Timestamp) -> Outcome {
    Outcome::Replayed(Deed::Held(call.held(until)))
}

pub(super) const RELEASED: Outcome = Outcome::Done(Deed::Released);
pub(super) const RELEASED_BEFORE: Outcome = Outcome::Replayed(Deed::Released);
pub(super) const ROLLED_BACK: Outcome = Outcome::Done(Deed::RolledBack);
pub(super) const ROLLED_BACK_BEFORE: Outcome = Outcome::Replayed(Deed::RolledBack);
pub(super) const VOIDED: Outcome = Outcome::Done(Deed::Voided);
pub(super) const VOIDED_BEFORE: Outcome = Outcome::Replayed(Deed::Voided);

pub(super) fn refused(refusal: CheckoutRefusal) -> Outcome {
    Outcome::Refused(refusal)
}

/// A coupon as it is stored.
pub(super) async fn stored(ledger: &LedgerUnderTest, coupon: CouponId) -> CouponRecord {
    ledger.coupons.coupon(coupon).await.expect("the ledger answers").expect("it is there").0
}

/// Where a coupon of campaign `c` is stored to stand, and for which order.
pub(super) async fn standing(ledger: &LedgerUnderTest, serial: u32) -> (CouponState, Option<OrderId>) {
    let coupon = stored(ledger, coupon_id(1, serial)).await;
    (coupon.state, coupon.order)
}

/// All events that no gate decided and that are about a coupon or an order, in order.
pub(super) async fn told(ledger: &LedgerUnderTest) -> Vec<Event> {
    let gates = [EventKind::CouponIssued, EventKind::PlaceReserved];
    let events = events_after(ledger, 0).await.into_iter().map(|(_, event)| event);
    events.filter(|e| (e.coupon.is_some() || e.order.is_some()) && !gates.contains(&e.kind)).collect()
}

/// Their kinds with the instants.
pub(super) async fn kinds(ledger: &LedgerUnderTest) -> Vec<(EventKind, Timestamp)> {
    told(ledger).await.into_iter().map(|event| (event.kind, event.at)).collect()
}

/// Sweeps until there is nothing left; how many coupons were stored.
pub(super) async fn sweep_all(ledger: &LedgerUnderTest, limit: u32) -> u32 {
    let mut all = 0;
    for _ in 0..1000 {
        let some = ledger.coupons.sweep(limit).await.expect("the ledger answers");
        assert!(some <= limit, "{some} of {limit}");
        if some == 0 {
            return all;
        }
        all += some;
    }
    panic!("it stores the same coupons again and again");
}
