//! A coupon is used for one order, once.

use std::time::Duration;

use coupon_domain::ids::CouponId;
use coupon_domain::money::Money;
use coupon_domain::ports::{Event, EventKind};
use coupon_domain::redemption::{CouponState, OrderState, Redeem, RedeemOutcome, RedeemRefusal};
use tokio::task::JoinSet;

use super::history::{History, events_after};
use crate::build::{
    a_campaign, campaign_id, coupon_id, eur, jpy, millisecond, order, round, round_id, rules, second, user, users,
};
use crate::under_test::LedgerUnderTest;

/// A call for an order of this amount; 20 % come off, from 10.00 EUR on.
pub(super) fn call(campaign: &str, coupon: CouponId, who: &str, order_id: &str, amount: Money) -> Redeem {
    let discount = rules().benefit.discount(amount);
    Redeem { coupon, campaign: campaign_id(campaign), user: user(who), order: order(order_id), amount, discount }
}

/// A call for a coupon of campaign `c` by its owner.
fn of_c(serial: u32, order_id: &str, amount: Money) -> Redeem {
    call("c", coupon_id(1, serial), &format!("u-{serial}"), order_id, amount)
}

/// Ten coupons of round 1 in campaign `c`, the one with serial i owned by `u-i`, valid for 1000 s from second 300 on.
async fn ten_coupons(ledger: &LedgerUnderTest) {
    ledger.clock.set(second(400)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360).valid_for(Duration::from_secs(1000)), second(0));
    history.claim(round_id(1), &users(10), second(300));
    history.record(ledger).await;
}

async fn redeem(ledger: &LedgerUnderTest, call: &Redeem) -> RedeemOutcome {
    let mut outcomes = ledger.coupons.redeem(std::slice::from_ref(call)).await.expect("the ledger answers");
    assert_eq!(outcomes.len(), 1, "one call, one answer");
    outcomes.remove(0)
}

fn redeemed(call: &Redeem, at: coupon_domain::time::Timestamp) -> RedeemOutcome {
    RedeemOutcome::Redeemed(call.redemption(call.discount.expect("it suits"), at))
}

fn replayed(call: &Redeem, at: coupon_domain::time::Timestamp) -> RedeemOutcome {
    RedeemOutcome::Replayed(call.redemption(call.discount.expect("it suits"), at))
}

fn refused(refusal: RedeemRefusal) -> RedeemOutcome {
    RedeemOutcome::Refused(refusal)
}

async fn redemptions(ledger: &LedgerUnderTest) -> Vec<Event> {
    let events = events_after(ledger, 0).await.into_iter().map(|(_, event)| event);
    events.filter(|event| event.kind == EventKind::CouponRedeemed).collect()
}

/// With one event, also when it comes in the same batch or after the coupon's validity.
pub async fn a_coupon_is_redeemed_once_and_a_repeat_gets_the_first_answer(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (first, twice) = (of_c(0, "o-1", eur(2550)), of_c(1, "o-2", eur(1000)));

    assert_eq!(redeem(&ledger, &first).await, redeemed(&first, second(400)));
    ledger.clock.set(second(410)).await;
    assert_eq!(redeem(&ledger, &first).await, replayed(&first, second(400)));
    let both = ledger.coupons.redeem(&[twice.clone(), first.clone(), twice.clone()]).await.expect("answers");
    assert_eq!(both, [redeemed(&twice, second(410)), replayed(&first, second(400)), replayed(&twice, second(410))]);
    ledger.clock.set(second(100_000)).await;
    assert_eq!(redeem(&ledger, &first).await, replayed(&first, second(400)));

    let (coupon, at) = ledger.coupons.coupon(coupon_id(1, 0)).await.expect("answers").expect("it is there");
    assert_eq!(
        (coupon.state, coupon.order, coupon.redeemed_at),
        (CouponState::Redeemed, Some(order("o-1")), Some(second(400)))
    );
    assert_eq!(at, second(100_000));
    let events = redemptions(&ledger).await;
    let told: Vec<_> = events.iter().map(|e| (e.coupon, e.user.clone(), e.order.clone(), e.at)).collect();
    let expected = [(0, "o-1", 400), (1, "o-2", 410)].map(|(serial, id, at)| {
        (Some(coupon_id(1, serial)), Some(user(&format!("u-{serial}"))), Some(order(id)), second(at))
    });
    assert_eq!(told, expected);
    assert_ne!(events[0].id, events[1].id);
    assert!(events.iter().all(|event| event.campaign == campaign_id("c")));
}

