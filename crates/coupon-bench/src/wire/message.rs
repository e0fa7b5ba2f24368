//! The contract's messages, as much of them as a generator looks at: reading all of each answer would cost more than the service's own work
//! on it. Numbers and types are the contract's, which a test holds against the generated code; what is left out is skipped.

use bytes::Bytes;
use prost::{Message, Oneof};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::tally::Answer;

/// `ReserveRequest` and `ClaimRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Ask {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) campaign_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) round_id: Bytes,
    #[prost(string, tag = "3")]
    pub(crate) user_id: String,
}

/// `ReserveStreamRequest` and `ClaimStreamRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StreamAsk {
    #[prost(message, optional, tag = "2")]
    pub(crate) ask: Option<Ask>,
}

/// A response that is a yes or a no.
pub(crate) trait Outcome: Message + Default + 'static {
    /// What a tally counts of it.
    fn answer(&self) -> Answer;
}

/// `Refusal`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Refusal {
    #[prost(int32, tag = "1")]
    pub(crate) reason: i32,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Fault {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
}

/// `Place`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Place {
    #[prost(int64, optional, tag = "4")]
    pub(crate) ticket: Option<i64>,
}

/// `ReserveResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Reserved {
    #[prost(oneof = "ReservedOutcome", tags = "1, 2")]
    pub(crate) outcome: Option<ReservedOutcome>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ReservedOutcome {
    #[prost(message, tag = "1")]
    Place(Place),
    #[prost(message, tag = "2")]
    Refusal(Refusal),
}

/// `Coupon`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Coupon {
    #[prost(int64, optional, tag = "6")]
    pub(crate) serial: Option<i64>,
}

/// `ClaimResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Claimed {
    #[prost(oneof = "ClaimedOutcome", tags = "1, 2")]
    pub(crate) outcome: Option<ClaimedOutcome>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ClaimedOutcome {
    #[prost(message, tag = "1")]
    Coupon(Coupon),
    #[prost(message, tag = "2")]
    Refusal(Refusal),
}

/// `ReserveStreamResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReservedOfMany {
    #[prost(oneof = "ReservedAnswer", tags = "2, 3")]
    pub(crate) answer: Option<ReservedAnswer>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ReservedAnswer {
    #[prost(message, tag = "2")]
    Reserved(Reserved),
    #[prost(message, tag = "3")]
    Fault(Fault),
}

/// `ClaimStreamResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ClaimedOfMany {
    #[prost(oneof = "ClaimedAnswer", tags = "2, 3")]
    pub(crate) answer: Option<ClaimedAnswer>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum ClaimedAnswer {
    #[prost(message, tag = "2")]
    Claimed(Claimed),
    #[prost(message, tag = "3")]
    Fault(Fault),
}

/// `Redemption`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Redemption {
    #[prost(string, tag = "1")]
    pub(crate) coupon_id: String,
}

/// `RedeemResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Redeemed {
    #[prost(oneof = "RedeemedOutcome", tags = "1, 2")]
    pub(crate) outcome: Option<RedeemedOutcome>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum RedeemedOutcome {
    #[prost(message, tag = "1")]
    Redemption(Redemption),
    #[prost(message, tag = "2")]
    Refusal(Refusal),
}

/// `ExportCouponsResponse`, unread but for how many coupons are in it.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exported {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) coupons: Vec<Bytes>,
}

/// Nothing that the contract allows. It counts as a fault of the service.
const NO_ANSWER: Answer = Answer::Fault(tonic::Code::Internal);

fn number(serial: Option<i64>) -> Answer {
    match serial.and_then(|serial| u64::try_from(serial).ok()) {
        Some(serial) => Answer::Yes(Some(serial)),
        None => NO_ANSWER,
    }
}

impl Outcome for Reserved {
    fn answer(&self) -> Answer {
        match &self.outcome {
            Some(ReservedOutcome::Place(place)) => number(place.ticket),
            Some(ReservedOutcome::Refusal(refusal)) => Answer::No(refusal.reason),
            None => NO_ANSWER,
        }
    }
}

impl Outcome for Claimed {
    fn answer(&self) -> Answer {
        match &self.outcome {
            Some(ClaimedOutcome::Coupon(coupon)) => number(coupon.serial),
            Some(ClaimedOutcome::Refusal(refusal)) => Answer::No(refusal.reason),
            None => NO_ANSWER,
        }
    }
}

impl Outcome for ReservedOfMany {
    fn answer(&self) -> Answer {
        match &self.answer {
            Some(ReservedAnswer::Reserved(reserved)) => reserved.answer(),
            Some(ReservedAnswer::Fault(fault)) => Answer::Fault(fault.code.into()),
            None => NO_ANSWER,
        }
    }
}

impl Outcome for ClaimedOfMany {
    fn answer(&self) -> Answer {
        match &self.answer {
            Some(ClaimedAnswer::Claimed(claimed)) => claimed.answer(),
            Some(ClaimedAnswer::Fault(fault)) => Answer::Fault(fault.code.into()),
            None => NO_ANSWER,
        }
    }
}

impl Outcome for Redeemed {
    fn answer(&self) -> Answer {
        match &self.outcome {
            Some(RedeemedOutcome::Redemption(redemption)) => {
                // `<round_id>-<serial>`
                let serial = redemption.coupon_id.rsplit_once('-').and_then(|(_, serial)| serial.parse().ok());
                number(serial)
            }
            Some(RedeemedOutcome::Refusal(refusal)) => Answer::No(refusal.reason),
            None => NO_ANSWER,
        }
    }
}

