//! Random runs of calls: coupons and orders agree whatever comes, and repeats get the first answer.

use std::time::Duration;

use coupon_domain::checkout::{Call, Deed, GiveBack, Hold, Outcome, Redeem};
use coupon_domain::redemption::CouponState;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::build::{money, second};
use crate::desk::{Rows, back, discount, hold, issued, redeem, void};

/// A call or a sweep, so many seconds after the one before.
type Step = (i64, Option<Call>);

fn a_call() -> impl Strategy<Value = Call> {
    let amounts =
        select(vec![money("EUR", 2000), money("EUR", 2000), money("EUR", 3333), money("EUR", 1), money("USD", 1)]);
    // Serial 4 is not recorded.
    (0u8..14, 0u32..5, 0u8..4, select(vec![0u64, 1, 10, 600]), amounts).prop_map(
        |(kind, serial, order, ttl, amount)| {
            let id = format!("o-{order}");
            match kind {
                0..4 => Call::Hold(Hold { ttl: Duration::from_secs(ttl), ..hold(serial, &id) }),
                4..8 => Call::Redeem(Redeem { amount, discount: discount(amount), ..redeem(serial, &id) }),
                8..10 => Call::Release(back(&id)),
                10..12 => Call::Rollback(back(&id)),
                12 => Call::Rollback(GiveBack { user: crate::build::user("eve"), ..back(&id) }),
                _ => Call::Void(void(serial)),
            }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![9 => a_call().prop_map(Some), 1 => Just(None)];
    vec((prop_oneof![3 => 0i64..3, 1 => 5i64..40], step), 1..60)
}

/// Their validity ends while calls come.
fn four_coupons() -> Rows {
    Rows::of((0..4).map(|serial| issued(serial, 100 + 100 * i64::from(serial))), [])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn coupons_and_orders_agree_and_events_tell_of_every_change(steps in steps()) {
        let (mut rows, mut now) = (four_coupons(), 0);
        for (wait, call) in steps {
            now += wait;
            match call {
                Some(call) => drop(rows.decide(&call, second(now))),
                None => drop(rows.sweep(second(now))),
            }
            rows.agree();
        }
    }

    #[test]
    fn whoever_asks_again_gets_the_first_answer_until_the_order_gives_the_coupon_back(steps in steps()) {
        let (mut rows, mut now) = (four_coupons(), 0);
        let mut redeemed: Vec<(Call, Outcome)> = Vec::new();
        for (wait, call) in steps {
            now += wait;
            let Some(call) = call else {
                rows.sweep(second(now));
                continue;
            };
            let (outcome, _) = rows.decide(&call, second(now));
            if let Outcome::Done(deed) = &outcome {
                match deed {
                    Deed::Redeemed(_) => redeemed.push((call.clone(), Outcome::Replayed(deed.clone()))),
                    Deed::RolledBack => redeemed.retain(|(earlier, _)| earlier.order() != call.order()),
                    Deed::Held(_) | Deed::Released | Deed::Voided => {}
                }
            }
            for (earlier, first) in &redeemed {
                let mut book = rows.book();
                prop_assert_eq!(&book.decide(earlier, second(now)), first);
            }
        }
    }

    #[test]
    fn calls_that_come_together_are_answered_like_calls_one_after_the_other(steps in steps()) {
        let (mut rows, now) = (four_coupons(), second(150));
        let calls: Vec<_> = steps.into_iter().filter_map(|(_, call)| call).collect();
        let mut book = rows.book();
        let together: Vec<_> = calls.iter().map(|call| book.decide(call, now)).collect();
        let changes = book.into_changes(uuid::Uuid::nil);
        let (mut apart, mut events) = (Vec::new(), Vec::new());
        for call in &calls {
            let (outcome, changes) = rows.decide(call, now);
            apart.push(outcome);
            events.extend(changes.events.into_iter().map(|event| coupon_domain::ports::Event { id: String::new(), ..event }));
        }
        prop_assert_eq!(together, apart);
        let nameless = changes.events.into_iter();
        let nameless: Vec<_> = nameless.map(|event| coupon_domain::ports::Event { id: String::new(), ..event }).collect();
        prop_assert_eq!(nameless, events);
        for coupon in &changes.coupons {
            prop_assert_eq!(Some(coupon), rows.coupons.get(&coupon.id));
        }
        for order in &changes.orders {
            prop_assert_eq!(Some(order), rows.orders.get(&order.id));
        }
    }

    #[test]
    fn no_answer_depends_on_the_sweeper(steps in steps(), last in a_call()) {
        let (mut rows, mut now) = (four_coupons(), 0);
        for (wait, call) in steps {
            now += wait;
            if let Some(call) = call {
                rows.decide(&call, second(now));
            }
            let mut swept = rows.clone();
            swept.sweep(second(now));
            prop_assert!(swept.sweep(second(now)).is_empty(), "it is done at once");
            let (of_swept, of_rows) = (swept.book().decide(&last, second(now)), rows.book().decide(&last, second(now)));
            prop_assert_eq!(of_swept, of_rows);
            for (coupon, other) in swept.coupons.values().zip(rows.coupons.values()) {
                prop_assert_eq!(coupon.state, other.state_at(second(now)), "as stored and as reckoned");
                prop_assert!(coupon.state != CouponState::Held || coupon == other);
            }
        }
    }
}
