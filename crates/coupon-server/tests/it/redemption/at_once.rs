//! Many callers at once: of all that they are told, and of all that the feed tells, there is one history.

use std::collections::{BTreeMap, HashMap};

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::{CouponState, EventKind as Kind, OrderState, RefusalReason as Reason};
use tonic::Code;

use crate::operators::calls::fault;
use crate::shop::{Instance, On, Outcome, Shop, hold_request, on_both, open_campaign, tell, users};

on_both! {
    s9_of_a_hundred_redeems_of_one_coupon_one_succeeds
    s9_of_a_hundred_holds_of_one_coupon_one_succeeds
    s9_of_sixty_four_users_with_one_order_one_gets_it
    s9_of_fifty_rollbacks_one_gives_the_coupon_back
    s9_sixty_four_callers_mix_all_calls_on_one_coupon
    s9_sixty_four_callers_mix_all_calls_on_one_order
}

const CALLERS: usize = 64;

async fn s9_of_a_hundred_redeems_of_one_coupon_one_succeeds(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("a hundred redeems", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let calls = (0..100).map(|n| {
        let (mut instance, code) = (shop.nth(n), &coupon.code);
        async move { instance.redeem(code, "ada", &format!("order-{n}"), 1000).await.expect("an answer") }
    });
    let answers = join_all(calls).await;
    let yes: Vec<_> = answers.iter().filter_map(|answer| answer.yes()).collect();
    assert_eq!(yes.len(), 1, "one success");
    let winner = yes[0].order_id.clone();
    for refused in answers.into_iter().filter(|answer| answer.yes().is_none()) {
        let refusal = refused.refusal();
        assert_eq!((refusal.reason(), &refusal.order_id), (Reason::AlreadyRedeemed, &winner));
    }
    let stands = shop.coupon(&coupon).await;
    assert_eq!((stands.state(), &stands.order_id), (CouponState::Redeemed, &winner));
    let events = shop.events_of(&coupon).await;
    assert_eq!(events.iter().map(tell).collect::<Vec<_>>(), [(Kind::CouponRedeemed, &*winner, "REDEEMED", "")]);
}

async fn s9_of_a_hundred_holds_of_one_coupon_one_succeeds(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("a hundred holds", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let calls = (0..100).map(|n| {
        let (instance, code) = (shop.nth(n), &coupon.code);
        async move { instance.hold(hold_request(code, "ada", &format!("order-{n}"))).await.expect("an answer") }
    });
    let answers = join_all(calls).await;
    let yes: Vec<_> = answers.iter().filter_map(|answer| answer.yes()).collect();
    assert_eq!(yes.len(), 1, "one success");
    let winner = yes[0].order_id.clone();
    for refused in answers.into_iter().filter(|answer| answer.yes().is_none()) {
        let refusal = refused.refusal();
        assert_eq!((refusal.reason(), &refusal.order_id), (Reason::AlreadyHeld, &winner));
    }
    assert_eq!(shop.events_of(&coupon).await.len(), 1);
}

async fn s9_of_sixty_four_users_with_one_order_one_gets_it(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = shop.create(open_campaign("one order", 100)).await;
    shop.set("23:00:00").await;
    let coupons = shop.coupons_of(&c, &users(CALLERS)).await;
    let calls = coupons.iter().enumerate().map(|(n, coupon)| {
        let mut instance = shop.nth(n);
        async move { instance.redeem(&coupon.code, &coupon.user_id, "order", 1000).await.expect("an answer") }
    });
    let answers = join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.yes().is_some()).count(), 1);
    let refused = answers.into_iter().filter(|answer| answer.yes().is_none());
    assert!(refused.map(|answer| answer.reason()).all(|reason| reason == Reason::OrderHasCoupon));
    assert_eq!(shop.events_like(&c, Kind::CouponRedeemed).await.len(), 1);
}

