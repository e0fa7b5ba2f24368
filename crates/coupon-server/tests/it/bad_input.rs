//! Every field of every request with what does not belong there: INVALID_ARGUMENT that names the field and its limit, and nothing written.

mod checkout;
mod events;
mod operators;
mod users;

use coupon_proto::v1 as pb;
use prost_types::{Duration, Timestamp};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::shop::{
    Instance, On, Shop, a_fifth, at, campaign, claim_request, daily, fixed, instant, money, on_both, redeem_request,
    reserve_request, seconds,
};

on_both! {
    ids_that_are_none_are_refused_by_name
    what_is_no_redemption_is_refused_by_name
    what_is_no_campaign_is_refused_by_name
    every_wrong_field_is_named_at_once
    pages_and_states_that_are_none_are_refused_by_name
    nothing_is_written_by_bad_input
    bytes_that_are_no_message_are_refused
}

/// What no id has.
fn no_ids() -> Vec<String> {
    let odd = ["", "a\0b", "'; --", "{}", "a\r\nb", "return redis.call('FLUSHALL')", "🎟", "é", " ", "a b"];
    odd.iter().map(ToString::to_string).chain(["x".repeat(129), "x".repeat(5000)]).collect()
}

/// The fields that a status names.
#[track_caller]
fn named(answer: Result<impl std::fmt::Debug, Status>) -> Vec<(String, String)> {
    let status = answer.expect_err("not accepted");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("INVALID_REQUEST"));
    assert!(details.request_info().is_some_and(|info| !info.request_id.is_empty()), "a request id");
    let violations = details.bad_request().expect("a bad request").field_violations.clone();
    violations.into_iter().map(|violation| (violation.field, violation.description)).collect()
}

#[track_caller]
pub(crate) fn names(answer: Result<impl std::fmt::Debug, Status>, field: &str) {
    let named = named(answer);
    assert!(named.iter().any(|(name, why)| name == field && !why.is_empty()), "{named:?} should have {field}");
}

async fn ids_that_are_none_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut coupons, mut campaigns, .. } = shop.instances[0].clone();
    for bad in no_ids() {
        names(coupons.reserve(reserve_request(&bad, "", "ada")).await, "campaign_id");
        names(coupons.reserve(reserve_request("c", "", &bad)).await, "user_id");
        names(coupons.claim(claim_request(&bad, "", "ada")).await, "campaign_id");
        names(coupons.claim(claim_request("c", "", &bad)).await, "user_id");
        names(
            coupons.list_coupons(pb::ListCouponsRequest { user_id: bad.clone(), ..Default::default() }).await,
            "user_id",
        );
        names(campaigns.get_campaign(pb::GetCampaignRequest { campaign_id: bad.clone() }).await, "campaign_id");
        let pause = pb::PauseCampaignRequest { campaign_id: bad.clone(), request_id: String::new() };
        names(campaigns.pause_campaign(pause).await, "campaign_id");
        if !bad.is_empty() {
            names(coupons.reserve(reserve_request("c", &bad, "ada")).await, "round_id");
            names(coupons.claim(claim_request("c", &bad, "ada")).await, "round_id");
            let round = pb::GetRoundRequest { campaign_id: "c".to_owned(), round_id: bad.clone() };
            names(campaigns.get_round(round).await, "round_id");
            let list =
                pb::ListCouponsRequest { user_id: "ada".to_owned(), campaign_id: bad.clone(), ..Default::default() };
            names(coupons.list_coupons(list).await, "campaign_id");
            let resume = pb::ResumeCampaignRequest { campaign_id: "c".to_owned(), request_id: bad.clone() };
            names(campaigns.resume_campaign(resume).await, "request_id");
        }
        let key = pb::get_coupon_request::Key::CouponId(bad.clone());
        let get = pb::GetCouponRequest { user_id: "ada".to_owned(), key: Some(key) };
        names(coupons.get_coupon(get).await, "coupon_id");
    }
    let unknown = coupons.claim(claim_request("no-such-campaign", "", "ada")).await.expect_err("unknown");
    assert_eq!(unknown.code(), Code::NotFound);
}

