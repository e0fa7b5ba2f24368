//! An order gives its coupon back: for now, or for good.

use coupon_domain::checkout::{CheckoutRefusal, GiveBack, LAPSED};
use coupon_domain::ids::UserId;
use coupon_domain::ports::{Event, EventDetails, EventKind};
use coupon_domain::redemption::{CouponState, OrderState};

use super::desk::{
    RELEASED, RELEASED_BEFORE, ROLLED_BACK, ROLLED_BACK_BEFORE, ask, ask_all, back, held, hold_of, kinds, redeem,
    redeem_of, redeemed, refused, release, rollback, standing, ten_coupons, told,
};
use super::history::History;
use crate::build::{a_campaign, campaign_id, coupon_id, eur, millisecond, order, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

fn because(back: GiveBack, reason: &str) -> GiveBack {
    GiveBack { reason: reason.to_owned(), ..back }
}

/// An event of the coupon with this serial, or of no coupon.
fn event(kind: EventKind, serial: Option<u32>, order_id: &str, state: &str, reason: Option<&str>, at: i64) -> Event {
    let owner: UserId = user(&format!("u-{}", serial.unwrap_or(9)));
    Event {
        round: serial.map(|_| round_id(1)),
        coupon: serial.map(|serial| coupon_id(1, serial)),
        user: Some(owner),
        order: Some(order(order_id)),
        state: Some(state.to_owned()),
        details: EventDetails { reason: reason.map(ToOwned::to_owned), ..EventDetails::default() },
        ..Event::new(kind, campaign_id("c"), second(at))
    }
}

/// All that are not of a hold or a redemption, without their ids.
async fn given_back(ledger: &LedgerUnderTest) -> Vec<Event> {
    let events = told(ledger).await.into_iter().map(|event| Event { id: String::new(), ..event });
    events.filter(|e| !matches!(e.kind, EventKind::CouponHeld | EventKind::CouponRedeemed)).collect()
}

/// Once, with the caller's reason; any order can have the coupon then, and the order any coupon.
pub async fn a_release_frees_the_coupon_and_leaves_the_order_usable(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in 0..2 {
        ask(&ledger, &hold_of(serial, &format!("o-{serial}"))).await;
    }
    ledger.clock.set(second(410)).await;
    let first = release(because(back(0, "o-0"), "changed their mind"));
    let calls = [first.clone(), first.clone(), release(back(1, "o-1"))];
    assert_eq!(ask_all(&ledger, &calls).await, [RELEASED, RELEASED_BEFORE, RELEASED]);
    assert_eq!(ask(&ledger, &first).await, RELEASED_BEFORE);
    assert_eq!(standing(&ledger, 0).await, (CouponState::Issued, None));
    let released = |serial, id: &str, why| event(EventKind::CouponReleased, Some(serial), id, "ISSUED", why, 410);
    assert_eq!(given_back(&ledger).await, [released(0, "o-0", Some("changed their mind")), released(1, "o-1", None)]);

    let (again, other) = (hold_of(0, "o-0"), redeem_of(1, "o-2", eur(2000)));
    assert_eq!(ask(&ledger, &again).await, held(&again, second(1010)));
    assert_eq!(ask(&ledger, &other).await, redeemed(&other, second(410)));
    let of_the_other = hold_of(2, "o-1");
    assert_eq!(ask(&ledger, &of_the_other).await, held(&of_the_other, second(1010)));
}

/// The state is named; a hold whose time is over was released by that.
pub async fn only_a_hold_is_released(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &hold_of(0, "held")).await;
    ask(&ledger, &redeem_of(1, "used", eur(2000))).await;
    ask(&ledger, &rollback(back(2, "gone"))).await;
    let before = told(&ledger).await;
    for (call, expected) in [
        (back(0, "unheard-of"), CheckoutRefusal::UnknownOrder),
        (back(1, "held"), CheckoutRefusal::UnknownOrder),
        (back(1, "used"), CheckoutRefusal::OrderIs(OrderState::Redeemed)),
        (back(2, "gone"), CheckoutRefusal::OrderIs(OrderState::Cancelled)),
        (back(0, "used"), CheckoutRefusal::UnknownOrder),
        (back(0, "gone"), CheckoutRefusal::UnknownOrder),
    ] {
        assert_eq!(ask(&ledger, &release(call.clone())).await, refused(expected), "{call:?}");
    }
    assert_eq!(told(&ledger).await, before);
    assert_eq!(standing(&ledger, 1).await, (CouponState::Redeemed, Some(order("used"))));

    ledger.clock.set(second(1000)).await;
    assert_eq!(ask(&ledger, &release(back(0, "held"))).await, RELEASED_BEFORE);
    let lapsed = event(EventKind::CouponReleased, Some(0), "held", "ISSUED", Some(LAPSED), 1000);
    assert_eq!(given_back(&ledger).await.last(), Some(&lapsed));
}

