//! S11: owners of unused coupons are told that they expire, once, whatever happens meanwhile. Each on both sets of adapters.

use std::collections::HashMap;
use std::time::Duration;

use coupon_domain::time::Timestamp;
use coupon_proto::v1 as pb;
use pb::{CouponState, EventKind as Kind, OrderState};

use crate::operators::calls::change;
use crate::shop::{On, Shop, at, days, eventually, instant, on_both, open_campaign, seconds, users, valid_for};

on_both! {
    s11_a_notice_goes_out_once_seven_days_before_the_end
    s11_after_a_downtime_over_the_day_it_goes_out_late
    s11_thousands_on_one_day_by_all_instances_are_told_once_each
    of_several_leads_each_is_told
    of_several_leads_that_are_due_at_once_the_shortest_is_told
    nobody_is_told_of_a_coupon_that_cannot_be_used
    a_coupon_that_comes_back_has_the_notice_that_was_skipped
    a_coupon_with_less_time_left_has_its_notice_at_once
    leads_that_change_count_from_then_on
    no_notice_after_the_end
}

const DAY: i64 = 86_400;

/// Coupons that are valid for a fortnight.
fn fortnight(title: &str) -> pb::Campaign {
    valid_for(title, 10_000, days(14))
}

fn with_leads(campaign: pb::Campaign, leads: &[i64]) -> pb::Campaign {
    pb::Campaign { notice_leads: leads.iter().map(|lead| seconds(*lead)).collect(), ..campaign }
}

/// The end of a coupon that is valid for a fortnight and was claimed at eleven.
fn end() -> Timestamp {
    at("23:00:00").plus(days(14))
}

/// Whose, with which lead in seconds, and whether late, in the order of the feed.
async fn notices(shop: &Shop, c: &str) -> Vec<(String, i64, bool)> {
    let told = shop.events_like(c, Kind::CouponExpiring).await;
    told.into_iter().map(|event| (event.user_id, event.lead.expect("a lead").seconds, event.late)).collect()
}

/// Once there are so many.
async fn notices_given(shop: &Shop, c: &str, count: usize) -> Vec<(String, i64, bool)> {
    eventually(|| async {
        let told = notices(shop, c).await;
        (told.len() >= count).then_some(told)
    })
    .await
}

/// Nobody has anything left to do about notices: what is due has been told.
async fn all_given(shop: &Shop) {
    let stores = &shop.instances[0].stores;
    while stores.coupons.give_notice(1000).await.expect("the ledger answers") > 0 {}
}

fn notice(user: &str, lead: i64, late: bool) -> (String, i64, bool) {
    (user.to_owned(), lead, late)
}

async fn s11_a_notice_goes_out_once_seven_days_before_the_end(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(fortnight("once")).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let due = end().minus(days(7));
    shop.set_to(due.minus(Duration::from_micros(1))).await;
    all_given(&shop).await;
    assert_eq!(notices(&shop, &c).await, []);
    shop.set_to(due).await;
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("ada", 7 * DAY, false)]);
    let told = shop.events_like(&c, Kind::CouponExpiring).await.remove(0);
    assert_eq!((&told.coupon_id, &told.round_id, &told.order_id), (&coupon.id, &r, &String::new()));
    assert_eq!((told.expires_at, told.state.as_str()), (Some(instant(end())), ""));
    assert_eq!(told.at, Some(instant(due)));
    assert_eq!(shop.state(&coupon).await, CouponState::Issued, "a notice changes nothing");
    for day in [1, 3, 6] {
        shop.set_to(due.plus(days(day))).await;
        all_given(&shop).await;
    }
    shop.set_to(end()).await;
    eventually(|| async { (!shop.events_like(&c, Kind::CouponExpired).await.is_empty()).then_some(()) }).await;
    assert_eq!(notices(&shop, &c).await.len(), 1, "once");
}

