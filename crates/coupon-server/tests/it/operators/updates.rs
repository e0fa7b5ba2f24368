//! UpdateCampaign: which fields, from which etag, once.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use tonic::Code;

use super::calls::{change, fault, request_id};
use crate::shop::{On, Shop, a_fifth, at, campaign, daily, euros, fixed, instant, on_both, open_campaign, seconds};

on_both! {
    each_field_changes_and_no_other
    a_field_that_is_named_and_unset_gets_its_default
    an_update_of_another_etag_is_aborted
    of_updates_from_one_etag_at_once_one_is_done
    updates_of_different_fields_at_once_are_all_done
    a_new_title_is_taken_and_the_old_one_is_free
    a_refused_title_is_not_kept
    validate_only_answers_the_campaign_as_it_would_be
    a_repeated_update_is_harmless
    a_request_id_of_another_call_is_refused
    an_update_that_changes_nothing_keeps_the_etag
}

const FIELDS: [&str; 14] = [
    "reservation_required",
    "supply",
    "allocation",
    "beacon_source",
    "title",
    "benefit",
    "schedule",
    "max_per_user",
    "validity",
    "metadata",
    "total_limit",
    "max_places",
    "registered_users_only",
    "notice_leads",
];

/// A campaign that differs from an [`open_campaign`] in every field.
fn other(title: &str) -> pb::Campaign {
    let benefit = pb::Benefit {
        kind: Some(pb::benefit::Kind::AmountOff(euros(500))),
        min_order: Some(euros(2000)),
        max_discount: None,
    };
    let validity = pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(86_400))) };
    let schedule = pb::Schedule {
        reserve_lead: Some(seconds(600)),
        reserve_close_lead: Some(seconds(30)),
        claim_duration: Some(seconds(90)),
        start: Some(pb::schedule::Start::Once(instant(at("22:00:00")))),
    };
    pb::Campaign {
        benefit: Some(benefit),
        validity: Some(validity),
        schedule: Some(schedule),
        allocation: pb::Allocation::Draw.into(),
        beacon_source: "drand:quicknet:1".to_owned(),
        max_per_user: Some(2),
        metadata: [("shop".to_owned(), "north".to_owned())].into(),
        total_limit: Some(1000),
        max_places: Some(300),
        registered_users_only: true,
        notice_leads: vec![seconds(3600), seconds(60)],
        ..campaign(title, a_fifth(pb::Rounding::Ceil))
    }
}

/// One field of a campaign as another has it.
fn with_field(campaign: pb::Campaign, field: &str, of: &pb::Campaign) -> pb::Campaign {
    let of = of.clone();
    match field {
        "title" => pb::Campaign { title: of.title, ..campaign },
        "benefit" => pb::Campaign { benefit: of.benefit, ..campaign },
        "supply" => pb::Campaign { supply: of.supply, ..campaign },
        "allocation" => pb::Campaign { allocation: of.allocation, ..campaign },
        "schedule" => pb::Campaign { schedule: of.schedule, ..campaign },
        "reservation_required" => pb::Campaign { reservation_required: of.reservation_required, ..campaign },
        "max_per_user" => pb::Campaign { max_per_user: of.max_per_user, ..campaign },
        "validity" => pb::Campaign { validity: of.validity, ..campaign },
        "metadata" => pb::Campaign { metadata: of.metadata, ..campaign },
        "total_limit" => pb::Campaign { total_limit: of.total_limit, ..campaign },
        "max_places" => pb::Campaign { max_places: of.max_places, ..campaign },
        "registered_users_only" => pb::Campaign { registered_users_only: of.registered_users_only, ..campaign },
        "notice_leads" => pb::Campaign { notice_leads: of.notice_leads, ..campaign },
        "beacon_source" => pb::Campaign { beacon_source: of.beacon_source, ..campaign },
        unknown => panic!("{unknown} is no field that operators set"),
    }
}

/// The same campaign but for what every change changes.
#[track_caller]
fn assert_changed_to(changed: &pb::Campaign, expected: pb::Campaign, from: &pb::Campaign) {
    assert_ne!(changed.etag, from.etag, "a change has an etag of its own");
    let expected = pb::Campaign { etag: changed.etag.clone(), updated_at: changed.updated_at, ..expected };
    assert_eq!(changed, &expected);
}

