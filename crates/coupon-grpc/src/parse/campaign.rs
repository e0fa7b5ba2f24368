//! The calls of CampaignService.

use bytes::Bytes;
use coupon_domain::campaign::{CampaignState, RulesField, RulesPatch};
use coupon_domain::checkout::Operator;
use coupon_domain::ids::{Actor, CampaignId, CouponId, RoundId};
use coupon_domain::model::SupplyAddition;
use coupon_domain::position::Position;
use coupon_domain::redemption::CouponState;
use coupon_domain::supply::Supply;
use coupon_proto::v1 as pb;
use coupon_usecases::campaigns::CreateCall;
use coupon_usecases::error::Fault;
use coupon_usecases::steering::UpdateCall;
use prost_types::FieldMask;
use tonic::metadata::MetadataMap;

use super::Fields;
use super::rules;

/// A beacon has at most so many bytes.
const MAX_BEACON: usize = 1024;
/// Of an unknown path, and of unknown paths, so much is told back.
const MAX_TOLD: usize = 64;
const MAX_PATHS_TOLD: usize = 8;

/// An operator's call about one campaign.
pub(crate) fn operation(
    caller: &MetadataMap,
    campaign: &str,
    request_id: &str,
) -> Result<(CampaignId, Operator), Fault> {
    let mut fields = Fields::default();
    let campaign = fields.campaign_id(campaign);
    let by = fields.operator(caller, request_id);
    fields.done(campaign.zip(by))
}

pub(crate) fn get_campaign(request: &pb::GetCampaignRequest) -> Result<CampaignId, Fault> {
    let mut fields = Fields::default();
    let campaign = fields.campaign_id(&request.campaign_id);
    fields.done(campaign)
}

/// A campaign and one of its rounds; none means the one that GetRound takes.
pub(crate) fn round(campaign: &str, round: &str) -> Result<(CampaignId, Option<RoundId>), Fault> {
    let mut fields = Fields::default();
    let (campaign, round) = (fields.campaign_id(campaign), fields.round_id(round));
    fields.done(campaign.zip(round))
}

/// State, token and size of a page.
pub(crate) type CampaignPage = (Option<CampaignState>, Option<CampaignId>, u32);

pub(crate) fn list_campaigns(request: &pb::ListCampaignsRequest) -> Result<CampaignPage, Fault> {
    let mut fields = Fields::default();
    let state = match pb::CampaignState::try_from(request.state) {
        Ok(pb::CampaignState::Unspecified) => None,
        Ok(pb::CampaignState::Draft) => Some(CampaignState::Draft),
        Ok(pb::CampaignState::Active) => Some(CampaignState::Active),
        Ok(pb::CampaignState::Paused) => Some(CampaignState::Paused),
        Ok(pb::CampaignState::Ended) => Some(CampaignState::Ended),
        Err(_) => fields.keep("state", Err("is not a state of coupon.v1")),
    };
    let after = fields.page_token(&request.page_token, CampaignId::parse);
    let limit = fields.page_size(request.page_size);
    fields.done(Some((state, after, limit)))
}

pub(crate) fn create_campaign(caller: &MetadataMap, request: pb::CreateCampaignRequest) -> Result<CreateCall, Fault> {
    let mut fields = Fields::default();
    let by = fields.operator(caller, &request.request_id);
    let Some(campaign) = request.campaign else {
        fields.wrong("campaign", "is required");
        return fields.done(None);
    };
    if !campaign.id.is_empty() {
        fields.wrong("campaign.id", "must be empty: the service gives it");
    }
    let draft = rules::draft(campaign, &RulesField::ALL, &mut fields);
    let Some(by) = by else { return fields.done(None) };
    Ok(CreateCall {
        id: None,
        draft,
        violations: fields.wrong,
        by,
        validate_only: request.validate_only,
        activate: request.activate,
    })
}

