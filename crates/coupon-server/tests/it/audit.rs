//! Who changed what: each operator's change leaves one record, and nothing else does. Each on both sets of adapters.

use coupon_proto::v1 as pb;
use futures::stream;
use prost_types::value::Kind;
use prost_types::{FieldMask, Struct};
use tonic::{Code, Status};

use crate::operators::calls::{change, fault, request_id};
use crate::shop::{Instance, On, Shop, at, by, campaign, days, fixed, instant, on_both, open_campaign};

on_both! {
    every_change_of_an_operator_leaves_one_record
    a_beacon_leaves_its_record
    what_is_refused_or_repeated_or_only_checked_leaves_none
    who_does_not_say_their_name_is_anonymous
    records_page_latest_first
    what_a_coupon_goes_through_is_no_operators_change
}

impl Instance {
    async fn audit_page(&self, request: pb::ListAuditRecordsRequest) -> Result<pb::ListAuditRecordsResponse, Status> {
        Ok(self.campaigns.clone().list_audit_records(request).await?.into_inner())
    }

    /// All records of a campaign, or of all, latest first, from pages of this size.
    async fn audit(&self, campaign: &str, page_size: i32) -> Vec<pb::AuditRecord> {
        let (mut records, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListAuditRecordsRequest { campaign_id: campaign.to_owned(), page_size, page_token };
            let page = self.audit_page(request).await.expect("a page");
            records.extend(page.audit_records);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return records;
            }
        }
    }
}

/// A text in a record's before or after.
fn text(of: &Option<Struct>, field: &str) -> Option<String> {
    match of.as_ref()?.fields.get(field)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        Kind::NumberValue(number) => Some(number.to_string()),
        _ => None,
    }
}

const ADA: &str = "ops:ada@example.com";

async fn every_change_of_an_operator_leaves_one_record(on: On) {
    let shop = Shop::with_company(on).await;
    let Instance { mut campaigns, mut users, .. } = shop.another();
    let create = pb::CreateCampaignRequest {
        campaign: Some(pb::Campaign { total_limit: Some(1000), ..campaign("audited", fixed(10)) }),
        request_id: request_id(1),
        ..Default::default()
    };
    let created = campaigns.create_campaign(by(ADA, create)).await.expect("created").into_inner();
    let (c, r) = (created.campaign.expect("a campaign").id, created.first_round.expect("a round").id);
    shop.set("20:01:00").await;
    let activate = pb::ActivateCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    campaigns.activate_campaign(by("bob", activate)).await.expect("active");
    shop.set("20:02:00").await;
    let title = change(&c, &["title"], pb::Campaign { title: "renamed".to_owned(), ..Default::default() });
    campaigns.update_campaign(by(ADA, title)).await.expect("renamed");
    shop.set("20:03:00").await;
    let pause = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: request_id(2) };
    campaigns.pause_campaign(by(ADA, pause)).await.expect("paused");
    let resume = pb::ResumeCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    campaigns.resume_campaign(by("bob", resume)).await.expect("resumed");
    for round_id in [r.clone(), String::new()] {
        let add = pb::AddSupplyRequest { campaign_id: c.clone(), round_id, amount: 5, ..Default::default() };
        campaigns.add_supply(by("carl", add)).await.expect("added");
    }
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "eve").await.granted();
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "eve").await.granted();
    let void = pb::VoidCouponRequest {
        coupon_id: coupon.id.clone(),
        reason: "misprint".to_owned(),
        request_id: request_id(3),
    };
    campaigns.void_coupon(by(ADA, void)).await.expect("withdrawn");
    shop.set("23:30:00").await;
    let end = pb::EndCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    campaigns.end_campaign(by(ADA, end)).await.expect("ended");
    let user = |id: &str| Some(pb::User { id: id.to_owned(), ..Default::default() });
    users.create_user(by(ADA, pb::CreateUserRequest { user: user("eve") })).await.expect("created");
    let lines: Vec<_> = ["x", "y", "z"].map(|id| pb::CreateUsersRequest { user: user(id) }).into();
    users.create_users(by("importer", stream::iter(lines))).await.expect("created");
    users.delete_user(by("bob", pb::DeleteUserRequest { user_id: "eve".to_owned() })).await.expect("deleted");

    let told = shop.nth(0).audit(&c, 1000).await;
    let actions: Vec<_> = told.iter().rev().map(|record| (&*record.action, &*record.actor)).collect();
    let expected = [
        ("CREATE", ADA),
        ("ACTIVATE", "bob"),
        ("UPDATE", ADA),
        ("PAUSE", ADA),
        ("RESUME", "bob"),
        ("ADD_SUPPLY", "carl"),
        ("ADD_SUPPLY", "carl"),
        ("VOID_COUPON", ADA),
        ("END", ADA),
    ];
    assert_eq!(actions, expected);
    assert!(told.iter().all(|record| record.campaign_id == c));
    assert!(told.is_sorted_by(|a, b| a.id > b.id), "latest first");
    let [create, activate, update, pause, resume, round, total, void, end] = told.iter().rev().collect::<Vec<_>>()[..]
    else {
        panic!("nine records: {told:?}")
    };
    let times = [create.at, activate.at, update.at, void.at, end.at];
    let expected = ["20:00:00", "20:01:00", "20:02:00", "23:00:00", "23:30:00"];
    assert_eq!(times, expected.map(|time| Some(instant(at(time)))));
    assert_eq!((create.request_id.clone(), create.before.as_ref()), (request_id(1), None));
    assert_eq!(text(&create.after, "state").as_deref(), Some("DRAFT"));
    let states = |record: &pb::AuditRecord| (text(&record.before, "state"), text(&record.after, "state"));
    let pair = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
    assert_eq!(states(activate), pair("DRAFT", "ACTIVE"));
    assert_eq!(states(pause), pair("ACTIVE", "PAUSED"));
    assert_eq!(pause.request_id, request_id(2));
    assert_eq!(states(resume), pair("PAUSED", "ACTIVE"));
    assert_eq!(states(end), pair("ACTIVE", "ENDED"));
    assert_eq!((text(&update.before, "title"), text(&update.after, "title")), pair("audited", "renamed"));
    let changed = [&update.before, &update.after].map(|of| of.as_ref().map(|of| of.fields.len()));
    assert_eq!(changed, [Some(1), Some(1)], "the fields that differ");
    assert_eq!((&round.round_id, text(&round.before, "added"), text(&round.after, "added")), {
        let (before, after) = pair("0", "5");
        (&r, before, after)
    });
    assert_eq!((text(&total.before, "total_limit"), text(&total.after, "total_limit")), pair("1000", "1005"));
    assert_eq!(states(void), pair("ISSUED", "VOID"));
    assert_eq!((&void.coupon_id, &void.round_id, &*void.user_id), (&coupon.id, &r, "eve"));
    assert_eq!((void.request_id.clone(), text(&void.after, "reason").as_deref()), (request_id(3), Some("misprint")));

    let all = shop.another().audit("", 1000).await;
    let of_users: Vec<_> = all.iter().filter(|record| record.campaign_id.is_empty()).rev().collect();
    let actions: Vec<_> = of_users.iter().map(|record| (&*record.action, &*record.actor, &*record.user_id)).collect();
    let expected = [("CREATE_USERS", ADA, "eve"), ("CREATE_USERS", "importer", ""), ("DELETE_USER", "bob", "eve")];
    assert_eq!(actions, expected);
    assert_eq!(text(&of_users[1].after, "count").as_deref(), Some("3"));
    assert_eq!(all.len(), told.len() + of_users.len());
    assert_eq!(
        all.iter().filter(|record| record.campaign_id == c).collect::<Vec<_>>(),
        told.iter().collect::<Vec<_>>()
    );
}

