//! The calls of EventService.

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{EventFilter, EventKind};
use coupon_proto::v1 as pb;
use coupon_usecases::delivery::{OUTLET_PREFIX, Replay};
use coupon_usecases::error::Fault;
use coupon_usecases::feed::SubscribeCall;

use super::Fields;

const DEFAULT_UNACKNOWLEDGED: u32 = 1000;
const MAX_UNACKNOWLEDGED: u32 = 10_000;

pub(crate) fn subscribe(request: &pb::SubscribeRequest) -> Result<SubscribeCall, Fault> {
    let mut fields = Fields::default();
    let name = match request.subscriber.as_str() {
        "" => Some(None),
        name => reader(name, &mut fields).map(Some),
    };
    let after = request.after.map(|after| position("after", after, &mut fields));
    let kinds = kinds(&request.kinds, &mut fields);
    let campaign = fields.some_campaign_id(&request.campaign_id);
    let max_unacknowledged = match u32::try_from(request.max_unacknowledged) {
        Ok(0) => Some(DEFAULT_UNACKNOWLEDGED),
        Ok(max) if max <= MAX_UNACKNOWLEDGED => Some(max),
        Ok(_) | Err(_) => fields.keep("max_unacknowledged", Err("must be 1 to 10000, or 0 for 1000")),
    };
    let call = name.zip(campaign).zip(max_unacknowledged).map(|((name, campaign), max_unacknowledged)| SubscribeCall {
        name,
        after: after.flatten(),
        filter: EventFilter { kinds, campaign },
        max_unacknowledged,
    });
    fields.done(call)
}

/// Outlets keep their places themselves: a reader under the name of one would make it lose events.
fn reader(raw: &str, fields: &mut Fields) -> Option<SubscriberName> {
    if raw.starts_with(OUTLET_PREFIX) {
        fields.wrong("subscriber", format!("must not begin with `{OUTLET_PREFIX}`, as the service's own do"));
    }
    fields.keep("subscriber", SubscriberName::parse(raw))
}

fn position(field: &'static str, raw: i64, fields: &mut Fields) -> Option<i64> {
    fields.keep(field, Some(raw).filter(|position| *position >= 0).ok_or("must not be negative"))
}

/// Each kind once.
fn kinds(raw: &[i32], fields: &mut Fields) -> Vec<EventKind> {
    let known: Option<Vec<_>> =
        raw.iter().map(|kind| pb::EventKind::try_from(*kind).ok().and_then(self::kind)).collect();
    let Some(named) = known else {
        fields.wrong("kinds", "has one that is not a kind of coupon.v1");
        return Vec::new();
    };
    EventKind::ALL.into_iter().filter(|kind| named.contains(kind)).collect()
}

fn kind(kind: pb::EventKind) -> Option<EventKind> {
    use pb::EventKind as K;
    match kind {
        K::Unspecified => None,
        K::CampaignCreated => Some(EventKind::CampaignCreated),
        K::CampaignUpdated => Some(EventKind::CampaignUpdated),
        K::CampaignStateChanged => Some(EventKind::CampaignStateChanged),
        K::RoundOpened => Some(EventKind::RoundOpened),
        K::RoundPhaseChanged => Some(EventKind::RoundPhaseChanged),
        K::RoundDrawn => Some(EventKind::RoundDrawn),
        K::RoundSupplyAdded => Some(EventKind::RoundSupplyAdded),
        K::PlaceReserved => Some(EventKind::PlaceReserved),
        K::CouponIssued => Some(EventKind::CouponIssued),
        K::CouponHeld => Some(EventKind::CouponHeld),
        K::CouponReleased => Some(EventKind::CouponReleased),
        K::CouponRedeemed => Some(EventKind::CouponRedeemed),
        K::CouponRolledBack => Some(EventKind::CouponRolledBack),
        K::OrderCancelled => Some(EventKind::OrderCancelled),
        K::CouponVoided => Some(EventKind::CouponVoided),
        K::CouponExpired => Some(EventKind::CouponExpired),
        K::CouponExpiring => Some(EventKind::CouponExpiring),
    }
}

pub(crate) fn acknowledge(request: &pb::AcknowledgeRequest) -> Result<(SubscriberName, i64), Fault> {
    let mut fields = Fields::default();
    let name = reader(&request.subscriber, &mut fields);
    let position = position("position", request.position, &mut fields);
    fields.done(name.zip(position))
}

pub(crate) fn delete_subscriber(request: &pb::DeleteSubscriberRequest) -> Result<SubscriberName, Fault> {
    let mut fields = Fields::default();
    let name = fields.keep("subscriber", SubscriberName::parse(&request.subscriber));
    fields.done(name)
}

pub(crate) fn list_dead_letters(request: &pb::ListDeadLettersRequest) -> Result<(SubscriberName, i64, u32), Fault> {
    let mut fields = Fields::default();
    let outlet = fields.keep("outlet", SubscriberName::parse(&request.outlet));
    let limit = fields.page_size(request.page_size);
    let after = fields.page_token(&request.page_token, str::parse).unwrap_or(0);
    fields.done(outlet.map(|outlet| (outlet, after, limit)))
}

