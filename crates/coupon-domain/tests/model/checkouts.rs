//! Every call in every state of its coupon and of its order.

use coupon_domain::benefit::Unsuitable;
use coupon_domain::checkout::{Call, CheckoutRefusal, Deed, Outcome, Redeem};
use coupon_domain::ids::UserId;
use coupon_domain::redemption::{CouponRecord, CouponState, OrderRecord, OrderState};

use crate::build::{coupon, money, second, user};
use crate::desk::{Rows, an_order, back, held, hold, issued, redeem, redeemed, void};

/// It is second 500. Coupons are valid until second 1000, or until 400; what is held is held until 600, what has lapsed until 450.
/// The order is `mine`, `another` coupon is valid for long. A word is what a call comes to: what was done, `again` for what was done
/// before, or why not.
const TABLE: &str = "
coupon                     order                  Hold          Redeem        Release         Rollback    Void
held-by-mine               held-with-this         again         redeemed      released        rolled-back coupon:HELD
lapsed-by-mine             held-with-this         held          redeemed      again           rolled-back voided
lapsed-by-mine-at-the-end  held-with-this         expired       expired       again           rolled-back coupon:EXPIRED
used-by-mine               redeemed-with-this     used-by:mine  again         order:REDEEMED  rolled-back coupon:REDEEMED
used-by-mine-past-its-end  redeemed-with-this     used-by:mine  again         order:REDEEMED  rolled-back coupon:REDEEMED
issued                     none                   held          redeemed      unknown         rolled-back voided
issued                     held-with-another      has-coupon    has-coupon    released        rolled-back voided
issued                     lapsed-with-another    held          redeemed      again           rolled-back voided
issued                     redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back voided
issued                     released-by-this       held          redeemed      again           rolled-back voided
issued                     released-by-another    held          redeemed      again           rolled-back voided
issued                     cancelled-with-this    cancelled     cancelled     order:CANCELLED again       voided
issued                     cancelled-with-another cancelled     cancelled     order:CANCELLED again       voided
issued                     cancelled-with-none    cancelled     cancelled     order:CANCELLED again       voided
issued-past-its-end        none                   expired       expired       unknown         rolled-back coupon:EXPIRED
issued-past-its-end        held-with-another      has-coupon    has-coupon    released        rolled-back coupon:EXPIRED
issued-past-its-end        lapsed-with-another    expired       expired       again           rolled-back coupon:EXPIRED
issued-past-its-end        redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back coupon:EXPIRED
issued-past-its-end        released-by-this       expired       expired       again           rolled-back coupon:EXPIRED
issued-past-its-end        released-by-another    expired       expired       again           rolled-back coupon:EXPIRED
issued-past-its-end        cancelled-with-this    cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
issued-past-its-end        cancelled-with-another cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
issued-past-its-end        cancelled-with-none    cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
held-by-other              none                   held-by:other held-by:other unknown         rolled-back coupon:HELD
held-by-other              held-with-another      has-coupon    has-coupon    released        rolled-back coupon:HELD
held-by-other              lapsed-with-another    held-by:other held-by:other again           rolled-back coupon:HELD
held-by-other              redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back coupon:HELD
held-by-other              released-by-this       held-by:other held-by:other again           rolled-back coupon:HELD
held-by-other              released-by-another    held-by:other held-by:other again           rolled-back coupon:HELD
held-by-other              cancelled-with-this    cancelled     cancelled     order:CANCELLED again       coupon:HELD
held-by-other              cancelled-with-another cancelled     cancelled     order:CANCELLED again       coupon:HELD
held-by-other              cancelled-with-none    cancelled     cancelled     order:CANCELLED again       coupon:HELD
lapsed-by-other            none                   held          redeemed      unknown         rolled-back voided
lapsed-by-other            held-with-another      has-coupon    has-coupon    released        rolled-back voided
lapsed-by-other            lapsed-with-another    held          redeemed      again           rolled-back voided
lapsed-by-other            redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back voided
lapsed-by-other            released-by-this       held          redeemed      again           rolled-back voided
lapsed-by-other            released-by-another    held          redeemed      again           rolled-back voided
lapsed-by-other            cancelled-with-this    cancelled     cancelled     order:CANCELLED again       voided
lapsed-by-other            cancelled-with-another cancelled     cancelled     order:CANCELLED again       voided
lapsed-by-other            cancelled-with-none    cancelled     cancelled     order:CANCELLED again       voided
lapsed-by-other-at-the-end none                   expired       expired       unknown         rolled-back coupon:EXPIRED
lapsed-by-other-at-the-end held-with-another      has-coupon    has-coupon    released        rolled-back coupon:EXPIRED
lapsed-by-other-at-the-end lapsed-with-another    expired       expired       again           rolled-back coupon:EXPIRED
lapsed-by-other-at-the-end redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back coupon:EXPIRED
lapsed-by-other-at-the-end released-by-this       expired       expired       again           rolled-back coupon:EXPIRED
lapsed-by-other-at-the-end released-by-another    expired       expired       again           rolled-back coupon:EXPIRED
lapsed-by-other-at-the-end cancelled-with-this    cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
lapsed-by-other-at-the-end cancelled-with-another cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
lapsed-by-other-at-the-end cancelled-with-none    cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
used-by-other              none                   used-by:other used-by:other unknown         rolled-back coupon:REDEEMED
used-by-other              held-with-another      has-coupon    has-coupon    released        rolled-back coupon:REDEEMED
used-by-other              lapsed-with-another    used-by:other used-by:other again           rolled-back coupon:REDEEMED
used-by-other              redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back coupon:REDEEMED
used-by-other              released-by-this       used-by:other used-by:other again           rolled-back coupon:REDEEMED
used-by-other              released-by-another    used-by:other used-by:other again           rolled-back coupon:REDEEMED
used-by-other              cancelled-with-this    cancelled     cancelled     order:CANCELLED again       coupon:REDEEMED
used-by-other              cancelled-with-another cancelled     cancelled     order:CANCELLED again       coupon:REDEEMED
used-by-other              cancelled-with-none    cancelled     cancelled     order:CANCELLED again       coupon:REDEEMED
expired                    none                   expired       expired       unknown         rolled-back coupon:EXPIRED
expired                    held-with-another      has-coupon    has-coupon    released        rolled-back coupon:EXPIRED
expired                    lapsed-with-another    expired       expired       again           rolled-back coupon:EXPIRED
expired                    redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back coupon:EXPIRED
expired                    released-by-this       expired       expired       again           rolled-back coupon:EXPIRED
expired                    released-by-another    expired       expired       again           rolled-back coupon:EXPIRED
expired                    cancelled-with-this    cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
expired                    cancelled-with-another cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
expired                    cancelled-with-none    cancelled     cancelled     order:CANCELLED again       coupon:EXPIRED
void                       none                   void          void          unknown         rolled-back again
void                       held-with-another      has-coupon    has-coupon    released        rolled-back again
void                       lapsed-with-another    void          void          again           rolled-back again
void                       redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back again
void                       released-by-this       void          void          again           rolled-back again
void                       released-by-another    void          void          again           rolled-back again
void                       cancelled-with-this    cancelled     cancelled     order:CANCELLED again       again
void                       cancelled-with-another cancelled     cancelled     order:CANCELLED again       again
void                       cancelled-with-none    cancelled     cancelled     order:CANCELLED again       again
void-past-its-end          none                   void          void          unknown         rolled-back again
void-past-its-end          held-with-another      has-coupon    has-coupon    released        rolled-back again
void-past-its-end          lapsed-with-another    void          void          again           rolled-back again
void-past-its-end          redeemed-with-another  has-coupon    has-coupon    order:REDEEMED  rolled-back again
void-past-its-end          released-by-this       void          void          again           rolled-back again
void-past-its-end          released-by-another    void          void          again           rolled-back again
void-past-its-end          cancelled-with-this    cancelled     cancelled     order:CANCELLED again       again
void-past-its-end          cancelled-with-another cancelled     cancelled     order:CANCELLED again       again
void-past-its-end          cancelled-with-none    cancelled     cancelled     order:CANCELLED again       again
";