async fn s9_of_fifty_rollbacks_one_gives_the_coupon_back(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("fifty rollbacks", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.redeem(&coupon.code, "ada", "order", 1000).await.granted();
    for (order, kind) in [("order", Kind::CouponRolledBack), ("nobody-knows", Kind::OrderCancelled)] {
        let calls = (0..50).map(|n| {
            let (instance, c) = (shop.nth(n), &c);
            async move { instance.rollback(c, order, "ada").await.expect("an answer") }
        });
        let answers = join_all(calls).await;
        assert!(answers.iter().all(|(state, _)| *state == OrderState::Cancelled));
        assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1, "one did it");
        let told = shop.events_like(&c, kind).await;
        assert_eq!(told.iter().filter(|event| event.order_id == order).count(), 1);
    }
    assert_eq!(shop.state(&coupon).await, CouponState::Issued);
}

/// What a call changed: the kind of its event, and the order.
type Change = (Kind, String);

/// One call of the mix, the `n`th of this caller; answers what it changed.
async fn one_call(mut instance: Instance, n: usize, coupon: &pb::Coupon, order: &str) -> Option<Change> {
    let pb::Coupon { campaign_id: c, code, user_id: user, .. } = coupon;
    let kind = match n % 5 {
        0 => {
            let answer = instance.hold(hold_request(code, user, order)).await.expect("an answer");
            is_new(&answer.outcome, answer.replayed).then_some(Kind::CouponHeld)
        }
        1 | 3 => {
            let answer = instance.redeem(code, user, order, 1000).await.expect("an answer");
            is_new(&answer.outcome, answer.replayed).then_some(Kind::CouponRedeemed)
        }
        2 => match instance.release(c, order, user).await {
            Ok((state, replayed)) => (state == OrderState::Released && !replayed).then_some(Kind::CouponReleased),
            unknown => {
                fault(unknown, Code::NotFound, "UNKNOWN_ORDER");
                None
            }
        },
        _ => match instance.rollback(c, order, user).await {
            Ok((state, replayed)) => {
                assert_eq!(state, OrderState::Cancelled);
                // With a coupon or without, as the feed knows.
                (!replayed).then_some(Kind::CouponRolledBack)
            }
            another => {
                fault(another, Code::NotFound, "UNKNOWN_ORDER");
                None
            }
        },
    };
    kind.map(|kind| (kind, order.to_owned()))
}

fn is_new<T>(outcome: &Outcome<T>, replayed: bool) -> bool {
    matches!(outcome, Outcome::Yes(_)) && !replayed
}

/// Sixty-four callers, some calls each, as `call` says by caller and number; answers how often each change was answered.
async fn mix<F: Future<Output = Option<Change>>>(call: impl Fn(usize, usize) -> F) -> BTreeMap<(i32, String), usize> {
    const CALLS: usize = 10;
    let callers = (0..CALLERS).map(|caller| {
        let call = &call;
        async move {
            let mut changes = Vec::new();
            for n in 0..CALLS {
                changes.extend(call(caller, n).await);
            }
            changes
        }
    });
    let mut counts = BTreeMap::new();
    for (kind, order) in join_all(callers).await.into_iter().flatten() {
        *counts.entry((i32::from(kind), order)).or_default() += 1;
    }
    counts
}

/// The same counts from the feed.
fn told(events: &[pb::Event]) -> BTreeMap<(i32, String), usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let kind = match event.kind() {
            Kind::OrderCancelled => Kind::CouponRolledBack,
            kind => kind,
        };
        if matches!(kind, Kind::CouponHeld | Kind::CouponReleased | Kind::CouponRedeemed | Kind::CouponRolledBack) {
            *counts.entry((i32::from(kind), event.order_id.clone())).or_default() += 1;
        }
    }
    counts
}