async fn what_is_no_redemption_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let mut coupons = shop.instances[0].coupons.clone();
    let code = "7K3MZ-9QXT2-7K3MZ-9QXT2";
    for bad in ["", "a\0b", "'; --", "🎟", &"7".repeat(65)] {
        names(coupons.redeem(redeem_request(bad, "ada", "order", 100)).await, "code");
    }
    for bad in no_ids() {
        names(coupons.redeem(redeem_request(code, &bad, "order", 100)).await, "user_id");
        names(coupons.redeem(redeem_request(code, "ada", &bad, 100)).await, "order.id");
    }
    let amounts = [
        None,
        Some(money("", 1, 0)),
        Some(money("EURO", 1, 0)),
        Some(money("EUR", -1, 0)),
        Some(money("EUR", 1, -1)),
        Some(money("EUR", 1, 1)),
        Some(money("EUR", i64::MAX, 0)),
        Some(money("EUR", i64::MIN, i32::MIN)),
        Some(money("EUR", 1, i32::MAX)),
        Some(money("JPY", 1, 10_000_000)),
    ];
    for amount in amounts {
        let mut request = redeem_request(code, "ada", "order", 100);
        request.order = Some(pb::Order { id: "order".to_owned(), amount });
        names(coupons.redeem(request).await, "order.amount");
    }
    let mut request = redeem_request(code, "ada", "order", 100);
    request.order = None;
    let named = named(coupons.redeem(request).await);
    assert_eq!(named.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), ["order.id", "order.amount"]);
}

/// A sound campaign with one thing changed.
fn with(change: impl FnOnce(&mut pb::Campaign)) -> pb::Campaign {
    let mut campaign = campaign("bad input", a_fifth(pb::Rounding::Floor));
    change(&mut campaign);
    campaign
}

fn drawn(change: impl FnOnce(&mut pb::Campaign)) -> pb::Campaign {
    with(|campaign| {
        campaign.allocation = pb::Allocation::Draw.into();
        change(campaign);
    })
}

fn scheduled(change: impl FnOnce(&mut pb::Schedule)) -> pb::Campaign {
    with(|campaign| change(campaign.schedule.get_or_insert_default()))
}

fn recurring(change: impl FnOnce(&mut pb::Recurrence)) -> pb::Campaign {
    let mut campaign = daily(campaign("bad input", fixed(1)), "0 23 * * *");
    if let Some(pb::schedule::Start::Recurring(r)) = campaign.schedule.as_mut().and_then(|s| s.start.as_mut()) {
        change(r);
    }
    campaign
}

fn benefiting(kind: pb::benefit::Kind) -> pb::Campaign {
    with(|campaign| campaign.benefit = Some(pb::Benefit { kind: Some(kind), ..Default::default() }))
}

fn supplied(rule: pb::supply::Rule) -> pb::Campaign {
    with(|campaign| campaign.supply = Some(pb::Supply { rule: Some(rule) }))
}

fn ratio(numerator: i32, denominator: i32, rounding: i32) -> pb::Campaign {
    supplied(pb::supply::Rule::RatioOfPlaces(pb::Ratio { numerator, denominator, rounding }))
}

fn valid(until: pb::validity::Until) -> pb::Campaign {
    with(|campaign| campaign.validity = Some(pb::Validity { until: Some(until) }))
}

