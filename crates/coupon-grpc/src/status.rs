//! The one table from faults to gRPC statuses. The source of a fault is logged here, once, and never sent.

use std::collections::HashMap;
use std::time::Duration;

use coupon_usecases::error::Fault;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use tracing::{error, warn};

use crate::middleware::current_request_id;
use crate::server::MAX_REQUEST;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "coupon.v1";

/// A kind of fault as callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Of the gRPC status.
    pub code: Code,
    /// Of the `ErrorInfo`.
    pub reason: &'static str,
    /// When it happens.
    pub when: &'static str,
    /// Whether a retry may help.
    pub retry: &'static str,
}

macro_rules! kinds {
    ($($name:ident = $code:ident, $when:literal, $retry:literal;)*) => {
        impl Kind {
            $(const $name: Self = Self { code: Code::$code, reason: stringify!($name), when: $when, retry: $retry };)*

            /// Every kind, in the order of the README.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    INVALID_REQUEST = InvalidArgument, "malformed input; `BadRequest` names every wrong field", "no";
    CAMPAIGN_NOT_FOUND = NotFound, "no such campaign", "no";
    ROUND_NOT_FOUND = NotFound, "no such round in this campaign", "no";
    COUPON_NOT_FOUND = NotFound, "GetCoupon: this user has no such coupon; VoidCoupon: there is none", "no";
    UNKNOWN_ORDER = NotFound, "Release, Rollback: this user has no such order", "no";
    PLACE_NOT_FOUND = NotFound, "GetPlace: this user has no place in the round", "no";
    USER_NOT_FOUND = NotFound, "GetUser: the user is not registered", "no";
    SUBSCRIBER_NOT_FOUND = NotFound, "EventService: no such subscriber or outlet", "no";
    TITLE_TAKEN = AlreadyExists, "a campaign that has not ended has the same title and end of validity", "no";
    USER_EXISTS = AlreadyExists, "CreateUser: the user is registered with another name or other metadata", "no";
    ETAG_MISMATCH = Aborted, "UpdateCampaign: the campaign has changed since it was read", "read it again, then update";
    SUBSCRIBER_TAKEN_OVER = Aborted, "Subscribe: another reader has subscribed under this name", "only if that was not wanted";
    REQUEST_ID_REUSED = FailedPrecondition, "this `request_id` was used for another call", "no";
    WRONG_STATE = FailedPrecondition, "the campaign's state does not allow it", "no";
    WRONG_COUPON_STATE = FailedPrecondition, "VoidCoupon: the coupon is HELD, REDEEMED or EXPIRED", "of a held one later";
    RULES_IN_USE = FailedPrecondition, "UpdateCampaign: what is to be changed has a place or a coupon", "no";
    SUPPLY_REFUSED = FailedPrecondition, "AddSupply: the round is over, has its winners fixed, or has no supply of its own", "no";
    NO_DRAW = FailedPrecondition, "the round is not drawn", "no";
    DRAW_NOT_READY = FailedPrecondition, "ExportPlaces: reservation has not closed yet", "later";
    BEACON_REFUSED = FailedPrecondition, "SetBeacon: too early, too late, or set to other bytes", "no";
    CAMPAIGN_HALTED = FailedPrecondition, "the campaign's stores disagree: an operator has to look", "no";
    OVERLOADED = ResourceExhausted, "too many calls wait; certainly not applied", "yes, after `RetryInfo`";
    SLOW_CONSUMER = ResourceExhausted, "WatchRound, Subscribe: nothing was read for 10 s", "yes, with `after`, or as the same subscriber";
    STOPPING = Unavailable, "this instance is being stopped", "yes, with another instance";
    RECOVERING = Unavailable, "the campaign is being recovered", "yes, the same call, after `RetryInfo`";
    STORE_UNAVAILABLE = Unavailable, "a store is away, or the outcome is unknown", "yes, the same call: it is answered like the first";
    DEADLINE = DeadlineExceeded, "no answer before the deadline (5 s unless the call says otherwise); the outcome is unknown", "yes, the same call: it is answered like the first";
    INTERNAL = Internal, "a bug; the request id finds it in the log", "no";
}

/// The kind of a fault, and what a caller may read.
fn classify(fault: &Fault) -> (Kind, String) {
    let kind = match fault {
        Fault::Invalid(_) => Kind::INVALID_REQUEST,
        Fault::UnknownCampaign(_) => Kind::CAMPAIGN_NOT_FOUND,
        Fault::UnknownRound(_) => Kind::ROUND_NOT_FOUND,
        Fault::UnknownCoupon => Kind::COUPON_NOT_FOUND,
        Fault::UnknownOrder => Kind::UNKNOWN_ORDER,
        Fault::UnknownPlace => Kind::PLACE_NOT_FOUND,
        Fault::UnknownUser(_) => Kind::USER_NOT_FOUND,
        Fault::UnknownSubscriber(_) => Kind::SUBSCRIBER_NOT_FOUND,
        Fault::TakenOver => Kind::SUBSCRIBER_TAKEN_OVER,
        Fault::WrongCouponState(_) => Kind::WRONG_COUPON_STATE,
        Fault::TitleTaken(_) => Kind::TITLE_TAKEN,
        Fault::UserExists(_) => Kind::USER_EXISTS,
        Fault::EtagMismatch(_) => Kind::ETAG_MISMATCH,
        Fault::RulesInUse(_) => Kind::RULES_IN_USE,
        Fault::SupplyRefused(_) => Kind::SUPPLY_REFUSED,
        Fault::NoDraw => Kind::NO_DRAW,
        Fault::DrawNotReady => Kind::DRAW_NOT_READY,
        Fault::BeaconRefused(_) => Kind::BEACON_REFUSED,
        Fault::RequestUsed => Kind::REQUEST_ID_REUSED,
        Fault::WrongState { .. } | Fault::Ended => Kind::WRONG_STATE,
        Fault::Halted => Kind::CAMPAIGN_HALTED,
        Fault::Overloaded { .. } => Kind::OVERLOADED,
        Fault::Recovering { .. } => Kind::RECOVERING,
        Fault::Unavailable { .. } => Kind::STORE_UNAVAILABLE,
        Fault::Internal { .. } => Kind::INTERNAL,
    };
    (kind, fault.to_string())
}

/// The status of a fault.
pub(crate) fn of(fault: Fault) -> Status {
    let (kind, mut message) = classify(&fault);
    let mut details = ErrorDetails::new();
    match &fault {
        Fault::Invalid(violations) => {
            message = "these fields are wrong: ".to_owned()
                + &violations.iter().map(|v| format!("{} {}", v.field, v.description)).collect::<Vec<_>>().join("; ");
            details.set_bad_request(
                violations.iter().map(|v| FieldViolation::new(v.field, v.description.clone())).collect::<Vec<_>>(),
            );
        }
        Fault::Overloaded { retry_after } | Fault::Recovering { retry_after } => {
            details.set_retry_info(Some(*retry_after));
        }
        Fault::Unavailable { source } => {
            details.set_retry_info(Some(Duration::from_millis(500)));
            warn!(request = %current_request_id(), error = %with_causes(source.as_ref()), "a store did not answer");
        }
        Fault::Internal { source } => {
            error!(request = %current_request_id(), error = %with_causes(source.as_ref()), "internal error");
        }
        Fault::UnknownCampaign(_)
        | Fault::UnknownRound(_)
        | Fault::UnknownCoupon
        | Fault::UnknownOrder
        | Fault::UnknownPlace
        | Fault::UnknownUser(_)
        | Fault::UnknownSubscriber(_)
        | Fault::TakenOver
        | Fault::WrongCouponState(_)
        | Fault::TitleTaken(_)
        | Fault::UserExists(_)
        | Fault::EtagMismatch(_)
        | Fault::RulesInUse(_)
        | Fault::SupplyRefused(_)
        | Fault::NoDraw
        | Fault::DrawNotReady
        | Fault::BeaconRefused(_)
        | Fault::Ended
        | Fault::RequestUsed
        | Fault::WrongState { .. }
        | Fault::Halted => {}
    }
    build(kind, message, details)
}

/// The status of a call that took longer than it may.
pub(crate) fn deadline_exceeded() -> Status {
    build(Kind::DEADLINE, "no answer before the deadline".to_owned(), ErrorDetails::new())
}

/// The status of a call for which the whole process has no place.
pub(crate) fn overloaded() -> Status {
    of(Fault::Overloaded { retry_after: Duration::from_millis(100) })
}

/// The status of a stream whose consumer does not read.
pub(crate) fn slow_consumer() -> Status {
    build(Kind::SLOW_CONSUMER, "nothing was read for 10 s".to_owned(), ErrorDetails::new())
}

/// The status of a stream that ends with the service.
pub(crate) fn stopping() -> Status {
    build(Kind::STOPPING, "the service is being stopped".to_owned(), ErrorDetails::new())
}

/// tonic calls bytes that it cannot decode an internal error, and too many of them out of range; they are the caller's mistake.
pub(crate) fn of_transport(status: Status) -> Status {
    match status.code() {
        Code::Internal if status.message().starts_with("failed to decode") => unreadable(),
        Code::OutOfRange if status.message().contains("message length too large") => too_large(),
        _ => status,
    }
}

/// A status as a message, for one answer of many.
pub(crate) fn as_message(status: &Status) -> tonic_types::pb::Status {
    let (code, message) = (i32::from(status.code()), status.message().to_owned());
    // The details are this very message, encoded.
    tonic_types::pb::Status::decode(status.details()).unwrap_or(tonic_types::pb::Status {
        code,
        message,
        details: vec![],
    })
}

/// The status of bytes that are no message of the contract.
fn unreadable() -> Status {
    let mut details = ErrorDetails::new();
    details.set_bad_request(vec![FieldViolation::new("", "must be a message of coupon.v1 with text in UTF-8")]);
    build(Kind::INVALID_REQUEST, "the request is not a readable message".to_owned(), details)
}

/// The status of a request with more bytes than it may have.
fn too_large() -> Status {
    let mut details = ErrorDetails::new();
    let limit = format!("must have at most {MAX_REQUEST} bytes");
    details.set_bad_request(vec![FieldViolation::new("", limit.clone())]);
    build(Kind::INVALID_REQUEST, format!("the request {limit}"), details)
}

fn build(kind: Kind, message: String, mut details: ErrorDetails) -> Status {
    metrics::counter!("coupon_faults_total", "reason" => kind.reason).increment(1);
    details.set_error_info(kind.reason, DOMAIN, HashMap::new());
    details.set_request_info(current_request_id(), "");
    Status::with_error_details(kind.code, message, details)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use coupon_domain::ids::SubscriberName;
    use coupon_domain::redemption::CouponState;

    use super::*;

    #[test]
    fn faults_after_the_claim_have_their_statuses() {
        let name = SubscriberName::parse("crm").expect("a name");
        for (fault, code, reason) in [
            (Fault::UnknownOrder, Code::NotFound, "UNKNOWN_ORDER"),
            (Fault::WrongCouponState(CouponState::Held), Code::FailedPrecondition, "WRONG_COUPON_STATE"),
            (Fault::UnknownSubscriber(name), Code::NotFound, "SUBSCRIBER_NOT_FOUND"),
            (Fault::TakenOver, Code::Aborted, "SUBSCRIBER_TAKEN_OVER"),
        ] {
            let text = fault.to_string();
            let status = of(fault);
            let info = status.get_details_error_info().expect("a reason");
            assert_eq!((status.code(), info.reason.as_str(), info.domain.as_str()), (code, reason, DOMAIN));
            assert_eq!(status.message(), text);
        }
    }

    #[test]
    fn every_kind_has_a_reason_of_its_own() {
        let reasons: std::collections::HashSet<_> = Kind::ALL.iter().map(|kind| kind.reason).collect();
        assert_eq!(reasons.len(), Kind::ALL.len());
    }
}
