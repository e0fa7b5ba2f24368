//! An operator withdraws a coupon.

use coupon_domain::checkout::{CheckoutRefusal, Outcome};
use coupon_domain::ports::{Event, EventDetails, EventKind};
use coupon_domain::redemption::CouponState;

use super::desk::{
    IntoCall as _, VOIDED, VOIDED_BEFORE, ask, ask_all, back, hold_of, redeem_of, refused, release, rollback, standing,
    stored, ten_coupons, told, void_of,
};
use crate::build::{campaign_id, coupon_id, eur, round_id, second, user};
use crate::under_test::LedgerUnderTest;

/// With one event and the operator's reason; no order gets it any more, nor does it expire.
pub async fn an_unused_coupon_is_withdrawn_once(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    assert_eq!(ask_all(&ledger, &[void_of(0).call(), void_of(0).call()]).await, [VOIDED, VOIDED_BEFORE]);
    let expected = Event {
        round: Some(round_id(1)),
        coupon: Some(coupon_id(1, 0)),
        user: Some(user("u-0")),
        state: Some("VOID".to_owned()),
        details: EventDetails { reason: Some("a misprint".to_owned()), ..EventDetails::default() },
        ..Event::new(EventKind::CouponVoided, campaign_id("c"), second(400))
    };
    for at in [second(410), second(100_000)] {
        ledger.clock.set(at).await;
        assert_eq!(ask(&ledger, &void_of(0)).await, VOIDED_BEFORE);
        assert_eq!(ask(&ledger, &redeem_of(0, "o-1", eur(2000))).await, refused(CheckoutRefusal::Void));
        assert_eq!(ask(&ledger, &hold_of(0, "o-1")).await, refused(CheckoutRefusal::Void));
        let (state, order) = standing(&ledger, 0).await;
        assert_eq!((state, order), (CouponState::Void, None));
        assert_eq!(stored(&ledger, coupon_id(1, 0)).await.state_at(at), CouponState::Void);
    }
    let events: Vec<_> = told(&ledger).await.into_iter().map(|event| Event { id: String::new(), ..event }).collect();
    assert_eq!(events, [expected]);
}

/// Its state is named; what its order has given back can be withdrawn, and so can what is held no more.
pub async fn only_an_unused_coupon_is_withdrawn(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in [0, 1, 2] {
        ask(&ledger, &hold_of(serial, &format!("o-{serial}"))).await;
    }
    for serial in [3, 4] {
        ask(&ledger, &redeem_of(serial, &format!("o-{serial}"), eur(2000))).await;
    }
    ask(&ledger, &release(back(1, "o-1"))).await;
    ask(&ledger, &rollback(back(4, "o-4"))).await;
    let before = told(&ledger).await;

    for (serial, state) in [(0, CouponState::Held), (2, CouponState::Held), (3, CouponState::Redeemed)] {
        assert_eq!(ask(&ledger, &void_of(serial)).await, refused(CheckoutRefusal::CouponIs(state)));
    }
    assert_eq!(ask(&ledger, &void_of(77)).await, Outcome::NotRecorded);
    assert_eq!(told(&ledger).await, before);
    for serial in [1, 4] {
        assert_eq!(ask(&ledger, &void_of(serial)).await, VOIDED);
    }
    ledger.clock.set(second(1000)).await;
    assert_eq!(ask(&ledger, &void_of(2)).await, VOIDED, "its hold ran out");
    ledger.clock.set(second(1300)).await;
    for serial in [0, 5] {
        assert_eq!(ask(&ledger, &void_of(serial)).await, refused(CheckoutRefusal::CouponIs(CouponState::Expired)));
    }
    let voided = told(&ledger).await.into_iter().filter(|event| event.kind == EventKind::CouponVoided);
    let voided: Vec<_> = voided.filter_map(|event| Some(event.coupon?.serial)).collect();
    assert_eq!(voided, [1, 4, 2]);
}
