//! From messages to domain types: the only way in. Every wrong field is named, with its limit.

use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, CampaignState, RulesDraft, Validity, Violation};
use coupon_domain::ids::{CampaignId, CouponId, InvalidId, OrderId, RoundId, UserId};
use coupon_domain::loss::NOBODY;
use coupon_domain::money::{Currency, Money};
use coupon_domain::ports::CouponFilter;
use coupon_domain::redemption::CouponState;
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::Timestamp;
use coupon_proto::google::r#type::Money as PbMoney;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::Ask;
use coupon_usecases::campaigns::CreateCall;
use coupon_usecases::coupons::CouponKey;
use coupon_usecases::error::Fault;
use coupon_usecases::redeem::RedeemCall;
use uuid::Uuid;

const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 1000;
const MAX_CODE: usize = 64;

/// Collects what is wrong, so that a caller learns of all of it at once.
#[derive(Debug, Default)]
struct Fields {
    wrong: Vec<Violation>,
}

impl Fields {
    fn wrong(&mut self, field: &'static str, description: impl Into<String>) {
        self.wrong.push(Violation::new(field, description));
    }

    /// The value, or a note of why there is none.
    fn keep<T, E: ToString>(&mut self, field: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.wrong(field, error.to_string())).ok()
    }

    fn campaign_id(&mut self, raw: &str) -> Option<CampaignId> {
        self.keep("campaign_id", CampaignId::parse(raw))
    }

    fn user_id(&mut self, raw: &str) -> Option<UserId> {
        self.keep("user_id", UserId::parse(raw))
    }

    /// `Some(None)` if it is empty, which is allowed.
    fn round_id(&mut self, raw: &str) -> Option<Option<RoundId>> {
        if raw.is_empty() { Some(None) } else { self.keep("round_id", RoundId::parse(raw)).map(Some) }
    }

    fn request_id(&mut self, raw: &str) -> Option<Uuid> {
        if raw.is_empty() {
            return None;
        }
        self.keep("request_id", Uuid::try_parse(raw).map_err(|_| "must be a UUID"))
    }

    fn code(&mut self, field: &'static str, raw: String) -> Option<String> {
        let plain = |code: &str| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match raw.len() {
            0 => self.wrong(field, "is required"),
            1..=MAX_CODE if plain(&raw) => return Some(raw),
            1..=MAX_CODE => self.wrong(field, "has a character outside A-Z a-z 0-9 -"),
            _ => self.wrong(field, "is longer than 64 bytes"),
        }
        None
    }

    fn page_size(&mut self, raw: i32) -> u32 {
        match u32::try_from(raw) {
            Ok(0) => DEFAULT_PAGE,
            Ok(size) if size <= MAX_PAGE => size,
            Ok(_) | Err(_) => {
                self.wrong("page_size", "must be 1 to 1000, or 0 for 50");
                DEFAULT_PAGE
            }
        }
    }

    fn page_token<T>(&mut self, raw: &str, parse: impl FnOnce(&str) -> Result<T, InvalidId>) -> Option<T> {
        if raw.is_empty() {
            return None;
        }
        self.keep("page_token", parse(raw).map_err(|_| "must be the next_page_token of the page before"))
    }

    fn money(&mut self, field: &'static str, raw: &PbMoney) -> Option<Money> {
        let money = Currency::parse(&raw.currency_code).and_then(|c| Money::from_parts(c, raw.units, raw.nanos));
        self.keep(field, money)
    }

    fn timestamp(&mut self, field: &'static str, raw: prost_types::Timestamp) -> Option<Timestamp> {
        let micros = raw.seconds.checked_mul(1_000_000).and_then(|s| s.checked_add(i64::from(raw.nanos) / 1000));
        let valid = (0..1_000_000_000).contains(&raw.nanos);
        let at =
            micros.map(Timestamp::from_micros).filter(|at| valid && (Timestamp::EPOCH..=Timestamp::MAX).contains(at));
        self.keep(field, at.ok_or("must be an instant from 1970 to 9999"))
    }

    fn duration(&mut self, field: &'static str, raw: prost_types::Duration) -> Option<Duration> {
        let seconds = u64::try_from(raw.seconds).ok().filter(|s| *s <= 10_000 * 365 * 86_400);
        let nanos = u32::try_from(raw.nanos).ok().filter(|n| *n < 1_000_000_000);
        let span = seconds.zip(nanos).map(|(s, n)| Duration::new(s, n - n % 1000));
        self.keep(field, span.ok_or("must not be negative nor longer than 10000 years"))
    }

    fn done<T>(self, value: Option<T>) -> Result<T, Fault> {
        match value {
            Some(value) if self.wrong.is_empty() => Ok(value),
            _ => Err(Fault::Invalid(self.wrong.into())),
        }
    }
}