pub(crate) fn update_campaign(caller: &MetadataMap, request: pb::UpdateCampaignRequest) -> Result<UpdateCall, Fault> {
    let mut fields = Fields::default();
    let by = fields.operator(caller, &request.request_id);
    let named = update_mask(request.update_mask, &mut fields);
    let Some(mut campaign) = request.campaign else {
        fields.wrong("campaign", "is required");
        return fields.done(None);
    };
    let id = fields.keep("campaign.id", CampaignId::parse(&campaign.id));
    let revision = match std::mem::take(&mut campaign.etag) {
        etag if etag.is_empty() => None,
        etag => fields.keep("campaign.etag", etag.parse().map_err(|_| "must be the etag of a campaign as it was read")),
    };
    let values = rules::draft(campaign, &named, &mut fields);
    match id.zip(by) {
        Some((campaign, by)) if !named.is_empty() => Ok(UpdateCall {
            campaign,
            revision,
            patch: RulesPatch { fields: named, values },
            violations: fields.wrong,
            by,
            validate_only: request.validate_only,
        }),
        _ => fields.done(None),
    }
}

/// The fields that a mask names, each once, in their order; none if it names something else too.
fn update_mask(raw: Option<FieldMask>, fields: &mut Fields) -> Vec<RulesField> {
    let paths = raw.unwrap_or_default().paths;
    let known = RulesField::ALL.map(RulesField::as_str).join(", ");
    let unknown = paths.iter().filter(|path| RulesField::ALL.iter().all(|field| field.as_str() != path.as_str()));
    let unknown: Vec<String> = unknown
        .take(MAX_PATHS_TOLD)
        .map(|path| format!("`{}`", path.escape_debug().take(MAX_TOLD).collect::<String>()))
        .collect();
    if paths.is_empty() {
        fields.wrong("update_mask", format!("is required, with one or more of {known}"));
    }
    if !unknown.is_empty() {
        fields.wrong("update_mask", format!("has {}; known are {known}", unknown.join(", ")));
        return Vec::new();
    }
    RulesField::ALL.into_iter().filter(|field| paths.iter().any(|path| path == field.as_str())).collect()
}

/// Campaign, what is added, and by whom.
pub(crate) type Addition = (CampaignId, SupplyAddition, Actor);

pub(crate) fn add_supply(caller: &MetadataMap, request: &pb::AddSupplyRequest) -> Result<Addition, Fault> {
    let mut fields = Fields::default();
    let (campaign, round) = (fields.campaign_id(&request.campaign_id), fields.round_id(&request.round_id));
    let amount = u32::try_from(request.amount).ok().filter(|amount| (1..=Supply::MAX).contains(amount));
    let amount = fields.keep("amount", amount.ok_or("must be 1 to 200000000"));
    let by = fields.operator(caller, &request.request_id);
    let call = campaign.zip(round).zip(amount).zip(by).map(|(((campaign, round), amount), by)| {
        let Operator { actor, request } = by;
        (campaign, SupplyAddition { round, amount, request }, actor)
    });
    fields.done(call)
}

/// Coupon, reason, and by whom.
pub(crate) type Withdrawal = (CouponId, String, Operator);

pub(crate) fn void_coupon(caller: &MetadataMap, request: pb::VoidCouponRequest) -> Result<Withdrawal, Fault> {
    let mut fields = Fields::default();
    let coupon = fields.keep("coupon_id", CouponId::parse(&request.coupon_id));
    let reason = fields.reason(request.reason);
    let by = fields.operator(caller, &request.request_id);
    fields.done(coupon.zip(reason).zip(by).map(|((coupon, reason), by)| (coupon, reason, by)))
}

/// Campaign, round and state; none means all.
pub(crate) type CouponExport = (CampaignId, Option<RoundId>, Option<CouponState>);

pub(crate) fn export_coupons(request: &pb::ExportCouponsRequest) -> Result<CouponExport, Fault> {
    let mut fields = Fields::default();
    let (campaign, round) = (fields.campaign_id(&request.campaign_id), fields.round_id(&request.round_id));
    let state = fields.coupon_state(request.state);
    fields.done(campaign.zip(round).map(|(campaign, round)| (campaign, round, state)))
}

/// Campaign, the number that the page begins before, and its size.
pub(crate) type AuditPage = (Option<CampaignId>, Option<i64>, u32);

pub(crate) fn list_audit_records(request: &pb::ListAuditRecordsRequest) -> Result<AuditPage, Fault> {
    let mut fields = Fields::default();
    let campaign = fields.some_campaign_id(&request.campaign_id);
    let limit = fields.page_size(request.page_size);
    let before = fields.page_token(&request.page_token, str::parse);
    fields.done(campaign.map(|campaign| (campaign, before, limit)))
}

