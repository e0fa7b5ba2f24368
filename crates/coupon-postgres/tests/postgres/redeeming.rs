//! Redeem: once a coupon, once an order, answered as if the calls had come one after the other.

use std::collections::HashMap;

use coupon_domain::benefit::Unsuitable;
use coupon_domain::ids::{CouponId, OrderId};
use coupon_domain::ports::{CouponRepository as _, LedgerError};
use coupon_domain::redemption::{
    CouponRecord, CouponState, OrderRecord, OrderState, Redeem, RedeemFacts, RedeemOutcome, RedeemRefusal,
};
use coupon_domain::time::Timestamp;
use coupon_testkit::build::{eur, order, second, user, users};
use coupon_testkit::under_test::TestClock as _;

use crate::shop::{Shop, ada_redeems, coupon, redeems};

fn winner_and_losers(outcomes: &[RedeemOutcome]) -> (OrderId, usize) {
    let winners: Vec<_> = outcomes
        .iter()
        .filter_map(|o| if let RedeemOutcome::Redeemed(r) = o { Some(r.order.clone()) } else { None })
        .collect();
    let [winner] = &winners[..] else { panic!("{winners:?}") };
    let refused = RedeemOutcome::Refused(RedeemRefusal::AlreadyRedeemed(winner.clone()));
    (winner.clone(), outcomes.iter().filter(|o| **o == refused).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_orders_for_one_coupon_one_gets_it_and_all_others_learn_which() {
    let shop = Shop::with_coupons(&[user("ada")]).await;

    let calls: Vec<_> = (0..60)
        .map(|i| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move { ledger.redeem(&[ada_redeems(0, &format!("order-{i}"))]).await })
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

    let outcomes = shop.ledger.redeem(&calls).await.expect("answers");

    assert_eq!(winner_and_losers(&outcomes), (order("order-0"), 59));
    let again = shop.ledger.redeem(&calls[..1]).await.expect("answers");
    assert!(matches!(&again[..], [RedeemOutcome::Replayed(r)] if r.redeemed_at == second(400)), "{again:?}");
}

#[tokio::test]
async fn a_call_that_fails_takes_no_other_with_it() {
    let shop = Shop::with_coupons(&[user("ada"), user("bob"), user("eve")]).await;
    // More off than the amount: no benefit says so, and the table refuses it.
    let bad = redeems("bob", 1, "o-1", Ok(eur(1001)));
    let calls = [ada_redeems(0, "o-0"), bad, redeems("eve", 2, "o-2", Ok(eur(0)))];

    let failed = shop.ledger.redeem(&calls).await;

    assert!(matches!(failed, Err(LedgerError::Broken(_))), "{failed:?}");
    let replayed = shop.ledger.redeem(&[calls[0].clone(), calls[2].clone()]).await.expect("answers");
    assert!(replayed.iter().all(|o| matches!(o, RedeemOutcome::Replayed(_))), "{replayed:?}");
    assert_eq!(shop.count("orders").await, 2);
}

#[tokio::test]
async fn a_coupon_is_good_until_the_microsecond_before_its_expiry() {
    let shop = Shop::with_coupons(&users(2)).await;
    let expires_at = shop.fold.coupons[0].expires_at;
    let call = |serial: u32| [redeems(&format!("u-{serial}"), serial, &format!("o-{serial}"), Ok(eur(200)))];

    shop.clock.set(Timestamp::from_micros(expires_at.micros() - 1)).await;
    let last = shop.ledger.redeem(&call(0)).await.expect("answers");
    shop.clock.set(expires_at).await;
    let late = shop.ledger.redeem(&call(1)).await.expect("answers");

    assert!(matches!(&last[..], [RedeemOutcome::Redeemed(r)] if r.redeemed_at.micros() == expires_at.micros() - 1));
    assert_eq!(late, [RedeemOutcome::Refused(RedeemRefusal::Expired)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_share_coupons_and_orders_in_opposite_order_do_not_wait_for_one_another() {
    let shop = Shop::with_coupons(&users(40)).await;
    let batch = |turned: bool, round: u32| -> Vec<Redeem> {
        let mut calls: Vec<_> = (0..40)
            .map(|i| redeems(&format!("u-{i}"), i, &format!("o-{}", (i * 7 + round) % 40), Ok(eur(200))))
            .collect();
        if turned {
            calls.reverse();
        }
        calls
    };

    let tasks: Vec<_> = (0..16)
        .map(|i| {
            let (ledger, calls) = (shop.ledger.clone(), batch(i % 2 == 0, i));
            tokio::spawn(async move { ledger.redeem(&calls).await })
        })
        .collect();
    let mut redeemed = 0;
    for task in tasks {
        let outcomes = task.await.expect("no panic").expect("no deadlock");
        redeemed += outcomes.iter().filter(|o| matches!(o, RedeemOutcome::Redeemed(_))).count();
    }

    assert_eq!(redeemed, shop.count("coupons WHERE state = 'REDEEMED'").await);
    assert_eq!(redeemed, shop.count("orders").await);
    assert_eq!(redeemed, shop.count("events WHERE kind = 'coupon.redeemed'").await);
}

#[tokio::test]
async fn what_a_caller_began_is_finished_when_the_caller_goes_away() {
    let shop = Shop::with_coupons(&[user("ada")]).await;
    let calls = [ada_redeems(0, "o-0")];

    let abandoned = shop.ledger.redeem(&calls);
    tokio::select! { biased; _ = abandoned => {}, () = std::future::ready(()) => {} }

    let finished = async {
        loop {
            let (record, _) = shop.ledger.coupon(coupon(0)).await.expect("answers").expect("it is there");
            if record.state == CouponState::Redeemed {
                break;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), finished).await.expect("it was redeemed");
}

/// The specification: one call after the other, by `Redeem::decide`.
#[derive(Default)]
struct Till {
    coupons: HashMap<CouponId, CouponRecord>,
    orders: HashMap<OrderId, OrderRecord>,
}

impl Till {
    fn redeem(&mut self, call: &Redeem, at: Timestamp) -> RedeemOutcome {
        let facts = RedeemFacts {
            coupon: self.coupons.get(&call.coupon).cloned(),
            order: self.orders.get(&call.order).cloned(),
        };
        let outcome = call.decide(&facts, at);
        if let RedeemOutcome::Redeemed(r) = &outcome {
            let coupon = self.coupons.get_mut(&call.coupon).expect("it was decided by it");
            coupon.state = CouponState::Redeemed;
            coupon.order = Some(call.order.clone());
            coupon.redeemed_at = Some(at);
            let record = OrderRecord {
                id: call.order.clone(),
                coupon: call.coupon,
                user: call.user.clone(),
                amount: call.amount,
                discount: r.discount,
                state: OrderState::Redeemed,
                redeemed_at: Some(at),
            };
            self.orders.insert(call.order.clone(), record);
        }
        outcome
    }

    async fn learn(&mut self, shop: &Shop, orders: &[Redeem]) {
        for call in orders {
            let (facts, _) = shop.ledger.redeem_facts(call).await.expect("answers");
            self.coupons.extend(facts.coupon.map(|c| (c.id, c)));
            self.orders.extend(facts.order.map(|o| (o.id.clone(), o)));
        }
    }
}

/// Six coupons in all states and orders in all states, then batches of calls that collide in every way.
#[tokio::test]
async fn batches_are_answered_as_if_their_calls_had_come_one_after_the_other() {
    for seed in 1..=12_u64 {
        let shop = Shop::with_coupons(&users(6)).await;
        shop.database
            .psql(
                "INSERT INTO orders SELECT 'c', 'o-' || s, 7, s, 'u-' || s, 'EUR', 1000, 200, 'HELD' FROM generate_series(0, 1) s;
                 INSERT INTO orders SELECT 'c', 'o-' || s, 7, s, 'u-' || s, 'EUR', 1000, 200, 'RELEASED' FROM generate_series(2, 3) s;
                 INSERT INTO orders VALUES ('c', 'o-4', 7, 4, 'u-4', 'EUR', 1000, 200, 'CANCELLED');
                 UPDATE coupons SET state = 'HELD', order_id = 'o-' || serial WHERE serial <= 1;
                 UPDATE coupons SET state = 'VOID' WHERE serial = 5",
            )
            .await
            .expect("set up");
        let mut random = Random(seed);
        let mut till = Till::default();
        let everything: Vec<_> = (0..8).map(|i| redeems("u-0", i, &format!("o-{i}"), Ok(eur(200)))).collect();
        till.learn(&shop, &everything).await;

        for _ in 0..6 {
            let calls: Vec<_> = (0..random.below(24)).map(|_| random.call()).collect();
            let expected: Vec<_> = calls.iter().map(|call| till.redeem(call, second(400))).collect();
            assert_eq!(shop.ledger.redeem(&calls).await.expect("answers"), expected, "seed {seed}: {calls:#?}");
        }
    }
}

/// A small generator, the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn call(&mut self) -> Redeem {
        // Serial 6 is not there; now and then it is not the owner who calls.
        let serial = u32::try_from(self.below(7)).expect("small");
        let owner = if self.below(8) == 0 { 0 } else { serial };
        let discount = match self.below(8) {
            0 => Err(Unsuitable::MinOrderNotMet),
            1 => Err(Unsuitable::CurrencyMismatch),
            _ => Ok(eur(200)),
        };
        let call = redeems(&format!("u-{owner}"), serial, &format!("o-{}", self.below(8)), discount);
        if self.below(10) == 0 { Redeem { amount: eur(999), ..call } } else { call }
    }
}
