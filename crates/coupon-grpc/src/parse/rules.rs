//! What a campaign offers, field by field.

use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, RulesDraft, RulesField, Validity};
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_proto::v1 as pb;

use super::Fields;

/// Reads these fields; the others are not looked at and stay unset.
pub(super) fn draft(mut campaign: pb::Campaign, named: &[RulesField], fields: &mut Fields) -> RulesDraft {
    use RulesField as F;
    let mut draft = RulesDraft::default();
    for field in named {
        match field {
            F::Title => draft.title = std::mem::take(&mut campaign.title),
            F::Benefit => draft.benefit = benefit(campaign.benefit.take(), fields),
            F::Supply => draft.supply = supply(campaign.supply.take(), fields),
            F::Allocation => draft.allocation = allocation(campaign.allocation, fields),
            F::Schedule => draft.schedule = schedule(campaign.schedule.take(), fields),
            F::ReservationRequired => draft.reservation_required = campaign.reservation_required,
            F::MaxPerUser => draft.max_per_user = campaign.max_per_user.map(i64::from),
            F::Validity => draft.validity = validity(campaign.validity.take(), fields),
            F::Metadata => draft.metadata = campaign.metadata.drain().collect(),
            F::TotalLimit => draft.total_limit = campaign.total_limit,
            F::MaxPlaces => draft.max_places = campaign.max_places,
            F::RegisteredUsersOnly => draft.registered_users_only = campaign.registered_users_only,
            F::NoticeLeads => draft.notice_leads = notice_leads(&campaign.notice_leads, fields),
            F::BeaconSource => {
                draft.beacon_source =
                    Some(std::mem::take(&mut campaign.beacon_source)).filter(|source| !source.is_empty());
            }
        }
    }
    draft
}

fn allocation(raw: i32, fields: &mut Fields) -> Allocation {
    match pb::Allocation::try_from(raw) {
        Ok(pb::Allocation::Unspecified | pb::Allocation::FirstCome) => Allocation::FirstCome,
        Ok(pb::Allocation::Draw) => Allocation::Draw,
        Err(_) => {
            fields.wrong("campaign.allocation", "is not an allocation of coupon.v1");
            Allocation::FirstCome
        }
    }
}

fn notice_leads(raw: &[prost_types::Duration], fields: &mut Fields) -> Vec<Duration> {
    raw.iter().filter_map(|lead| fields.duration("campaign.notice_leads", *lead)).collect()
}

fn benefit(raw: Option<pb::Benefit>, fields: &mut Fields) -> Option<Benefit> {
    use pb::benefit::Kind;
    let raw = raw.unwrap_or_default();
    let kind = match raw.kind {
        // What does not fit becomes 0, which the rules refuse with the right limits.
        Some(Kind::PercentOff(percent)) => Some(BenefitKind::PercentOff(u8::try_from(percent).unwrap_or(0))),
        Some(Kind::AmountOff(amount)) => {
            fields.money("campaign.benefit.amount_off", &amount).map(BenefitKind::AmountOff)
        }
        Some(Kind::FreeShipping(true)) => Some(BenefitKind::FreeShipping),
        Some(Kind::FreeShipping(false)) => {
            fields.keep("campaign.benefit.free_shipping", Err("must be true if it is set"))
        }
        Some(Kind::Gift(gift)) => Some(BenefitKind::Gift(gift.into())),
        None => fields.keep("campaign.benefit", Err("is required, with exactly one kind")),
    };
    let min_order = raw.min_order.and_then(|money| fields.money("campaign.benefit.min_order", &money));
    let max_discount = raw.max_discount.and_then(|money| fields.money("campaign.benefit.max_discount", &money));
    kind.map(|kind| Benefit { kind, min_order, max_discount })
}

fn supply(raw: Option<pb::Supply>, fields: &mut Fields) -> Option<Supply> {
    use pb::supply::Rule;
    match raw.and_then(|supply| supply.rule) {
        Some(Rule::Fixed(n)) => Some(Supply::Fixed(u32::try_from(n).unwrap_or(0))),
        Some(Rule::RatioOfPlaces(ratio)) => self::ratio(&ratio, fields).map(Supply::RatioOfPlaces),
        // Without a total limit the rules refuse it.
        None => Some(Supply::SharedPool),
    }
}

