//! CloudEvents 1.0.

use chrono::{DateTime, SecondsFormat};
use coupon_domain::ports::Event;
use coupon_domain::time::Timestamp;
use serde_json::json;

/// The content type of [`structured`].
pub const CLOUD_EVENTS_JSON: &str = "application/cloudevents+json; charset=utf-8";
/// The content type of data in JSON.
pub const DATA_JSON: &str = "application/json";
/// The content type of data in protobuf.
pub const DATA_PROTOBUF: &str = "application/protobuf";

/// The attribute `source` of an installation's events.
#[must_use]
pub fn source(installation: &str) -> String {
    format!("/coupon/{installation}")
}

/// What CloudEvents says of an event beside its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// The event's id: with the source it is unique, and repeats have the same.
    pub id: &'a str,
    /// See [`source`].
    pub source: &'a str,
    /// The kind.
    pub kind: String,
    /// What it is about: the coupon, else the round, else the order, else the campaign.
    pub subject: String,
    /// When it happened.
    pub time: String,
}

impl<'a> Attributes<'a> {
    /// Those of this event.
    #[must_use]
    pub fn of(event: &'a Event, source: &'a str) -> Self {
        Self {
            id: &event.id,
            source,
            kind: format!("coupon.v1.{}", event.kind.as_str()),
            subject: subject(event),
            time: rfc3339(event.at),
        }
    }

    /// The headers of binary mode, in the order of this list; the content type is not among them.
    #[must_use]
    pub fn headers(&self) -> [(&'static str, &str); 6] {
        [
            ("ce-specversion", "1.0"),
            ("ce-id", self.id),
            ("ce-source", self.source),
            ("ce-type", &self.kind),
            ("ce-subject", &self.subject),
            ("ce-time", &self.time),
        ]
    }
}

/// The event as a JSON document, of content type [`CLOUD_EVENTS_JSON`].
#[must_use]
pub fn structured(event: &Event, source: &str) -> Vec<u8> {
    let Attributes { id, source, kind, subject, time } = Attributes::of(event, source);
    let document = json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": time,
        "datacontenttype": DATA_JSON,
        "data": crate::json(event),
    });
    document.to_string().into_bytes()
}

fn subject(event: &Event) -> String {
    match (&event.coupon, &event.round, &event.order) {
        (Some(coupon), ..) => coupon.to_string(),
        (None, Some(round), _) => round.to_string(),
        (None, None, Some(order)) => order.to_string(),
        (None, None, None) => event.campaign.to_string(),
    }
}

fn rfc3339(at: Timestamp) -> String {
    let at = DateTime::from_timestamp_micros(at.micros()).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