async fn each_field_changes_and_no_other(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (original, _) = operator.draft(open_campaign("one", 10)).await.expect("a sound campaign");
    let (mut before, values) = (original.clone(), other("two"));
    for (second, field) in (1..).zip(FIELDS) {
        assert_ne!(with_field(before.clone(), field, &values), before, "{field} differs");
        let time = format!("20:00:{second:02}");
        shop.set(&time).await;
        let changed = operator.update(change(&before.id, &[field], values.clone())).await.expect(field);
        assert_changed_to(&changed, with_field(before.clone(), field, &values), &before);
        assert_eq!(changed.updated_at, Some(instant(at(&time))));
        assert_eq!(operator.campaign(&before.id).await, changed, "{field}");
        before = changed;
    }
    let back = operator.update(change(&before.id, &FIELDS, original.clone())).await.expect("all at once");
    assert_changed_to(&back, original, &before);
}

async fn a_field_that_is_named_and_unset_gets_its_default(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let full = pb::Campaign { supply: open_campaign("", 7).supply, ..other("full") };
    let (before, _) = operator.draft(full).await.expect("a sound campaign");
    let optional = [
        "reservation_required",
        "allocation",
        "beacon_source",
        "max_per_user",
        "metadata",
        "total_limit",
        "max_places",
        "registered_users_only",
        "notice_leads",
    ];
    let unset = operator.update(change(&before.id, &optional, pb::Campaign::default())).await.expect("unset");
    let bare = pb::Campaign {
        reservation_required: false,
        allocation: pb::Allocation::FirstCome.into(),
        beacon_source: String::new(),
        max_per_user: None,
        metadata: [].into(),
        total_limit: None,
        max_places: None,
        registered_users_only: false,
        notice_leads: Vec::new(),
        ..before.clone()
    };
    assert_changed_to(&unset, bare, &before);

    // Without a supply of their own the rounds share the total limit.
    let pool = pb::Campaign { total_limit: Some(9), ..Default::default() };
    let pooled = operator.update(change(&before.id, &["supply", "total_limit"], pool)).await.expect("a pool");
    assert_eq!((pooled.supply, pooled.total_limit), (None, Some(9)));
}

async fn an_update_of_another_etag_is_aborted(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, _) = shop.create(campaign("etag", fixed(10))).await;
    let first = operator.campaign(&c).await;
    let titled = |title: &str, etag: &str| {
        let mut request = change(&c, &["title"], pb::Campaign { title: title.to_owned(), ..Default::default() });
        request.campaign.get_or_insert_default().etag = etag.to_owned();
        request
    };
    let second = operator.update(titled("changed", &first.etag)).await.expect("the etag is current");
    let status = fault(operator.update(titled("late", &first.etag)).await, Code::Aborted, "ETAG_MISMATCH");
    assert!(status.message().contains(&format!("\"{}\"", second.etag)), "{status:?}");
    assert_eq!(operator.campaign(&c).await, second, "nothing changed");

    // A pause is a change too, and so is a raise of the total limit.
    let paused = operator.pause(&c).await.expect("paused");
    fault(operator.update(titled("late", &second.etag)).await, Code::Aborted, "ETAG_MISMATCH");
    let third = operator.update(titled("in time", &paused.etag)).await.expect("the etag is current");
    let fourth = operator.update(titled("whatever", "")).await.expect("no etag minds nothing");
    assert_eq!((third.title.as_str(), fourth.title.as_str()), ("in time", "whatever"));
}

async fn of_updates_from_one_etag_at_once_one_is_done(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = shop.create(campaign("at once", fixed(10))).await;
    let etag = shop.instances[0].campaign(&c).await.etag;
    let titles: Vec<_> = (0..10).map(|n| format!("title {n}")).collect();
    let updates = titles.iter().zip(shop.instances.iter().cycle()).map(|(title, operator)| {
        let mut request = change(&c, &["title"], pb::Campaign { title: title.clone(), ..Default::default() });
        request.campaign.get_or_insert_default().etag.clone_from(&etag);
        operator.update(request)
    });
    let (done, refused): (Vec<_>, Vec<_>) = join_all(updates).await.into_iter().partition(Result::is_ok);
    let [Ok(done)] = &done[..] else { panic!("one is done: {done:?}") };
    for answer in refused {
        fault(answer, Code::Aborted, "ETAG_MISMATCH");
    }
    for operator in &shop.instances {
        assert_eq!(&operator.campaign(&c).await, done);
    }
    // The titles of the others are free.
    for title in titles.iter().filter(|title| **title != done.title) {
        shop.create(campaign(title, fixed(10))).await;
    }
}