/// Folds the feed: each event must be possible where its coupon and its order stand. Answers where the coupons stand, and for which order.
fn fold(events: &[pb::Event]) -> HashMap<String, (String, String)> {
    let mut coupons: HashMap<String, (String, String)> = HashMap::new();
    let mut orders: HashMap<String, (OrderState, String)> = HashMap::new();
    for event in events {
        let order = orders.get(&event.order_id).cloned();
        if let Kind::OrderCancelled = event.kind() {
            assert!(matches!(order, None | Some((OrderState::Released, _))), "{order:?}: {event:?}");
            orders.insert(event.order_id.clone(), (OrderState::Cancelled, String::new()));
            continue;
        }
        if event.coupon_id.is_empty() {
            continue;
        }
        let issued = ("ISSUED".to_owned(), String::new());
        let coupon = coupons.entry(event.coupon_id.clone()).or_insert(issued);
        let mine = coupon.1 == event.order_id;
        let is_free = order.as_ref().is_none_or(|(state, _)| *state == OrderState::Released);
        let state = match event.kind() {
            Kind::CouponHeld => {
                assert!(coupon.0 == "ISSUED" && is_free, "{coupon:?}, {order:?}: {event:?}");
                OrderState::Held
            }
            Kind::CouponRedeemed => {
                let from_hold = coupon.0 == "HELD" && mine;
                assert!(from_hold || coupon.0 == "ISSUED" && is_free, "{coupon:?}, {order:?}: {event:?}");
                OrderState::Redeemed
            }
            Kind::CouponReleased => {
                assert!(coupon.0 == "HELD" && mine, "{coupon:?}: {event:?}");
                OrderState::Released
            }
            Kind::CouponRolledBack => {
                assert!(matches!(&*coupon.0, "HELD" | "REDEEMED") && mine, "{coupon:?}: {event:?}");
                OrderState::Cancelled
            }
            _ => continue,
        };
        orders.insert(event.order_id.clone(), (state, event.coupon_id.clone()));
        let has_order = matches!(state, OrderState::Held | OrderState::Redeemed);
        *coupon = (event.state.clone(), if has_order { event.order_id.clone() } else { String::new() });
    }
    coupons
}

/// Where a coupon stands by the feed is where it stands.
async fn assert_stands(shop: &Shop, coupon: &pb::Coupon, by_feed: &HashMap<String, (String, String)>) {
    let stands = shop.coupon(coupon).await;
    let state = stands.state().as_str_name().trim_start_matches("COUPON_STATE_").to_owned();
    let told = by_feed.get(&coupon.id).cloned().unwrap_or_else(|| ("ISSUED".to_owned(), String::new()));
    assert_eq!((state, stands.order_id), told);
}

async fn s9_sixty_four_callers_mix_all_calls_on_one_coupon(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("one coupon", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let answered = mix(|caller, n| {
        // Four callers share each order, for a while.
        let (instance, order) = (shop.nth(caller), format!("order-{}-{}", caller / 4, n / 3));
        let coupon = &coupon;
        async move { one_call(instance, caller + n, coupon, &order).await }
    });
    let answered = answered.await;
    let events = shop.events(&c).await;
    assert_eq!(told(&events), answered, "each change was answered once and told once");
    assert!(events.iter().filter(|event| event.kind() == Kind::CouponRedeemed).count() > 1, "it went round");
    assert_stands(&shop, &coupon, &fold(&events)).await;
}

async fn s9_sixty_four_callers_mix_all_calls_on_one_order(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = shop.create(open_campaign("one order", 100)).await;
    shop.set("23:00:00").await;
    let coupons = shop.coupons_of(&c, &users(CALLERS)).await;
    let answered = mix(|caller, n| {
        // One order after the other: a cancelled one stays so.
        let (instance, order) = (shop.nth(caller), format!("order-{}", n / 2));
        let coupon = &coupons[caller];
        async move { one_call(instance, caller + n, coupon, &order).await }
    });
    let answered = answered.await;
    let events = shop.events(&c).await;
    assert_eq!(told(&events), answered, "each change was answered once and told once");
    let by_feed = fold(&events);
    for coupon in &coupons {
        assert_stands(&shop, coupon, &by_feed).await;
    }
    let mut live: Vec<_> = by_feed.values().filter(|(_, order)| !order.is_empty()).map(|(_, order)| order).collect();
    live.sort();
    let orders = live.len();
    live.dedup();
    assert_eq!(live.len(), orders, "no order has two coupons");
}
