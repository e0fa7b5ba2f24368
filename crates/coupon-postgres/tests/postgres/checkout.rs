//! Calls of checkouts, many at once: the ledger stays one that they could have made one after the other.

use std::collections::HashMap;
use std::time::Duration;

use coupon_domain::checkout::{Call, CheckoutRefusal, Deed, Outcome, Void};
use coupon_domain::ids::OrderId;
use coupon_domain::ports::{
    AuditRepository as _, CampaignRepository as _, CouponRepository as _, EventKind, LedgerError,
};
use coupon_domain::redemption::{CouponState, OrderState};
use coupon_domain::time::Timestamp;
use coupon_testkit::build::{by, campaign_id, eur, order, second, user, users};
use uuid::Uuid;

use crate::shop::{Shop, ada_redeems, back, coupon, holds, redeems};

const MINUTE: Duration = Duration::from_secs(60);

fn winner_and_losers(outcomes: &[Outcome]) -> (OrderId, usize) {
    let winners = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Done(Deed::Redeemed(redemption)) => Some(redemption.order.clone()),
        _ => None,
    });
    let winners: Vec<_> = winners.collect();
    let [winner] = &winners[..] else { panic!("{winners:?}") };
    let refused = Outcome::Refused(CheckoutRefusal::AlreadyRedeemed(winner.clone()));
    (winner.clone(), outcomes.iter().filter(|outcome| **outcome == refused).count())
}

fn redeem(serial: u32, order_id: &str) -> Call {
    redeems(&format!("u-{serial}"), serial, order_id, Ok(eur(200)))
}

