//! S9: what becomes of a coupon at the checkout, each on both sets of adapters.

mod at_once;
mod benefits;
mod holds;
mod rollbacks;
mod table;

use std::time::Duration;

use coupon_proto::v1 as pb;
use pb::{CouponState, OrderState, RefusalReason as Reason};

use crate::shop::{On, Shop, at, daily, days, euros, eventually, on_both, open_campaign, redeem_request};

on_both! {
    a_coupon_is_good_until_a_millisecond_before_its_end
    of_two_orders_one_gets_the_coupon
    an_order_has_one_coupon_at_a_time
    the_same_order_with_another_amount_is_no_repeat
    validate_only_answers_as_if_in_every_state
    a_coupon_can_be_used_the_moment_it_is_claimed
}

async fn a_coupon_is_good_until_a_millisecond_before_its_end(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("until the end", 10)).await;
    shop.set("23:00:00").await;
    let ada = shop.claim(&c, &r, "ada").await.granted();
    let bob = shop.claim(&c, &r, "bob").await.granted();
    let eve = shop.claim(&c, &r, "eve").await.granted();
    let end = at("23:00:00").plus(days(7));

    shop.set_to(end.minus(Duration::from_millis(1))).await;
    shop.redeem(&ada.code, "ada", "order-1", 1000).await.granted();
    shop.hold(&eve.code, "eve", "order-3").await.granted();
    shop.set_to(end).await;
    assert_eq!(shop.redeem(&bob.code, "bob", "order-2", 1000).await.reason(), Reason::Expired);
    assert_eq!(shop.hold(&bob.code, "bob", "order-2").await.reason(), Reason::Expired);
    assert_eq!(shop.redeem(&eve.code, "eve", "order-3", 1000).await.reason(), Reason::Expired, "no hold lasts longer");
    let again = shop.redeem(&ada.code, "ada", "order-1", 1000).await;
    assert!(again.replayed && again.yes().is_some(), "a repeat is answered like the first time");
    assert_eq!(shop.state(&bob).await, CouponState::Expired);
}

