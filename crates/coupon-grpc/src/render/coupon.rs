//! The answers of CouponService.

use coupon_domain::answer::{Issued, Outcome, Place, Refusal};
use coupon_domain::benefit::Benefit;
use coupon_domain::code::Code;
use coupon_domain::ids::CouponId;
use coupon_domain::ports::{CouponPage, CouponTotals};
use coupon_domain::redemption::{CouponRecord, CouponState, RedeemRefusal};
use coupon_domain::round::RoundSpec;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::{Ask, Asked};
use coupon_usecases::claim::Claimed;
use coupon_usecases::coupons::CouponReport;
use coupon_usecases::draws::PlaceReport;
use coupon_usecases::redeem::{Redeemed, beside_discount};
use coupon_usecases::reserve::Reserved;

use super::{duration, hash, int, money, timestamp, witness};

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

pub(super) fn refusal_reason(refusal: Refusal) -> pb::RefusalReason {
    use pb::RefusalReason as R;
    match refusal {
        Refusal::NotOpenYet => R::NotOpenYet,
        Refusal::Closed => R::Closed,
        Refusal::Paused => R::Paused,
        Refusal::UnknownUser => R::UnknownUser,
        Refusal::Full => R::Full,
        Refusal::NotReserved => R::NotReserved,
        Refusal::LimitReached => R::LimitReached,
        Refusal::DrawPending => R::DrawPending,
        Refusal::NotDrawn => R::NotDrawn,
        Refusal::SoldOut => R::SoldOut,
    }
}

fn gate_refusal<T>(reason: Refusal, asked: &Asked<T>) -> pb::Refusal {
    let message = match reason {
        Refusal::NotOpenYet => "the window has not opened yet",
        Refusal::Closed => "the window has closed",
        Refusal::Paused => "the campaign is paused",
        Refusal::UnknownUser => "the campaign is for registered users, and this one is not",
        Refusal::Full => "all places of the round are taken",
        Refusal::NotReserved => "a claim needs a place in the round, and this user has none",
        Refusal::LimitReached => "the user has as many coupons of this campaign as one may have",
        Refusal::DrawPending => "the winners are being drawn",
        Refusal::NotDrawn => "the place was drawn and has not won",
        Refusal::SoldOut => "no coupon is left",
    };
    let until_open = asked.opens_at.zip(asked.witness).map(|(opens, witness)| duration(opens.since(witness.at)));
    pb::Refusal {
        reason: refusal_reason(reason).into(),
        message: message.to_owned(),
        opens_at: asked.opens_at.map(timestamp),
        retry_after: until_open.filter(|_| reason == Refusal::NotOpenYet).or(asked.retry_after.map(duration)),
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
        benefit: Some(super::benefit(&benefit)),
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
        pb::Coupon { benefit: Some(super::benefit(benefit)), ..recorded_coupon(record, state) }
    });
    pb::ListCouponsResponse { coupons: coupons.collect(), next_page_token, counts: Some(counts(totals)) }
}

pub(crate) fn place_report(call: &Ask, report: &PlaceReport) -> pb::GetPlaceResponse {
    let PlaceReport { view, place, receipt, rank, inclusion_proof } = report;
    pb::GetPlaceResponse {
        place: Some(self::place(call, Some(&view.delayed_spec()), *place, Some(*receipt))),
        rank: rank.map(i64::from),
        inclusion_proof: inclusion_proof.iter().map(hash).collect(),
    }
}

pub(super) fn counts(totals: CouponTotals) -> pb::CouponCounts {
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
