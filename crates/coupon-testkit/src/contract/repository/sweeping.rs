//! What time alone has done to coupons is stored, once. No answer depends on it.

use coupon_domain::checkout::{Call, Hold, LAPSED, MAX_HOLD, Outcome};
use coupon_domain::ids::{CouponId, UserId};
use coupon_domain::loss::NOBODY;
use coupon_domain::ports::{CouponFilter, CouponTotals, Event, EventDetails, EventKind};
use coupon_domain::redemption::CouponState;
use tokio::task::JoinSet;

use super::desk::{
    IntoCall as _, ask, back, foresee, hold_of, redeem_of, release, rollback, standing, sweep_all, ten_coupons, told,
    void_of,
};
use super::losses::a_declared_loss;
use crate::build::{campaign_id, coupon_id, eur, millisecond, order, round_id, second, user};
use crate::under_test::LedgerUnderTest;

/// What was told of the coupon with this serial by the sweeper: kind, instant, order and reason.
fn swept(events: &[Event], serial: u32) -> Vec<(EventKind, i64, Option<&str>, Option<&str>)> {
    let kinds = [EventKind::CouponReleased, EventKind::CouponExpired];
    let own = events.iter().filter(|e| e.coupon == Some(coupon_id(1, serial)) && kinds.contains(&e.kind));
    let seconds = |event: &Event| (event.at.micros() - second(0).micros()) / 1_000_000;
    own.map(|e| (e.kind, seconds(e), e.order.as_ref().map(|o| o.as_str()), e.details.reason.as_deref())).collect()
}

/// Holds that are over, and the end of validity, each at its own instant; used and void coupons stay.
pub async fn what_time_did_is_stored_once_at_its_instants(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &hold_of(0, "o-0")).await;
    ask(&ledger, &redeem_of(1, "o-1", eur(2000))).await;
    ask(&ledger, &void_of(2)).await;
    ask(&ledger, &Hold { ttl: MAX_HOLD, ..hold_of(3, "o-3") }).await;
    ledger.clock.set(millisecond(999_999)).await;
    assert_eq!(sweep_all(&ledger, 100).await, 0, "nothing is over");

    ledger.clock.set(second(1100)).await;
    assert_eq!(sweep_all(&ledger, 100).await, 1);
    assert_eq!(standing(&ledger, 0).await, (CouponState::Issued, None));
    let released = (EventKind::CouponReleased, 1000, Some("o-0"), Some(LAPSED));
    assert_eq!(swept(&told(&ledger).await, 0), [released]);
    ledger.clock.set(millisecond(1_299_999)).await;
    assert_eq!(sweep_all(&ledger, 100).await, 0);

    ledger.clock.set(second(5000)).await;
    assert_eq!(sweep_all(&ledger, 100).await, 8);
    assert_eq!(sweep_all(&ledger, 100).await, 0, "once");
    let events = told(&ledger).await;
    let expired = (EventKind::CouponExpired, 1300, None, None);
    assert_eq!(swept(&events, 0), [released, expired]);
    assert_eq!(swept(&events, 3), [(EventKind::CouponReleased, 1300, Some("o-3"), Some(LAPSED)), expired]);
    for serial in [1, 2] {
        assert_eq!(swept(&events, serial), []);
    }
    for serial in 4..10 {
        assert_eq!(swept(&events, serial), [expired]);
        assert_eq!(standing(&ledger, serial).await, (CouponState::Expired, None));
    }
    let last = events.iter().rev().find(|event| event.coupon == Some(coupon_id(1, 9))).expect("it expired");
    let expected = Event {
        round: Some(round_id(1)),
        coupon: Some(coupon_id(1, 9)),
        user: Some(user("u-9")),
        state: Some("EXPIRED".to_owned()),
        details: EventDetails::default(),
        ..Event::new(EventKind::CouponExpired, campaign_id("c"), second(1300))
    };
    assert_eq!(Event { id: String::new(), ..last.clone() }, expected);
    assert_eq!(standing(&ledger, 1).await, (CouponState::Redeemed, Some(order("o-1"))));
    assert_eq!(standing(&ledger, 2).await, (CouponState::Void, None));
}

