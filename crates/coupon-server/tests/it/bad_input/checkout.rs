//! What does not belong into the calls of a checkout, and into those about coupons.

use coupon_proto::v1 as pb;
use prost_types::Duration;

use super::{named, names, no_ids};
use crate::shop::{Instance, On, Shop, hold_request, on_both, open_campaign, seconds};

on_both! {
    what_is_no_hold_is_refused_by_name
    what_gives_nothing_back_is_refused_by_name
    what_is_no_withdrawal_list_or_export_is_refused_by_name
    nothing_is_written_by_bad_calls_of_a_checkout
}

const CODE: &str = "7K3MZ-9QXT2-7K3MZ-9QXT2";

fn bad_codes() -> Vec<String> {
    let odd = ["", "a\0b", "'; --", "{}", "🎟", "é", " ", "7K3MZ 9QXT2", "\r\n"];
    odd.iter().map(ToString::to_string).chain(["7".repeat(65), "x".repeat(5000)]).collect()
}

pub(super) fn bad_reasons() -> Vec<String> {
    let odd = ["a\0b", "a\r\nb", "\u{7f}", "\t"];
    odd.iter().map(ToString::to_string).chain(["x".repeat(251), "ß".repeat(251), "x".repeat(5000)]).collect()
}

fn bad_times() -> Vec<Duration> {
    let odd =
        [(0, 0), (0, 999_999_999), (-1, 0), (-600, 0), (86_401, 0), (86_400, 1_000), (i64::MAX, 0), (i64::MIN, 0)];
    let parts = odd.into_iter().chain([(1, -1), (1, 1_000_000_000), (1, i32::MAX), (1, i32::MIN)]);
    parts.map(|(seconds, nanos)| Duration { seconds, nanos }).collect()
}

fn give_back(campaign: &str, order: &str, user: &str, reason: &str) -> (pb::ReleaseRequest, pb::RollbackRequest) {
    let (campaign_id, order_id, user_id) = (campaign.to_owned(), order.to_owned(), user.to_owned());
    let release = pb::ReleaseRequest { campaign_id, order_id, user_id, reason: reason.to_owned() };
    let pb::ReleaseRequest { campaign_id, order_id, user_id, reason } = release.clone();
    (release, pb::RollbackRequest { campaign_id, order_id, user_id, reason })
}

async fn what_is_no_hold_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let instance = &shop.instances[0];
    for bad in bad_codes() {
        names(instance.hold(hold_request(&bad, "ada", "order")).await, "code");
    }
    for bad in no_ids() {
        names(instance.hold(hold_request(CODE, &bad, "order")).await, "user_id");
        names(instance.hold(hold_request(CODE, "ada", &bad)).await, "order_id");
    }
    for ttl in bad_times() {
        names(instance.hold(pb::HoldRequest { ttl: Some(ttl), ..hold_request(CODE, "ada", "order") }).await, "ttl");
    }
    let all = pb::HoldRequest { ttl: Some(seconds(0)), ..Default::default() };
    let fields: Vec<_> = named(instance.hold(all).await).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["code", "user_id", "order_id", "ttl"]);
    for sound in [1, 86_400] {
        let ttl = Some(seconds(sound));
        let answer = instance.hold(pb::HoldRequest { ttl, ..hold_request(CODE, "ada", "order") }).await;
        assert_eq!(answer.expect("an answer").reason(), pb::RefusalReason::UnknownCoupon);
    }
}

async fn what_gives_nothing_back_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let mut coupons = shop.instances[0].coupons.clone();
    let mut both = async |field: &str, (release, rollback): (pb::ReleaseRequest, pb::RollbackRequest)| {
        names(coupons.release(release).await, field);
        names(coupons.rollback(rollback).await, field);
    };
    for bad in no_ids() {
        both("campaign_id", give_back(&bad, "order", "ada", "")).await;
        both("order_id", give_back("c", &bad, "ada", "")).await;
        both("user_id", give_back("c", "order", &bad, "")).await;
    }
    both("user_id", give_back("c", "order", "lost:7", "")).await;
    for bad in bad_reasons() {
        both("reason", give_back("c", "order", "ada", &bad)).await;
    }
    let (_, all) = give_back("", "", "", "\0");
    let fields: Vec<_> = named(coupons.rollback(all).await).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["campaign_id", "order_id", "user_id", "reason"]);
}