async fn s11_after_a_downtime_over_the_day_it_goes_out_late(on: On) {
    let mut shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(fortnight("down")).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    shop.ledger_caught_up(&c).await;
    shop.down_until(end().minus(days(4))).await;
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("ada", 7 * DAY, true)]);
    // And again down, for longer than to the end.
    shop.down_until(end().plus(days(1))).await;
    eventually(|| async { (!shop.events_like(&c, Kind::CouponExpired).await.is_empty()).then_some(()) }).await;
    assert_eq!(notices(&shop, &c).await, [notice("ada", 7 * DAY, true)], "once");
}

async fn s11_thousands_on_one_day_by_all_instances_are_told_once_each(on: On) {
    const USERS: usize = 3000;
    let mut shop = Shop::with_busy_upkeep(on).await;
    let (c, _) = shop.create(fortnight("one day")).await;
    shop.set("23:00:00").await;
    let names = users(USERS);
    for some in names.chunks(500) {
        shop.coupons_of(&c, some).await;
    }
    shop.ledger_caught_up(&c).await;
    // All start at once, and all of it is due.
    shop.down_until(end().minus(days(7)).plus(Duration::from_secs(60))).await;
    let told = notices_given(&shop, &c, USERS).await;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (user, lead, late) in &told {
        assert_eq!((*lead, *late), (7 * DAY, false));
        *counts.entry(user).or_default() += 1;
    }
    assert_eq!((counts.len(), told.len()), (USERS, USERS), "one for each");
}

async fn of_several_leads_each_is_told(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let leads = [7 * DAY, DAY, 3600];
    let (c, r) = shop.create(with_leads(fortnight("several"), &leads)).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    for (count, lead) in (1..).zip(leads) {
        shop.set_to(end().minus(Duration::from_secs(lead.unsigned_abs()))).await;
        assert_eq!(notices_given(&shop, &c, count).await.last(), Some(&notice("ada", lead, false)));
    }
    assert_eq!(notices(&shop, &c).await.len(), 3);
}

async fn of_several_leads_that_are_due_at_once_the_shortest_is_told(on: On) {
    let mut shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(with_leads(fortnight("at once"), &[3600, 7 * DAY, DAY])).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "bob").await.granted();
    shop.ledger_caught_up(&c).await;
    shop.down_until(end().minus(Duration::from_secs(12 * 3600))).await;
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("bob", DAY, true)]);
    shop.set_to(end().minus(Duration::from_secs(1800))).await;
    let told = notices_given(&shop, &c, 2).await;
    assert_eq!(told, [notice("bob", DAY, true), notice("bob", 3600, false)], "seven days are never told");
}

async fn nobody_is_told_of_a_coupon_that_cannot_be_used(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, _) = shop.create(fortnight("not usable")).await;
    shop.set("23:00:00").await;
    let names = ["redeemed", "held", "void", "usable"].map(str::to_owned);
    let coupons = shop.coupons_of(&c, &names).await;
    shop.redeem(&coupons[0].code, "redeemed", "order-0", 1000).await.granted();
    let withdrawn = shop.void(&coupons[2].id).await;
    assert_eq!(withdrawn.state(), CouponState::Void);
    let due = end().minus(days(7));
    shop.set_to(due.minus(Duration::from_secs(60))).await;
    shop.hold_for(&coupons[1].code, "held", "order-1", DAY).await.granted();
    shop.set_to(due).await;
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("usable", 7 * DAY, false)]);
    // The hold runs out, and its coupon has the notice that was skipped.
    shop.set_to(due.plus(days(2))).await;
    let told = notices_given(&shop, &c, 2).await;
    assert_eq!(told, [notice("usable", 7 * DAY, false), notice("held", 7 * DAY, true)]);
    shop.set_to(end()).await;
    eventually(|| async { (shop.events_like(&c, Kind::CouponExpired).await.len() == 2).then_some(()) }).await;
    assert_eq!(notices(&shop, &c).await, told);
}