/// It is told so before anything else, and the facts are the first call's.
pub async fn a_repeat_with_another_amount_is_a_mismatch(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let first = of_c(0, "o-1", eur(2000));
    redeem(&ledger, &first).await;

    for at in [second(400), second(100_000)] {
        ledger.clock.set(at).await;
        for amount in [eur(2001), eur(1), jpy(2000)] {
            assert_eq!(redeem(&ledger, &of_c(0, "o-1", amount)).await, refused(RedeemRefusal::OrderMismatch));
        }
    }
    let (facts, at) = ledger.coupons.redeem_facts(&first).await.expect("answers");
    let kept = facts.order.expect("it is there");
    assert_eq!((kept.id, kept.coupon, kept.user), (order("o-1"), coupon_id(1, 0), user("u-0")));
    assert_eq!((kept.amount, kept.discount, kept.state), (eur(2000), eur(400), OrderState::Redeemed));
    assert_eq!((kept.redeemed_at, at), (Some(second(400)), second(100_000)));
}

/// Half-open, to the millisecond.
pub async fn a_coupon_can_be_redeemed_until_its_validity_ends(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ledger.clock.set(millisecond(1_299_999)).await;
    let in_time = of_c(0, "o-1", eur(2000));
    assert_eq!(redeem(&ledger, &in_time).await, redeemed(&in_time, millisecond(1_299_999)));

    ledger.clock.set(second(1300)).await;
    assert_eq!(redeem(&ledger, &of_c(1, "o-2", eur(2000))).await, refused(RedeemRefusal::Expired));
    assert_eq!(redeem(&ledger, &of_c(1, "o-2", jpy(1))).await, refused(RedeemRefusal::Expired), "looked at first");
    // The order is still free.
    ledger.clock.set(millisecond(1_299_999)).await;
    let other = of_c(2, "o-2", eur(2000));
    assert_eq!(redeem(&ledger, &other).await, redeemed(&other, millisecond(1_299_999)));
}

/// Ninety-nine are told which order has it.
pub async fn of_a_hundred_orders_at_once_one_gets_the_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut calls = JoinSet::new();
    for i in 0..100 {
        let (coupons, call) = (ledger.coupons.clone(), of_c(0, &format!("o-{i}"), eur(2000)));
        calls.spawn(async move { coupons.redeem(&[call]).await.expect("the ledger answers").remove(0) });
    }
    let outcomes = calls.join_all().await;

    let won: Vec<_> = outcomes
        .iter()
        .filter_map(|o| if let RedeemOutcome::Redeemed(r) = o { Some(r.order.clone()) } else { None })
        .collect();
    let [winner] = &won[..] else { panic!("{outcomes:?}") };
    let lost = outcomes.iter().filter(|o| **o == refused(RedeemRefusal::AlreadyRedeemed(winner.clone()))).count();
    assert_eq!(lost, 99, "{outcomes:?}");
    assert_eq!(redemptions(&ledger).await.len(), 1);
}

/// As if they had come one after the other.
pub async fn of_a_hundred_orders_in_a_batch_the_first_gets_the_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let calls: Vec<_> = (0..100).map(|i| of_c(0, &format!("o-{i}"), eur(2000))).collect();

    let outcomes = ledger.coupons.redeem(&calls).await.expect("the ledger answers");

    assert_eq!(outcomes[0], redeemed(&calls[0], second(400)));
    assert_eq!(outcomes.len(), 100);
    let taken = refused(RedeemRefusal::AlreadyRedeemed(order("o-0")));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == taken), "{outcomes:?}");
    assert_eq!(redemptions(&ledger).await.len(), 1);
    assert_eq!(ledger.coupons.redeem(&[]).await.expect("the ledger answers"), []);
}

/// In one batch, and in one after the other; the coupon that was not taken stays usable.
pub async fn an_order_takes_one_coupon_only(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (first, second_one) = (of_c(0, "o-1", eur(2000)), of_c(1, "o-1", eur(2000)));

    let outcomes = ledger.coupons.redeem(&[first.clone(), second_one.clone()]).await.expect("answers");
    assert_eq!(outcomes, [redeemed(&first, second(400)), refused(RedeemRefusal::OrderHasCoupon)]);
    assert_eq!(redeem(&ledger, &second_one).await, refused(RedeemRefusal::OrderHasCoupon));
    ledger.clock.set(second(100_000)).await;
    assert_eq!(redeem(&ledger, &second_one).await, refused(RedeemRefusal::OrderHasCoupon), "before its expiry");

    ledger.clock.set(second(400)).await;
    let other = of_c(1, "o-2", eur(2000));
    assert_eq!(redeem(&ledger, &other).await, redeemed(&other, second(400)));
    assert_eq!(
        redeem(&ledger, &of_c(0, "o-2", eur(2000))).await,
        refused(RedeemRefusal::OrderHasCoupon),
        "before what the coupon is"
    );
    assert_eq!(
        redeem(&ledger, &of_c(0, "o-3", eur(2000))).await,
        refused(RedeemRefusal::AlreadyRedeemed(order("o-1")))
    );
}