fn ask(campaign: &str, round: &str, user: &str) -> Result<Ask, Fault> {
    let mut fields = Fields::default();
    let (campaign, round, user) = (fields.campaign_id(campaign), fields.round_id(round), fields.user_id(user));
    if user.as_ref().is_some_and(|user| user.as_str().starts_with(NOBODY)) {
        fields.wrong("user_id", "must not begin with `lost:`, which is nobody's");
    }
    let call = campaign.zip(round).zip(user).map(|((campaign, round), user)| Ask { campaign, round, user });
    fields.done(call)
}

pub(crate) fn reserve(request: &pb::ReserveRequest) -> Result<Ask, Fault> {
    ask(&request.campaign_id, &request.round_id, &request.user_id)
}

pub(crate) fn claim(request: &pb::ClaimRequest) -> Result<Ask, Fault> {
    ask(&request.campaign_id, &request.round_id, &request.user_id)
}

pub(crate) fn redeem(request: pb::RedeemRequest) -> Result<RedeemCall, Fault> {
    let mut fields = Fields::default();
    let code = fields.code("code", request.code);
    let user = fields.user_id(&request.user_id);
    let order = request.order.unwrap_or_default();
    let id = fields.keep("order.id", OrderId::parse(&order.id));
    let amount = match &order.amount {
        Some(amount) => fields.money("order.amount", amount),
        None => fields.keep("order.amount", Err("is required")),
    };
    let validate_only = request.validate_only;
    let call = code.zip(user).zip(id).zip(amount).map(|(((code, user), order), amount)| RedeemCall {
        code,
        user,
        order,
        amount,
        validate_only,
    });
    fields.done(call)
}

pub(crate) fn get_coupon(request: pb::GetCouponRequest) -> Result<(CouponKey, UserId), Fault> {
    use pb::get_coupon_request::Key;
    let mut fields = Fields::default();
    let user = fields.user_id(&request.user_id);
    let key = match request.key {
        Some(Key::CouponId(id)) => fields.keep("coupon_id", CouponId::parse(&id)).map(CouponKey::Id),
        Some(Key::Code(code)) => fields.code("code", code).map(CouponKey::Code),
        None => fields.keep("coupon_id", Err("is required, or code")),
    };
    fields.done(key.zip(user))
}

pub(crate) fn list_coupons(request: &pb::ListCouponsRequest) -> Result<CouponFilter, Fault> {
    let mut fields = Fields::default();
    let user = fields.user_id(&request.user_id);
    let campaign = if request.campaign_id.is_empty() { None } else { fields.campaign_id(&request.campaign_id) };
    let state = match pb::CouponState::try_from(request.state) {
        Ok(pb::CouponState::Unspecified) => None,
        Ok(pb::CouponState::Issued) => Some(CouponState::Issued),
        Ok(pb::CouponState::Held) => Some(CouponState::Held),
        Ok(pb::CouponState::Redeemed) => Some(CouponState::Redeemed),
        Ok(pb::CouponState::Expired) => Some(CouponState::Expired),
        Ok(pb::CouponState::Void) => Some(CouponState::Void),
        Err(_) => fields.keep("state", Err("is not a state of coupon.v1")),
    };
    let limit = fields.page_size(request.page_size);
    let after = fields.page_token(&request.page_token, CouponId::parse);
    fields.done(user.map(|user| CouponFilter { user, campaign, state, after, limit }))
}

