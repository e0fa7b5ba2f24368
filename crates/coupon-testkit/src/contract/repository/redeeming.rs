//! A coupon is used for one order, once.

use coupon_domain::checkout::{CheckoutRefusal, Deed, Outcome};
use coupon_domain::ports::{Event, EventDetails, EventKind};
use coupon_domain::redemption::{CouponState, Price};
use tokio::task::JoinSet;

use super::desk::{
    IntoCall, ask, ask_all, foresee, redeem, redeem_of, redeemed, refused, replayed, stored, ten_coupons,
};
use super::history::{History, events_after};
use crate::build::{
    a_campaign, campaign_id, coupon_id, eur, jpy, millisecond, order, round, round_id, second, user, users,
};
use crate::under_test::LedgerUnderTest;

/// Their events.
async fn redemptions(ledger: &LedgerUnderTest) -> Vec<Event> {
    let events = events_after(ledger, 0).await.into_iter().map(|(_, event)| event);
    events.filter(|event| event.kind == EventKind::CouponRedeemed).collect()
}

/// With one event, also when it comes in the same batch or after the coupon's validity.
pub async fn a_coupon_is_redeemed_once_and_a_repeat_gets_the_first_answer(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (first, twice) = (redeem_of(0, "o-1", eur(2550)), redeem_of(1, "o-2", eur(1000)));

    assert_eq!(ask(&ledger, &first).await, redeemed(&first, second(400)));
    ledger.clock.set(second(410)).await;
    assert_eq!(ask(&ledger, &first).await, replayed(&first, second(400)));
    let both = ask_all(&ledger, &[twice.call(), first.call(), twice.call()]).await;
    assert_eq!(both, [redeemed(&twice, second(410)), replayed(&first, second(400)), replayed(&twice, second(410))]);
    ledger.clock.set(second(100_000)).await;
    assert_eq!(ask(&ledger, &first).await, replayed(&first, second(400)));

    let (coupon, at) = ledger.coupons.coupon(coupon_id(1, 0)).await.expect("answers").expect("it is there");
    assert_eq!(
        (coupon.state, coupon.order, coupon.redeemed_at),
        (CouponState::Redeemed, Some(order("o-1")), Some(second(400)))
    );
    assert_eq!(at, second(100_000));
    let events = redemptions(&ledger).await;
    let expected = [(&first, 0, 400), (&twice, 1, 410)].map(|(call, serial, at)| {
        let price = Price { amount: call.amount, discount: call.discount.expect("it suits") };
        Event {
            round: Some(round_id(1)),
            coupon: Some(coupon_id(1, serial)),
            user: Some(user(&format!("u-{serial}"))),
            order: Some(call.order.clone()),
            state: Some("REDEEMED".to_owned()),
            details: EventDetails { price: Some(price), ..EventDetails::default() },
            ..Event::new(EventKind::CouponRedeemed, campaign_id("c"), second(at))
        }
    });
    let nameless: Vec<_> = events.iter().map(|event| Event { id: String::new(), ..event.clone() }).collect();
    assert_eq!(nameless, expected);
    assert_ne!(events[0].id, events[1].id);
}

/// It is told so before anything else, and the facts are the first call's.
pub async fn a_repeat_with_another_amount_is_a_mismatch(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let first = redeem_of(0, "o-1", eur(2000));
    ask(&ledger, &first).await;

    for at in [second(400), second(100_000)] {
        ledger.clock.set(at).await;
        for amount in [eur(2001), eur(1), jpy(2000)] {
            assert_eq!(ask(&ledger, &redeem_of(0, "o-1", amount)).await, refused(CheckoutRefusal::OrderMismatch));
        }
    }
    assert_eq!(ask(&ledger, &first).await, replayed(&first, second(400)), "as if nothing had been");
}