pub(crate) fn replay_events(request: &pb::ReplayEventsRequest) -> Result<(SubscriberName, Replay), Fault> {
    use pb::replay_events_request::What;
    let mut fields = Fields::default();
    let outlet = fields.keep("outlet", SubscriberName::parse(&request.outlet));
    let what = match request.what {
        Some(What::DeadLetters(true)) => Some(Replay::DeadLetters),
        Some(What::DeadLetters(false)) => fields.keep("dead_letters", Err("must be true")),
        Some(What::After(after)) => position("after", after, &mut fields).map(Replay::Behind),
        None => fields.keep("dead_letters", Err("is required, or after")),
    };
    fields.done(outlet.zip(what))
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;

    #[test]
    fn a_subscription_needs_nothing() {
        let call = subscribe(&pb::SubscribeRequest::default()).expect("a sound call");
        assert_eq!((call.name, call.after, call.max_unacknowledged), (None, None, 1000));
        assert_eq!(call.filter, EventFilter::default());
    }

    #[test]
    fn every_kind_of_the_contract_is_one_of_the_domain() {
        let all: Vec<i32> = (1..).map_while(|n| pb::EventKind::try_from(n).ok()).map(i32::from).collect();
        let call = subscribe(&pb::SubscribeRequest { kinds: all, ..Default::default() }).expect("a sound call");
        assert_eq!(call.filter.kinds, EventKind::ALL);
    }

    #[test]
    fn a_kind_that_is_named_twice_is_asked_for_once() {
        let kinds = vec![pb::EventKind::CouponRedeemed.into(); 100];
        let call = subscribe(&pb::SubscribeRequest { kinds, ..Default::default() }).expect("a sound call");
        assert_eq!(call.filter.kinds, [EventKind::CouponRedeemed]);
    }

    #[test]
    fn every_wrong_field_of_a_subscription_is_named_at_once() {
        let odd = pb::SubscribeRequest {
            subscriber: "a b".to_owned(),
            after: Some(-1),
            kinds: vec![18],
            campaign_id: "{}".to_owned(),
            max_unacknowledged: 10_001,
        };
        assert_eq!(wrong(subscribe(&odd)), ["subscriber", "after", "kinds", "campaign_id", "max_unacknowledged"]);
        let request = |kinds: &[i32], max_unacknowledged| pb::SubscribeRequest {
            kinds: kinds.to_vec(),
            max_unacknowledged,
            ..Default::default()
        };
        assert_eq!(wrong(subscribe(&request(&[0], -1))), ["kinds", "max_unacknowledged"]);
        assert_eq!(subscribe(&request(&[], 10_000)).expect("a sound call").max_unacknowledged, 10_000);
    }

    #[test]
    fn a_position_is_acknowledged_by_a_subscriber() {
        let request =
            |subscriber: &str, position| pb::AcknowledgeRequest { subscriber: subscriber.to_owned(), position };
        assert_eq!(acknowledge(&request("crm", 7)).expect("a sound call").1, 7);
        assert_eq!(wrong(acknowledge(&request("", -1))), ["subscriber", "position"]);
        assert_eq!(wrong(acknowledge(&request("outlet:crm", 7))), ["subscriber"]);
        assert_eq!(wrong(delete_subscriber(&pb::DeleteSubscriberRequest::default())), ["subscriber"]);
    }

    #[test]
    fn nobody_reads_under_the_name_of_an_outlet() {
        let subscriber = "outlet:crm".to_owned();
        assert_eq!(wrong(subscribe(&pb::SubscribeRequest { subscriber, ..Default::default() })), ["subscriber"]);
        let subscriber = "outlet:crm".to_owned();
        delete_subscriber(&pb::DeleteSubscriberRequest { subscriber }).expect("a sound call");
    }

    #[test]
    fn dead_letters_are_paged_by_their_positions() {
        let request = |page_token: &str, page_size| pb::ListDeadLettersRequest {
            outlet: "outlet:crm".to_owned(),
            page_size,
            page_token: page_token.to_owned(),
        };
        let (_, after, limit) = list_dead_letters(&request("", 0)).expect("a sound call");
        assert_eq!((after, limit), (0, 50));
        assert_eq!(list_dead_letters(&request("12", 7)).expect("a sound call").1, 12);
        assert_eq!(wrong(list_dead_letters(&request("x", 1001))), ["page_size", "page_token"]);
    }

    #[test]
    fn a_replay_says_of_what() {
        use pb::replay_events_request::What;
        let request = |what| pb::ReplayEventsRequest { outlet: "outlet:crm".to_owned(), what };
        let parsed = |what| replay_events(&request(Some(what))).expect("a sound call").1;
        assert!(matches!(parsed(What::DeadLetters(true)), Replay::DeadLetters));
        assert!(matches!(parsed(What::After(0)), Replay::Behind(0)));
        assert_eq!(wrong(replay_events(&request(None))), ["dead_letters"]);
        assert_eq!(wrong(replay_events(&request(Some(What::DeadLetters(false))))), ["dead_letters"]);
        assert_eq!(wrong(replay_events(&request(Some(What::After(-1))))), ["after"]);
        assert_eq!(wrong(replay_events(&pb::ReplayEventsRequest::default())), ["outlet", "dead_letters"]);
    }
}