fn ratio(raw: &pb::Ratio, fields: &mut Fields) -> Option<Ratio> {
    let rounding = match pb::Rounding::try_from(raw.rounding) {
        Ok(pb::Rounding::Unspecified | pb::Rounding::Floor) => Some(Rounding::Floor),
        Ok(pb::Rounding::Ceil) => Some(Rounding::Ceil),
        Ok(pb::Rounding::Nearest) => Some(Rounding::Nearest),
        Err(_) => fields.keep("campaign.supply.ratio_of_places.rounding", Err("is not a rounding of coupon.v1")),
    };
    let part = |n: i32| u32::try_from(n).unwrap_or(0);
    let ratio = Ratio::new(part(raw.numerator), part(raw.denominator), rounding.unwrap_or_default());
    fields.keep("campaign.supply.ratio_of_places", ratio).filter(|_| rounding.is_some())
}

fn schedule(raw: Option<pb::Schedule>, fields: &mut Fields) -> Option<Schedule> {
    use pb::schedule::Start as PbStart;
    let raw = raw.unwrap_or_default();
    let start = match raw.start {
        Some(PbStart::Once(at)) => fields.timestamp("campaign.schedule.once", at).map(Start::Once),
        Some(PbStart::Recurring(recurrence)) => self::recurrence(&recurrence, fields).map(Start::Recurring),
        None => fields.keep("campaign.schedule", Err("is required, with once or recurring")),
    };
    let mut span = |field, raw: Option<prost_types::Duration>, default| match raw {
        Some(raw) => fields.duration(field, raw),
        None => Some(default),
    };
    let reserve_lead = span("campaign.schedule.reserve_lead", raw.reserve_lead, Schedule::RESERVE_LEAD);
    let close_lead = span("campaign.schedule.reserve_close_lead", raw.reserve_close_lead, Schedule::RESERVE_CLOSE_LEAD);
    let claim = span("campaign.schedule.claim_duration", raw.claim_duration, Schedule::CLAIM_DURATION);
    let spans = reserve_lead.zip(close_lead).zip(claim);
    start.zip(spans).map(|(start, ((reserve_lead, reserve_close_lead), claim_duration))| Schedule {
        start,
        reserve_lead,
        reserve_close_lead,
        claim_duration,
    })
}

fn recurrence(raw: &pb::Recurrence, fields: &mut Fields) -> Option<Recurrence> {
    let first = raw.first.and_then(|at| fields.timestamp("campaign.schedule.recurring.first", at));
    let last = raw.last.and_then(|at| fields.timestamp("campaign.schedule.recurring.last", at));
    let zone = if raw.time_zone.is_empty() { "UTC" } else { &raw.time_zone };
    // One part wrong must not hide the other.
    let cron = fields.keep("campaign.schedule.recurring.cron", Recurrence::parse(&raw.cron, "UTC", first, last));
    let zoned = Recurrence::parse("* * * * *", zone, first, last);
    let zone = fields.keep("campaign.schedule.recurring.time_zone", zoned.map(|_| zone));
    Recurrence::parse(cron?.cron(), zone?, first, last).ok()
}

fn validity(raw: Option<pb::Validity>, fields: &mut Fields) -> Option<Validity> {
    use pb::validity::Until;
    match raw.and_then(|validity| validity.until) {
        Some(Until::At(at)) => fields.timestamp("campaign.validity.at", at).map(Validity::At),
        Some(Until::AfterClaim(span)) => {
            fields.duration("campaign.validity.after_claim", span).map(Validity::AfterClaim)
        }
        None => fields.keep("campaign.validity", Err("is required, with at or after_claim")),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn the_fields_are_those_of_the_contract_that_its_operator_sets() {
        let set = FileDescriptorSet::decode(coupon_proto::FILE_DESCRIPTOR_SET).expect("a contract");
        let mut messages =
            set.file.into_iter().filter(|file| file.package() == "coupon.v1").flat_map(|file| file.message_type);
        let campaign = messages.find(|message| message.name() == "Campaign").expect("a campaign");
        let services = ["id", "state", "etag", "created_at", "updated_at"];
        let set_by_operators: Vec<_> =
            campaign.field.iter().map(|field| field.name()).filter(|name| !services.contains(name)).collect();
        let mut known = RulesField::ALL.map(RulesField::as_str).to_vec();
        known.sort_by_key(|name| set_by_operators.iter().position(|field| field == name));
        assert_eq!(known, set_by_operators);
    }
}