/// An operator's call about one campaign.
pub(crate) fn operation(campaign: &str, request_id: &str) -> Result<(CampaignId, Option<Uuid>), Fault> {
    let mut fields = Fields::default();
    let campaign = fields.campaign_id(campaign);
    let request = fields.request_id(request_id);
    fields.done(campaign.map(|campaign| (campaign, request)))
}

pub(crate) fn get_campaign(request: &pb::GetCampaignRequest) -> Result<CampaignId, Fault> {
    let mut fields = Fields::default();
    let campaign = fields.campaign_id(&request.campaign_id);
    fields.done(campaign)
}

pub(crate) fn get_round(request: &pb::GetRoundRequest) -> Result<(CampaignId, Option<RoundId>), Fault> {
    let mut fields = Fields::default();
    let (campaign, round) = (fields.campaign_id(&request.campaign_id), fields.round_id(&request.round_id));
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

pub(crate) fn create_campaign(request: pb::CreateCampaignRequest) -> Result<CreateCall, Fault> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let Some(campaign) = request.campaign else {
        fields.wrong("campaign", "is required");
        return fields.done(None);
    };
    let draft = campaign_draft(campaign, &mut fields);
    Ok(CreateCall {
        id: None,
        draft,
        violations: fields.wrong,
        request: request_id,
        validate_only: request.validate_only,
        activate: request.activate,
    })
}

fn campaign_draft(campaign: pb::Campaign, fields: &mut Fields) -> RulesDraft {
    if !campaign.id.is_empty() {
        fields.wrong("campaign.id", "must be empty: the service gives it");
    }
    if campaign.registered_users_only {
        fields.wrong("campaign.registered_users_only", "must be false: this version has no user registry");
    }
    if !campaign.beacon_source.is_empty() {
        fields.wrong("campaign.beacon_source", "goes only with allocation DRAW");
    }
    let allocation = match pb::Allocation::try_from(campaign.allocation) {
        Ok(pb::Allocation::Unspecified | pb::Allocation::FirstCome) => Allocation::FirstCome,
        Ok(pb::Allocation::Draw) => Allocation::Draw,
        Err(_) => {
            fields.wrong("campaign.allocation", "is not an allocation of coupon.v1");
            Allocation::FirstCome
        }
    };
    let leads = campaign.notice_leads.into_iter();
    let notice_leads = leads.filter_map(|lead| fields.duration("campaign.notice_leads", lead)).collect();
    RulesDraft {
        title: campaign.title,
        benefit: benefit(campaign.benefit, fields),
        supply: supply(campaign.supply, campaign.total_limit.is_some(), fields),
        allocation,
        schedule: schedule(campaign.schedule, fields),
        reservation_required: campaign.reservation_required,
        max_per_user: campaign.max_per_user.map(i64::from),
        total_limit: campaign.total_limit,
        max_places: campaign.max_places,
        validity: validity(campaign.validity, fields),
        notice_leads,
        metadata: campaign.metadata.into_iter().collect(),
    }
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

fn supply(raw: Option<pb::Supply>, has_total: bool, fields: &mut Fields) -> Option<Supply> {
    use pb::supply::Rule;
    match raw.and_then(|supply| supply.rule) {
        Some(Rule::Fixed(n)) => Some(Supply::Fixed(u32::try_from(n).unwrap_or(0))),
        Some(Rule::RatioOfPlaces(ratio)) => self::ratio(&ratio, fields).map(Supply::RatioOfPlaces),
        None if has_total => Some(Supply::SharedPool),
        None => fields.keep("campaign.supply", Err("is required where there is no total_limit")),
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
