//! Holds: how long they last, and that nothing has to end them.

use std::time::Duration;

use coupon_proto::v1 as pb;
use pb::{CouponState, EventKind as Kind, OrderState, RefusalReason as Reason};

use crate::shop::{On, Shop, at, eventually, hold_request, instant, on_both, open_campaign, seconds, tell, valid_for};

on_both! {
    a_hold_lasts_ten_minutes_unless_it_says_otherwise
    a_hold_that_runs_out_needs_nobody_to_end_it
    a_hold_that_runs_out_is_stored_by_the_sweeper_once
    the_order_that_held_may_still_redeem_if_nobody_took_the_coupon
    no_hold_outlasts_the_validity
    s10_no_hold_for_another_users_coupon_a_guess_or_a_typo
}

async fn a_hold_lasts_ten_minutes_unless_it_says_otherwise(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("ten minutes", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let hold = shop.hold(&coupon.code, "ada", "order").await;
    assert!(!hold.replayed);
    let expected = pb::Hold {
        coupon_id: coupon.id.clone(),
        campaign_id: c.clone(),
        order_id: "order".to_owned(),
        user_id: "ada".to_owned(),
        expires_at: Some(instant(at("23:10:00"))),
    };
    assert_eq!(hold.granted(), expected);
    let stands = shop.coupon(&coupon).await;
    assert_eq!((stands.state(), stands.order_id.as_str()), (CouponState::Held, "order"));

    // A repeat does not make it longer, whatever it asks for.
    shop.set("23:05:00").await;
    for ttl in [None, Some(seconds(3600))] {
        let again = pb::HoldRequest { ttl, ..hold_request(&coupon.code, "ada", "order") };
        let again = shop.another().hold(again).await.expect("an answer");
        assert!(again.replayed);
        assert_eq!(again.granted(), expected);
    }
    // Once it is over, the same call is a new hold.
    shop.set("23:10:00").await;
    let anew = shop.hold_for(&coupon.code, "ada", "order", 86_400).await;
    assert!(!anew.replayed);
    assert_eq!(anew.granted().expires_at, Some(instant(at("25 23:10:00"))));
    let events = shop.events_of(&coupon).await;
    let expected = [
        (Kind::CouponHeld, "order", "HELD", ""),
        (Kind::CouponReleased, "order", "ISSUED", "LAPSED"),
        (Kind::CouponHeld, "order", "HELD", ""),
    ];
    assert_eq!(events.iter().map(tell).collect::<Vec<_>>(), expected);
    assert_eq!(events[0].expires_at, Some(instant(at("23:10:00"))));
    assert_eq!(events[1].at, Some(instant(at("23:10:00"))), "the instant itself");
}

async fn a_hold_that_runs_out_needs_nobody_to_end_it(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("runs out", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.hold_for(&coupon.code, "ada", "first", 60).await.granted();
    shop.set_to(at("23:01:00").minus(Duration::from_micros(1))).await;
    let held = shop.hold(&coupon.code, "ada", "second").await.refusal();
    assert_eq!((held.reason(), held.order_id.as_str()), (Reason::AlreadyHeld, "first"));

    shop.set("23:01:00").await;
    let stands = shop.coupon(&coupon).await;
    assert_eq!((stands.state(), stands.order_id.as_str()), (CouponState::Issued, ""));
    let request = pb::ListCouponsRequest { user_id: "ada".to_owned(), ..Default::default() };
    let page = shop.another().list(request).await;
    assert_eq!(page.counts.map(|counts| (counts.issued, counts.held)), Some((1, 0)));
    assert_eq!((page.coupons[0].state(), page.coupons[0].order_id.as_str()), (CouponState::Issued, ""));
    assert_eq!(shop.events_of(&coupon).await.len(), 1, "nobody has stored it yet");

    shop.redeem(&coupon.code, "ada", "second", 1000).await.granted();
    let expected = [
        (Kind::CouponHeld, "first", "HELD", ""),
        (Kind::CouponReleased, "first", "ISSUED", "LAPSED"),
        (Kind::CouponRedeemed, "second", "REDEEMED", ""),
    ];
    let events = shop.events_of(&coupon).await;
    assert_eq!(events.iter().map(tell).collect::<Vec<_>>(), expected);
    let late = shop.redeem(&coupon.code, "ada", "first", 1000).await.refusal();
    assert_eq!((late.reason(), late.order_id.as_str()), (Reason::AlreadyRedeemed, "second"));
    assert_eq!(shop.release(&c, "first", "ada").await, (OrderState::Released, true), "its time was over before");
}

async fn a_hold_that_runs_out_is_stored_by_the_sweeper_once(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("swept", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.hold_for(&coupon.code, "ada", "order", 60).await.granted();
    shop.set("23:20:00").await;
    let stored = eventually(|| async {
        let events = shop.events_of(&coupon).await;
        (events.len() > 1).then_some(events)
    });
    let stored = stored.await;
    let expected = [(Kind::CouponHeld, "order", "HELD", ""), (Kind::CouponReleased, "order", "ISSUED", "LAPSED")];
    assert_eq!(stored.iter().map(tell).collect::<Vec<_>>(), expected);
    assert_eq!(stored[1].at, Some(instant(at("23:01:00"))), "when its time had come, though stored later");
    assert_eq!(shop.release(&c, "order", "ada").await, (OrderState::Released, true));
    assert_eq!(shop.events_of(&coupon).await, stored);
}

async fn the_order_that_held_may_still_redeem_if_nobody_took_the_coupon(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("late payment", 10)).await;
    shop.set("23:00:00").await;
    let ada = shop.claim(&c, &r, "ada").await.granted();
    let bob = shop.claim(&c, &r, "bob").await.granted();
    shop.hold_for(&ada.code, "ada", "order-a", 60).await.granted();
    shop.hold_for(&bob.code, "bob", "order-b", 60).await.granted();
    shop.set("23:30:00").await;
    shop.redeem(&ada.code, "ada", "order-a", 1000).await.granted();
    shop.hold(&bob.code, "bob", "order-c").await.granted();
    let taken = shop.redeem(&bob.code, "bob", "order-b", 1000).await.refusal();
    assert_eq!((taken.reason(), taken.order_id.as_str()), (Reason::AlreadyHeld, "order-c"));
}

async fn no_hold_outlasts_the_validity(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (c, r) = shop.create(valid_for("an hour", 10, Duration::from_secs(3600))).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let end = Some(instant(at("25 00:00:00")));
    assert_eq!(shop.hold_for(&coupon.code, "ada", "order", 86_400).await.granted().expires_at, end);
    shop.set("23:59:59.999").await;
    assert_eq!(shop.state(&coupon).await, CouponState::Held);
    shop.set("25 00:00:00").await;
    let stands = shop.coupon(&coupon).await;
    assert_eq!((stands.state(), stands.order_id.as_str()), (CouponState::Expired, ""));
    assert_eq!(shop.redeem(&coupon.code, "ada", "order", 1000).await.reason(), Reason::Expired);
    assert_eq!(shop.hold(&coupon.code, "ada", "order").await.reason(), Reason::Expired);
    assert_eq!(shop.rollback(&c, "order", "ada").await, (OrderState::Cancelled, false));
    assert_eq!(shop.state(&coupon).await, CouponState::Expired);
}

async fn s10_no_hold_for_another_users_coupon_a_guess_or_a_typo(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("codes", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let mut typo = coupon.code.clone();
    let last = if typo.pop() == Some('0') { '1' } else { '0' };
    typo.push(last);

    let anothers = shop.hold(&coupon.code, "bob", "order").await.refusal();
    let guessed = shop.hold("7K3MZ-9QXT2-7K3MZ-9QXT2", "ada", "order").await.refusal();
    let mistyped = shop.hold(&typo, "ada", "order").await.refusal();
    let redeemed = shop.redeem(&coupon.code, "bob", "order", 100).await.refusal();
    assert_eq!(anothers.reason(), Reason::UnknownCoupon);
    assert_eq!((&guessed, &mistyped, &redeemed), (&anothers, &anothers, &anothers));
    assert_eq!((shop.state(&coupon).await, shop.events_of(&coupon).await.len()), (CouponState::Issued, 0));
    shop.hold(&coupon.code.to_lowercase().replace('-', ""), "ada", "order").await.granted();
}