pub(crate) fn list_rounds(request: &pb::ListRoundsRequest) -> Result<(CampaignId, Option<RoundId>, u32), Fault> {
    let mut fields = Fields::default();
    let campaign = fields.campaign_id(&request.campaign_id);
    let after = fields.page_token(&request.page_token, RoundId::parse);
    let limit = fields.page_size(request.page_size);
    fields.done(campaign.map(|campaign| (campaign, after, limit)))
}

/// Campaign, round, and the position that the caller has seen.
pub(crate) type Watch = (CampaignId, Option<RoundId>, Option<Position>);

pub(crate) fn watch_round(request: &pb::WatchRoundRequest) -> Result<Watch, Fault> {
    let mut fields = Fields::default();
    let (campaign, round) = (fields.campaign_id(&request.campaign_id), fields.round_id(&request.round_id));
    let seen = request.after.as_ref().and_then(|witness| position(witness, &mut fields));
    fields.done(campaign.zip(round).map(|(campaign, round)| (campaign, round, seen)))
}

fn position(raw: &pb::Witness, fields: &mut Fields) -> Option<Position> {
    let epoch = fields.keep("after.epoch", u64::try_from(raw.epoch).map_err(|_| "must not be negative"));
    let n = raw.position.ok_or("is required").and_then(|n| u64::try_from(n).map_err(|_| "must not be negative"));
    let n = fields.keep("after.position", n);
    epoch.zip(n).map(|(epoch, n)| Position { epoch, n })
}

/// Campaign, round, the bytes, and by whom.
pub(crate) type Beacon = (CampaignId, RoundId, Bytes, Operator);

pub(crate) fn set_beacon(caller: &MetadataMap, request: pb::SetBeaconRequest) -> Result<Beacon, Fault> {
    let mut fields = Fields::default();
    let campaign = fields.campaign_id(&request.campaign_id);
    let round = fields.keep("round_id", RoundId::parse(&request.round_id));
    let beacon = Some(request.beacon).filter(|beacon| (1..=MAX_BEACON).contains(&beacon.len()));
    let beacon = fields.keep("beacon", beacon.ok_or("must have 1 to 1024 bytes"));
    let by = fields.operator(caller, &request.request_id);
    let call = campaign.zip(round).zip(beacon).zip(by);
    fields.done(call.map(|(((campaign, round), beacon), by)| (campaign, round, beacon, by)))
}

#[cfg(test)]
mod tests {
    use super::super::{ACTOR, wrong};
    use super::*;

    /// Calls by nobody in particular.
    fn update_campaign(request: pb::UpdateCampaignRequest) -> Result<UpdateCall, Fault> {
        super::update_campaign(&MetadataMap::new(), request)
    }

    fn add_supply(request: &pb::AddSupplyRequest) -> Result<Addition, Fault> {
        super::add_supply(&MetadataMap::new(), request)
    }

    fn set_beacon(request: pb::SetBeaconRequest) -> Result<Beacon, Fault> {
        super::set_beacon(&MetadataMap::new(), request)
    }

    fn odd_caller() -> MetadataMap {
        let mut caller = MetadataMap::new();
        caller.insert(ACTOR, "a b".parse().expect("metadata"));
        caller
    }

    #[test]
    fn an_actor_who_is_no_id_is_refused_by_every_call_that_changes_something() {
        let caller = &odd_caller();
        let named = |wrong: Vec<&'static str>| assert!(wrong.contains(&ACTOR), "{wrong:?}");
        named(wrong(operation(caller, "c-1", "")));
        let campaign = Some(pb::Campaign::default());
        named(wrong(create_campaign(caller, pb::CreateCampaignRequest { campaign, ..Default::default() })));
        named(wrong(super::update_campaign(caller, update(&["title"], pb::Campaign::default()))));
        named(wrong(super::add_supply(caller, &pb::AddSupplyRequest::default())));
        named(wrong(super::set_beacon(caller, pb::SetBeaconRequest::default())));
        named(wrong(void_coupon(caller, pb::VoidCouponRequest::default())));
    }

