//! The answers of EventService.

use coupon_domain::ports::{DeadLetter, Event, Subscriber};
use coupon_envelope::message;
use coupon_proto::v1 as pb;

use super::{int, timestamp};

pub(crate) fn delivery((position, event): &(i64, Event)) -> pb::SubscribeResponse {
    pb::SubscribeResponse { position: *position, event: Some(message(event)) }
}

/// Subscribers, each with how far it is behind the end of the feed.
pub(crate) fn subscribers(subscribers: Vec<(Subscriber, i64)>) -> pb::ListSubscribersResponse {
    let subscribers = subscribers.into_iter().map(|(subscriber, behind)| pb::Subscriber {
        name: subscriber.name.to_string(),
        position: subscriber.position,
        behind,
        created_at: Some(timestamp(subscriber.created_at)),
        seen_at: Some(timestamp(subscriber.seen_at)),
    });
    pb::ListSubscribersResponse { subscribers: subscribers.collect() }
}

pub(crate) fn dead_letters(letters: Vec<DeadLetter>, limit: u32) -> pb::ListDeadLettersResponse {
    let full = letters.len() >= limit as usize;
    let next_page_token = letters.last().filter(|_| full).map(|last| last.parked.position.to_string());
    let dead_letters = letters.into_iter().map(|DeadLetter { parked, error, failed_at }| pb::DeadLetter {
        position: parked.position,
        event: Some(message(&parked.event)),
        attempts: i32::try_from(parked.attempts).unwrap_or(i32::MAX),
        error,
        failed_at: Some(timestamp(failed_at)),
    });
    pb::ListDeadLettersResponse {
        dead_letters: dead_letters.collect(),
        next_page_token: next_page_token.unwrap_or_default(),
    }
}

pub(crate) fn replayed(events: u64) -> pb::ReplayEventsResponse {
    pb::ReplayEventsResponse { events: int(events) }
}

#[cfg(test)]
mod tests {
    use coupon_domain::ids::{CampaignId, SubscriberName};
    use coupon_domain::ports::{EventKind, Parked};
    use coupon_domain::time::Timestamp;

    use super::*;

    fn event() -> Event {
        let campaign = CampaignId::parse("c-1").expect("an id");
        Event { id: "c-1-7".to_owned(), ..Event::new(EventKind::CouponRedeemed, campaign, Timestamp::EPOCH) }
    }

    #[test]
    fn an_event_is_delivered_with_its_position() {
        let told = delivery(&(42, event()));
        let event = told.event.expect("an event");
        assert_eq!((told.position, event.id.as_str(), event.kind()), (42, "c-1-7", pb::EventKind::CouponRedeemed));
    }

    #[test]
    fn a_subscriber_says_how_far_it_is_behind() {
        let name = SubscriberName::parse("crm").expect("a name");
        let (created_at, seen_at) = (Timestamp::EPOCH, Timestamp::from_micros(1_000_000));
        let told = subscribers(vec![(Subscriber { name, position: 40, created_at, seen_at }, 2)]);
        let [crm] = told.subscribers.as_slice() else { panic!("one: {told:?}") };
        assert_eq!((crm.name.as_str(), crm.position, crm.behind), ("crm", 40, 2));
        assert_eq!(crm.seen_at.map(|at| at.seconds), Some(1));
    }

    #[test]
    fn a_full_page_of_dead_letters_names_the_position_to_go_on_behind() {
        let letter = |position| DeadLetter {
            parked: Parked { position, event: event(), attempts: 9 },
            error: "410 Gone".to_owned(),
            failed_at: Timestamp::EPOCH,
        };
        let page = |limit| dead_letters(vec![letter(7), letter(12)], limit);
        assert_eq!(page(2).next_page_token, "12");
        let told = page(3);
        assert_eq!(told.next_page_token, "");
        assert_eq!((told.dead_letters[0].attempts, told.dead_letters[0].error.as_str()), (9, "410 Gone"));
    }
}
