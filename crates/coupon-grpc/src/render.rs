//! From domain types to messages.

use std::time::Duration;

use coupon_domain::answer::{Issued, Outcome, Place, Refusal, Witness};
use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, Campaign, CampaignState, Rules, Validity};
use coupon_domain::code::Code;
use coupon_domain::ids::CouponId;
use coupon_domain::money::Money;
use coupon_domain::ports::{CouponPage, CouponTotals};
use coupon_domain::redemption::{CouponRecord, CouponState, RedeemRefusal};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::schedule::{Schedule, Start};
use coupon_domain::supply::{Rounding, Supply};
use coupon_domain::time::Timestamp;
use coupon_proto::google::r#type::Money as PbMoney;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::{Ask, Asked};
use coupon_usecases::campaigns::Created;
use coupon_usecases::claim::Claimed;
use coupon_usecases::coupons::CouponReport;
use coupon_usecases::redeem::{Redeemed, beside_discount};
use coupon_usecases::reserve::Reserved;
use coupon_usecases::rounds::RoundReport;

pub(crate) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, micros) = (at.micros().div_euclid(1_000_000), at.micros().rem_euclid(1_000_000));
    prost_types::Timestamp { seconds, nanos: i32::try_from(micros * 1000).unwrap_or(0) }
}