async fn a_beacon_leaves_its_record(on: On) {
    let shop = Shop::with_company(on).await;
    let drawn = pb::Campaign {
        allocation: pb::Allocation::Draw.into(),
        beacon_source: "drand:quicknet:1".to_owned(),
        ..campaign("drawn", fixed(10))
    };
    let (c, r) = shop.create(drawn).await;
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "eve").await.granted();
    shop.set("22:59:00").await;
    let set = pb::SetBeaconRequest {
        campaign_id: c.clone(),
        round_id: r.clone(),
        beacon: vec![7, 255].into(),
        request_id: String::new(),
    };
    let mut operator = shop.another().campaigns;
    for actor in [ADA, "bob"] {
        operator.set_beacon(by(actor, set.clone())).await.expect("set, and the same again");
    }
    let told = shop.another().audit(&c, 50).await;
    let actions: Vec<_> = told.iter().map(|record| (&*record.action, &*record.actor, &*record.round_id)).collect();
    assert_eq!(actions, [("SET_BEACON", ADA, &*r), ("CREATE", "anonymous", "")]);
    assert_eq!((told[0].before.as_ref(), text(&told[0].after, "beacon").as_deref()), (None, Some("07ff")));
    assert_eq!(told[0].at, Some(instant(at("22:59:00"))));
}