const NOW: i64 = 500;

/// A coupon in this state.
fn coupon_in(state: &str) -> CouponRecord {
    let (live, past) = (issued(0, 1000), issued(0, 400));
    match state {
        "issued" => live,
        "issued-past-its-end" => past,
        "held-by-mine" => held(live, "mine", 600),
        "held-by-other" => held(live, "other", 600),
        "lapsed-by-mine" => held(live, "mine", 450),
        "lapsed-by-other" => held(live, "other", 450),
        "lapsed-by-mine-at-the-end" => held(past, "mine", 400),
        "lapsed-by-other-at-the-end" => held(past, "other", 400),
        "used-by-mine" => redeemed(live, "mine"),
        "used-by-other" => redeemed(live, "other"),
        "used-by-mine-past-its-end" => redeemed(past, "mine"),
        "expired" => CouponRecord { state: CouponState::Expired, ..past },
        "void" => CouponRecord { state: CouponState::Void, ..live },
        "void-past-its-end" => CouponRecord { state: CouponState::Void, ..past },
        other => panic!("no such coupon: {other}"),
    }
}

/// The order `mine` in this state, and the other coupon.
fn order_in(state: &str) -> (Option<OrderRecord>, CouponRecord) {
    let (this, that, another) = (Some(coupon(1, 0)), Some(coupon(1, 1)), issued(1, 100_000));
    let mine = |state, coupon| Some(an_order("mine", state, coupon));
    match state {
        "none" => (None, another),
        "held-with-this" => (mine(OrderState::Held, this), another),
        "held-with-another" => (mine(OrderState::Held, that), held(another, "mine", 600)),
        "lapsed-with-another" => (mine(OrderState::Held, that), held(another, "mine", 450)),
        "redeemed-with-this" => (mine(OrderState::Redeemed, this), another),
        "redeemed-with-another" => (mine(OrderState::Redeemed, that), redeemed(another, "mine")),
        "released-by-this" => (mine(OrderState::Released, this), another),
        "released-by-another" => (mine(OrderState::Released, that), another),
        "cancelled-with-this" => (mine(OrderState::Cancelled, this), another),
        "cancelled-with-another" => (mine(OrderState::Cancelled, that), another),
        "cancelled-with-none" => (mine(OrderState::Cancelled, None), another),
        other => panic!("no such order: {other}"),
    }
}

