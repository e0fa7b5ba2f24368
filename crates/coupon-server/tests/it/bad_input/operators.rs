//! What does not belong into the calls that steer a campaign and tell of its rounds.

use coupon_proto::v1 as pb;
use prost_types::FieldMask;

use super::{bad_campaigns, named, names, no_ids, with};
use crate::operators::calls::change;
use crate::shop::{Instance, On, Shop, campaign, fixed, on_both};

on_both! {
    ids_in_what_operators_call_are_refused_by_name
    amounts_of_supply_are_refused_by_name
    masks_and_etags_are_refused_by_name
    what_a_campaign_cannot_become_is_refused_by_name
    nothing_is_changed_by_bad_updates
}

/// Every field that a draft has.
const FIELDS: [&str; 14] = [
    "title",
    "benefit",
    "supply",
    "allocation",
    "schedule",
    "reservation_required",
    "max_per_user",
    "validity",
    "metadata",
    "total_limit",
    "max_places",
    "registered_users_only",
    "notice_leads",
    "beacon_source",
];

fn titled(campaign: &str) -> pb::UpdateCampaignRequest {
    change(campaign, &["title"], pb::Campaign { title: "new".to_owned(), ..Default::default() })
}

async fn ids_in_what_operators_call_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let Instance { mut campaigns, mut coupons, .. } = shop.instances[0].clone();
    let (there, _) = shop.create(campaign("there", fixed(1))).await;
    let c = || there.clone();
    for bad in no_ids() {
        let id = || bad.clone();
        names(campaigns.update_campaign(titled(&bad)).await, "campaign.id");
        let end = pb::EndCampaignRequest { campaign_id: id(), request_id: String::new() };
        names(campaigns.end_campaign(end).await, "campaign_id");
        let add = pb::AddSupplyRequest { campaign_id: id(), amount: 1, ..Default::default() };
        names(campaigns.add_supply(add).await, "campaign_id");
        let list = pb::ListRoundsRequest { campaign_id: id(), ..Default::default() };
        names(campaigns.list_rounds(list).await, "campaign_id");
        let watch = pb::WatchRoundRequest { campaign_id: id(), ..Default::default() };
        names(campaigns.watch_round(watch).await.map(drop), "campaign_id");
        let export = pb::ExportPlacesRequest { campaign_id: id(), round_id: String::new() };
        names(campaigns.export_places(export).await.map(drop), "campaign_id");
        let draw = pb::GetDrawRequest { campaign_id: id(), round_id: String::new() };
        names(campaigns.get_draw(draw).await, "campaign_id");
        let stats = pb::GetStatsRequest { campaign_id: id(), round_id: String::new() };
        names(campaigns.get_stats(stats).await, "campaign_id");
        let beacon =
            pb::SetBeaconRequest { campaign_id: id(), round_id: id(), beacon: vec![7].into(), ..Default::default() };
        let fields: Vec<_> = named(campaigns.set_beacon(beacon).await).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["campaign_id", "round_id"]);
        let place = pb::GetPlaceRequest { campaign_id: id(), round_id: String::new(), user_id: id() };
        let fields: Vec<_> = named(coupons.get_place(place).await).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["campaign_id", "user_id"]);
        if bad.is_empty() {
            continue;
        }
        let update = pb::UpdateCampaignRequest { request_id: id(), ..titled(&there) };
        names(campaigns.update_campaign(update).await, "request_id");
        let end = pb::EndCampaignRequest { campaign_id: c(), request_id: id() };
        names(campaigns.end_campaign(end).await, "request_id");
        let add = pb::AddSupplyRequest { campaign_id: c(), round_id: id(), amount: 1, request_id: id() };
        let fields: Vec<_> = named(campaigns.add_supply(add).await).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["round_id", "request_id"]);
        let list = pb::ListRoundsRequest { campaign_id: c(), page_token: id(), page_size: 0 };
        names(campaigns.list_rounds(list).await, "page_token");
        let watch = pb::WatchRoundRequest { campaign_id: c(), round_id: id(), after: None };
        names(campaigns.watch_round(watch).await.map(drop), "round_id");
        let export = pb::ExportPlacesRequest { campaign_id: c(), round_id: id() };
        names(campaigns.export_places(export).await.map(drop), "round_id");
        let draw = pb::GetDrawRequest { campaign_id: c(), round_id: id() };
        names(campaigns.get_draw(draw).await, "round_id");
        let stats = pb::GetStatsRequest { campaign_id: c(), round_id: id() };
        names(campaigns.get_stats(stats).await, "round_id");
        let place = pb::GetPlaceRequest { campaign_id: c(), round_id: id(), user_id: "ada".to_owned() };
        names(coupons.get_place(place).await, "round_id");
    }
    for page_size in [-1, 1001, i32::MIN, i32::MAX] {
        let list = pb::ListRoundsRequest { campaign_id: c(), page_size, page_token: String::new() };
        names(campaigns.list_rounds(list).await, "page_size");
    }
    for beacon in [Vec::new(), vec![7; 1025]] {
        let set = pb::SetBeaconRequest {
            campaign_id: c(),
            round_id: "r-1".to_owned(),
            beacon: beacon.into(),
            ..Default::default()
        };
        names(campaigns.set_beacon(set).await, "beacon");
    }
}

