//! The answers of CouponService.

use coupon_domain::answer::{Issued, Outcome, Place, Refusal};
use coupon_domain::benefit::Benefit;
use coupon_domain::checkout::CheckoutRefusal;
use coupon_domain::code::Code;
use coupon_domain::ids::{CouponId, RoundId};
use coupon_domain::ports::{CouponPage, CouponTotals};
use coupon_domain::redemption::{CouponRecord, CouponState, OrderState};
use coupon_domain::round::RoundSpec;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::{Ask, Asked};
use coupon_usecases::checkout::{Holding, OrderAnswer, Redeemed, beside_discount};
use coupon_usecases::claim::Claimed;
use coupon_usecases::coupons::CouponReport;
use coupon_usecases::draws::PlaceReport;
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

pub(crate) fn reserved_of_many(tag: String, call: &Ask, answer: Reserved) -> pb::ReserveStreamResponse {
    use pb::reserve_stream_response::Answer;
    pb::ReserveStreamResponse { tag, answer: Some(Answer::Reserve(reserved(call, answer))) }
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

pub(crate) fn claimed_of_many(tag: String, call: &Ask, answer: Claimed) -> pb::ClaimStreamResponse {
    use pb::claim_stream_response::Answer;
    pb::ClaimStreamResponse { tag, answer: Some(Answer::Claim(claimed(call, answer))) }
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

pub(crate) fn held(answer: Holding) -> pb::HoldResponse {
    use pb::hold_response::Outcome as Pb;
    match answer {
        Holding::Yes { held, replayed } => {
            let hold = pb::Hold {
                coupon_id: held.coupon.to_string(),
                campaign_id: held.campaign.to_string(),
                order_id: held.order.to_string(),
                user_id: held.user.to_string(),
                expires_at: Some(timestamp(held.until)),
            };
            pb::HoldResponse { outcome: Some(Pb::Hold(hold)), replayed }
        }
        Holding::No(refusal, round) => {
            pb::HoldResponse { outcome: Some(Pb::Refusal(checkout_refusal(refusal, round))), replayed: false }
        }
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
            pb::RedeemResponse { outcome: Some(Pb::Refusal(checkout_refusal(refusal, round))), replayed: false }
        }
    }
}

/// Of Hold and Redeem.
fn checkout_refusal(refusal: CheckoutRefusal, round: Option<RoundId>) -> pb::Refusal {
    use pb::RefusalReason as R;
    // A release or rollback may free a coupon or an order; nothing brings back a cancelled order, a void or an expired coupon.
    let (reason, message, is_final) = match &refusal {
        CheckoutRefusal::UnknownCoupon => (R::UnknownCoupon, "this user has no such coupon", true),
        CheckoutRefusal::OrderCancelled => (R::OrderCancelled, "the order was cancelled", true),
        CheckoutRefusal::OrderMismatch => {
            (R::OrderMismatch, "the order used this coupon with another amount or user", true)
        }
        CheckoutRefusal::OrderHasCoupon => (R::OrderHasCoupon, "the order has another coupon", false),
        CheckoutRefusal::Void => (R::Void, "the coupon was withdrawn", true),
        CheckoutRefusal::AlreadyRedeemed(_) => (R::AlreadyRedeemed, "the coupon is used for the named order", false),
        CheckoutRefusal::AlreadyHeld(_) => (R::AlreadyHeld, "another order has locked the coupon", false),
        CheckoutRefusal::Expired => (R::Expired, "the coupon is past its validity", true),
        CheckoutRefusal::CurrencyMismatch => {
            (R::CurrencyMismatch, "the order is in another currency than the benefit", false)
        }
        CheckoutRefusal::MinOrderNotMet => {
            (R::MinOrderNotMet, "the order is smaller than the benefit's minimum", false)
        }
        // Of Release, Rollback and Void, for which they are states and faults.
        CheckoutRefusal::UnknownOrder | CheckoutRefusal::OrderIs(_) | CheckoutRefusal::CouponIs(_) => {
            (R::Unspecified, "the state of coupon or order does not allow it", false)
        }
    };
    let order_id = match refusal {
        CheckoutRefusal::AlreadyRedeemed(order) | CheckoutRefusal::AlreadyHeld(order) => order.to_string(),
        _ => String::new(),
    };
    pb::Refusal {
        reason: reason.into(),
        message: message.to_owned(),
        order_id,
        round_id: round.map_or_else(String::new, |round| round.to_string()),
        r#final: is_final,
        ..pb::Refusal::default()
    }
}

pub(crate) fn released(OrderAnswer { state, replayed }: OrderAnswer) -> pb::ReleaseResponse {
    pb::ReleaseResponse { state: order_state(state).into(), replayed }
}

pub(crate) fn rolled_back(OrderAnswer { state, replayed }: OrderAnswer) -> pb::RollbackResponse {
    pb::RollbackResponse { state: order_state(state).into(), replayed }
}

fn order_state(state: OrderState) -> pb::OrderState {
    match state {
        OrderState::Held => pb::OrderState::Held,
        OrderState::Redeemed => pb::OrderState::Redeemed,
        OrderState::Released => pb::OrderState::Released,
        OrderState::Cancelled => pb::OrderState::Cancelled,
    }
}

/// For its owner.
pub(crate) fn coupon_report(report: CouponReport) -> pb::GetCouponResponse {
    let code = report.code.reveal().to_owned();
    let coupon = pb::Coupon { code, ..coupon_without_code(report) };
    pb::GetCouponResponse { coupon: Some(coupon) }
}

/// For everybody else.
pub(crate) fn coupon_without_code(report: CouponReport) -> pb::Coupon {
    let CouponReport { record, state, code: _, benefit } = report;
    pb::Coupon { benefit: Some(super::benefit(&benefit)), ..recorded_coupon(record, state) }
}

/// `state` is where it stands now: a hold that is over locks it for no order any more.
fn recorded_coupon(record: CouponRecord, state: CouponState) -> pb::Coupon {
    let lapsed = record.state == CouponState::Held && state != CouponState::Held;
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
        order_id: record.order.filter(|_| !lapsed).map(|order| order.to_string()).unwrap_or_default(),
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
    let full = page.coupons.len() >= limit as usize;
    let next_page_token = page.coupons.last().filter(|_| full).map(|last| last.id.to_string()).unwrap_or_default();
    let counts = page.totals.map(counts);
    pb::ListCouponsResponse { coupons: recorded_coupons(page, benefits), next_page_token, counts }
}

/// Without codes.
pub(crate) fn recorded_coupons(page: CouponPage, benefits: &[Benefit]) -> Vec<pb::Coupon> {
    let CouponPage { coupons, totals: _, at } = page;
    let coupons = coupons.into_iter().zip(benefits).map(|(record, benefit)| {
        let state = record.state_at(at);
        pb::Coupon { benefit: Some(super::benefit(benefit)), ..recorded_coupon(record, state) }
    });
    coupons.collect()
}

pub(crate) fn place_report(call: &Ask, report: &PlaceReport) -> pb::GetPlaceResponse {
    let PlaceReport { view, place, receipt, rank, inclusion_proof } = report;
    pb::GetPlaceResponse {
        place: Some(self::place(call, Some(&view.delayed_spec()), *place, Some(*receipt))),
        rank: rank.map(i64::from),
        inclusion_proof: inclusion_proof.iter().map(hash).collect(),
    }
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

#[cfg(test)]
mod tests {
    use coupon_domain::checkout::Held;
    use coupon_domain::ids::{CampaignId, OrderId, UserId};
    use coupon_domain::time::Timestamp;

    use super::*;

    fn order() -> OrderId {
        OrderId::parse("o-1").expect("an id")
    }

    fn coupon() -> CouponId {
        CouponId::parse("r-7-0").expect("an id")
    }

    fn refusal(refusal: CheckoutRefusal) -> pb::Refusal {
        match held(Holding::No(refusal, Some(coupon().round))).outcome {
            Some(pb::hold_response::Outcome::Refusal(refusal)) => refusal,
            other => panic!("a refusal: {other:?}"),
        }
    }

    #[test]
    fn a_hold_says_until_when() {
        let held = Held {
            coupon: coupon(),
            campaign: CampaignId::parse("c-1").expect("an id"),
            user: UserId::parse("ada").expect("an id"),
            order: order(),
            until: Timestamp::from_micros(5_000_000),
        };
        let told = self::held(Holding::Yes { held, replayed: true });
        let Some(pb::hold_response::Outcome::Hold(hold)) = told.outcome else { panic!("a hold: {told:?}") };
        assert_eq!((hold.coupon_id.as_str(), hold.order_id.as_str(), told.replayed), ("r-7-0", "o-1", true));
        assert_eq!(hold.expires_at.map(|at| at.seconds), Some(5));
    }

    #[test]
    fn a_refusal_names_round_and_order_and_whether_it_is_final() {
        let told = refusal(CheckoutRefusal::AlreadyHeld(order()));
        assert_eq!((told.reason(), told.order_id.as_str()), (pb::RefusalReason::AlreadyHeld, "o-1"));
        assert_eq!((told.round_id.as_str(), told.r#final), ("r-7", false));
        let told = refusal(CheckoutRefusal::OrderCancelled);
        assert_eq!((told.reason(), told.order_id.as_str()), (pb::RefusalReason::OrderCancelled, ""));
        assert!(told.r#final);
    }

    #[test]
    fn an_order_answers_where_it_stands() {
        let told = released(OrderAnswer { state: OrderState::Redeemed, replayed: false });
        assert_eq!((told.state(), told.replayed), (pb::OrderState::Redeemed, false));
        let told = rolled_back(OrderAnswer { state: OrderState::Cancelled, replayed: true });
        assert_eq!((told.state(), told.replayed), (pb::OrderState::Cancelled, true));
    }

    #[test]
    fn a_hold_that_is_over_shows_no_order() {
        let record = CouponRecord {
            id: coupon(),
            campaign: CampaignId::parse("c-1").expect("an id"),
            user: UserId::parse("ada").expect("an id"),
            state: CouponState::Held,
            claimed_at: Timestamp::EPOCH,
            expires_at: Timestamp::from_micros(9_000_000),
            order: Some(order()),
            held_until: Some(Timestamp::from_micros(5_000_000)),
            redeemed_at: None,
        };
        let told = |at| {
            let at = Timestamp::from_micros(at);
            let told = recorded_coupon(record.clone(), record.state_at(at));
            (told.state(), told.order_id)
        };
        assert_eq!(told(4_999_999), (pb::CouponState::Held, "o-1".to_owned()));
        assert_eq!(told(5_000_000), (pb::CouponState::Issued, String::new()));
        assert_eq!(told(9_000_000), (pb::CouponState::Expired, String::new()));
    }

    #[test]
    fn counts_are_told_of_a_user_only() {
        let page = |totals| CouponPage { coupons: vec![], totals, at: Timestamp::EPOCH };
        assert_eq!(coupon_page(page(None), &[], 50).counts, None);
        let totals = CouponTotals { held: 1, void: 2, ..CouponTotals::default() };
        let counts = coupon_page(page(Some(totals)), &[], 50).counts.expect("counts");
        assert_eq!((counts.total, counts.held, counts.void), (3, 1, 2));
    }
}
