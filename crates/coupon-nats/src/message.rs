//! An event as a message.

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use coupon_domain::ports::Event;
use coupon_envelope::{Attributes, DATA_PROTOBUF, encoded};

/// `<prefix>.<kind>.<campaign>`; every kind is two words, and the campaign is made one, since dots divide words.
pub(crate) fn subject(prefix: &str, event: &Event) -> String {
    format!("{prefix}.{}.{}", event.kind.as_str(), event.campaign.as_str().replace('.', "_"))
}

/// The message for this stream, and no other.
pub(crate) fn message(event: &Event, source: &str, stream: &str) -> PublishMessage {
    let mut headers = HeaderMap::new();
    for (name, value) in Attributes::of(event, source).headers() {
        headers.insert(name, value);
    }
    headers.insert("content-type", DATA_PROTOBUF);
    PublishMessage::build()
        .headers(headers)
        .message_id(&event.id)
        .expected_stream(stream)
        .payload(encoded(event).into())
}