fn bad_campaigns() -> Vec<(&'static str, pb::Campaign)> {
    use pb::benefit::Kind;
    let never = Timestamp { seconds: i64::MAX, nanos: 0 };
    let negative = Duration { seconds: -1, nanos: 0 };
    let mut bad = vec![
        ("campaign.id", with(|c| c.id = "mine".to_owned())),
        ("campaign.benefit", with(|c| c.benefit = None)),
        ("campaign.benefit.gift", benefiting(Kind::Gift("x".repeat(201)))),
        ("campaign.benefit.gift", benefiting(Kind::Gift("a\0b".to_owned()))),
        ("campaign.benefit.free_shipping", benefiting(Kind::FreeShipping(false))),
        ("campaign.benefit.amount_off", benefiting(Kind::AmountOff(money("EUR", 0, 0)))),
        ("campaign.benefit.amount_off", benefiting(Kind::AmountOff(money("EUR", -1, 0)))),
        ("campaign.benefit.min_order", with(|c| c.benefit.get_or_insert_default().min_order = Some(money("X", 1, 0)))),
        (
            "campaign.benefit.max_discount",
            with(|c| c.benefit.get_or_insert_default().max_discount = Some(money("EUR", 0, 0))),
        ),
        (
            "campaign.benefit",
            with(|c| {
                let benefit = c.benefit.get_or_insert_default();
                (benefit.min_order, benefit.max_discount) = (Some(money("EUR", 1, 0)), Some(money("USD", 1, 0)));
            }),
        ),
        ("campaign.supply", with(|c| c.supply = None)),
        ("campaign.supply.fixed", supplied(fixed(0))),
        ("campaign.supply.fixed", supplied(fixed(-1))),
        ("campaign.supply.fixed", supplied(fixed(200_000_001))),
        ("campaign.supply.fixed", supplied(fixed(i64::MAX))),
        ("campaign.supply.ratio_of_places", ratio(0, 5, 0)),
        ("campaign.supply.ratio_of_places", ratio(6, 5, 0)),
        ("campaign.supply.ratio_of_places", ratio(-1, 5, 0)),
        ("campaign.supply.ratio_of_places", ratio(1, 1_000_001, 0)),
        ("campaign.supply.ratio_of_places.rounding", ratio(1, 5, 9)),
        ("campaign.reservation_required", with(|c| c.reservation_required = false)),
        ("campaign.allocation", with(|c| c.allocation = 9)),
        ("campaign.schedule", with(|c| c.schedule = None)),
        ("campaign.schedule.once", scheduled(|s| s.start = Some(pb::schedule::Start::Once(instant(at("19:00:00")))))),
        ("campaign.schedule.once", scheduled(|s| s.start = Some(pb::schedule::Start::Once(instant(at("20:00:30")))))),
        ("campaign.schedule.once", scheduled(|s| s.start = Some(pb::schedule::Start::Once(never)))),
        ("campaign.schedule.reserve_lead", scheduled(|s| s.reserve_lead = Some(negative))),
        ("campaign.schedule.reserve_lead", scheduled(|s| s.reserve_lead = Some(seconds(31 * 86_400)))),
        ("campaign.schedule.reserve_close_lead", scheduled(|s| s.reserve_close_lead = Some(seconds(300)))),
        ("campaign.schedule.claim_duration", scheduled(|s| s.claim_duration = Some(seconds(0)))),
        ("campaign.schedule.claim_duration", scheduled(|s| s.claim_duration = Some(seconds(i64::MAX)))),
        ("campaign.schedule.recurring.cron", recurring(|r| r.cron = "whenever".to_owned())),
        ("campaign.schedule.recurring.cron", recurring(|r| r.cron = String::new())),
        ("campaign.schedule.recurring.time_zone", recurring(|r| r.time_zone = "Asia/Atlantis".to_owned())),
        ("campaign.schedule.recurring", recurring(|r| r.last = Some(instant(at("20:30:00"))))),
        ("campaign.schedule.recurring.cron", recurring(|r| r.cron = "0 0 30 2 *".to_owned())),
        ("campaign.max_per_user", with(|c| c.max_per_user = Some(0))),
        ("campaign.max_per_user", with(|c| c.max_per_user = Some(i32::MIN))),
        ("campaign.total_limit", with(|c| c.total_limit = Some(0))),
        ("campaign.max_places", with(|c| c.max_places = Some(10_000_001))),
        ("campaign.validity", with(|c| c.validity = None)),
        ("campaign.validity.at", valid(pb::validity::Until::At(instant(at("23:00:59"))))),
        ("campaign.validity.after_claim", valid(pb::validity::Until::AfterClaim(seconds(0)))),
        ("campaign.notice_leads", with(|c| c.notice_leads = vec![seconds(1)])),
        ("campaign.notice_leads", with(|c| c.notice_leads = vec![seconds(3600); 9])),
        ("campaign.metadata", with(|c| c.metadata = [("k".repeat(65), "v".to_owned())].into())),
        ("campaign.metadata", with(|c| c.metadata = [("k".to_owned(), "v\0".to_owned())].into())),
        ("campaign.beacon_source", with(|c| c.beacon_source = "drand:quicknet:1".to_owned())),
        ("campaign.reservation_required", drawn(|c| c.reservation_required = false)),
        ("campaign.supply", drawn(|c| (c.supply, c.total_limit) = (None, Some(5)))),
    ];
    for source in ["x".repeat(201), "a\0b".to_owned(), "a\r\nb".to_owned(), "🎟".to_owned()] {
        bad.push(("campaign.beacon_source", drawn(|c| c.beacon_source = source)));
    }
    for title in [String::new(), "x".repeat(251), "a\0b".to_owned(), "a\r\nb".to_owned()] {
        bad.push(("campaign.title", with(|c| c.title = title)));
    }
    for percent in [0, 101, -1, 300, i32::MAX] {
        bad.push(("campaign.benefit.percent_off", benefiting(Kind::PercentOff(percent))));
    }
    let often = with(|c| {
        *c = daily(c.clone(), "* * * * *");
        c.schedule.get_or_insert_default().claim_duration = Some(seconds(90));
    });
    bad.push(("campaign.schedule.claim_duration", often));
    bad
}