/// All rows, also of the other order, which has the coupon where `mine` does not.
fn rows(coupon: &str, order: &str) -> Rows {
    let (this, (mine, another)) = (coupon_in(coupon), order_in(order));
    let of_other = this.order.as_ref().filter(|id| id.as_str() == "other").map(|_| {
        let used = this.state == CouponState::Redeemed;
        an_order("other", if used { OrderState::Redeemed } else { OrderState::Held }, Some(this.id))
    });
    let rows = Rows::of([this, another], mine.into_iter().chain(of_other));
    rows.agree();
    rows
}

fn calls() -> [Call; 5] {
    [
        Call::Hold(hold(0, "mine")),
        Call::Redeem(redeem(0, "mine")),
        Call::Release(back("mine")),
        Call::Rollback(back("mine")),
        Call::Void(void(0)),
    ]
}

fn word(outcome: &Outcome) -> String {
    let refusal = match outcome {
        Outcome::Done(Deed::Held(_)) => return "held".to_owned(),
        Outcome::Done(Deed::Redeemed(_)) => return "redeemed".to_owned(),
        Outcome::Done(Deed::Released) => return "released".to_owned(),
        Outcome::Done(Deed::RolledBack) => return "rolled-back".to_owned(),
        Outcome::Done(Deed::Voided) => return "voided".to_owned(),
        Outcome::Replayed(_) => return "again".to_owned(),
        Outcome::NotRecorded => return "not-recorded".to_owned(),
        Outcome::Refused(refusal) => refusal,
    };
    match refusal {
        CheckoutRefusal::UnknownCoupon => "unknown-coupon".to_owned(),
        CheckoutRefusal::OrderCancelled => "cancelled".to_owned(),
        CheckoutRefusal::OrderMismatch => "mismatch".to_owned(),
        CheckoutRefusal::OrderHasCoupon => "has-coupon".to_owned(),
        CheckoutRefusal::Void => "void".to_owned(),
        CheckoutRefusal::AlreadyRedeemed(order) => format!("used-by:{order}"),
        CheckoutRefusal::AlreadyHeld(order) => format!("held-by:{order}"),
        CheckoutRefusal::Expired => "expired".to_owned(),
        CheckoutRefusal::CurrencyMismatch => "currency".to_owned(),
        CheckoutRefusal::MinOrderNotMet => "minimum".to_owned(),
        CheckoutRefusal::UnknownOrder => "unknown".to_owned(),
        CheckoutRefusal::OrderIs(state) => format!("order:{}", state.as_str()),
        CheckoutRefusal::CouponIs(state) => format!("coupon:{state}"),
    }
}

/// Each line's words.
fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    TABLE.trim().lines().skip(1).map(|line| line.split_whitespace().collect())
}

#[test]
fn each_call_in_each_state_comes_to_what_the_table_says() {
    for line in lines() {
        let (coupon, order) = (line[0], line[1]);
        for (call, expected) in calls().iter().zip(&line[2..]) {
            let mut rows = rows(coupon, order);
            let (outcome, _) = rows.decide(call, second(NOW));
            rows.agree();
            assert_eq!(word(&outcome), *expected, "{call:?} of a coupon {coupon} for an order {order}");
        }
    }
}

