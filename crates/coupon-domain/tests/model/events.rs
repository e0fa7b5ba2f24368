//! What events are ordered by, and how their details are spelled.

use std::time::Duration;

use coupon_domain::notice::Notice;
use coupon_domain::ports::{Event, EventDetails, EventFilter, EventKind};
use coupon_domain::redemption::Price;
use serde_json::json;

use crate::build::{campaign, coupon, money, order, round_id, second, user};

fn event() -> Event {
    Event::new(EventKind::CampaignUpdated, campaign("c"), second(0))
}

#[test]
fn events_are_told_in_order_of_what_they_are_about() {
    let (round, id, who) = (Some(round_id(7)), Some(coupon(7, 12)), Some(user("ada")));
    let order = Some(order("o-1"));
    let of_coupon = Event { round, coupon: id, user: who.clone(), order: order.clone(), ..event() };
    let of_cancelled = Event { user: who.clone(), order, ..event() };
    for (event, key) in [
        (event(), "c"),
        (Event { round, ..event() }, "r-7"),
        (Event { round, user: who, ..event() }, "r-7/ada"),
        (Event { coupon: id, ..event() }, "r-7-12"),
        (Event { order: None, ..of_coupon.clone() }, "r-7-12"),
        (of_coupon, "r-7-12"),
        (of_cancelled, "c/o-1"),
    ] {
        assert_eq!(event.key(), key, "{event:?}");
    }
}

#[test]
fn a_kind_has_one_word() {
    let mut words: Vec<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert!(EventKind::ALL.iter().all(|kind| EventKind::from_word(kind.as_str()) == Some(*kind)));
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), EventKind::ALL.len());
    assert_eq!(EventKind::from_word("coupon.lost"), None);
}

#[test]
fn details_are_spelled_without_what_is_not_there() {
    let notice = Notice { lead: Duration::from_secs(86_400), late: true };
    let price = Price { amount: money("EUR", 2000), discount: money("EUR", 400) };
    let whole = EventDetails {
        reason: Some("LAPSED".to_owned()),
        price: Some(price),
        expires_at: Some(second(0)),
        notice: Some(notice),
    };
    let spelled = json!({
        "reason": "LAPSED",
        "price": {
            "amount": { "currency": "EUR", "minor": 2000 },
            "discount": { "currency": "EUR", "minor": 400 },
        },
        "expires_at": second(0).micros(),
        "notice": { "lead": { "secs": 86_400, "nanos": 0 }, "late": true },
    });
    for (details, json) in [(whole, spelled), (EventDetails::default(), json!({}))] {
        assert_eq!(details.is_empty(), json == json!({}));
        assert_eq!(serde_json::to_value(&details).expect("it is JSON"), json);
        assert_eq!(serde_json::from_value::<EventDetails>(json).expect("it is details"), details);
    }
    // A version to come may say more.
    let more = serde_json::from_value::<EventDetails>(json!({ "reason": "x", "more": 1 })).expect("it is details");
    assert_eq!(more, EventDetails { reason: Some("x".to_owned()), ..EventDetails::default() });
}

#[test]
fn a_filter_takes_what_it_names_and_all_if_it_names_nothing() {
    let other = Event { campaign: campaign("d"), ..event() };
    let filter =
        |kinds: &[EventKind], of: Option<&str>| EventFilter { kinds: kinds.to_vec(), campaign: of.map(campaign) };
    for (filter, of_c, of_d) in [
        (EventFilter::default(), true, true),
        (filter(&[EventKind::CampaignUpdated, EventKind::CouponHeld], None), true, true),
        (filter(&[EventKind::CouponHeld], None), false, false),
        (filter(&[], Some("d")), false, true),
        (filter(&[EventKind::CampaignUpdated], Some("c")), true, false),
        (filter(&[EventKind::CouponHeld], Some("c")), false, false),
    ] {
        assert_eq!((filter.takes(&event()), filter.takes(&other)), (of_c, of_d), "{filter:?}");
    }
}
