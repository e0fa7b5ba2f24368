//! A coupon is locked for one order, for a time.

use std::time::Duration;

use coupon_domain::checkout::{CheckoutRefusal, Hold, LAPSED, MAX_HOLD, Outcome};
use coupon_domain::ports::{CouponFilter, Event, EventDetails, EventKind};
use coupon_domain::redemption::{CouponState, OrderState};

use super::desk::{
    IntoCall as _, ROLLED_BACK, VOIDED, ask, ask_all, back, held, held_before, hold_of, kinds, redeem_of, redeemed,
    refused, rollback, standing, stored, ten_coupons, told, void_of,
};
use crate::build::{campaign_id, coupon_id, eur, jpy, millisecond, order, round_id, second, user};
use crate::under_test::LedgerUnderTest;

/// With one event, also when it comes in the same batch, later, or asks for another time.
pub async fn a_hold_is_given_once_and_a_repeat_gets_the_same_end(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let hold = hold_of(0, "o-1");
    let longer = Hold { ttl: Duration::from_secs(700), ..hold.clone() };
    let (done, again) = (held(&hold, second(1000)), held_before(&hold, second(1000)));
    assert_eq!(
        ask_all(&ledger, &[hold.call(), hold.call(), longer.call()]).await,
        [done, again.clone(), again.clone()]
    );
    ledger.clock.set(millisecond(999_999)).await;
    assert_eq!(ask(&ledger, &longer).await, again);

    let coupon = stored(&ledger, coupon_id(1, 0)).await;
    let lock = (coupon.state, coupon.order, coupon.held_until, coupon.redeemed_at);
    assert_eq!(lock, (CouponState::Held, Some(order("o-1")), Some(second(1000)), None));
    let expected = Event {
        round: Some(round_id(1)),
        coupon: Some(coupon_id(1, 0)),
        user: Some(user("u-0")),
        order: Some(order("o-1")),
        state: Some("HELD".to_owned()),
        details: EventDetails { expires_at: Some(second(1000)), ..EventDetails::default() },
        ..Event::new(EventKind::CouponHeld, campaign_id("c"), second(400))
    };
    let [event] = &told(&ledger).await[..] else { panic!("one event") };
    assert_eq!(Event { id: String::new(), ..event.clone() }, expected);
    assert_ne!(event.id, "");
}

/// To the millisecond, for any order; the order that held it can take a coupon again.
pub async fn a_hold_that_ran_out_is_free_again_without_a_sweeper(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in 0..3 {
        ask(&ledger, &hold_of(serial, &format!("o-{serial}"))).await;
    }
    let other = hold_of(0, "another");
    ledger.clock.set(millisecond(999_999)).await;
    assert_eq!(ask(&ledger, &other).await, refused(CheckoutRefusal::AlreadyHeld(order("o-0"))));
    let of_u0 = CouponFilter { user: Some(user("u-0")), limit: 10, ..CouponFilter::default() };
    for (at, state, totals) in [(999_999, CouponState::Held, (0, 1)), (1_000_000, CouponState::Issued, (1, 0))] {
        ledger.clock.set(millisecond(at)).await;
        for asked in CouponState::ALL {
            let filter = CouponFilter { state: Some(asked), ..of_u0.clone() };
            let page = ledger.coupons.coupons(&filter).await.expect("answers");
            assert_eq!(page.coupons.len(), usize::from(asked == state), "{asked} at {at}");
            assert_eq!(page.totals.map(|totals| (totals.issued, totals.held)), Some(totals));
        }
    }

    assert_eq!(ask(&ledger, &other).await, held(&other, second(1300)));
    let (again, elsewhere) = (hold_of(1, "o-1"), redeem_of(3, "o-0", eur(2000)));
    assert_eq!(ask(&ledger, &again).await, held(&again, second(1300)), "its own order");
    assert_eq!(ask(&ledger, &elsewhere).await, redeemed(&elsewhere, second(1000)), "another coupon for its order");
    let late = redeem_of(2, "o-2", eur(2000));
    assert_eq!(ask(&ledger, &late).await, redeemed(&late, second(1000)), "there was nobody else");

    let events = told(&ledger).await;
    let of = |serial| events.iter().filter(move |event| event.coupon == Some(coupon_id(1, serial)));
    for (serial, then) in [(0, EventKind::CouponHeld), (1, EventKind::CouponHeld), (2, EventKind::CouponRedeemed)] {
        let told: Vec<_> = of(serial).map(|e| (e.kind, e.at, e.details.reason.as_deref())).collect();
        let lapsed = (EventKind::CouponReleased, second(1000), Some(LAPSED));
        assert_eq!(told, [(EventKind::CouponHeld, second(400), None), lapsed, (then, second(1000), None)]);
        let released = of(serial).nth(1).expect("it lapsed");
        assert_eq!(
            (&released.order, released.state.as_deref()),
            (&Some(order(&format!("o-{serial}"))), Some("ISSUED"))
        );
    }
    assert_eq!(of(3).count(), 1);
}