impl Shop {
    /// What no call may ever leave behind, whatever came before it.
    async fn is_consistent(&self) {
        let apart = "coupons AS c FULL JOIN (SELECT * FROM orders WHERE state IN ('HELD', 'REDEEMED')) AS o
                ON o.round_no = c.round_no AND o.serial = c.serial AND o.id = c.order_id AND o.state = c.state AND o.user_id = c.user_id
            WHERE (c.state IN ('HELD', 'REDEEMED') AND o.id IS NULL) OR c.state IS NULL";
        assert_eq!(self.count(apart).await, 0, "coupons and orders contradict each other");
        // Each coupon's events, in their order, lead from one state to the next, and to where it is now.
        let mut states = HashMap::new();
        for (_, event) in self.events().await {
            let Some(coupon) = event.coupon else { continue };
            let was = states.get(&coupon).copied();
            let (from, to) = match event.kind {
                EventKind::CouponIssued => (vec![None], CouponState::Issued),
                EventKind::CouponHeld => (vec![Some(CouponState::Issued)], CouponState::Held),
                EventKind::CouponReleased => (vec![Some(CouponState::Held)], CouponState::Issued),
                EventKind::CouponRedeemed => {
                    (vec![Some(CouponState::Issued), Some(CouponState::Held)], CouponState::Redeemed)
                }
                EventKind::CouponRolledBack => {
                    (vec![Some(CouponState::Redeemed), Some(CouponState::Held)], CouponState::Issued)
                }
                kind => panic!("{kind:?} of a coupon"),
            };
            assert!(from.contains(&was), "{coupon} was {was:?} before {event:?}");
            states.insert(coupon, to);
        }
        for (id, state) in states {
            let (record, _) = self.ledger.coupon(id).await.expect("answers").expect("it is there");
            assert_eq!(record.state, state, "{id} by its events");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_orders_for_one_coupon_one_gets_it_and_all_others_learn_which() {
    let shop = Shop::with_coupons(&[user("ada")]).await;

    let calls: Vec<_> = (0..60)
        .map(|i| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move { ledger.carry_out(&[ada_redeems(0, &format!("order-{i}"))]).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for call in calls {
        outcomes.extend(call.await.expect("no panic").expect("answers"));
    }

    let (winner, losers) = winner_and_losers(&outcomes);
    assert_eq!(losers, 59);
    let (record, _) = shop.ledger.coupon(coupon(0)).await.expect("answers").expect("it is there");
    assert_eq!((record.state, record.order), (CouponState::Redeemed, Some(winner)));
    assert_eq!(shop.count("orders").await, 1);
    assert_eq!(shop.count("events WHERE kind = 'coupon.redeemed'").await, 1);
}

#[tokio::test]
async fn in_one_batch_the_first_of_sixty_orders_gets_the_coupon() {
    let shop = Shop::with_coupons(&[user("ada")]).await;
    let calls: Vec<_> = (0..60).map(|i| ada_redeems(0, &format!("order-{i}"))).collect();

    let outcomes = shop.carry_out(&calls).await;

    assert_eq!(winner_and_losers(&outcomes), (order("order-0"), 59));
    let again = shop.carry_out(&calls[..1]).await;
    assert!(matches!(&again[..], [Outcome::Replayed(Deed::Redeemed(r))] if r.redeemed_at == second(400)), "{again:?}");
}

#[tokio::test]
async fn a_call_that_no_table_takes_leaves_nothing_of_its_batch_and_the_others_can_be_asked_again() {
    let shop = Shop::with_coupons(&users(3)).await;
    // More off than the amount: no benefit says so, and the table refuses it.
    let calls = [redeem(0, "o-0"), redeems("u-1", 1, "o-1", Ok(eur(1001))), redeem(2, "o-2")];

    let failed = shop.ledger.carry_out(&calls).await;

    assert!(matches!(failed, Err(LedgerError::Broken(_))), "{failed:?}");
    assert_eq!(shop.count("orders").await, 0);
    for (call, good) in calls.iter().zip([true, false, true]) {
        let alone = shop.ledger.carry_out(std::slice::from_ref(call)).await;
        assert_eq!(alone.is_ok(), good, "{alone:?}");
    }
    assert_eq!(shop.count("orders").await, 2);
    shop.is_consistent().await;
}

#[tokio::test]
async fn a_coupon_is_good_until_the_microsecond_before_its_expiry() {
    let shop = Shop::with_coupons(&users(2)).await;
    let expires_at = shop.fold.coupons[0].expires_at;

    shop.now_is(Timestamp::from_micros(expires_at.micros() - 1)).await;
    let last = shop.carry_out(&[redeem(0, "o-0")]).await;
    shop.now_is(expires_at).await;
    let late = shop.carry_out(&[redeem(1, "o-1")]).await;

    let before = |at: Timestamp| at.micros() == expires_at.micros() - 1;
    assert!(matches!(&last[..], [Outcome::Done(Deed::Redeemed(r))] if before(r.redeemed_at)), "{last:?}");
    assert_eq!(late, [Outcome::Refused(CheckoutRefusal::Expired)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_share_coupons_and_orders_in_opposite_order_do_not_wait_for_one_another() {
    let shop = Shop::with_coupons(&users(40)).await;
    let batch = |turned: bool, round: u32| -> Vec<Call> {
        let mut calls: Vec<_> = (0..40).map(|i| redeem(i, &format!("o-{}", (i * 7 + round) % 40))).collect();
        if turned {
            calls.reverse();
        }
        calls
    };

    let tasks: Vec<_> = (0..16)
        .map(|i| {
            let (ledger, calls) = (shop.ledger.clone(), batch(i % 2 == 0, i));
            tokio::spawn(async move { ledger.carry_out(&calls).await })
        })
        .collect();
    let mut redeemed = 0;
    for task in tasks {
        let outcomes = task.await.expect("no panic").expect("no deadlock");
        redeemed += outcomes.iter().filter(|o| matches!(o, Outcome::Done(_))).count();
    }

    assert_eq!(redeemed, shop.count("coupons WHERE state = 'REDEEMED'").await);
    assert_eq!(redeemed, shop.count("orders").await);
    assert_eq!(redeemed, shop.count("events WHERE kind = 'coupon.redeemed'").await);
    shop.is_consistent().await;
}

/// Four coupons, and at any time some five orders that all callers name: also holds that are over at once, so that one call ends another
/// order's hold.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_who_want_the_same_coupons_and_orders_leave_a_consistent_ledger() {
    let shop = Shop::with_coupons(&users(4)).await;
    let callers: Vec<_> = (0..64_u64)
        .map(|seed| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move {
                let mut random = Random(seed);
                let mut done = HashMap::<_, usize>::new();
                for step in 0..20 {
                    let calls: Vec<_> = (0..=random.below(3)).map(|_| random.call(step)).collect();
                    for outcome in ledger.carry_out(&calls).await.expect("no deadlock") {
                        if let Outcome::Done(deed) = outcome {
                            *done.entry(kind(&deed)).or_default() += 1;
                        }
                    }
                }
                done
            })
        })
        .collect();
    let sweeper = shop.ledger.clone();
    let sweeper = tokio::spawn(async move {
        for _ in 0..50 {
            sweeper.sweep(10).await.expect("no deadlock");
        }
    });
    let mut done = HashMap::<_, usize>::new();
    for caller in callers {
        for (kind, count) in caller.await.expect("no panic") {
            *done.entry(kind).or_default() += count;
        }
    }
    sweeper.await.expect("no panic");

    shop.is_consistent().await;
    assert_eq!(done["held"], shop.count("events WHERE kind = 'coupon.held'").await);
    assert_eq!(done["redeemed"], shop.count("events WHERE kind = 'coupon.redeemed'").await);
    let released = "events WHERE kind = 'coupon.released' AND coalesce(details ->> 'reason', '') <> 'LAPSED'";
    assert_eq!(done["released"], shop.count(released).await);
    let cancelled = shop.count("events WHERE kind IN ('coupon.rolled_back', 'order.cancelled')").await;
    assert_eq!(done["rolled back"], cancelled);
    assert_eq!(cancelled, shop.count("orders WHERE state = 'CANCELLED'").await);
}

fn kind(deed: &Deed) -> &'static str {
    match deed {
        Deed::Held(_) => "held",
        Deed::Redeemed(_) => "redeemed",
        Deed::Released => "released",
        Deed::RolledBack => "rolled back",
        Deed::Voided => "voided",
    }
}

#[tokio::test]
async fn orders_that_swap_their_coupons_in_one_batch_have_them() {
    let mut shop = Shop::with_coupons(&[]).await;
    let entries = shop.claims(&users(2));
    shop.record(&entries).await;
    shop.carry_out(&[holds(0, "a", MINUTE), holds(1, "b", MINUTE)]).await;

    let swap =
        [Call::Release(back("u-0", "a")), Call::Release(back("u-1", "b")), redeem(1, "a"), holds(0, "b", MINUTE)];
    let outcomes = shop.carry_out(&swap).await;

    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(_))), "{outcomes:?}");
    let standing = shop.database.psql("SELECT serial, state, order_id FROM coupons ORDER BY serial").await;
    assert_eq!(standing.expect("answers"), "0|HELD|b\n1|REDEEMED|a");
    shop.is_consistent().await;
}

/// The other order is not among those that the call names.
#[tokio::test]
async fn a_call_for_a_coupon_ends_the_hold_of_another_order_that_is_over() {
    let shop = Shop::with_coupons(&users(1)).await;
    shop.carry_out(&[holds(0, "slow", MINUTE)]).await;

    shop.now_is(second(460)).await;
    let outcomes = shop.carry_out(&[redeem(0, "quick")]).await;

    assert!(matches!(outcomes[..], [Outcome::Done(Deed::Redeemed(_))]), "{outcomes:?}");
    let orders = shop.database.psql("SELECT id, state FROM orders ORDER BY id").await.expect("answers");
    assert_eq!(orders, "quick|REDEEMED\nslow|RELEASED");
    shop.is_consistent().await;
}

#[tokio::test]
async fn a_call_that_waits_for_another_sees_what_that_one_did() {
    let shop = Shop::with_coupons(&users(2)).await;
    shop.carry_out(&[holds(0, "o", MINUTE)]).await;
    // Somebody gives the order another coupon, as any call would: the order first, then the coupons.
    let mut other = shop
        .session_after(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('c o', 0));
             SELECT 1 FROM coupons ORDER BY serial FOR NO KEY UPDATE;
             UPDATE coupons SET state = 'ISSUED', order_id = NULL, held_until = NULL WHERE serial = 0;
             UPDATE coupons SET state = 'HELD', order_id = 'o', held_until = expires_at WHERE serial = 1;
             UPDATE orders SET serial = 1, user_id = 'u-1'",
        )
        .await;
    let ledger = shop.ledger.clone();
    let rollback = tokio::spawn(async move { ledger.carry_out(&[Call::Rollback(back("u-1", "o"))]).await });
    shop.somebody_waits().await;
    diesel_async::SimpleAsyncConnection::batch_execute(&mut other, "COMMIT").await.expect("committed");

