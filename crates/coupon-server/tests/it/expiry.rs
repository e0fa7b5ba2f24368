//! The end of validity: every answer knows it at once, and it is stored soon, once. Each on both sets of adapters.

use std::collections::HashSet;
use std::time::Duration;

use coupon_domain::ids::CouponId;
use coupon_domain::redemption::CouponState as Stored;
use coupon_proto::v1 as pb;
use pb::{CouponState, EventKind as Kind};

use crate::shop::{Instance, On, Shop, at, eventually, instant, on_both, tell, users, valid_for};

on_both! {
    an_expiry_is_stored_soon_with_one_event
    an_expiry_is_answered_before_anybody_has_stored_it
    many_expiries_are_stored_once_by_whichever_instance
    after_a_downtime_expiries_are_stored_with_their_own_times
}

const HOUR: Duration = Duration::from_secs(3600);

async fn stored(instance: &Instance, coupon: &pb::Coupon) -> Stored {
    let id = CouponId::parse(&coupon.id).expect("an id");
    let (record, _) = instance.stores.coupons.coupon(id).await.expect("the ledger answers").expect("a coupon");
    record.state
}

/// Those of this state in the list, and the counts.
async fn listed(instance: &Instance, user: &str, state: CouponState) -> (usize, pb::CouponCounts) {
    let request = pb::ListCouponsRequest { user_id: user.to_owned(), state: state.into(), ..Default::default() };
    let page = instance.list(request).await;
    assert!(page.coupons.iter().all(|coupon| coupon.state() == state));
    (page.coupons.len(), page.counts.expect("of a user"))
}

async fn an_expiry_is_stored_soon_with_one_event(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, _) = shop.create(valid_for("an hour", 10, HOUR)).await;
    shop.set("23:00:00").await;
    let coupons = shop.coupons_of(&c, &["unused", "used", "void"].map(str::to_owned)).await;
    shop.redeem(&coupons[1].code, "used", "order", 1000).await.granted();
    shop.void(&coupons[2].id).await;
    shop.set("25 00:30:00").await;
    let instance = shop.another();
    eventually(|| async { (stored(&instance, &coupons[0]).await == Stored::Expired).then_some(()) }).await;
    let told = shop.events_like(&c, Kind::CouponExpired).await;
    assert_eq!(told.iter().map(tell).collect::<Vec<_>>(), [(Kind::CouponExpired, "", "EXPIRED", "")]);
    assert_eq!((&told[0].coupon_id, &*told[0].user_id), (&coupons[0].id, "unused"));
    assert_eq!(told[0].at, Some(instant(at("25 00:00:00"))), "the instant itself");
    assert_eq!(stored(&instance, &coupons[1]).await, Stored::Redeemed);
    assert_eq!(stored(&instance, &coupons[2]).await, Stored::Void);
}

async fn an_expiry_is_answered_before_anybody_has_stored_it(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (c, r) = shop.create(valid_for("an hour", 10, HOUR)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.ledger_caught_up(&c).await;
    shop.set_to(at("25 00:00:00").minus(Duration::from_micros(1))).await;
    assert_eq!(shop.state(&coupon).await, CouponState::Issued);
    shop.set("25 00:00:00").await;
    let counts = pb::CouponCounts { total: 1, expired: 1, ..Default::default() };
    for instance in &shop.instances {
        assert_eq!(instance.coupon(&coupon.id, "ada").await.expect("a coupon").state(), CouponState::Expired);
        assert_eq!(listed(instance, "ada", CouponState::Expired).await, (1, counts));
        assert_eq!(listed(instance, "ada", CouponState::Issued).await, (0, counts));
        assert_eq!(stored(instance, &coupon).await, Stored::Issued, "nobody has stored it");
        let by_campaign =
            pb::ListCouponsRequest { campaign_id: c.clone(), state: CouponState::Expired.into(), ..Default::default() };
        assert_eq!(instance.list(by_campaign).await.coupons.len(), 1);
    }
    assert!(shop.events_like(&c, Kind::CouponExpired).await.is_empty());
}

async fn many_expiries_are_stored_once_by_whichever_instance(on: On) {
    const USERS: usize = 2500;
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, _) = shop.create(valid_for("many", 10_000, HOUR)).await;
    shop.set("23:00:00").await;
    let names = users(USERS);
    let mut coupons = Vec::new();
    for some in names.chunks(500) {
        coupons.extend(shop.coupons_of(&c, some).await);
    }
    shop.ledger_caught_up(&c).await;
    shop.set("25 00:00:00").await;
    let told = eventually(|| async {
        let told = shop.events_like(&c, Kind::CouponExpired).await;
        (told.len() >= USERS).then_some(told)
    });
    let told = told.await;
    let of: HashSet<_> = told.iter().map(|event| &event.coupon_id).collect();
    assert_eq!((told.len(), of.len()), (USERS, USERS), "one for each");
    assert!(coupons.iter().all(|coupon| of.contains(&coupon.id)));
    // An instance that still had some would store them again here.
    let left = shop.another().stores.coupons.sweep(1000).await.expect("the ledger answers");
    assert_eq!((left, shop.events_like(&c, Kind::CouponExpired).await.len()), (0, USERS));
}

async fn after_a_downtime_expiries_are_stored_with_their_own_times(on: On) {
    let mut shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(valid_for("down", 10, HOUR)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.hold_for(&coupon.code, "ada", "order", 60).await.granted();
    shop.down_until(at("30 12:00:00")).await;
    let told = eventually(|| async {
        let told = shop.events_of(&coupon).await;
        (told.len() >= 3).then_some(told)
    });
    let told = told.await;
    let expected = [
        (Kind::CouponHeld, "order", "HELD", ""),
        (Kind::CouponReleased, "order", "ISSUED", "LAPSED"),
        (Kind::CouponExpired, "", "EXPIRED", ""),
    ];
    assert_eq!(told.iter().map(tell).collect::<Vec<_>>(), expected);
    let times: Vec<_> = told.iter().map(|event| event.at).collect();
    assert_eq!(times, ["23:00:00", "23:01:00", "25 00:00:00"].map(|time| Some(instant(at(time)))));
}