/// Half-open, to the millisecond.
pub async fn a_coupon_can_be_redeemed_until_its_validity_ends(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ledger.clock.set(millisecond(1_299_999)).await;
    let in_time = redeem_of(0, "o-1", eur(2000));
    assert_eq!(ask(&ledger, &in_time).await, redeemed(&in_time, millisecond(1_299_999)));

    ledger.clock.set(second(1300)).await;
    assert_eq!(ask(&ledger, &redeem_of(1, "o-2", eur(2000))).await, refused(CheckoutRefusal::Expired));
    assert_eq!(ask(&ledger, &redeem_of(1, "o-2", jpy(1))).await, refused(CheckoutRefusal::Expired), "looked at first");
    // The order is still free.
    ledger.clock.set(millisecond(1_299_999)).await;
    let other = redeem_of(2, "o-2", eur(2000));
    assert_eq!(ask(&ledger, &other).await, redeemed(&other, millisecond(1_299_999)));
}

/// Ninety-nine are told which order has it.
pub async fn of_a_hundred_orders_at_once_one_gets_the_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut calls = JoinSet::new();
    for i in 0..100 {
        let (coupons, call) = (ledger.coupons.clone(), redeem_of(0, &format!("o-{i}"), eur(2000)));
        calls.spawn(async move { coupons.carry_out(&[call.call()]).await.expect("the ledger answers").remove(0) });
    }
    let outcomes = calls.join_all().await;

    let won: Vec<_> = outcomes
        .iter()
        .filter_map(|o| if let Outcome::Done(Deed::Redeemed(r)) = o { Some(r.order.clone()) } else { None })
        .collect();
    let [winner] = &won[..] else { panic!("{outcomes:?}") };
    let lost = outcomes.iter().filter(|o| **o == refused(CheckoutRefusal::AlreadyRedeemed(winner.clone()))).count();
    assert_eq!(lost, 99, "{outcomes:?}");
    assert_eq!(redemptions(&ledger).await.len(), 1);
}

/// As if they had come one after the other.
pub async fn of_a_hundred_orders_in_a_batch_the_first_gets_the_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let calls: Vec<_> = (0..100).map(|i| redeem_of(0, &format!("o-{i}"), eur(2000))).collect();

    let outcomes = ask_all(&ledger, &calls.iter().map(IntoCall::call).collect::<Vec<_>>()).await;

    assert_eq!(outcomes[0], redeemed(&calls[0], second(400)));
    let taken = refused(CheckoutRefusal::AlreadyRedeemed(order("o-0")));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == taken), "{outcomes:?}");
    assert_eq!(redemptions(&ledger).await.len(), 1);
    assert_eq!(ask_all(&ledger, &[]).await, []);
}

/// In one batch, and in one after the other; the coupon that was not taken stays usable.
pub async fn an_order_takes_one_coupon_only(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (first, second_one) = (redeem_of(0, "o-1", eur(2000)), redeem_of(1, "o-1", eur(2000)));

    let outcomes = ask_all(&ledger, &[first.call(), second_one.call()]).await;
    assert_eq!(outcomes, [redeemed(&first, second(400)), refused(CheckoutRefusal::OrderHasCoupon)]);
    assert_eq!(ask(&ledger, &second_one).await, refused(CheckoutRefusal::OrderHasCoupon));
    ledger.clock.set(second(100_000)).await;
    assert_eq!(ask(&ledger, &second_one).await, refused(CheckoutRefusal::OrderHasCoupon), "before its expiry");

    ledger.clock.set(second(400)).await;
    let other = redeem_of(1, "o-2", eur(2000));
    assert_eq!(ask(&ledger, &other).await, redeemed(&other, second(400)));
    assert_eq!(
        ask(&ledger, &redeem_of(0, "o-2", eur(2000))).await,
        refused(CheckoutRefusal::OrderHasCoupon),
        "before what the coupon is"
    );
    assert_eq!(
        ask(&ledger, &redeem_of(0, "o-3", eur(2000))).await,
        refused(CheckoutRefusal::AlreadyRedeemed(order("o-1")))
    );
}