fn duration(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

fn money(money: Money) -> PbMoney {
    let (units, nanos) = money.parts();
    PbMoney { currency_code: money.currency.code().to_owned(), units, nanos }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn witness(witness: Witness) -> pb::Witness {
    pb::Witness {
        epoch: int(witness.position.epoch),
        position: Some(int(witness.position.n)),
        at: Some(timestamp(witness.at)),
    }
}

fn round_id(asked_round: Option<&RoundSpec>) -> String {
    asked_round.map_or_else(String::new, |round| round.id.to_string())
}

pub(crate) fn reserved(call: &Ask, Reserved { asked, receipt }: Reserved) -> pb::ReserveResponse {
    use pb::reserve_response::Outcome as Pb;
    let replayed = matches!(asked.outcome, Outcome::Replayed(_));
    let outcome = match asked.outcome {
        Outcome::Granted(place) | Outcome::Replayed(place) => {
            Pb::Place(self::place(call, asked.round.as_deref(), place, receipt))
        }
        Outcome::Refused(reason) => Pb::Refusal(gate_refusal(reason, &asked)),
    };
    pb::ReserveResponse { outcome: Some(outcome), replayed, witness: asked.witness.map(witness) }
}

fn place(call: &Ask, round: Option<&RoundSpec>, place: Place, receipt: Option<[u8; 16]>) -> pb::Place {
    pb::Place {
        campaign_id: call.campaign.to_string(),
        round_id: round_id(round),
        user_id: call.user.to_string(),
        ticket: Some(i64::from(place.ticket)),
        receipt: receipt.map(|receipt| receipt.to_vec()).unwrap_or_default().into(),
        reserved_at: Some(timestamp(place.reserved_at)),
        claim_opens_at: round.map(|round| timestamp(round.claim.opens)),
        claim_closes_at: round.map(|round| timestamp(round.claim.closes)),
    }
}

pub(crate) fn claimed(call: &Ask, Claimed { asked, code }: Claimed) -> pb::ClaimResponse {
    use pb::claim_response::Outcome as Pb;
    let replayed = matches!(asked.outcome, Outcome::Replayed(_));
    let outcome = match (asked.outcome, asked.round.as_deref()) {
        (Outcome::Granted(issued) | Outcome::Replayed(issued), Some(round)) => {
            Pb::Coupon(issued_coupon(call, round, issued, code.as_ref()))
        }
        (Outcome::Refused(reason), _) => Pb::Refusal(gate_refusal(reason, &asked)),
        // A yes names its round; the use case has no other.
        (Outcome::Granted(_) | Outcome::Replayed(_), None) => Pb::Refusal(gate_refusal(Refusal::Closed, &asked)),
    };
    pb::ClaimResponse { outcome: Some(outcome), replayed, witness: asked.witness.map(witness) }
}

fn issued_coupon(call: &Ask, round: &RoundSpec, issued: Issued, code: Option<&Code>) -> pb::Coupon {
    pb::Coupon {
        id: CouponId { round: round.id, serial: issued.serial }.to_string(),
        code: code.map_or_else(String::new, |code| code.reveal().to_owned()),
        campaign_id: call.campaign.to_string(),
        round_id: round.id.to_string(),
        user_id: call.user.to_string(),
        serial: Some(i64::from(issued.serial)),
        state: pb::CouponState::Issued.into(),
        claimed_at: Some(timestamp(issued.claimed_at)),
        expires_at: Some(timestamp(round.validity.expires_at(issued.claimed_at))),
        ..pb::Coupon::default()
    }
}

fn gate_refusal<T>(reason: Refusal, asked: &Asked<T>) -> pb::Refusal {
    use pb::RefusalReason as R;
    let (reason_pb, message) = match reason {
        Refusal::NotOpenYet => (R::NotOpenYet, "the window has not opened yet"),
        Refusal::Closed => (R::Closed, "the window has closed"),
        Refusal::Paused => (R::Paused, "the campaign is paused"),
        Refusal::Full => (R::Full, "all places of the round are taken"),
        Refusal::NotReserved => (R::NotReserved, "a claim needs a place in the round, and this user has none"),
        Refusal::LimitReached => (R::LimitReached, "the user has as many coupons of this campaign as one may have"),
        Refusal::SoldOut => (R::SoldOut, "no coupon is left"),
    };
    let until_open = asked.opens_at.zip(asked.witness).map(|(opens, witness)| duration(opens.since(witness.at)));
    pb::Refusal {
        reason: reason_pb.into(),
        message: message.to_owned(),
        opens_at: asked.opens_at.map(timestamp),
        retry_after: until_open.filter(|_| reason == Refusal::NotOpenYet),
        order_id: String::new(),
        round_id: round_id(asked.round.as_deref()),
        r#final: reason.is_final(),
    }
}

pub(crate) fn redeemed(answer: Redeemed) -> pb::RedeemResponse {
    use pb::redeem_response::Outcome as Pb;
    match answer {
        Redeemed::Yes { redemption, replayed, benefit } => {
            let (free_shipping, gift) = beside_discount(&benefit);
            let redemption = pb::Redemption {
                coupon_id: redemption.coupon.to_string(),
                order_id: redemption.order.to_string(),
                discount: Some(money(redemption.discount)),
                redeemed_at: Some(timestamp(redemption.redeemed_at)),
                campaign_id: redemption.campaign.to_string(),
                user_id: redemption.user.to_string(),
                free_shipping,
                gift: gift.to_owned(),
            };
            pb::RedeemResponse { outcome: Some(Pb::Redemption(redemption)), replayed }
        }
        Redeemed::No(refusal, round) => {
            let round_id = round.map_or_else(String::new, |round| round.to_string());
            let refusal = pb::Refusal { round_id, ..redeem_refusal(refusal) };
            pb::RedeemResponse { outcome: Some(Pb::Refusal(refusal)), replayed: false }
        }
    }
}

fn redeem_refusal(refusal: RedeemRefusal) -> pb::Refusal {
    use pb::RefusalReason as R;
    // A rollback may free a coupon or an order; nothing brings back a cancelled order, a void or an expired coupon.
    let (reason, message, is_final) = match &refusal {
        RedeemRefusal::UnknownCoupon => (R::UnknownCoupon, "this user has no such coupon", true),
        RedeemRefusal::OrderCancelled => (R::OrderCancelled, "the order was cancelled", true),
        RedeemRefusal::OrderMismatch => {
            (R::OrderMismatch, "the order used this coupon with another amount or user", true)
        }
        RedeemRefusal::OrderHasCoupon => (R::OrderHasCoupon, "the order has another coupon", false),
        RedeemRefusal::Void => (R::Void, "the coupon was withdrawn", true),
        RedeemRefusal::AlreadyRedeemed(_) => (R::AlreadyRedeemed, "the coupon is used for another order", false),
        RedeemRefusal::AlreadyHeld(_) => (R::AlreadyHeld, "another order has locked the coupon", false),
        RedeemRefusal::Expired => (R::Expired, "the coupon is past its validity", true),
        RedeemRefusal::CurrencyMismatch => {
            (R::CurrencyMismatch, "the order is in another currency than the benefit", false)
        }
        RedeemRefusal::MinOrderNotMet => (R::MinOrderNotMet, "the order is smaller than the benefit's minimum", false),
    };
    let order_id = match refusal {
        RedeemRefusal::AlreadyRedeemed(order) | RedeemRefusal::AlreadyHeld(order) => order.to_string(),
        _ => String::new(),
    };
    pb::Refusal {
        reason: reason.into(),
        message: message.to_owned(),
        order_id,
        r#final: is_final,
        ..pb::Refusal::default()
    }
}

pub(crate) fn coupon_report(report: CouponReport) -> pb::GetCouponResponse {
    let CouponReport { record, state, code, benefit } = report;
    let coupon = pb::Coupon {
        code: code.reveal().to_owned(),
        benefit: Some(self::benefit(&benefit)),
        ..recorded_coupon(record, state)
    };
    pb::GetCouponResponse { coupon: Some(coupon) }
}

fn recorded_coupon(record: CouponRecord, state: CouponState) -> pb::Coupon {
    pb::Coupon {
        id: record.id.to_string(),
        campaign_id: record.campaign.to_string(),
        round_id: record.id.round.to_string(),
        user_id: record.user.to_string(),
        serial: Some(i64::from(record.id.serial)),
        state: coupon_state(state).into(),
        claimed_at: Some(timestamp(record.claimed_at)),
        expires_at: Some(timestamp(record.expires_at)),
        redeemed_at: record.redeemed_at.map(timestamp),
        order_id: record.order.map(|order| order.to_string()).unwrap_or_default(),
        ..pb::Coupon::default()
    }
}

fn coupon_state(state: CouponState) -> pb::CouponState {
    match state {
        CouponState::Issued => pb::CouponState::Issued,
        CouponState::Held => pb::CouponState::Held,
        CouponState::Redeemed => pb::CouponState::Redeemed,
        CouponState::Expired => pb::CouponState::Expired,
        CouponState::Void => pb::CouponState::Void,
    }
}

pub(crate) fn coupon_page(page: CouponPage, benefits: &[Benefit], limit: u32) -> pb::ListCouponsResponse {
    let CouponPage { coupons, totals, at } = page;
    let full = coupons.len() >= limit as usize;
    let next_page_token = coupons.last().filter(|_| full).map(|last| last.id.to_string()).unwrap_or_default();
    let coupons = coupons.into_iter().zip(benefits).map(|(record, benefit)| {
        let state = record.state_at(at);
        pb::Coupon { benefit: Some(self::benefit(benefit)), ..recorded_coupon(record, state) }
    });
    pb::ListCouponsResponse { coupons: coupons.collect(), next_page_token, counts: Some(counts(totals)) }
}

fn counts(totals: CouponTotals) -> pb::CouponCounts {
    let CouponTotals { issued, held, redeemed, expired, void } = totals;
    pb::CouponCounts {
        total: int(issued + held + redeemed + expired + void),
        issued: int(issued),
        held: int(held),
        redeemed: int(redeemed),
        expired: int(expired),
        void: int(void),
    }
}

pub(crate) fn created(created: Created) -> pb::CreateCampaignResponse {
    match created {
        Created::Campaign(campaign, first) => pb::CreateCampaignResponse {
            campaign: Some(self::campaign(*campaign)),
            first_round: first.map(|first| round(first).0),
        },
        Created::Valid(rules, state) => {
            pb::CreateCampaignResponse { campaign: Some(self::rules(*rules, state)), first_round: None }
        }
    }
}

pub(crate) fn campaign(campaign: Campaign) -> pb::Campaign {
    pb::Campaign {
        id: campaign.id.to_string(),
        etag: campaign.revision.to_string(),
        created_at: Some(timestamp(campaign.created_at)),
        updated_at: Some(timestamp(campaign.updated_at)),
        ..rules(campaign.rules, campaign.state)
    }
}

pub(crate) fn campaign_page(campaigns: Vec<Campaign>, limit: u32) -> pb::ListCampaignsResponse {
    let full = campaigns.len() >= limit as usize;
    let next_page_token = campaigns.last().filter(|_| full).map(|last| last.id.to_string()).unwrap_or_default();
    pb::ListCampaignsResponse { campaigns: campaigns.into_iter().map(campaign).collect(), next_page_token }
}

fn rules(rules: Rules, state: CampaignState) -> pb::Campaign {
    let supply = match rules.supply {
        Supply::Fixed(n) => Some(pb::supply::Rule::Fixed(i64::from(n))),
        Supply::RatioOfPlaces(ratio) => Some(pb::supply::Rule::RatioOfPlaces(pb::Ratio {
            numerator: i32::try_from(ratio.numerator()).unwrap_or(i32::MAX),
            denominator: i32::try_from(ratio.denominator()).unwrap_or(i32::MAX),
            rounding: rounding(ratio.rounding()).into(),
        })),
        Supply::SharedPool => None,
    };
    let until = match rules.validity {
        Validity::At(at) => pb::validity::Until::At(timestamp(at)),
        Validity::AfterClaim(span) => pb::validity::Until::AfterClaim(duration(span)),
    };
    let allocation = match rules.allocation {
        Allocation::FirstCome => pb::Allocation::FirstCome,
        Allocation::Draw => pb::Allocation::Draw,
    };
    pb::Campaign {
        title: rules.title,
        benefit: Some(benefit(&rules.benefit)),
        supply: supply.map(|rule| pb::Supply { rule: Some(rule) }),
        allocation: allocation.into(),
        schedule: Some(schedule(&rules.schedule)),
        reservation_required: rules.reservation_required,
        max_per_user: rules.max_per_user.and_then(|n| i32::try_from(n).ok()),
        validity: Some(pb::Validity { until: Some(until) }),
        state: campaign_state(state).into(),
        metadata: rules.metadata.into_iter().collect(),
        total_limit: rules.total_limit.map(i64::from),
        max_places: rules.max_places.map(i64::from),
        notice_leads: rules.notice_leads.into_iter().map(duration).collect(),
        ..pb::Campaign::default()
    }
}

fn rounding(rounding: Rounding) -> pb::Rounding {
    match rounding {
        Rounding::Floor => pb::Rounding::Floor,
        Rounding::Ceil => pb::Rounding::Ceil,
        Rounding::Nearest => pb::Rounding::Nearest,
    }
}

fn campaign_state(state: CampaignState) -> pb::CampaignState {
    match state {
        CampaignState::Draft => pb::CampaignState::Draft,
        CampaignState::Active => pb::CampaignState::Active,
        CampaignState::Paused => pb::CampaignState::Paused,
        CampaignState::Ended => pb::CampaignState::Ended,
    }
}

fn benefit(benefit: &Benefit) -> pb::Benefit {
    use pb::benefit::Kind;
    let kind = match &benefit.kind {
        BenefitKind::PercentOff(percent) => Kind::PercentOff(i32::from(*percent)),
        BenefitKind::AmountOff(off) => Kind::AmountOff(money(*off)),
        BenefitKind::FreeShipping => Kind::FreeShipping(true),
        BenefitKind::Gift(gift) => Kind::Gift(gift.to_string()),
    };
    pb::Benefit {
        kind: Some(kind),
        min_order: benefit.min_order.map(money),
        max_discount: benefit.max_discount.map(money),
    }
}

fn schedule(schedule: &Schedule) -> pb::Schedule {
    use pb::schedule::Start as Pb;
    let start = match &schedule.start {
        Start::Once(at) => Pb::Once(timestamp(*at)),
        Start::Recurring(recurrence) => Pb::Recurring(pb::Recurrence {
            cron: recurrence.cron().to_owned(),
            time_zone: recurrence.time_zone().to_owned(),
            first: recurrence.first().map(timestamp),
            last: recurrence.last().map(timestamp),
        }),
    };
    pb::Schedule {
        start: Some(start),
        reserve_lead: Some(duration(schedule.reserve_lead)),
        reserve_close_lead: Some(duration(schedule.reserve_close_lead)),
        claim_duration: Some(duration(schedule.claim_duration)),
    }
}

pub(crate) fn round(report: RoundReport) -> (pb::Round, Option<pb::Witness>) {
    let RoundReport { campaign, view, remaining, recovering, witness: seen } = report;
    let phase = match view.phase {
        _ if recovering => pb::RoundPhase::Recovering,
        Phase::Planned => pb::RoundPhase::Planned,
        Phase::Reserving => pb::RoundPhase::Reserving,
        Phase::Waiting => pb::RoundPhase::Waiting,
        Phase::Claiming => pb::RoundPhase::Claiming,
        Phase::Closed => pb::RoundPhase::Closed,
    };
    let spec = view.spec;
    let round = pb::Round {
        id: spec.id.to_string(),
        campaign_id: campaign.to_string(),
        number: i64::from(spec.id.number()),
        phase: phase.into(),
        reserve_opens_at: spec.reserve.map(|window| timestamp(window.opens)),
        reserve_closes_at: spec.reserve.map(|window| timestamp(window.closes)),
        claim_opens_at: Some(timestamp(spec.claim.opens)),
        claim_closes_at: Some(timestamp(spec.claim.closes)),
        places: Some(i64::from(view.places)),
        supply: view.supply.map(i64::from),
        issued: Some(i64::from(view.issued)),
        remaining: remaining.map(int),
        draw_commit: bytes::Bytes::new(),
    };
    (round, seen.map(witness))
}
