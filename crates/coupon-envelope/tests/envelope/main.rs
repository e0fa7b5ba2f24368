//! What receivers get, of an event of each kind.

use coupon_domain::ports::EventKind;
use coupon_domain::time::Timestamp;
use coupon_envelope::{Attributes, encoded, event, event_of_json, json, message, source, structured};
use coupon_testkit::contract::publisher::samples::of_kind;
use prost::Message as _;

#[test]
fn an_event_of_each_kind_as_a_document() {
    let documents: Vec<_> = EventKind::ALL
        .into_iter()
        .map(|kind| {
            let document = structured(&of_kind(kind), &source("5f3c"));
            let document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
            serde_json::to_string_pretty(&document).expect("JSON")
        })
        .collect();
    insta::assert_snapshot!(documents.join("\n"));
}

#[test]
fn an_event_of_each_kind_as_headers() {
    let headers: Vec<_> = EventKind::ALL
        .into_iter()
        .map(|kind| {
            let (event, source) = (of_kind(kind), source("5f3c"));
            let lines = Attributes::of(&event, &source).headers().map(|(name, value)| format!("{name}: {value}"));
            lines.join("\n")
        })
        .collect();
    insta::assert_snapshot!(headers.join("\n\n"));
}

#[test]
fn an_event_of_each_kind_is_read_as_it_was_written() {
    for kind in EventKind::ALL {
        let written = of_kind(kind);
        let decoded = coupon_proto::v1::Event::decode(encoded(&written).as_slice()).expect("protobuf");
        assert_eq!(decoded, message(&written));
        assert_eq!(event(&decoded).as_ref(), Ok(&written));
        assert_eq!(event_of_json(&json(&written)).as_ref(), Ok(&written));
    }
}

#[test]
fn an_instant_beyond_protobufs_range_is_told_as_the_nearest_one() {
    let mut event = of_kind(EventKind::CouponIssued);
    event.at = Timestamp::from_micros(i64::MAX);
    assert_eq!(json(&event)["at"], "9999-12-31T23:59:59.999999Z");
    event.at = Timestamp::from_micros(i64::MIN);
    assert_eq!(json(&event)["at"], "0001-01-01T00:00:00Z");
}