async fn a_coupon_that_comes_back_has_the_notice_that_was_skipped(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, _) = shop.create(fortnight("comes back")).await;
    shop.set("23:00:00").await;
    let coupons = shop.coupons_of(&c, &["ada", "bob", "eve"].map(str::to_owned)).await;
    shop.redeem(&coupons[0].code, "ada", "order-a", 1000).await.granted();
    let due = end().minus(days(7));
    shop.set_to(due.minus(Duration::from_secs(60))).await;
    shop.hold_for(&coupons[1].code, "bob", "order-b", DAY).await.granted();
    shop.set_to(due.plus(Duration::from_secs(1800))).await;
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("eve", 7 * DAY, false)]);
    assert_eq!(shop.release(&c, "order-b", "bob").await, (OrderState::Released, false));
    assert_eq!(notices_given(&shop, &c, 2).await[1], notice("bob", 7 * DAY, false));
    shop.set_to(due.plus(days(3))).await;
    assert_eq!(shop.rollback(&c, "order-a", "ada").await, (OrderState::Cancelled, false));
    assert_eq!(notices_given(&shop, &c, 3).await[2], notice("ada", 7 * DAY, true));

    // Used and given back once more: that was told before.
    shop.redeem(&coupons[2].code, "eve", "order-c", 1000).await.granted();
    shop.rollback(&c, "order-c", "eve").await;
    all_given(&shop).await;
    shop.set_to(end()).await;
    eventually(|| async { (shop.events_like(&c, Kind::CouponExpired).await.len() == 3).then_some(()) }).await;
    assert_eq!(notices(&shop, &c).await.len(), 3);
    assert_eq!(shop.events_like(&c, Kind::CouponRedeemed).await.len(), 2, "the notice of use, one per redemption");
}

async fn a_coupon_with_less_time_left_has_its_notice_at_once(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(valid_for("three days", 10, days(3))).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("ada", 7 * DAY, false)], "not late: it was not there before");
    shop.set_to(at("23:00:00").plus(days(3))).await;
    eventually(|| async { (!shop.events_like(&c, Kind::CouponExpired).await.is_empty()).then_some(()) }).await;
    assert_eq!(notices(&shop, &c).await.len(), 1);
}

async fn leads_that_change_count_from_then_on(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(fortnight("changed")).await;
    let (other, _) = shop.create(fortnight("unchanged")).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    shop.claim(&other, "", "bob").await.granted();
    shop.ledger_caught_up(&c).await;
    shop.ledger_caught_up(&other).await;
    let update = async |leads: &[i64]| {
        let changed = change(&c, &["notice_leads"], with_leads(open_campaign("", 1), leads));
        shop.another().update(changed).await.expect("changed")
    };
    update(&[2 * DAY]).await;
    // Seven days before, only the campaign that still says so tells it.
    shop.set_to(end().minus(days(7))).await;
    notices_given(&shop, &other, 1).await;
    all_given(&shop).await;
    assert_eq!(notices(&shop, &c).await, []);
    shop.set_to(end().minus(days(2))).await;
    assert_eq!(notices_given(&shop, &c, 1).await, [notice("ada", 2 * DAY, false)]);
    // A shorter one is told in addition; a longer one is over.
    update(&[5 * DAY, DAY]).await;
    shop.set_to(end().minus(days(1))).await;
    assert_eq!(notices_given(&shop, &c, 2).await[1], notice("ada", DAY, false));
    assert_eq!(notices(&shop, &other).await, [notice("bob", 7 * DAY, false)]);
}

async fn no_notice_after_the_end(on: On) {
    let mut shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(fortnight("over")).await;
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    shop.ledger_caught_up(&c).await;
    shop.down_until(end()).await;
    eventually(|| async { (!shop.events_like(&c, Kind::CouponExpired).await.is_empty()).then_some(()) }).await;
    all_given(&shop).await;
    assert_eq!(notices(&shop, &c).await, []);
}