/// Ten coupons, one order: nine stay usable.
pub async fn of_two_coupons_at_once_an_order_takes_one(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut calls = JoinSet::new();
    for serial in 0..10 {
        let (coupons, call) = (ledger.coupons.clone(), redeem_of(serial, "o-1", eur(2000)));
        calls.spawn(async move { coupons.carry_out(&[call.call()]).await.expect("the ledger answers").remove(0) });
    }
    let outcomes = calls.join_all().await;

    assert_eq!(outcomes.iter().filter(|o| matches!(o, Outcome::Done(_))).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|o| **o == refused(CheckoutRefusal::OrderHasCoupon)).count(), 9, "{outcomes:?}");
    let mut free = 0;
    for serial in 0..10 {
        let (coupon, _) = ledger.coupons.coupon(coupon_id(1, serial)).await.expect("answers").expect("it is there");
        free += usize::from(coupon.state == CouponState::Issued);
    }
    assert_eq!((free, redemptions(&ledger).await.len()), (9, 1));
}

/// Before everything else, used or not.
pub async fn another_users_coupon_is_unknown(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let stolen = |order_id, amount| redeem("c", coupon_id(1, 0), "eve", order_id, amount);
    assert_eq!(ask(&ledger, &stolen("o-1", eur(2000))).await, refused(CheckoutRefusal::UnknownCoupon));
    ask(&ledger, &redeem_of(0, "o-1", eur(2000))).await;
    for (order_id, amount) in [("o-1", eur(2000)), ("o-2", eur(2000)), ("o-2", jpy(1))] {
        assert_eq!(ask(&ledger, &stolen(order_id, amount)).await, refused(CheckoutRefusal::UnknownCoupon));
    }
    assert_eq!(redemptions(&ledger).await.len(), 1);
}

/// Its recorder has to run first; the order is not taken, and the other calls of the batch go on.
pub async fn a_coupon_that_is_not_recorded_yet_is_told_so(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (missing, elsewhere) =
        (redeem_of(77, "o-1", eur(2000)), redeem("c", coupon_id(55, 0), "ada", "o-2", eur(2000)));
    let (good, same_order) = (redeem_of(3, "o-3", eur(2000)), redeem_of(4, "o-1", eur(2000)));

    let calls = [missing.call(), good.call(), elsewhere.call(), same_order.call()];
    let outcomes = ask_all(&ledger, &calls).await;

    let missed = Outcome::NotRecorded;
    let at = second(400);
    assert_eq!(outcomes, [missed.clone(), redeemed(&good, at), missed.clone(), redeemed(&same_order, at)]);
    assert_eq!(foresee(&ledger, &missing).await, missed);
}

/// Neither order nor coupon is used up by it.
pub async fn an_unsuitable_order_writes_nothing(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let before = events_after(&ledger, 0).await;
    assert_eq!(ask(&ledger, &redeem_of(0, "o-1", jpy(90_000))).await, refused(CheckoutRefusal::CurrencyMismatch));
    assert_eq!(ask(&ledger, &redeem_of(0, "o-1", eur(999))).await, refused(CheckoutRefusal::MinOrderNotMet));
    assert_eq!(events_after(&ledger, 0).await, before);
    let coupon = stored(&ledger, coupon_id(1, 0)).await;
    assert_eq!((coupon.state, coupon.order), (CouponState::Issued, None));

    let good = redeem_of(0, "o-1", eur(1000));
    assert_eq!(ask(&ledger, &good).await, redeemed(&good, second(400)));
    // A used coupon is told before an unsuitable order.
    let late = ask(&ledger, &redeem_of(0, "o-2", jpy(1))).await;
    assert_eq!(late, refused(CheckoutRefusal::AlreadyRedeemed(order("o-1"))));
}

/// An order's id is the shop's, unique in a campaign.
pub async fn the_same_order_id_in_two_campaigns_is_two_orders(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut history = History::begin(&ledger, &a_campaign("d")).await;
    history.open_round(round(2).claiming(300..360), second(0));
    history.claim(round_id(2), &users(1), second(300));
    history.record(&ledger).await;

    let calls = [redeem_of(0, "o-1", eur(2000)), redeem("d", coupon_id(2, 0), "u-0", "o-1", eur(3000))];
    let outcomes = ask_all(&ledger, &[calls[0].call(), calls[1].call()]).await;

    assert_eq!(outcomes, [redeemed(&calls[0], second(400)), redeemed(&calls[1], second(400))]);
}
