//! Many callers at once: one of them wins, and the events tell of exactly that.

use coupon_domain::checkout::{Call, CheckoutRefusal, Deed, Outcome};
use coupon_domain::ids::OrderId;
use coupon_domain::ports::EventKind;
use coupon_domain::redemption::CouponState;
use tokio::task::JoinSet;

use super::desk::{
    IntoCall as _, ROLLED_BACK, ROLLED_BACK_BEFORE, ask, ask_all, back, foresee, held, hold_of, kinds, redeem_of,
    refused, rollback, standing, ten_coupons, told,
};
use super::history::events_after;
use crate::build::{coupon_id, eur, order, second};
use crate::under_test::LedgerUnderTest;

const CALLERS: u32 = 64;

/// Sends each batch from a task of its own.
async fn at_once(ledger: &LedgerUnderTest, batches: Vec<Vec<Call>>) -> Vec<(Call, Outcome)> {
    let mut callers = JoinSet::new();
    for batch in batches {
        let coupons = ledger.coupons.clone();
        callers.spawn(async move {
            let outcomes = coupons.carry_out(&batch).await.expect("the ledger answers");
            batch.into_iter().zip(outcomes).collect::<Vec<_>>()
        });
    }
    callers.join_all().await.concat()
}

/// Whose call was done.
fn winner(outcomes: &[(Call, Outcome)]) -> OrderId {
    let won = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_)));
    let won: Vec<_> = won.filter_map(|(call, _)| call.order()).collect();
    let [(_, winner)] = won[..] else { panic!("{outcomes:?}") };
    winner.clone()
}

/// The others are told whose it is.
pub async fn of_64_holds_at_once_one_gets_the_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let outcomes = at_once(&ledger, (0..CALLERS).map(|i| vec![hold_of(0, &format!("o-{i}")).call()]).collect()).await;
    let winner = winner(&outcomes);
    let lost = refused(CheckoutRefusal::AlreadyHeld(winner.clone()));
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == lost).count(), 63, "{outcomes:?}");
    assert_eq!(standing(&ledger, 0).await, (CouponState::Held, Some(winner)));
    assert_eq!(kinds(&ledger).await, [(EventKind::CouponHeld, second(400))]);
}

/// All of one order: one is done, the others get its answer.
pub async fn of_64_repeats_of_a_hold_at_once_all_get_the_same_end(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let hold = hold_of(0, "o-1");
    let outcomes = at_once(&ledger, vec![vec![hold.call()]; CALLERS as usize]).await;
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == held(&hold, second(1000))).count(), 1);
    let repeats = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Replayed(Deed::Held(_)))).count();
    assert_eq!(repeats, 63, "{outcomes:?}");
    assert_eq!(told(&ledger).await.len(), 1);
}

/// Whoever is first has it, for as long as it lasts.
pub async fn of_64_holds_and_redemptions_at_once_one_gets_the_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let call = |i| {
        let id = format!("o-{i}");
        if i % 2 == 0 { hold_of(0, &id).call() } else { redeem_of(0, &id, eur(2000)).call() }
    };
    let outcomes = at_once(&ledger, (0..CALLERS).map(|i| vec![call(i)]).collect()).await;
    let winner = winner(&outcomes);
    let (state, refusal, kind) = match standing(&ledger, 0).await.0 {
        CouponState::Held => (CouponState::Held, CheckoutRefusal::AlreadyHeld(winner.clone()), EventKind::CouponHeld),
        state => (state, CheckoutRefusal::AlreadyRedeemed(winner.clone()), EventKind::CouponRedeemed),
    };
    assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == refused(refusal.clone())).count(), 63);
    assert_eq!(standing(&ledger, 0).await, (state, Some(winner)));
    assert_eq!(kinds(&ledger).await, [(kind, second(400))]);
}

/// Of a redeemed order and of one that nobody knows: one is done, the others get its answer.
pub async fn of_64_rollbacks_at_once_one_is_done(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &redeem_of(0, "used", eur(2000))).await;
    for (id, kind) in [("used", EventKind::CouponRolledBack), ("unheard-of", EventKind::OrderCancelled)] {
        let outcomes = at_once(&ledger, vec![vec![rollback(back(0, id))]; CALLERS as usize]).await;
        assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == ROLLED_BACK).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|(_, outcome)| *outcome == ROLLED_BACK_BEFORE).count(), 63);
        assert_eq!(kinds(&ledger).await.iter().filter(|(told, _)| *told == kind).count(), 1);
    }
    assert_eq!(standing(&ledger, 0).await, (CouponState::Issued, None));
}