fn create(campaign: pb::Campaign) -> pb::CreateCampaignRequest {
    pb::CreateCampaignRequest { campaign: Some(campaign), ..Default::default() }
}

async fn what_is_no_campaign_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let mut campaigns = shop.instances[0].campaigns.clone();
    for (field, campaign) in bad_campaigns() {
        names(campaigns.create_campaign(create(campaign)).await, field);
    }
    names(campaigns.create_campaign(pb::CreateCampaignRequest::default()).await, "campaign");
    let bad_request = pb::CreateCampaignRequest { request_id: "not-a-uuid".to_owned(), ..create(with(|_| {})) };
    names(campaigns.create_campaign(bad_request).await, "request_id");
    // What looks odd and is sound.
    for title in ["'; DROP TABLE campaigns; --", "{}", "🎟 für alle", &"x".repeat(250)] {
        campaigns.create_campaign(create(with(|c| c.title = title.to_owned()))).await.expect("a title of any text");
    }
}

async fn every_wrong_field_is_named_at_once(on: On) {
    let shop = Shop::open(on).await;
    let mut campaigns = shop.instances[0].campaigns.clone();
    let campaign = with(|c| {
        c.title = String::new();
        c.max_per_user = Some(0);
        c.supply = Some(pb::Supply { rule: Some(fixed(0)) });
        c.validity = None;
    });
    let mut fields: Vec<_> =
        named(campaigns.create_campaign(create(campaign)).await).into_iter().map(|(f, _)| f).collect();
    fields.sort();
    assert_eq!(fields, ["campaign.max_per_user", "campaign.supply.fixed", "campaign.title", "campaign.validity"]);
    let nowhere = recurring(|r| (r.cron, r.time_zone) = ("whenever".to_owned(), "Asia/Atlantis".to_owned()));
    let fields = named(campaigns.create_campaign(create(nowhere)).await);
    let part = |name: &str| fields.iter().any(|(field, _)| field == &format!("campaign.schedule.recurring.{name}"));
    assert!(part("cron") && part("time_zone"), "{fields:?}");
    let mut coupons = shop.instances[0].coupons.clone();
    names(coupons.claim(claim_request("c", "", "lost:21")).await, "user_id");
    let fields = named(coupons.reserve(reserve_request("", "r", "")).await);
    assert_eq!(fields.iter().map(|(f, _)| f.as_str()).collect::<Vec<_>>(), ["campaign_id", "round_id", "user_id"]);
}