/// Whoever sweeps: one event each.
pub async fn of_sweepers_at_once_each_coupon_has_one(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in 0..5 {
        ask(&ledger, &hold_of(serial, &format!("o-{serial}"))).await;
    }
    ledger.clock.set(second(2000)).await;
    let mut sweepers = JoinSet::new();
    for _ in 0..8 {
        let coupons = ledger.coupons.clone();
        sweepers.spawn(async move {
            let mut all = 0;
            for _ in 0..10 {
                all += coupons.sweep(3).await.expect("the ledger answers");
            }
            all
        });
    }
    let by_all: u32 = sweepers.join_all().await.into_iter().sum();
    assert_eq!(by_all + sweep_all(&ledger, 3).await, 10);
    let events = told(&ledger).await;
    for serial in 0..10 {
        let kinds: Vec<_> = swept(&events, serial).into_iter().map(|(kind, ..)| kind).collect();
        let both = [EventKind::CouponReleased, EventKind::CouponExpired];
        assert_eq!(kinds, both[usize::from(serial >= 5)..], "of {serial}");
    }
}

/// The rest is left to the next call.
pub async fn a_sweep_stops_at_its_limit(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ledger.clock.set(second(1300)).await;
    for (found, gone) in [(3, 3), (3, 6), (3, 9), (1, 10), (0, 10)] {
        assert_eq!(ledger.coupons.sweep(3).await.expect("the ledger answers"), found);
        assert_eq!(told(&ledger).await.len(), gone);
    }
}

/// Burnt coupons are nobody's: nobody is told of their end.
pub async fn coupons_of_nobody_are_not_swept(ledger: LedgerUnderTest) {
    a_declared_loss(&ledger).await;
    ledger.clock.set(second(5000)).await;
    assert_eq!(sweep_all(&ledger, 100).await, 3, "those that somebody has");
    let burnt = |user: &UserId| user.as_str().starts_with(NOBODY);
    let events = told(&ledger).await;
    assert_eq!(events.iter().filter(|event| event.user.as_ref().is_some_and(burnt)).count(), 0);
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::CouponExpired).count(), 3);
}

/// All that can be asked.
async fn answers(ledger: &LedgerUnderTest, calls: &[Call]) -> (Vec<Outcome>, Vec<Vec<CouponId>>, Vec<CouponTotals>) {
    let (mut outcomes, mut pages, mut totals) = (Vec::new(), Vec::new(), Vec::new());
    for call in calls {
        outcomes.push(foresee(ledger, call).await);
    }
    for serial in 0..10 {
        let of_user = CouponFilter { user: Some(user(&format!("u-{serial}"))), limit: 10, ..CouponFilter::default() };
        totals.extend(ledger.coupons.coupons(&of_user).await.expect("answers").totals);
    }
    for state in CouponState::ALL {
        let of_state = CouponFilter { state: Some(state), limit: 100, ..CouponFilter::default() };
        let page = ledger.coupons.coupons(&of_state).await.expect("answers");
        pages.push(page.coupons.iter().map(|coupon| coupon.id).collect());
    }
    (outcomes, pages, totals)
}

/// While holds run out, and when all has expired.
pub async fn answers_before_and_after_a_sweep_are_the_same(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    for serial in 0..3 {
        ask(&ledger, &hold_of(serial, &format!("o-{serial}"))).await;
    }
    ask(&ledger, &redeem_of(3, "o-3", eur(2000))).await;
    ask(&ledger, &void_of(4)).await;
    let of = |serial: u32| {
        let id = format!("o-{serial}");
        [
            hold_of(serial, &id).call(),
            hold_of(serial, "new").call(),
            hold_of(5, &id).call(),
            redeem_of(serial, &id, eur(2000)).call(),
            redeem_of(serial, "new", eur(2000)).call(),
            release(back(serial, &id)),
            rollback(back(serial, &id)),
            void_of(serial).call(),
        ]
    };
    let calls: Vec<_> = (0..6).flat_map(of).collect();
    for at in [500, 1000, 1300, 100_000] {
        ledger.clock.set(second(at)).await;
        let before = answers(&ledger, &calls).await;
        sweep_all(&ledger, 100).await;
        assert_eq!(answers(&ledger, &calls).await, before, "at {at}");
    }
}
