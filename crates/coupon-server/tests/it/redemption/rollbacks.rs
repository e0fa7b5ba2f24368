//! Orders that are given up, coupons that are withdrawn, and whose they are.

use coupon_proto::v1 as pb;
use pb::{CouponState, EventKind as Kind, OrderState, RefusalReason as Reason};
use tonic::Code;

use crate::operators::calls::{fault, request_id};
use crate::shop::{On, Shop, at, days, euros, instant, on_both, open_campaign, tell, users};

on_both! {
    after_a_rollback_the_coupon_is_free_and_the_order_is_over
    a_redeem_that_arrives_after_the_rollback_is_refused
    a_rollback_past_the_validity_expires_the_coupon
    a_release_leaves_the_order_usable
    orders_of_others_are_unknown
    a_coupon_is_withdrawn_for_good
    orders_of_two_campaigns_share_nothing
}

async fn after_a_rollback_the_coupon_is_free_and_the_order_is_over(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("given up", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.redeem(&coupon.code, "ada", "first", 1000).await.granted();
    let used = shop.coupon(&coupon).await;
    assert_eq!((used.order_id.as_str(), used.redeemed_at), ("first", Some(instant(at("23:00:00")))));
    shop.set("23:10:00").await;
    assert_eq!(shop.rollback(&c, "first", "ada").await, (OrderState::Cancelled, false));
    let free = shop.coupon(&coupon).await;
    assert_eq!((free.state(), free.order_id.as_str(), free.redeemed_at), (CouponState::Issued, "", None));
    let again = shop.another().rollback(&c, "first", "ada").await.expect("an answer");
    assert_eq!(again, (OrderState::Cancelled, true));
    assert_eq!(shop.release(&c, "first", "ada").await, (OrderState::Cancelled, false), "it stays so");

    // Held, and given up: the same.
    shop.hold(&coupon.code, "ada", "second").await.granted();
    assert_eq!(shop.rollback(&c, "second", "ada").await, (OrderState::Cancelled, false));
    shop.redeem(&coupon.code, "ada", "third", 500).await.granted();
    let expected = [
        (Kind::CouponRedeemed, "first", "REDEEMED", ""),
        (Kind::CouponRolledBack, "first", "ISSUED", "payment failed"),
        (Kind::CouponHeld, "second", "HELD", ""),
        (Kind::CouponRolledBack, "second", "ISSUED", "payment failed"),
        (Kind::CouponRedeemed, "third", "REDEEMED", ""),
    ];
    let events = shop.events_of(&coupon).await;
    assert_eq!(events.iter().map(tell).collect::<Vec<_>>(), expected);
    assert_eq!((&events[0].amount, &events[0].discount), (&Some(euros(1000)), &Some(euros(200))));
    assert_eq!(events[1].at, Some(instant(at("23:10:00"))));
    assert!(events.iter().all(|event| event.user_id == "ada" && event.round_id == r && event.campaign_id == c));
}

async fn a_redeem_that_arrives_after_the_rollback_is_refused(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("late", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    // Known, and never heard of.
    shop.hold(&coupon.code, "ada", "known").await.granted();
    for order in ["known", "never-heard-of"] {
        assert_eq!(shop.rollback(&c, order, "ada").await, (OrderState::Cancelled, false));
        assert_eq!(shop.redeem(&coupon.code, "ada", order, 1000).await.reason(), Reason::OrderCancelled);
        assert_eq!(shop.hold(&coupon.code, "ada", order).await.reason(), Reason::OrderCancelled);
        assert_eq!(shop.rollback(&c, order, "ada").await, (OrderState::Cancelled, true));
    }
    assert_eq!(shop.state(&coupon).await, CouponState::Issued);
    let cancelled = shop.events_like(&c, Kind::OrderCancelled).await;
    let told: Vec<_> = cancelled.iter().map(|event| (&*event.order_id, &*event.user_id, &*event.coupon_id)).collect();
    assert_eq!(told, [("never-heard-of", "ada", "")]);
}

async fn a_rollback_past_the_validity_expires_the_coupon(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("too late", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.redeem(&coupon.code, "ada", "order", 1000).await.granted();
    shop.set_to(at("23:00:00").plus(days(30))).await;
    assert_eq!(shop.state(&coupon).await, CouponState::Redeemed, "what is used does not expire");
    assert_eq!(shop.rollback(&c, "order", "ada").await, (OrderState::Cancelled, false));
    assert_eq!(shop.state(&coupon).await, CouponState::Expired);
    assert_eq!(shop.redeem(&coupon.code, "ada", "another", 1000).await.reason(), Reason::Expired);
    let expected = [
        (Kind::CouponRedeemed, "order", "REDEEMED", ""),
        (Kind::CouponRolledBack, "order", "EXPIRED", "payment failed"),
    ];
    let events = shop.events_of(&coupon).await;
    assert_eq!(events.iter().map(tell).collect::<Vec<_>>(), expected, "one event for one change");
}

async fn a_release_leaves_the_order_usable(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = shop.create(open_campaign("released", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.coupons_of(&c, &users(1)).await.remove(0);
    shop.hold(&coupon.code, "user-0", "order").await.granted();
    assert_eq!(shop.release(&c, "order", "user-0").await, (OrderState::Released, false));
    let again = shop.another().release(&c, "order", "user-0").await.expect("an answer");
    assert_eq!(again, (OrderState::Released, true));
    shop.redeem(&coupon.code, "user-0", "order", 1000).await.granted();
    assert_eq!(shop.release(&c, "order", "user-0").await, (OrderState::Redeemed, false), "it stays so");
    assert_eq!(shop.state(&coupon).await, CouponState::Redeemed);
    assert_eq!(shop.rollback(&c, "order", "user-0").await, (OrderState::Cancelled, false));
    let events = shop.events_of(&coupon).await;
    assert_eq!(tell(&events[1]), (Kind::CouponReleased, "order", "ISSUED", "another coupon"));
    assert_eq!(events.len(), 4);
}

async fn orders_of_others_are_unknown(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("others", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let instance = shop.another();
    fault(instance.release(&c, "order", "ada").await, Code::NotFound, "UNKNOWN_ORDER");
    for step in ["held", "redeemed", "cancelled"] {
        match step {
            "held" => drop(shop.hold(&coupon.code, "ada", "order").await.granted()),
            "redeemed" => drop(shop.redeem(&coupon.code, "ada", "order", 1000).await.granted()),
            _ => assert_eq!(shop.rollback(&c, "order", "ada").await, (OrderState::Cancelled, false)),
        }
        let before = (shop.coupon(&coupon).await, shop.events(&c).await);
        fault(instance.release(&c, "order", "bob").await, Code::NotFound, "UNKNOWN_ORDER");
        fault(instance.rollback(&c, "order", "bob").await, Code::NotFound, "UNKNOWN_ORDER");
        assert_eq!((shop.coupon(&coupon).await, shop.events(&c).await), before, "{step}: nothing changed");
    }
    fault(instance.release("no-such-campaign", "order", "ada").await, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    fault(instance.rollback("no-such-campaign", "order", "ada").await, Code::NotFound, "CAMPAIGN_NOT_FOUND");
}

async fn a_coupon_is_withdrawn_for_good(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("withdrawn", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let other = shop.claim(&c, &r, "bob").await.granted();
    let operator = shop.another();
    shop.ledger_caught_up(&c).await;
    let first = operator.void(&coupon.id, &request_id(1)).await.expect("withdrawn");
    assert_eq!((first.state(), first.code.as_str(), &first.id), (CouponState::Void, "", &coupon.id));
    for request in ["", &request_id(1), &request_id(2)] {
        assert_eq!(shop.nth(0).void(&coupon.id, request).await.expect("harmless"), first);
    }
    fault(operator.void("r-99999-0", "").await, Code::NotFound, "COUPON_NOT_FOUND");
    let reused = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: request_id(3) };
    operator.campaigns.clone().pause_campaign(reused).await.expect("paused");
    fault(operator.void(&other.id, &request_id(3)).await, Code::FailedPrecondition, "REQUEST_ID_REUSED");

    assert_eq!(shop.redeem(&coupon.code, "ada", "order", 1000).await.reason(), Reason::Void);
    assert_eq!(shop.hold(&coupon.code, "ada", "order").await.reason(), Reason::Void);
    assert_eq!(shop.claim(&c, &r, "ada").await.granted(), coupon, "Claim answers it as issued");
    let events = shop.events_of(&coupon).await;
    assert_eq!(events.iter().map(tell).collect::<Vec<_>>(), [(Kind::CouponVoided, "", "VOID", "misprint")]);

    shop.hold(&other.code, "bob", "order").await.granted();
    fault(operator.void(&other.id, "").await, Code::FailedPrecondition, "WRONG_COUPON_STATE");
    shop.redeem(&other.code, "bob", "order", 1000).await.granted();
    fault(operator.void(&other.id, "").await, Code::FailedPrecondition, "WRONG_COUPON_STATE");
    shop.rollback(&c, "order", "bob").await;
    shop.set_to(at("23:00:00").plus(days(7))).await;
    fault(operator.void(&other.id, "").await, Code::FailedPrecondition, "WRONG_COUPON_STATE");
}

async fn orders_of_two_campaigns_share_nothing(on: On) {
    let shop = Shop::with_company(on).await;
    let (a, a_round) = shop.create(open_campaign("a", 10)).await;
    let (b, b_round) = shop.create(open_campaign("b", 10)).await;
    shop.set("23:00:00").await;
    let one = shop.claim(&a, &a_round, "ada").await.granted();
    let other = shop.claim(&b, &b_round, "ada").await.granted();
    shop.redeem(&one.code, "ada", "order", 1000).await.granted();
    shop.redeem(&other.code, "ada", "order", 2000).await.granted();
    assert_eq!(shop.rollback(&a, "order", "ada").await, (OrderState::Cancelled, false));
    assert_eq!((shop.state(&one).await, shop.state(&other).await), (CouponState::Issued, CouponState::Redeemed));
    assert!(shop.redeem(&other.code, "ada", "order", 2000).await.replayed);
}