async fn what_is_refused_or_repeated_or_only_checked_leaves_none(on: On) {
    let shop = Shop::with_company(on).await;
    let instance = shop.another();
    let (c, r) = shop.create(campaign("quiet", fixed(10))).await;
    let add = instance.add_supply(&c, &r, 5, &request_id(1)).await.expect("added");
    let before = instance.audit("", 1000).await;
    assert_eq!(before.len(), 2);

    // Refused.
    instance.draft(campaign("", fixed(10))).await.expect_err("no title");
    instance.add_supply(&c, &r, 0, "").await.expect_err("nothing");
    instance.add_supply(&c, "", 5, "").await.expect_err("no total limit");
    instance.draft(campaign("quiet", fixed(10))).await.expect_err("the title is taken");
    instance.update(change(&c, &["title"], pb::Campaign::default())).await.expect_err("no title");
    instance.void("r-99999-0", "").await.expect_err("unknown");
    // Repeated, or so already.
    instance.activate(&c).await.expect("it is active");
    let again = shop.nth(0).add_supply(&c, &r, 5, &request_id(1)).await.expect("harmless");
    assert_eq!(again.round, add.round);
    // Only checked, or nothing new.
    let new = pb::Campaign { title: "new".to_owned(), ..Default::default() };
    let check = pb::UpdateCampaignRequest { validate_only: true, ..change(&c, &["title"], new) };
    instance.update(check).await.expect("sound");
    let same = pb::Campaign { title: "quiet".to_owned(), ..Default::default() };
    instance.update(change(&c, &["title"], same)).await.expect("the same");
    let check = pb::CreateCampaignRequest {
        campaign: Some(campaign("checked", fixed(1))),
        validate_only: true,
        ..Default::default()
    };
    instance.campaigns.clone().create_campaign(check).await.expect("sound");
    instance.users.clone().delete_user(pb::DeleteUserRequest { user_id: "nobody".to_owned() }).await.expect("harmless");
    let bad = pb::UpdateCampaignRequest {
        campaign: Some(pb::Campaign { id: c.clone(), ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["odd".to_owned()] }),
        ..Default::default()
    };
    instance.update(bad).await.expect_err("no such field");
    assert_eq!(instance.audit("", 1000).await, before);

    // A user who is there already.
    let user = pb::CreateUserRequest { user: Some(pb::User { id: "ada".to_owned(), ..Default::default() }) };
    for _ in 0..2 {
        instance.users.clone().create_user(by("ops", user.clone())).await.expect("there");
    }
    let renamed = pb::User { id: "ada".to_owned(), name: "Ada".to_owned(), ..Default::default() };
    instance.users.clone().create_user(pb::CreateUserRequest { user: Some(renamed) }).await.expect_err("taken");
    assert_eq!(instance.audit("", 1000).await.len(), before.len() + 1);

    // Withdrawn once, however often.
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "eve").await.granted();
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "eve").await.granted();
    for number in [7, 7, 8] {
        instance.void(&coupon.id, &request_id(number)).await.expect("withdrawn");
    }
    assert_eq!(instance.audit("", 1000).await.len(), before.len() + 2);
}

async fn who_does_not_say_their_name_is_anonymous(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = shop.create(open_campaign("anonymous", 10)).await;
    shop.another().pause(&c).await.expect("paused");
    let told = shop.another().audit(&c, 1000).await;
    assert_eq!(
        told.iter().map(|record| (&*record.action, &*record.actor)).collect::<Vec<_>>(),
        [("PAUSE", "anonymous"), ("CREATE", "anonymous")]
    );
    assert_eq!(text(&told[1].after, "state").as_deref(), Some("ACTIVE"));
    // What a request's repeat says of itself does not change who made it.
    let resume = pb::ResumeCampaignRequest { campaign_id: c.clone(), request_id: request_id(1) };
    for actor in ["first", "second"] {
        shop.another().campaigns.clone().resume_campaign(by(actor, resume.clone())).await.expect("resumed");
    }
    let told = shop.another().audit(&c, 1000).await;
    assert_eq!((told.len(), &*told[0].actor), (3, "first"));
}

async fn records_page_latest_first(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("pages", 10)).await;
    let (other, _) = shop.create(open_campaign("other", 10)).await;
    for n in 1..=6 {
        shop.nth(n).add_supply(&c, &r, 1, "").await.expect("added");
    }
    let all = shop.another().audit(&c, 1000).await;
    assert_eq!(all.len(), 7);
    for page_size in [1, 2, 3, 7] {
        assert_eq!(shop.nth(0).audit(&c, page_size).await, all, "in pages of {page_size}");
    }
    // What is added meanwhile shifts no page.
    let request = pb::ListAuditRecordsRequest { campaign_id: c.clone(), page_size: 3, page_token: String::new() };
    let first = shop.nth(0).audit_page(request.clone()).await.expect("a page");
    shop.nth(0).add_supply(&c, &r, 1, "").await.expect("added");
    let next = pb::ListAuditRecordsRequest { page_token: first.next_page_token, ..request };
    assert_eq!(shop.nth(0).audit_page(next).await.expect("a page").audit_records, all[3..6]);
    assert_eq!(shop.another().audit(&other, 50).await.len(), 1);
    assert_eq!(shop.another().audit("", 50).await.len(), 9);
    let unknown = pb::ListAuditRecordsRequest { campaign_id: "no-such-campaign".to_owned(), ..Default::default() };
    fault(shop.another().audit_page(unknown).await, Code::NotFound, "CAMPAIGN_NOT_FOUND");
}

async fn what_a_coupon_goes_through_is_no_operators_change(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(open_campaign("users", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.hold(&coupon.code, "ada", "order-1").await.granted();
    shop.release(&c, "order-1", "ada").await;
    shop.redeem(&coupon.code, "ada", "order-1", 1000).await.granted();
    shop.rollback(&c, "order-1", "ada").await;
    shop.set_to(at("23:00:00").plus(days(8))).await;
    crate::shop::eventually(|| async {
        (!shop.events_like(&c, pb::EventKind::CouponExpired).await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(shop.another().audit("", 1000).await.len(), 1, "the creation");
}