    let outcomes = rollback.await.expect("no panic").expect("answers");

    assert_eq!(outcomes, [Outcome::Done(Deed::RolledBack)]);
    assert_eq!(shop.count("coupons WHERE state = 'ISSUED'").await, 2);
    assert_eq!(shop.count("orders WHERE state = 'CANCELLED'").await, 1);
}

#[tokio::test]
async fn what_is_foreseen_is_not_done() {
    let shop = Shop::with_coupons(&users(1)).await;
    let events = shop.events().await;

    let foreseen = shop.ledger.foresee(&redeem(0, "o")).await.expect("answers");

    assert!(matches!(foreseen, Outcome::Done(Deed::Redeemed(_))), "{foreseen:?}");
    assert_eq!((shop.events().await, shop.count("orders").await), (events, 0));
    assert_eq!(shop.carry_out(&[redeem(0, "o")]).await, [foreseen]);
}

#[tokio::test]
async fn a_coupon_that_no_recorder_has_brought_yet_is_not_recorded() {
    let shop = Shop::with_coupons(&users(1)).await;
    let outcomes = shop.carry_out(&[redeem(1, "a"), redeem(0, "b")]).await;
    assert!(matches!(outcomes[..], [Outcome::NotRecorded, Outcome::Done(_)]), "{outcomes:?}");
    assert_eq!(shop.ledger.foresee(&redeem(1, "a")).await.expect("answers"), Outcome::NotRecorded);
}

