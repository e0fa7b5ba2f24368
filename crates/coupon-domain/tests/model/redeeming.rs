//! Redeem over every state of a coupon and of an order.

use coupon_domain::benefit::Unsuitable;
use coupon_domain::ids::OrderId;
use coupon_domain::redemption::{
    CouponRecord, CouponState, OrderRecord, OrderState, Redeem, RedeemFacts, RedeemOutcome, RedeemRefusal,
};

use crate::build::{campaign, coupon, money, order, second, user};

fn call() -> Redeem {
    Redeem {
        coupon: coupon(1, 0),
        campaign: campaign("c"),
        user: user("ada"),
        order: order("mine"),
        amount: money("EUR", 2000),
        discount: Ok(money("EUR", 400)),
    }
}

/// Valid until second 1000.
fn record(state: CouponState, order: Option<OrderId>) -> CouponRecord {
    CouponRecord {
        id: coupon(1, 0),
        campaign: campaign("c"),
        user: user("ada"),
        state,
        claimed_at: second(0),
        expires_at: second(1000),
        order,
        redeemed_at: (state == CouponState::Redeemed).then(|| second(5)),
    }
}

/// The row of the order `mine`, for the coupon with this serial.
fn row(state: OrderState, serial: u32) -> OrderRecord {
    OrderRecord {
        id: order("mine"),
        coupon: coupon(1, serial),
        user: user("ada"),
        amount: money("EUR", 2000),
        discount: money("EUR", 399),
        state,
        redeemed_at: (state == OrderState::Redeemed).then(|| second(5)),
    }
}

fn decide(call: &Redeem, coupon: CouponRecord, order: Option<OrderRecord>, at: i64) -> RedeemOutcome {
    call.decide(&RedeemFacts { coupon: Some(coupon), order }, second(at))
}

fn refused(refusal: RedeemRefusal) -> RedeemOutcome {
    RedeemOutcome::Refused(refusal)
}

/// Every state a coupon can be in for this order: its state, the order that has it, the time, and what Redeem says if the order is free.
fn coupons() -> Vec<(CouponRecord, i64, RedeemOutcome)> {
    let done = |at| RedeemOutcome::Redeemed(call().redemption(money("EUR", 400), second(at)));
    let (other, none) = (Some(order("other")), None);
    vec![
        (record(CouponState::Issued, none.clone()), 999, done(999)),
        (record(CouponState::Issued, none.clone()), 1000, refused(RedeemRefusal::Expired)),
        (record(CouponState::Expired, none.clone()), 999, refused(RedeemRefusal::Expired)),
        (record(CouponState::Void, none.clone()), 999, refused(RedeemRefusal::Void)),
        (record(CouponState::Void, none), 1000, refused(RedeemRefusal::Void)),
        (record(CouponState::Held, other.clone()), 999, refused(RedeemRefusal::AlreadyHeld(order("other")))),
        (record(CouponState::Held, other.clone()), 1000, refused(RedeemRefusal::AlreadyHeld(order("other")))),
        (record(CouponState::Redeemed, other.clone()), 999, refused(RedeemRefusal::AlreadyRedeemed(order("other")))),
        (record(CouponState::Redeemed, other), 1000, refused(RedeemRefusal::AlreadyRedeemed(order("other")))),
    ]
}

#[test]
fn an_order_that_is_new_or_has_given_its_coupon_back_depends_on_the_coupon_alone() {
    for (coupon, at, expected) in coupons() {
        for order in [None, Some(row(OrderState::Released, 0)), Some(row(OrderState::Released, 9))] {
            assert_eq!(decide(&call(), coupon.clone(), order.clone(), at), expected, "{coupon:?} {order:?}");
        }
    }
}

#[test]
fn a_cancelled_order_stays_cancelled_whatever_the_coupon() {
    for (coupon, at, _) in coupons() {
        for serial in [0, 9] {
            let outcome = decide(&call(), coupon.clone(), Some(row(OrderState::Cancelled, serial)), at);
            assert_eq!(outcome, refused(RedeemRefusal::OrderCancelled), "{coupon:?}");
        }
    }
}

#[test]
fn an_order_with_another_coupon_is_told_so_whatever_this_one() {
    for (coupon, at, _) in coupons() {
        for state in [OrderState::Held, OrderState::Redeemed] {
            let outcome = decide(&call(), coupon.clone(), Some(row(state, 9)), at);
            assert_eq!(outcome, refused(RedeemRefusal::OrderHasCoupon), "{coupon:?} {state:?}");
        }
    }
}

#[test]
fn an_order_redeems_the_coupon_that_it_holds_also_past_its_validity() {
    for at in [999, 1000] {
        let held = record(CouponState::Held, Some(order("mine")));
        let expected = RedeemOutcome::Redeemed(call().redemption(money("EUR", 400), second(at)));
        assert_eq!(decide(&call(), held, Some(row(OrderState::Held, 0)), at), expected);
    }
}

#[test]
fn a_repeat_gets_the_first_answer_and_a_changed_one_is_a_mismatch() {
    let used = record(CouponState::Redeemed, Some(order("mine")));
    let decide = |call: &Redeem| decide(call, used.clone(), Some(row(OrderState::Redeemed, 0)), 100_000);

    let first = call().redemption(money("EUR", 399), second(5));
    assert_eq!(decide(&call()), RedeemOutcome::Replayed(first.clone()), "the discount of then");
    // Rules do not change what was answered.
    let unsuitable = Redeem { discount: Err(Unsuitable::MinOrderNotMet), ..call() };
    assert_eq!(decide(&unsuitable), RedeemOutcome::Replayed(first));
    for amount in [money("EUR", 2001), money("USD", 2000)] {
        assert_eq!(decide(&Redeem { amount, ..call() }), refused(RedeemRefusal::OrderMismatch));
    }
}

#[test]
fn another_users_coupon_is_unknown_before_anything_else() {
    let eve = Redeem { user: user("eve"), discount: Err(Unsuitable::CurrencyMismatch), ..call() };
    for (coupon, at, _) in coupons() {
        let orders = OrderState::ALL.into_iter().flat_map(|state| [Some(row(state, 0)), Some(row(state, 9))]);
        for order in orders.chain([None]) {
            let outcome = decide(&eve, coupon.clone(), order, at);
            assert_eq!(outcome, refused(RedeemRefusal::UnknownCoupon), "{coupon:?}");
        }
    }
}

#[test]
fn a_coupon_that_the_ledger_does_not_have_is_not_recorded_yet() {
    for order in OrderState::ALL.into_iter().map(|state| Some(row(state, 0))).chain([None]) {
        assert_eq!(call().decide(&RedeemFacts { coupon: None, order }, second(0)), RedeemOutcome::NotRecorded);
    }
}

#[test]
fn an_unsuitable_order_is_refused_last() {
    for (unsuitable, refusal) in [
        (Unsuitable::CurrencyMismatch, RedeemRefusal::CurrencyMismatch),
        (Unsuitable::MinOrderNotMet, RedeemRefusal::MinOrderNotMet),
    ] {
        let call = Redeem { discount: Err(unsuitable), ..call() };
        for (coupon, at, expected) in coupons() {
            let yes = matches!(expected, RedeemOutcome::Redeemed(_));
            let expected = if yes { refused(refusal.clone()) } else { expected };
            assert_eq!(decide(&call, coupon, None, at), expected);
        }
    }
}