async fn pages_and_states_that_are_none_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut coupons, mut campaigns, .. } = shop.instances[0].clone();
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        let list = pb::ListCouponsRequest { user_id: "ada".to_owned(), page_size, ..Default::default() };
        names(coupons.list_coupons(list).await, "page_size");
        names(
            campaigns.list_campaigns(pb::ListCampaignsRequest { page_size, ..Default::default() }).await,
            "page_size",
        );
    }
    let page_token = "'; --".to_owned();
    let list =
        pb::ListCouponsRequest { user_id: "ada".to_owned(), page_token: page_token.clone(), ..Default::default() };
    names(coupons.list_coupons(list).await, "page_token");
    names(campaigns.list_campaigns(pb::ListCampaignsRequest { page_token, ..Default::default() }).await, "page_token");
    let list = pb::ListCouponsRequest { user_id: "ada".to_owned(), state: 99, ..Default::default() };
    names(coupons.list_coupons(list).await, "state");
    names(campaigns.list_campaigns(pb::ListCampaignsRequest { state: -1, ..Default::default() }).await, "state");
}

async fn nothing_is_written_by_bad_input(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("untouched", fixed(10))).await;
    let before = shop.round(&c, &r).await;
    let Instance { mut coupons, mut campaigns, .. } = shop.instances[0].clone();
    for bad in no_ids() {
        coupons.reserve(reserve_request(&c, &r, &bad)).await.expect_err("refused");
        coupons.claim(claim_request(&c, &r, &bad)).await.expect_err("refused");
    }
    for (_, bad) in bad_campaigns() {
        campaigns.create_campaign(create(bad)).await.expect_err("refused");
    }
    let check = pb::CreateCampaignRequest { validate_only: true, ..create(with(|_| {})) };
    let checked = campaigns.create_campaign(check).await.expect("sound").into_inner();
    assert!(checked.campaign.is_some_and(|campaign| campaign.id.is_empty()) && checked.first_round.is_none());
    assert_eq!(shop.round(&c, &r).await, before);
    let all =
        campaigns.list_campaigns(pb::ListCampaignsRequest::default()).await.expect("a list").into_inner().campaigns;
    assert_eq!(all.into_iter().map(|campaign| campaign.id).collect::<Vec<_>>(), [c]);
}

async fn bytes_that_are_no_message_are_refused(on: On) {
    let shop = Shop::open(on).await;
    // Field 1, length 2, and two bytes that are no UTF-8; then a length that runs past the end.
    for garbage in [vec![0x0a, 0x02, 0xff, 0xfe], vec![0x0a, 0x7f, 0x01], vec![0xff; 64]] {
        let status = raw::claim(&shop.instances[0], garbage).await.expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    }
    let status = raw::claim(&shop.instances[0], vec![0; 20_000]).await.expect_err("too large");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("16384"), "{status:?}");
}

/// Calls with bytes instead of messages.
mod raw {
    use bytes::{Buf as _, BufMut as _};
    use tonic::client::Grpc;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
    use tonic::codegen::http::uri::PathAndQuery;
    use tonic::{Request, Status};

    use crate::shop::Instance;

    pub(super) async fn claim(instance: &Instance, message: Vec<u8>) -> Result<(), Status> {
        let mut client = Grpc::new(instance.channel.clone());
        client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let path = PathAndQuery::from_static("/coupon.v1.CouponService/Claim");
        client.unary(Request::new(message), path, Bytes).await.map(drop)
    }

    struct Bytes;

    impl Codec for Bytes {
        type Encode = Vec<u8>;
        type Decode = Vec<u8>;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for Bytes {
        type Item = Vec<u8>;
        type Error = Status;

        fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
            into.put_slice(&item);
            Ok(())
        }
    }

    impl Decoder for Bytes {
        type Item = Vec<u8>;
        type Error = Status;

        fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
            let mut bytes = vec![0; from.remaining()];
            from.copy_to_slice(&mut bytes);
            Ok(Some(bytes))
        }
    }
}