#[tokio::test]
async fn a_withdrawn_coupon_leaves_its_request_and_an_audit_record() {
    let shop = Shop::with_coupons(&users(2)).await;
    let request = Uuid::new_v4();
    let void =
        |serial| Call::Void(Void { coupon: coupon(serial), reason: "a misprint".to_owned(), by: by(Some(request)) });

    let outcomes = shop.carry_out(&[void(0), void(0), void(1)]).await;

    let voided = Deed::Voided;
    assert_eq!(outcomes, [Outcome::Done(voided.clone()), Outcome::Replayed(voided.clone()), Outcome::Done(voided)]);
    let verb = shop.ledger.request(request).await.expect("answers").map(|known| known.verb);
    assert_eq!(verb.as_deref(), Some("VOID_COUPON"));
    let records = shop.ledger.audit_records(Some(&campaign_id("c")), None, 2).await.expect("answers");
    let coupons: Vec<_> = records.iter().map(|(_, record)| (record.coupon, record.by.request)).collect();
    assert_eq!(coupons, [(Some(coupon(1)), Some(request)), (Some(coupon(0)), Some(request))]);
}

#[tokio::test]
async fn an_order_may_be_cancelled_before_it_is_known() {
    let shop = Shop::with_coupons(&users(1)).await;
    let outcomes = shop.carry_out(&[Call::Rollback(back("u-0", "o")), redeem(0, "o")]).await;
    assert_eq!(outcomes, [Outcome::Done(Deed::RolledBack), Outcome::Refused(CheckoutRefusal::OrderCancelled)]);
    let order = shop.database.psql("SELECT state, round_no, currency FROM orders").await.expect("answers");
    assert_eq!(order, format!("{}||", OrderState::Cancelled.as_str()));
}

#[tokio::test]
async fn what_a_caller_began_is_finished_when_the_caller_goes_away() {
    let shop = Shop::with_coupons(&[user("ada")]).await;
    let calls = [ada_redeems(0, "o-0")];

    let abandoned = shop.ledger.carry_out(&calls);
    tokio::select! { biased; _ = abandoned => {}, () = std::future::ready(()) => {} }

    let finished = async {
        loop {
            let (record, _) = shop.ledger.coupon(coupon(0)).await.expect("answers").expect("it is there");
            if record.state == CouponState::Redeemed {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), finished).await.expect("it was redeemed");
}

/// A small generator, the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Of the orders of this time.
    fn call(&mut self, step: u32) -> Call {
        let serial = u32::try_from(self.below(4)).expect("small");
        let owner = format!("u-{serial}");
        // Now and then one that all want.
        let id = if self.below(8) == 0 { format!("o-{step}") } else { format!("o-{serial}-{step}") };
        match self.below(10) {
            0..=3 => holds(serial, &id, MINUTE * u32::from(self.below(3) > 0)),
            4 | 5 => redeem(serial, &id),
            6 | 7 => Call::Release(back(&owner, &id)),
            8 => Call::Rollback(back(&owner, &id)),
            _ => Call::Rollback(back(&owner, &format!("o-{serial}-{}", step.saturating_sub(1)))),
        }
    }
}