/// Ten coupons, one order: nine stay usable.
pub async fn of_two_coupons_at_once_an_order_takes_one(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut calls = JoinSet::new();
    for serial in 0..10 {
        let (coupons, call) = (ledger.coupons.clone(), of_c(serial, "o-1", eur(2000)));
        calls.spawn(async move { coupons.redeem(&[call]).await.expect("the ledger answers").remove(0) });
    }
    let outcomes = calls.join_all().await;

    assert_eq!(outcomes.iter().filter(|o| matches!(o, RedeemOutcome::Redeemed(_))).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|o| **o == refused(RedeemRefusal::OrderHasCoupon)).count(), 9, "{outcomes:?}");
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
    let stolen = |order_id, amount| call("c", coupon_id(1, 0), "eve", order_id, amount);
    assert_eq!(redeem(&ledger, &stolen("o-1", eur(2000))).await, refused(RedeemRefusal::UnknownCoupon));
    redeem(&ledger, &of_c(0, "o-1", eur(2000))).await;
    for (order_id, amount) in [("o-1", eur(2000)), ("o-2", eur(2000)), ("o-2", jpy(1))] {
        assert_eq!(redeem(&ledger, &stolen(order_id, amount)).await, refused(RedeemRefusal::UnknownCoupon));
    }
    assert_eq!(redemptions(&ledger).await.len(), 1);
}

/// Its recorder has to run first; the order is not taken, and the other calls of the batch go on.
pub async fn a_coupon_that_is_not_recorded_yet_is_told_so(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (missing, elsewhere) = (of_c(77, "o-1", eur(2000)), call("c", coupon_id(55, 0), "ada", "o-2", eur(2000)));
    let (good, same_order) = (of_c(3, "o-3", eur(2000)), of_c(4, "o-1", eur(2000)));

    let calls = [missing.clone(), good.clone(), elsewhere.clone(), same_order.clone()];
    let outcomes = ledger.coupons.redeem(&calls).await.expect("answers");

    let missed = RedeemOutcome::NotRecorded;
    let at = second(400);
    assert_eq!(outcomes, [missed.clone(), redeemed(&good, at), missed.clone(), redeemed(&same_order, at)]);
    let (facts, _) = ledger.coupons.redeem_facts(&missing).await.expect("answers");
    assert_eq!((facts.coupon, facts.order.map(|o| o.coupon)), (None, Some(coupon_id(1, 4))));
}

/// Neither order nor coupon is used up by it.
pub async fn an_unsuitable_order_writes_nothing(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let before = events_after(&ledger, 0).await;
    assert_eq!(redeem(&ledger, &of_c(0, "o-1", jpy(90_000))).await, refused(RedeemRefusal::CurrencyMismatch));
    assert_eq!(redeem(&ledger, &of_c(0, "o-1", eur(999))).await, refused(RedeemRefusal::MinOrderNotMet));
    assert_eq!(events_after(&ledger, 0).await, before);
    let (facts, at) = ledger.coupons.redeem_facts(&of_c(0, "o-1", eur(999))).await.expect("answers");
    assert_eq!((facts.order, facts.coupon.map(|c| c.state), at), (None, Some(CouponState::Issued), second(400)));

    let good = of_c(0, "o-1", eur(1000));
    assert_eq!(redeem(&ledger, &good).await, redeemed(&good, second(400)));
    // A used coupon is told before an unsuitable order.
    let late = redeem(&ledger, &of_c(0, "o-2", jpy(1))).await;
    assert_eq!(late, refused(RedeemRefusal::AlreadyRedeemed(order("o-1"))));
}

/// An order's id is the shop's, unique in a campaign.
pub async fn the_same_order_id_in_two_campaigns_is_two_orders(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut history = History::begin(&ledger, &a_campaign("d")).await;
    history.open_round(round(2).claiming(300..360), second(0));
    history.claim(round_id(2), &users(1), second(300));
    history.record(&ledger).await;

    let calls = [of_c(0, "o-1", eur(2000)), call("d", coupon_id(2, 0), "u-0", "o-1", eur(3000))];
    let outcomes = ledger.coupons.redeem(&calls).await.expect("answers");

    assert_eq!(outcomes, [redeemed(&calls[0], second(400)), redeemed(&calls[1], second(400))]);
}