async fn what_is_no_withdrawal_list_or_export_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut campaigns, mut coupons, .. } = shop.instances[0].clone();
    let void = |coupon: &str, reason: &str, request: &str| pb::VoidCouponRequest {
        coupon_id: coupon.to_owned(),
        reason: reason.to_owned(),
        request_id: request.to_owned(),
    };
    let no_coupons = ["r-1", "r-1-", "r-0-1", "r-1--1", "r-01-1", "r-1-99999999999", "r-999999999-0", "1-1"];
    for bad in no_ids().into_iter().chain(no_coupons.map(str::to_owned)) {
        names(campaigns.void_coupon(void(&bad, "", "")).await, "coupon_id");
    }
    for bad in bad_reasons() {
        names(campaigns.void_coupon(void("r-1-0", &bad, "")).await, "reason");
    }
    for bad in no_ids().into_iter().filter(|bad| !bad.is_empty()) {
        names(campaigns.void_coupon(void("r-1-0", "", &bad)).await, "request_id");
        let round =
            pb::ExportCouponsRequest { campaign_id: "c".to_owned(), round_id: bad.clone(), ..Default::default() };
        names(campaigns.export_coupons(round).await.map(drop), "round_id");
        let list =
            pb::ListCouponsRequest { campaign_id: "c".to_owned(), page_token: bad.clone(), ..Default::default() };
        names(coupons.list_coupons(list).await, "page_token");
        let list = pb::ListCouponsRequest { campaign_id: "c".to_owned(), user_id: bad.clone(), ..Default::default() };
        names(coupons.list_coupons(list).await, "user_id");
        let list = pb::ListCouponsRequest { campaign_id: bad, ..Default::default() };
        names(coupons.list_coupons(list).await, "campaign_id");
    }
    for bad in no_ids() {
        let export = pb::ExportCouponsRequest { campaign_id: bad, ..Default::default() };
        names(campaigns.export_coupons(export).await.map(drop), "campaign_id");
    }
    for state in [-1, 6, 99, i32::MIN, i32::MAX] {
        let export = pb::ExportCouponsRequest { campaign_id: "c".to_owned(), state, ..Default::default() };
        names(campaigns.export_coupons(export).await.map(drop), "state");
        let list = pb::ListCouponsRequest { campaign_id: "c".to_owned(), state, ..Default::default() };
        names(coupons.list_coupons(list).await, "state");
    }
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        let list = pb::ListCouponsRequest { campaign_id: "c".to_owned(), page_size, ..Default::default() };
        names(coupons.list_coupons(list).await, "page_size");
    }
    names(coupons.list_coupons(pb::ListCouponsRequest::default()).await, "user_id");
}

async fn nothing_is_written_by_bad_calls_of_a_checkout(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("untouched", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let before = (shop.coupon(&coupon).await, shop.events(&c).await);
    let Instance { mut campaigns, mut coupons, .. } = shop.instances[0].clone();
    for ttl in bad_times() {
        let hold = pb::HoldRequest { ttl: Some(ttl), ..hold_request(&coupon.code, "ada", "order") };
        coupons.hold(hold).await.expect_err("refused");
    }
    for bad in no_ids() {
        coupons.hold(hold_request(&coupon.code, "ada", &bad)).await.expect_err("refused");
    }
    for bad in bad_reasons() {
        let (release, rollback) = give_back(&c, "order", "ada", &bad);
        coupons.release(release).await.expect_err("refused");
        coupons.rollback(rollback).await.expect_err("refused");
        let void = pb::VoidCouponRequest { coupon_id: coupon.id.clone(), reason: bad, request_id: String::new() };
        campaigns.void_coupon(void).await.expect_err("refused");
    }
    assert_eq!((shop.coupon(&coupon).await, shop.events(&c).await), before);
    // What looks odd and is sound.
    let odd = format!("'; DROP TABLE coupons; -- {{}} 🎟 {}", "ß".repeat(200));
    let (_, rollback) = give_back(&c, "order", "ada", &odd);
    coupons.rollback(rollback).await.expect("any text");
    let told = shop.events_like(&c, pb::EventKind::OrderCancelled).await;
    assert_eq!(told.iter().map(|event| &event.reason).collect::<Vec<_>>(), [&odd]);
    let void = pb::VoidCouponRequest { coupon_id: coupon.id.clone(), reason: odd.clone(), request_id: String::new() };
    campaigns.void_coupon(void).await.expect("any text");
    assert_eq!(shop.events_of(&coupon).await[0].reason, odd);
}