#[test]
fn the_table_has_every_state_of_coupons_and_orders() {
    let (mut coupons, mut orders) = (Vec::new(), Vec::new());
    for line in lines() {
        assert_eq!(line.len(), 7, "{line:?}");
        coupons.push(coupon_in(line[0]).state);
        orders.extend(order_in(line[1]).0.map(|order| order.state));
    }
    assert!(CouponState::ALL.iter().all(|state| coupons.contains(state)), "{coupons:?}");
    assert!(OrderState::ALL.iter().all(|state| orders.contains(state)), "{orders:?}");
}

#[test]
fn what_was_done_is_answered_the_same_when_it_is_asked_again() {
    for line in lines() {
        for call in calls() {
            let mut rows = rows(line[0], line[1]);
            let (first, _) = rows.decide(&call, second(NOW));
            let kept = rows.clone();
            for at in [NOW, NOW + 1] {
                let (again, changes) = rows.decide(&call, second(at));
                match &first {
                    Outcome::Done(deed) | Outcome::Replayed(deed) => assert_eq!(again, Outcome::Replayed(deed.clone())),
                    Outcome::Refused(_) | Outcome::NotRecorded => assert_eq!(again, first),
                }
                assert!(changes.is_empty(), "{call:?} again: {changes:?}");
                assert_eq!(rows, kept);
            }
        }
    }
}

#[test]
fn a_wrong_user_is_told_of_neither_coupon_nor_order() {
    for line in lines() {
        let eve = user("eve");
        let stolen = |call: Call| match call {
            Call::Hold(call) => Call::Hold(coupon_domain::checkout::Hold { user: eve.clone(), ..call }),
            Call::Redeem(call) => {
                Call::Redeem(Redeem { user: eve.clone(), discount: Err(Unsuitable::CurrencyMismatch), ..call })
            }
            Call::Release(call) => Call::Release(of(call, &eve)),
            Call::Rollback(call) => Call::Rollback(of(call, &eve)),
            Call::Void(call) => Call::Void(call),
        };
        for (call, expected) in calls().into_iter().zip(["unknown-coupon", "unknown-coupon", "unknown", "unknown"]) {
            let mut rows = rows(line[0], line[1]);
            // An order that nobody knows can be cancelled by anybody.
            let free = matches!(call, Call::Rollback(_)) && line[1] == "none";
            let (outcome, _) = rows.decide(&stolen(call), second(NOW));
            assert_eq!(word(&outcome), if free { "rolled-back" } else { expected }, "{line:?}");
        }
    }
}

fn of(call: coupon_domain::checkout::GiveBack, who: &UserId) -> coupon_domain::checkout::GiveBack {
    coupon_domain::checkout::GiveBack { user: who.clone(), ..call }
}

#[test]
fn a_coupon_that_the_ledger_does_not_have_is_not_recorded_yet() {
    for line in lines() {
        for call in [Call::Hold(hold(77, "mine")), Call::Redeem(redeem(77, "mine")), Call::Void(void(77))] {
            let mut rows = rows(line[0], line[1]);
            assert_eq!(rows.decide(&call, second(NOW)).0, Outcome::NotRecorded, "{call:?} {line:?}");
        }
    }
}

#[test]
fn an_unsuitable_order_is_refused_last() {
    for line in lines() {
        for (unsuitable, reason) in
            [(Unsuitable::CurrencyMismatch, "currency"), (Unsuitable::MinOrderNotMet, "minimum")]
        {
            let call = Call::Redeem(Redeem { discount: Err(unsuitable), ..redeem(0, "mine") });
            let outcome = rows(line[0], line[1]).decide(&call, second(NOW)).0;
            assert_eq!(word(&outcome), if line[3] == "redeemed" { reason } else { line[3] }, "{line:?}");
        }
    }
}

#[test]
fn a_redemption_that_comes_again_with_another_amount_is_a_mismatch() {
    for amount in [money("EUR", 2001), money("EUR", 1), money("USD", 2000)] {
        let mut rows = rows("used-by-mine", "redeemed-with-this");
        let call = Call::Redeem(Redeem { amount, ..redeem(0, "mine") });
        assert_eq!(rows.decide(&call, second(NOW)).0, Outcome::Refused(CheckoutRefusal::OrderMismatch));
    }
    let first = redeem(0, "mine").redemption(money("EUR", 399), second(5));
    let (outcome, _) = rows("used-by-mine", "redeemed-with-this").decide(&Call::Redeem(redeem(0, "mine")), second(NOW));
    assert_eq!(outcome, Outcome::Replayed(Deed::Redeemed(first)), "the discount of then");
}