impl Outcome for tonic_health::pb::HealthCheckResponse {
    fn answer(&self) -> Answer {
        match self.status() {
            ServingStatus::Serving => Answer::Yes(None),
            ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => {
                Answer::Fault(tonic::Code::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use coupon_proto::v1 as pb;
    use pb::RefusalReason as Reason;

    use super::*;

    /// What a generator understands of a message of the contract.
    fn read<M: Outcome>(message: &impl Message) -> Answer {
        M::decode(message.encode_to_vec().as_slice()).expect("the same wire format").answer()
    }

    fn refusal(reason: Reason) -> pb::Refusal {
        pb::Refusal { reason: reason.into(), message: "no".to_owned(), ..Default::default() }
    }

    fn claimed(outcome: pb::claim_response::Outcome) -> pb::ClaimResponse {
        pb::ClaimResponse { outcome: Some(outcome), replayed: true, witness: Some(pb::Witness::default()) }
    }

    fn reserved(outcome: pb::reserve_response::Outcome) -> pb::ReserveResponse {
        pb::ReserveResponse { outcome: Some(outcome), replayed: true, witness: Some(pb::Witness::default()) }
    }

    fn coupon() -> pb::Coupon {
        pb::Coupon { id: "r-1-7".to_owned(), code: "C".to_owned(), serial: Some(7), ..Default::default() }
    }

    #[test]
    fn claims_are_read_as_the_contract_writes_them() {
        use pb::claim_response::Outcome;
        use pb::claim_stream_response::Answer as Streamed;
        let (yes, no) = (Outcome::Coupon(coupon()), Outcome::Refusal(refusal(Reason::SoldOut)));
        assert_eq!(read::<Claimed>(&claimed(yes.clone())), Answer::Yes(Some(7)));
        assert_eq!(read::<Claimed>(&claimed(no.clone())), Answer::No(Reason::SoldOut.into()));
        let of_many = |answer| pb::ClaimStreamResponse { tag: "t".to_owned(), answer: Some(answer) };
        assert_eq!(read::<ClaimedOfMany>(&of_many(Streamed::Claim(claimed(yes)))), Answer::Yes(Some(7)));
        assert_eq!(read::<ClaimedOfMany>(&of_many(Streamed::Claim(claimed(no)))), Answer::No(Reason::SoldOut.into()));
        let fault = tonic_types::pb::Status { code: 14, message: "away".to_owned(), details: Vec::new() };
        assert_eq!(read::<ClaimedOfMany>(&of_many(Streamed::Fault(fault))), Answer::Fault(tonic::Code::Unavailable));
        assert_eq!(read::<Claimed>(&pb::ClaimResponse::default()), NO_ANSWER);
    }

    #[test]
    fn reservations_are_read_as_the_contract_writes_them() {
        use pb::reserve_response::Outcome;
        use pb::reserve_stream_response::Answer as Streamed;
        let place = pb::Place { ticket: Some(0), user_id: "ada".to_owned(), ..Default::default() };
        let (yes, no) = (Outcome::Place(place), Outcome::Refusal(refusal(Reason::Full)));
        assert_eq!(read::<Reserved>(&reserved(yes.clone())), Answer::Yes(Some(0)));
        assert_eq!(read::<Reserved>(&reserved(no)), Answer::No(Reason::Full.into()));
        let of_many = pb::ReserveStreamResponse { tag: String::new(), answer: Some(Streamed::Reserve(reserved(yes))) };
        assert_eq!(read::<ReservedOfMany>(&of_many), Answer::Yes(Some(0)));
    }

    #[test]
    fn redemptions_are_read_as_the_contract_writes_them() {
        use pb::redeem_response::Outcome;
        let redemption = pb::Redemption { coupon_id: "r-1-70".to_owned(), ..Default::default() };
        let yes = pb::RedeemResponse { outcome: Some(Outcome::Redemption(redemption)), replayed: false };
        assert_eq!(read::<Redeemed>(&yes), Answer::Yes(Some(70)));
        let no = Outcome::Refusal(refusal(Reason::AlreadyRedeemed));
        let no = pb::RedeemResponse { outcome: Some(no), replayed: false };
        assert_eq!(read::<Redeemed>(&no), Answer::No(Reason::AlreadyRedeemed.into()));
    }

    #[test]
    fn requests_are_written_as_the_contract_reads_them() {
        let ask = Ask { campaign_id: "c".into(), round_id: "r".into(), user_id: "u-1".into() };
        let claim = pb::ClaimRequest::decode(ask.encode_to_vec().as_slice()).expect("a request");
        assert_eq!((claim.campaign_id.as_str(), claim.round_id.as_str(), claim.user_id.as_str()), ("c", "r", "u-1"));
        let reserve = pb::ReserveRequest::decode(ask.encode_to_vec().as_slice()).expect("a request");
        assert_eq!((reserve.campaign_id.as_str(), reserve.user_id.as_str()), ("c", "u-1"));
        let many = StreamAsk { ask: Some(ask) }.encode_to_vec();
        let claims = pb::ClaimStreamRequest::decode(many.as_slice()).expect("a request");
        assert_eq!(claims.claim.expect("a claim"), claim);
        let reservations = pb::ReserveStreamRequest::decode(many.as_slice()).expect("a request");
        assert_eq!(reservations.reserve.expect("a reservation"), reserve);
    }

    #[test]
    fn exported_coupons_are_counted_unread() {
        let page = pb::ExportCouponsResponse { coupons: vec![coupon(), coupon()] };
        let read = Exported::decode(page.encode_to_vec().as_slice()).expect("a page");
        assert_eq!(read.coupons.len(), 2);
    }
}