    #[test]
    fn a_coupon_is_withdrawn_by_its_id_with_a_reason() {
        let [coupon_id, reason, request_id] = ["r-7-0", "sold on", ""].map(str::to_owned);
        let request = pb::VoidCouponRequest { coupon_id, reason, request_id };
        let (coupon, reason, by) = void_coupon(&MetadataMap::new(), request).expect("a sound call");
        assert_eq!((coupon.serial, reason.as_str(), by.request), (0, "sold on", None));
        let [coupon_id, reason, request_id] = ["r-7", "\t", "x"].map(str::to_owned);
        let odd = pb::VoidCouponRequest { coupon_id, reason, request_id };
        assert_eq!(wrong(void_coupon(&MetadataMap::new(), odd)), ["coupon_id", "reason", "request_id"]);
    }

    #[test]
    fn an_export_is_of_a_campaign() {
        let request = |campaign_id: &str, round_id: &str, state| pb::ExportCouponsRequest {
            campaign_id: campaign_id.to_owned(),
            round_id: round_id.to_owned(),
            state,
        };
        let (campaign, round, state) = export_coupons(&request("c-1", "", 3)).expect("a sound call");
        assert_eq!((campaign.as_str(), round, state), ("c-1", None, Some(CouponState::Redeemed)));
        assert_eq!(wrong(export_coupons(&request("", "7", 9))), ["campaign_id", "round_id", "state"]);
    }

    #[test]
    fn audit_records_are_paged_by_their_numbers() {
        let request = |campaign_id: &str, page_token: &str| pb::ListAuditRecordsRequest {
            campaign_id: campaign_id.to_owned(),
            page_size: 0,
            page_token: page_token.to_owned(),
        };
        assert_eq!(list_audit_records(&request("", "")).expect("a sound call"), (None, None, 50));
        let (campaign, before, _) = list_audit_records(&request("c-1", "42")).expect("a sound call");
        assert_eq!((campaign.is_some(), before), (true, Some(42)));
        assert_eq!(wrong(list_audit_records(&request("{}", "x"))), ["campaign_id", "page_token"]);
    }