async fn of_two_orders_one_gets_the_coupon(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("two orders", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.hold(&coupon.code, "ada", "first").await.granted();
    let held = shop.redeem(&coupon.code, "ada", "second", 1000).await.refusal();
    assert_eq!((held.reason(), held.order_id.as_str()), (Reason::AlreadyHeld, "first"));
    let held = shop.hold(&coupon.code, "ada", "second").await.refusal();
    assert_eq!((held.reason(), held.order_id.as_str()), (Reason::AlreadyHeld, "first"));
    shop.redeem(&coupon.code, "ada", "first", 1000).await.granted();
    for refusal in [
        shop.redeem(&coupon.code, "ada", "second", 1000).await.refusal(),
        shop.hold(&coupon.code, "ada", "second").await.refusal(),
    ] {
        assert_eq!((refusal.reason(), refusal.order_id.as_str()), (Reason::AlreadyRedeemed, "first"));
    }
    // The other order was refused, and is none of the ledger's.
    assert_eq!(shop.rollback(&c, "first", "ada").await, (OrderState::Cancelled, false));
    shop.redeem(&coupon.code, "ada", "second", 1000).await.granted();
}

async fn an_order_has_one_coupon_at_a_time(on: On) {
    let shop = Shop::with_company(on).await;
    let two = pb::Campaign { max_per_user: Some(2), ..open_campaign("one order", 5) };
    let (c, _) = shop.create(daily(two, "0,10 21 * * *")).await;
    let mut coupons = Vec::new();
    for time in ["21:00:00", "21:10:00"] {
        shop.set(time).await;
        eventually(|| async { (shop.round(&c, "").await.phase() == pb::RoundPhase::Claiming).then_some(()) }).await;
        coupons.push(shop.claim(&c, "", "ada").await.granted());
    }
    let (one, other) = (&coupons[0], &coupons[1]);
    shop.hold(&one.code, "ada", "order").await.granted();
    assert_eq!(shop.hold(&other.code, "ada", "order").await.reason(), Reason::OrderHasCoupon);
    assert_eq!(shop.redeem(&other.code, "ada", "order", 1000).await.reason(), Reason::OrderHasCoupon);
    // It gives the one back and takes the other.
    assert_eq!(shop.release(&c, "order", "ada").await, (OrderState::Released, false));
    shop.redeem(&other.code, "ada", "order", 1000).await.granted();
    assert_eq!(shop.redeem(&one.code, "ada", "order", 1000).await.reason(), Reason::OrderHasCoupon);
    assert_eq!(shop.hold(&one.code, "ada", "order").await.reason(), Reason::OrderHasCoupon);
    let request = pb::ListCouponsRequest { user_id: "ada".to_owned(), ..Default::default() };
    let counts = shop.another().list(request).await.counts.expect("of a user");
    assert_eq!((counts.total, counts.issued, counts.redeemed), (2, 1, 1));
}

async fn the_same_order_with_another_amount_is_no_repeat(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("amounts", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.hold(&coupon.code, "ada", "order").await.granted();
    let first = shop.redeem(&coupon.code, "ada", "order", 1000).await;
    assert!(!first.replayed);
    shop.set("23:30:00").await;
    let again = shop.another().redeem(&coupon.code, "ada", "order", 1000).await.expect("an answer");
    assert!(again.replayed && again.outcome == first.outcome, "{again:?}");
    assert_eq!(shop.redeem(&coupon.code, "ada", "order", 1001).await.reason(), Reason::OrderMismatch);
    // Under a new order id, after a rollback.
    shop.rollback(&c, "order", "ada").await;
    assert_eq!(shop.redeem(&coupon.code, "ada", "order", 1000).await.reason(), Reason::OrderCancelled);
    let second = shop.redeem(&coupon.code, "ada", "order-b", 1001).await.granted();
    assert_eq!((second.order_id.as_str(), second.discount), ("order-b", Some(euros(200))));
}

async fn validate_only_answers_as_if_in_every_state(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("as if", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let check = |order: &str| {
        let request = pb::RedeemRequest { validate_only: true, ..redeem_request(&coupon.code, "ada", order, 999) };
        let instance = shop.another();
        async move { instance.use_coupon(request).await.expect("an answer") }
    };
    // The recorder may not have brought it yet: it is found all the same.
    let foreseen = check("order").await;
    assert!(!foreseen.replayed);
    let foreseen = foreseen.granted();
    assert_eq!((foreseen.order_id.as_str(), foreseen.discount.clone()), ("order", Some(euros(199))));
    let before = (shop.coupon(&coupon).await, shop.events(&c).await);
    for order in ["order", "another"] {
        check(order).await.granted();
    }
    assert_eq!((shop.coupon(&coupon).await, shop.events(&c).await), before, "nothing was written");

    shop.hold_for(&coupon.code, "ada", "order", 60).await.granted();
    check("order").await.granted();
    assert_eq!(check("another").await.reason(), Reason::AlreadyHeld);
    shop.set("23:01:00").await;
    let before = (shop.coupon(&coupon).await, shop.events(&c).await);
    check("another").await.granted();
    assert_eq!((shop.coupon(&coupon).await, shop.events(&c).await), before, "the hold that is over is not stored");
    let done = shop.redeem(&coupon.code, "ada", "order", 999).await.granted();
    let again = check("order").await;
    assert!(again.replayed && again.granted() == done);
    assert_eq!(check("another").await.reason(), Reason::AlreadyRedeemed);
    shop.rollback(&c, "order", "ada").await;
    assert_eq!(check("order").await.reason(), Reason::OrderCancelled);
    shop.void(&coupon.id).await;
    assert_eq!(check("another").await.reason(), Reason::Void);
    assert_eq!(shop.coupon(&coupon).await.state(), CouponState::Void);
}

async fn a_coupon_can_be_used_the_moment_it_is_claimed(on: On) {
    let shop = Shop::open_with_idle_recorder(on).await;
    let (c, r) = shop.create(open_campaign("at once", 10)).await;
    shop.set("23:00:00").await;
    let held = shop.claim(&c, &r, "ada").await.granted();
    shop.hold(&held.code, "ada", "order-1").await.granted();
    let used = shop.claim(&c, &r, "bob").await.granted();
    shop.redeem(&used.code, "bob", "order-2", 100).await.granted();
    let seen = shop.claim(&c, &r, "eve").await.granted();
    let request = pb::RedeemRequest { validate_only: true, ..redeem_request(&seen.code, "eve", "order-3", 100) };
    shop.nth(0).use_coupon(request).await.expect("an answer").granted();
    let withdrawn = shop.claim(&c, &r, "dan").await.granted();
    assert_eq!(shop.void(&withdrawn.id).await.state(), CouponState::Void);
}