/// Ten orders, each redeemed and rolled back at once: whatever came first, the order is cancelled and its coupon is free.
pub async fn a_redemption_and_its_rollback_at_once_leave_the_order_cancelled(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let pair = |serial: u32| {
        let id = format!("o-{serial}");
        [vec![redeem_of(serial, &id, eur(2000)).call()], vec![rollback(back(serial, &id))]]
    };
    let outcomes = at_once(&ledger, (0..10).flat_map(pair).collect()).await;
    let events = told(&ledger).await;
    for serial in 0..10 {
        let id = order(&format!("o-{serial}"));
        assert_eq!(standing(&ledger, serial).await, (CouponState::Issued, None));
        let late = redeem_of(serial, id.as_str(), eur(2000));
        assert_eq!(foresee(&ledger, &late).await, refused(CheckoutRefusal::OrderCancelled));
        let redeemed = outcomes.iter().any(|(call, outcome)| {
            call.coupon() == Some(coupon_id(1, serial)) && matches!(outcome, Outcome::Done(Deed::Redeemed(_)))
        });
        let kinds: Vec<_> = events.iter().filter(|e| e.order.as_ref() == Some(&id)).map(|e| e.kind).collect();
        let both = [EventKind::CouponRedeemed, EventKind::CouponRolledBack];
        assert_eq!(kinds, if redeemed { both.to_vec() } else { vec![EventKind::OrderCancelled] });
    }
}

/// Batches that want the same coupons and orders in other orders are all answered.
pub async fn batches_that_cross_each_other_are_all_answered(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let batch = |i: u32| -> Vec<Call> {
        let mut calls: Vec<_> =
            (0..10).map(|j| redeem_of(j, &format!("o-{}", (j + i) % 10), eur(2000)).call()).collect();
        calls.extend((0..10).map(|j| hold_of(j, &format!("o-{}", (j + 3 * i) % 10)).call()));
        calls.rotate_left(i as usize % 20);
        if i.is_multiple_of(2) {
            calls.reverse();
        }
        calls
    };
    let outcomes = at_once(&ledger, (0..CALLERS).map(batch).collect()).await;
    let done = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Done(_))).count();
    let events = told(&ledger).await;
    assert_eq!(done, events.len(), "each change is told once");
    let mut taken: Vec<_> = Vec::new();
    for serial in 0..10 {
        let (state, order) = standing(&ledger, serial).await;
        assert_eq!(state == CouponState::Issued, order.is_none());
        taken.extend(order);
    }
    let count = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), count, "an order has one coupon");
}

/// Nothing is changed, whatever the answer would be; a batch without calls is nothing either.
pub async fn what_is_foreseen_is_not_done(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &hold_of(1, "o-1")).await;
    ask(&ledger, &redeem_of(2, "o-2", eur(2000))).await;
    let before = events_after(&ledger, 0).await;
    let calls = [
        hold_of(0, "o-0").call(),
        redeem_of(0, "o-0", eur(2000)).call(),
        redeem_of(1, "o-1", eur(2000)).call(),
        super::desk::release(back(1, "o-1")),
        rollback(back(1, "o-1")),
        rollback(back(2, "o-2")),
        rollback(back(3, "unheard-of")),
        super::desk::void_of(3).call(),
        redeem_of(0, "o-1", eur(2000)).call(),
        redeem_of(2, "o-2", eur(2000)).call(),
    ];
    for at in [second(400), second(1000), second(1300)] {
        ledger.clock.set(at).await;
        for call in calls.iter().chain(&calls) {
            foresee(&ledger, call).await;
        }
    }
    assert_eq!(events_after(&ledger, 0).await, before);
    ledger.clock.set(second(400)).await;
    let expected = [CouponState::Issued, CouponState::Held, CouponState::Redeemed, CouponState::Issued];
    for (serial, state) in (0..).zip(expected) {
        assert_eq!(standing(&ledger, serial).await.0, state);
    }
    for (call, at) in calls.iter().zip(400..) {
        ledger.clock.set(second(at)).await;
        let foreseen = foresee(&ledger, call).await;
        assert_eq!(ask(&ledger, call).await, foreseen, "{call:?}");
    }
    assert_eq!(ask_all(&ledger, &[]).await, []);
}