    fn update(paths: &[&str], campaign: pb::Campaign) -> pb::UpdateCampaignRequest {
        let update_mask = Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() });
        let campaign = Some(pb::Campaign { id: "c-1".to_owned(), ..campaign });
        pb::UpdateCampaignRequest { campaign, update_mask, ..Default::default() }
    }

    #[test]
    fn what_a_mask_does_not_name_is_not_looked_at() {
        let campaign =
            pb::Campaign { title: "new".to_owned(), allocation: 9, max_per_user: Some(7), ..Default::default() };
        let call = update_campaign(update(&["title", "title"], campaign)).expect("a sound call");
        assert_eq!((call.campaign.as_str(), call.revision, call.violations), ("c-1", None, vec![]));
        assert_eq!(call.patch.fields, [RulesField::Title]);
        assert_eq!((call.patch.values.title.as_str(), call.patch.values.max_per_user), ("new", None));
    }

    #[test]
    fn what_a_mask_names_is_read_as_on_create() {
        let campaign = pb::Campaign { allocation: 9, etag: "4".to_owned(), ..Default::default() };
        let call = update_campaign(update(&["benefit", "allocation", "schedule", "supply"], campaign)).expect("a call");
        assert_eq!(call.revision, Some(4));
        let wrong: Vec<_> = call.violations.iter().map(|violation| violation.field).collect();
        assert_eq!(wrong, ["campaign.benefit", "campaign.allocation", "campaign.schedule"]);
        assert_eq!(call.patch.values.supply, Some(Supply::SharedPool));
    }

    #[test]
    fn a_mask_of_other_paths_is_refused_with_them_and_the_known_ones() {
        let refused = update_campaign(update(&["title", "benefit.gift", "*"], pb::Campaign::default()));
        let Err(Fault::Invalid(violations)) = refused else { panic!("refused with its fields: {refused:?}") };
        let [mask] = &*violations else { panic!("one field: {violations:?}") };
        assert_eq!(mask.field, "update_mask");
        assert!(mask.description.starts_with("has `benefit.gift`, `*`; known are title, benefit, supply"), "{mask:?}");
        let all = RulesField::ALL.map(RulesField::as_str);
        assert!(all.iter().all(|name| mask.description.contains(name)), "{mask:?}");
    }

    #[test]
    fn of_a_mask_of_many_and_long_paths_little_is_told_back() {
        let path = "x\n".repeat(1000);
        let refused = update_campaign(update(&[path.as_str(); 100], pb::Campaign::default()));
        let Err(Fault::Invalid(violations)) = refused else { panic!("refused with its fields: {refused:?}") };
        assert!(violations[0].description.len() < 1000, "{violations:?}");
    }

    #[test]
    fn an_update_names_its_campaign_and_at_least_one_field() {
        assert_eq!(wrong(update_campaign(update(&[], pb::Campaign::default()))), ["update_mask"]);
        assert_eq!(wrong(update_campaign(pb::UpdateCampaignRequest::default())), ["update_mask", "campaign"]);
        let nameless = pb::UpdateCampaignRequest {
            campaign: Some(pb::Campaign::default()),
            ..update(&["title"], pb::Campaign::default())
        };
        assert_eq!(wrong(update_campaign(nameless)), ["campaign.id"]);
    }

    #[test]
    fn an_etag_is_one_that_was_read() {
        let campaign = |etag: &str| pb::Campaign { etag: etag.to_owned(), ..Default::default() };
        for etag in ["x", "-1", "W/\"4\"", "99999999999999999999"] {
            let call = update_campaign(update(&["title"], campaign(etag))).expect("a call with a violation");
            assert_eq!(call.violations.iter().map(|violation| violation.field).collect::<Vec<_>>(), ["campaign.etag"]);
        }
    }

    #[test]
    fn supply_is_added_in_amounts_from_one_to_two_hundred_million() {
        let request = |amount, round_id: &str| pb::AddSupplyRequest {
            campaign_id: "c-1".to_owned(),
            round_id: round_id.to_owned(),
            amount,
            request_id: String::new(),
        };
        for amount in [i64::MIN, -1, 0, 200_000_001, 1 << 32, i64::MAX] {
            assert_eq!(wrong(add_supply(&request(amount, ""))), ["amount"], "{amount}");
        }
        let (_, addition, _) = add_supply(&request(200_000_000, "r-7")).expect("a sound call");
        assert_eq!((addition.round.map(RoundId::number), addition.amount), (Some(7), 200_000_000));
        assert_eq!(add_supply(&request(1, "")).expect("a sound call").1.round, None);
        let nothing =
            pb::AddSupplyRequest { request_id: "x".to_owned(), round_id: "7".to_owned(), ..Default::default() };
        assert_eq!(wrong(add_supply(&nothing)), ["campaign_id", "round_id", "amount", "request_id"]);
    }

    #[test]
    fn a_beacon_has_1_to_1024_bytes_and_names_its_round() {
        let request = |size, round_id: &str| pb::SetBeaconRequest {
            campaign_id: "c-1".to_owned(),
            round_id: round_id.to_owned(),
            beacon: vec![7; size].into(),
            request_id: String::new(),
        };
        assert_eq!(wrong(set_beacon(request(0, "r-7"))), ["beacon"]);
        assert_eq!(wrong(set_beacon(request(1025, ""))), ["round_id", "beacon"]);
        for size in [1, 1024] {
            assert_eq!(set_beacon(request(size, "r-7")).expect("a sound call").2.len(), size);
        }
    }

    #[test]
    fn a_watch_goes_on_from_a_whole_witness() {
        let request = |after| pb::WatchRoundRequest { campaign_id: "c-1".to_owned(), after, ..Default::default() };
        let witness = |epoch, position| Some(pb::Witness { epoch, position, at: None });
        assert_eq!(watch_round(&request(None)).expect("a sound call").2, None);
        let (.., seen) = watch_round(&request(witness(3, Some(0)))).expect("a sound call");
        assert_eq!(seen, Some(Position { epoch: 3, n: 0 }));
        assert_eq!(wrong(watch_round(&request(witness(-1, None)))), ["after.epoch", "after.position"]);
    }

    #[test]
    fn rounds_are_paged_by_their_ids() {
        let request = |page_size, page_token: &str| pb::ListRoundsRequest {
            campaign_id: "c-1".to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let (_, after, limit) = list_rounds(&request(0, "r-7")).expect("a sound call");
        assert_eq!((after.map(RoundId::number), limit), (Some(7), 50));
        assert_eq!(wrong(list_rounds(&request(1001, "7"))), ["page_token", "page_size"]);
    }
}