async fn updates_of_different_fields_at_once_are_all_done(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = shop.create(campaign("before", fixed(10))).await;
    let before = shop.instances[0].campaign(&c).await;
    let values = other("after");
    let fields = ["title", "metadata", "notice_leads", "max_places"];
    let updates = fields.iter().zip(shop.instances.iter().cycle());
    let updates = updates.map(|(field, operator)| operator.update(change(&c, &[field], values.clone())));
    for (field, answer) in fields.iter().zip(join_all(updates).await) {
        answer.expect(field);
    }
    let expected = fields.iter().fold(before.clone(), |campaign, field| with_field(campaign, field, &values));
    assert_changed_to(&shop.instances[0].campaign(&c).await, expected, &before);
}

/// Changes nothing but the title.
fn rename(campaign: &str, title: &str) -> pb::UpdateCampaignRequest {
    change(campaign, &["title"], pb::Campaign { title: title.to_owned(), ..Default::default() })
}

async fn a_new_title_is_taken_and_the_old_one_is_free(on: On) {
    let shop = Shop::with_company(on).await;
    let (one, another) = (&shop.instances[0], &shop.instances[shop.instances.len() - 1]);
    let (a, _) = shop.create(campaign("one", fixed(10))).await;
    let (b, _) = shop.create(campaign("two", fixed(10))).await;

    let status = fault(one.update(rename(&a, "two")).await, Code::AlreadyExists, "TITLE_TAKEN");
    assert!(status.message().contains(&b), "{status:?}");
    assert_eq!(one.campaign(&a).await.title, "one");

    one.update(rename(&a, "three")).await.expect("the title is free");
    fault(another.draft(campaign("three", fixed(10))).await, Code::AlreadyExists, "TITLE_TAKEN");
    fault(another.update(rename(&b, "three")).await, Code::AlreadyExists, "TITLE_TAKEN");
    let (c, _) = another.draft(campaign("one", fixed(10))).await.expect("the old title is free");
    fault(one.update(rename(&a, "one")).await, Code::AlreadyExists, "TITLE_TAKEN");
    one.update(rename(&b, "two")).await.expect("its own title");

    // Titles are unique together with the end of validity.
    let longer = pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(8 * 86_400))) };
    let longer = pb::Campaign { title: "three".to_owned(), validity: Some(longer), ..Default::default() };
    another.update(change(&c.id, &["title", "validity"], longer)).await.expect("another validity");
    let usual = pb::Campaign { validity: campaign("", fixed(1)).validity, ..Default::default() };
    fault(another.update(change(&c.id, &["validity"], usual)).await, Code::AlreadyExists, "TITLE_TAKEN");
    another.draft(campaign("one", fixed(10))).await.expect("left by two campaigns");
}

async fn a_refused_title_is_not_kept(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, r) = shop.create(campaign("in use", fixed(10))).await;
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "ada").await.granted();
    let values = pb::Campaign { title: "wanted".to_owned(), supply: open_campaign("", 9).supply, ..Default::default() };
    fault(operator.update(change(&c, &["title", "supply"], values)).await, Code::FailedPrecondition, "RULES_IN_USE");
    assert_eq!(operator.campaign(&c).await.title, "in use", "if one field may not change, none does");
    operator.draft(campaign("wanted", fixed(10))).await.expect("nobody has the title");
    fault(operator.draft(campaign("in use", fixed(10))).await, Code::AlreadyExists, "TITLE_TAKEN");
}