async fn amounts_of_supply_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("amounts", fixed(10))).await;
    let before = shop.gate(&c).await;
    for amount in [0, -1, 200_000_001, 1 << 32, (1 << 32) + 1, i64::MAX, i64::MIN] {
        for round in [r.as_str(), ""] {
            names(shop.instances[0].add_supply(&c, round, amount, "").await, "amount");
        }
    }
    assert_eq!(shop.gate(&c).await, before, "nothing was decided");
}

async fn masks_and_etags_are_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, _) = shop.create(campaign("masks", fixed(10))).await;
    let before = shop.gate(&c).await;
    let long = "x".repeat(5000);
    for path in
        ["", "*", "id", "state", "etag", "campaign.title", "benefit.gift", "Title", "title,supply", "a\0b", &long]
    {
        for paths in [&[path][..], &["title", path]] {
            let paths = paths.iter().map(ToString::to_string).collect();
            let request = pb::UpdateCampaignRequest { update_mask: Some(FieldMask { paths }), ..titled(&c) };
            let status = operator.update(request).await;
            assert!(status.as_ref().is_err_and(|status| status.message().len() < 2000), "little is told back");
            names(status, "update_mask");
        }
    }
    names(operator.update(pb::UpdateCampaignRequest { update_mask: None, ..titled(&c) }).await, "update_mask");
    let empty = pb::UpdateCampaignRequest { update_mask: Some(FieldMask::default()), ..titled(&c) };
    names(operator.update(empty).await, "update_mask");
    names(operator.update(pb::UpdateCampaignRequest { campaign: None, ..titled(&c) }).await, "campaign");
    for etag in ["x", "-1", "1.0", "\"1\"", "W/\"1\"", "1\0", "99999999999999999999", " 1", &long] {
        let mut request = titled(&c);
        request.campaign.get_or_insert_default().etag = etag.to_owned();
        names(operator.update(request).await, "campaign.etag");
    }
    assert_eq!(shop.gate(&c).await, before, "nothing was decided");
}

async fn what_a_campaign_cannot_become_is_refused_by_name(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (sound, _) = operator.draft(with(|campaign| campaign.title = "sound".to_owned())).await.expect("created");
    for (field, campaign) in bad_campaigns().into_iter().filter(|(field, _)| *field != "campaign.id") {
        for validate_only in [true, false] {
            let request = pb::UpdateCampaignRequest { validate_only, ..change(&sound.id, &FIELDS, campaign.clone()) };
            names(operator.update(request).await, field);
        }
    }
    // What it must have cannot be unset; all of it is named at once.
    let unset = named(operator.update(change(&sound.id, &FIELDS, pb::Campaign::default())).await);
    let mut fields: Vec<_> = unset.into_iter().map(|(field, _)| field).collect();
    fields.sort();
    let required = ["campaign.benefit", "campaign.schedule", "campaign.supply", "campaign.title", "campaign.validity"];
    assert_eq!(fields, required);
    // What does not change may not contradict what does.
    let no_places = change(&sound.id, &["reservation_required"], pb::Campaign::default());
    names(operator.update(no_places).await, "campaign.reservation_required");
    let mut several = change(&sound.id, &["title", "max_per_user"], pb::Campaign::default());
    several.request_id = "no uuid".to_owned();
    several.campaign.get_or_insert_default().etag = "no etag".to_owned();
    several.campaign.get_or_insert_default().max_per_user = Some(0);
    let mut fields: Vec<_> = named(operator.update(several).await).into_iter().map(|(field, _)| field).collect();
    fields.sort();
    assert_eq!(fields, ["campaign.etag", "campaign.max_per_user", "campaign.title", "request_id"]);
    assert_eq!(operator.campaign(&sound.id).await, sound);
}

async fn nothing_is_changed_by_bad_updates(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, r) = shop.create(campaign("untouched", fixed(10))).await;
    let (gate, before, round) = (shop.gate(&c).await, operator.campaign(&c).await, shop.round(&c, &r).await);
    for (_, bad) in bad_campaigns().into_iter().filter(|(field, _)| *field != "campaign.id") {
        // One sound change beside the wrong ones.
        let fields = FIELDS.iter().filter(|field| **field != "metadata");
        let fields: Vec<_> = fields.copied().chain(["metadata"]).collect();
        operator.update(change(&c, &fields, bad)).await.expect_err("refused");
    }
    assert_eq!((shop.gate(&c).await, operator.campaign(&c).await, shop.round(&c, &r).await), (gate, before, round));
}