/// With the order's own facts; afterwards it is as used as any.
pub async fn a_coupon_is_redeemed_from_its_orders_hold(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (hold, call) = (hold_of(0, "o-1"), redeem_of(0, "o-1", eur(2550)));
    ask(&ledger, &hold).await;
    ledger.clock.set(second(500)).await;
    assert_eq!(ask(&ledger, &redeem_of(0, "o-1", jpy(1))).await, refused(CheckoutRefusal::CurrencyMismatch));
    assert_eq!(standing(&ledger, 0).await, (CouponState::Held, Some(order("o-1"))), "still");
    assert_eq!(ask(&ledger, &call).await, redeemed(&call, second(500)));
    assert_eq!(ask(&ledger, &hold).await, refused(CheckoutRefusal::AlreadyRedeemed(order("o-1"))));

    ledger.clock.set(second(2000)).await;
    let coupon = stored(&ledger, coupon_id(1, 0)).await;
    let lock = (coupon.state, coupon.order, coupon.held_until, coupon.redeemed_at);
    assert_eq!(lock, (CouponState::Redeemed, Some(order("o-1")), None, Some(second(500))));
    let expected = [(EventKind::CouponHeld, second(400)), (EventKind::CouponRedeemed, second(500))];
    assert_eq!(kinds(&ledger).await, expected);
}

/// Whether they would hold or redeem it; and the order cannot take another coupon beside it.
pub async fn a_held_coupon_is_refused_to_other_orders_naming_its_own(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let first = hold_of(0, "o-1");
    let taken = refused(CheckoutRefusal::AlreadyHeld(order("o-1")));
    let calls = [first.call(), hold_of(0, "o-2").call(), redeem_of(0, "o-2", eur(2000)).call()];
    assert_eq!(ask_all(&ledger, &calls).await, [held(&first, second(1000)), taken.clone(), taken.clone()]);
    assert_eq!(ask(&ledger, &redeem_of(0, "o-2", jpy(1))).await, taken, "before the order's own faults");
    for call in [hold_of(1, "o-1").call(), redeem_of(1, "o-1", eur(2000)).call()] {
        assert_eq!(ask(&ledger, &call).await, refused(CheckoutRefusal::OrderHasCoupon));
    }
    assert_eq!(kinds(&ledger).await, [(EventKind::CouponHeld, second(400))]);
    // The order that was refused is free.
    let other = hold_of(1, "o-2");
    assert_eq!(ask(&ledger, &other).await, held(&other, second(1000)));
}

/// Whatever was asked for; then it has expired, for its own order too.
pub async fn a_hold_never_outlives_its_coupon(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in 0..3 {
        let hold = Hold { ttl: MAX_HOLD, ..hold_of(serial, &format!("o-{serial}")) };
        assert_eq!(ask(&ledger, &hold).await, held(&hold, second(1300)));
    }
    ledger.clock.set(millisecond(1_299_999)).await;
    let last = redeem_of(0, "o-0", eur(2000));
    assert_eq!(ask(&ledger, &last).await, redeemed(&last, millisecond(1_299_999)));
    let brief = hold_of(3, "o-3");
    assert_eq!(ask(&ledger, &brief).await, held(&brief, second(1300)));

    ledger.clock.set(second(1300)).await;
    assert_eq!(ask(&ledger, &redeem_of(1, "o-1", eur(2000))).await, refused(CheckoutRefusal::Expired));
    assert_eq!(ask(&ledger, &hold_of(2, "o-2")).await, refused(CheckoutRefusal::Expired));
    assert_eq!(ask(&ledger, &hold_of(4, "o-4")).await, refused(CheckoutRefusal::Expired));
}

/// Each with its reason, and nothing is written.
pub async fn a_hold_is_refused_like_a_redemption(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &redeem_of(0, "o-0", eur(2000))).await;
    assert_eq!(ask(&ledger, &void_of(1)).await, VOIDED);
    assert_eq!(ask(&ledger, &rollback(back(2, "gone"))).await, ROLLED_BACK);
    let before = told(&ledger).await;

    let stolen = Hold { user: user("eve"), ..hold_of(2, "o-9") };
    for (hold, expected) in [
        (hold_of(0, "o-9"), refused(CheckoutRefusal::AlreadyRedeemed(order("o-0")))),
        (hold_of(1, "o-9"), refused(CheckoutRefusal::Void)),
        (hold_of(2, "gone"), refused(CheckoutRefusal::OrderCancelled)),
        (hold_of(2, "o-0"), refused(CheckoutRefusal::OrderHasCoupon)),
        (stolen, refused(CheckoutRefusal::UnknownCoupon)),
        (hold_of(77, "o-9"), Outcome::NotRecorded),
    ] {
        assert_eq!(ask(&ledger, &hold).await, expected, "{hold:?}");
    }
    assert_eq!(told(&ledger).await, before);
    let unknown = ask(&ledger, &super::desk::release(back(2, "o-9"))).await;
    assert_eq!(unknown, refused(CheckoutRefusal::UnknownOrder), "no order was made");
    let cancelled = ask(&ledger, &super::desk::release(back(2, "gone"))).await;
    assert_eq!(cancelled, refused(CheckoutRefusal::OrderIs(OrderState::Cancelled)));
}