async fn validate_only_answers_the_campaign_as_it_would_be(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, r) = shop.create(campaign("before", fixed(10))).await;
    let before = operator.campaign(&c).await;
    let values = pb::Campaign { title: "after".to_owned(), supply: open_campaign("", 3).supply, ..Default::default() };
    let mut request = change(&c, &["title", "supply"], values.clone());
    (request.validate_only, request.request_id) = (true, request_id(1));
    let checked = operator.update(request.clone()).await.expect("sound");
    assert_eq!(checked, pb::Campaign { title: values.title, supply: values.supply, ..before.clone() });
    assert_eq!(operator.campaign(&c).await, before);
    let position = shop.gate(&c).await.position;
    assert_eq!(operator.get_round(&c, &r).await.expect("the round is still there").supply, Some(10));

    request.campaign.get_or_insert_default().etag = format!("{}1", before.etag);
    fault(operator.update(request.clone()).await, Code::Aborted, "ETAG_MISMATCH");
    request.campaign.get_or_insert_default().etag.clear();
    request.campaign.get_or_insert_default().title.clear();
    fault(operator.update(request.clone()).await, Code::InvalidArgument, "INVALID_REQUEST");
    assert_eq!(shop.gate(&c).await.position, position, "nothing was decided");

    // The request id is not used up, nor is the title.
    operator.draft(campaign("after", fixed(10))).await.expect("nobody has the title");
    let mut request = rename(&c, "another");
    request.request_id = request_id(1);
    assert_eq!(operator.update(request).await.expect("done now").title, "another");
}

async fn a_repeated_update_is_harmless(on: On) {
    let shop = Shop::with_company(on).await;
    let (one, another) = (&shop.instances[0], &shop.instances[shop.instances.len() - 1]);
    let (c, _) = shop.create(campaign("first", fixed(10))).await;
    let mut second = rename(&c, "second");
    second.request_id = request_id(1);
    let at_once = join_all((0..10).map(|_| one.update(second.clone()))).await;
    let done = at_once[0].as_ref().expect("done").clone();
    assert!(at_once.iter().all(|answer| answer.as_ref().is_ok_and(|campaign| *campaign == done)), "{at_once:?}");
    assert_eq!(another.update(second.clone()).await.expect("harmless"), done, "once, whoever is asked");

    let third = one.update(rename(&c, "third")).await.expect("done");
    // A late repeat undoes nothing, also from an etag that is no longer current.
    second.campaign.get_or_insert_default().etag = "1".to_owned();
    for operator in &shop.instances {
        assert_eq!(operator.update(second.clone()).await.expect("harmless"), third);
    }
    assert_eq!(one.campaign(&c).await, third);
}

async fn a_request_id_of_another_call_is_refused(on: On) {
    let shop = Shop::with_company(on).await;
    let (one, another) = (&shop.instances[0], &shop.instances[shop.instances.len() - 1]);
    let (c, r) = shop.create(campaign("ids", fixed(10))).await;
    let (d, _) = shop.create(campaign("another", fixed(10))).await;
    one.add_supply(&c, &r, 1, &request_id(1)).await.expect("added");
    let pause = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: request_id(2) };
    one.campaigns.clone().pause_campaign(pause).await.expect("paused");
    let with_id = |campaign: &str, number: u32| pb::UpdateCampaignRequest {
        request_id: request_id(number),
        ..rename(campaign, &format!("by {number}"))
    };
    one.update(with_id(&c, 3)).await.expect("done");

    for operator in [one, another] {
        let resume = pb::ResumeCampaignRequest { campaign_id: c.clone(), request_id: request_id(3) };
        let answers = [
            operator.update(with_id(&c, 1)).await.map(drop),
            operator.update(with_id(&c, 2)).await.map(drop),
            operator.update(with_id(&d, 3)).await.map(drop),
            operator.add_supply(&c, &r, 1, &request_id(3)).await.map(drop),
            operator.campaigns.clone().resume_campaign(resume).await.map(drop),
        ];
        for answer in answers {
            fault(answer, Code::FailedPrecondition, "REQUEST_ID_REUSED");
        }
    }
    let (c, d) = (one.campaign(&c).await, one.campaign(&d).await);
    assert_eq!((c.title.as_str(), c.state(), d.title.as_str()), ("by 3", pb::CampaignState::Paused, "another"));
}

async fn an_update_that_changes_nothing_keeps_the_etag(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, r) = shop.create(daily(campaign("same", fixed(10)), "0 23 * * *")).await;
    let before = operator.campaign(&c).await;
    shop.set("20:00:01").await;
    let after = operator.update(change(&c, &FIELDS, before.clone())).await.expect("harmless");
    assert_eq!((&after, &operator.campaign(&c).await), (&before, &before));
    operator.get_round(&c, &r).await.expect("the round was not planned anew");
}