/// Another order can have it; a repeat is answered alike and tells nothing.
pub async fn a_rollback_gives_the_coupon_back_and_cancels_the_order(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &redeem_of(0, "o-0", eur(2000))).await;
    ask(&ledger, &hold_of(1, "o-1")).await;
    ledger.clock.set(second(410)).await;
    let (used, held) = (rollback(because(back(0, "o-0"), "not paid")), rollback(back(1, "o-1")));
    let calls = [used.clone(), held.clone(), used.clone()];
    assert_eq!(ask_all(&ledger, &calls).await, [ROLLED_BACK, ROLLED_BACK, ROLLED_BACK_BEFORE]);
    ledger.clock.set(second(420)).await;
    assert_eq!(ask(&ledger, &held).await, ROLLED_BACK_BEFORE);

    let told = |serial, id: &str, why| event(EventKind::CouponRolledBack, Some(serial), id, "ISSUED", why, 410);
    assert_eq!(given_back(&ledger).await, [told(0, "o-0", Some("not paid")), told(1, "o-1", None)]);
    for (serial, id) in [(0, "o-0"), (1, "o-1")] {
        assert_eq!(standing(&ledger, serial).await, (CouponState::Issued, None));
        for call in [redeem_of(serial, id, eur(2000)), redeem_of(2, id, eur(2000))] {
            assert_eq!(ask(&ledger, &call).await, refused(CheckoutRefusal::OrderCancelled));
        }
        let another = redeem_of(serial, &format!("{id}-again"), eur(2000));
        assert_eq!(ask(&ledger, &another).await, redeemed(&another, second(420)));
        assert_eq!(ask(&ledger, &rollback(back(serial, id))).await, ROLLED_BACK_BEFORE, "of the first order only");
        assert_eq!(standing(&ledger, serial).await.0, CouponState::Redeemed);
    }
}

/// Whether it is known or not, and only by its own user; it tells of the order alone.
pub async fn an_order_without_a_coupon_is_cancelled_too(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &hold_of(9, "released")).await;
    ask(&ledger, &release(back(9, "released"))).await;
    let before = given_back(&ledger).await.len();
    for id in ["released", "unheard-of"] {
        let call = rollback(because(back(9, id), "nobody came"));
        assert_eq!(ask_all(&ledger, &[call.clone(), call]).await, [ROLLED_BACK, ROLLED_BACK_BEFORE]);
        assert_eq!(ask(&ledger, &release(back(9, id))).await, refused(CheckoutRefusal::OrderIs(OrderState::Cancelled)));
    }
    let told = |id| event(EventKind::OrderCancelled, None, id, "CANCELLED", Some("nobody came"), 400);
    assert_eq!(given_back(&ledger).await[before..], [told("released"), told("unheard-of")]);
    assert_eq!(standing(&ledger, 9).await, (CouponState::Issued, None));
}

/// The order came to nothing before its redemption came; the coupon is still good for another one.
pub async fn a_late_redemption_after_the_rollback_is_refused(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let (late, late_hold) = (redeem_of(0, "o-1", eur(2000)), hold_of(0, "o-1"));
    assert_eq!(ask(&ledger, &rollback(back(0, "o-1"))).await, ROLLED_BACK);
    ledger.clock.set(second(500)).await;
    assert_eq!(ask(&ledger, &late).await, refused(CheckoutRefusal::OrderCancelled));
    assert_eq!(ask(&ledger, &late_hold).await, refused(CheckoutRefusal::OrderCancelled));
    assert_eq!(kinds(&ledger).await, [(EventKind::OrderCancelled, second(400))]);
    let other = redeem_of(0, "o-2", eur(2000));
    assert_eq!(ask(&ledger, &other).await, redeemed(&other, second(500)));
}

/// It has expired by then; one event tells both.
pub async fn a_rollback_past_the_validity_leaves_the_coupon_expired(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in 0..2 {
        ask(&ledger, &redeem_of(serial, &format!("o-{serial}"), eur(2000))).await;
    }
    for (serial, at, state) in [(0, 1_299_999, CouponState::Issued), (1, 1_300_000, CouponState::Expired)] {
        ledger.clock.set(millisecond(at)).await;
        assert_eq!(ask(&ledger, &rollback(back(serial, &format!("o-{serial}")))).await, ROLLED_BACK);
        assert_eq!(standing(&ledger, serial).await, (state, None));
    }
    let [_, last] = &given_back(&ledger).await[..] else { panic!("two events") };
    assert_eq!(last, &event(EventKind::CouponRolledBack, Some(1), "o-1", "EXPIRED", None, 1300));
    assert_eq!(ask(&ledger, &redeem_of(1, "o-9", eur(2000))).await, refused(CheckoutRefusal::Expired));
    ledger.coupons.sweep(100).await.expect("answers");
    let expired = told(&ledger).await.into_iter().filter(|event| event.kind == EventKind::CouponExpired);
    assert!(expired.into_iter().all(|event| event.coupon != Some(coupon_id(1, 1))), "it is stored already");
}

/// Nothing becomes of it; neither does the order of that id in another campaign change.
pub async fn another_users_order_is_unknown(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let mut history = History::begin(&ledger, &a_campaign("d")).await;
    history.open_round(round(2).claiming(300..360), second(0));
    history.claim(round_id(2), &users(1), second(300));
    history.record(&ledger).await;
    ask(&ledger, &redeem_of(0, "o-1", eur(2000))).await;
    ask(&ledger, &redeem("d", coupon_id(2, 0), "u-0", "o-1", eur(2000))).await;
    let before = told(&ledger).await;

    let stolen = GiveBack { user: user("eve"), ..back(0, "o-1") };
    for call in [rollback(stolen.clone()), release(stolen)] {
        assert_eq!(ask(&ledger, &call).await, refused(CheckoutRefusal::UnknownOrder));
    }
    assert_eq!(told(&ledger).await, before);
    assert_eq!(ask(&ledger, &rollback(back(0, "o-1"))).await, ROLLED_BACK);
    let other = ledger.coupons.coupon(coupon_id(2, 0)).await.expect("answers").expect("it is there").0;
    assert_eq!((other.state, other.order), (CouponState::Redeemed, Some(order("o-1"))));
}
