//! Messages of the contract in their canonical JSON form, one a line.

use std::io::{self, Write};

use anyhow::Context as _;
use coupon_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde::Serialize as _;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

use super::unwritten;

/// Writes messages of one type. What a newer service adds to them is left out.
pub(super) struct Json(MessageDescriptor);

impl Json {
    /// For messages of this type, as `Coupon`.
    pub(super) fn of(name: &str) -> anyhow::Result<Self> {
        let contract = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
        let message = contract.get_message_by_name(&format!("coupon.v1.{name}"));
        Ok(Self(message.with_context(|| format!("the contract has no {name}"))?))
    }

    /// The message in one line, without its end.
    pub(super) fn line(&self, message: &impl Message) -> anyhow::Result<String> {
        let dynamic = DynamicMessage::decode(self.0.clone(), message.encode_to_vec().as_slice())?;
        let mut line = Vec::new();
        let written = dynamic.serialize(&mut Serializer::with_formatter(&mut line, WholeNumbers));
        written.context("the service's answer has no JSON form")?;
        Ok(String::from_utf8(line)?)
    }

    /// Prints these messages at once.
    pub(super) fn print<M: Message>(&self, messages: &[M]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        for message in messages {
            writeln!(out, "{}", self.line(message)?).map_err(unwritten)?;
        }
        out.flush().map_err(unwritten)
    }
}

/// Numbers of a `Struct` are all doubles: those that are whole are written so.
struct WholeNumbers;

impl Formatter for WholeNumbers {
    fn write_f64<W: Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        /// 2^53: beyond it not every whole number is a double.
        const LARGEST: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= LARGEST {
            write!(writer, "{value:.0}")
        } else {
            CompactFormatter.write_f64(writer, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use coupon_proto::v1 as pb;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_message_has_its_canonical_form() {
        let event = pb::Event {
            id: "c-1-7".to_owned(),
            kind: pb::EventKind::CouponExpiring.into(),
            campaign_id: "c-1".to_owned(),
            at: Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }),
            lead: Some(prost_types::Duration { seconds: 604_800, nanos: 0 }),
            ..pb::Event::default()
        };
        let told = pb::SubscribeResponse { position: 42, event: Some(event) };
        let line = Json::of("SubscribeResponse").and_then(|json| json.line(&told)).expect("a line");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        let event = json!({
            "id": "c-1-7",
            "kind": "EVENT_KIND_COUPON_EXPIRING",
            "campaignId": "c-1",
            "at": "1970-01-01T00:00:01.500Z",
            "lead": "604800s",
        });
        assert_eq!(value, json!({ "position": "42", "event": event }));
    }

    #[test]
    fn before_and_after_of_an_audit_record_are_plain_objects() {
        use prost_types::value::Kind::{NumberValue, StringValue};
        let line = |kind| {
            let fields = [("of".to_owned(), prost_types::Value { kind: Some(kind) })].into();
            let after = Some(prost_types::Struct { fields });
            let record = pb::AuditRecord { id: 7, after, ..pb::AuditRecord::default() };
            Json::of("AuditRecord").and_then(|json| json.line(&record)).expect("a line")
        };
        assert_eq!(line(StringValue("PAUSED".to_owned())), r#"{"id":"7","after":{"of":"PAUSED"}}"#);
        assert_eq!(line(NumberValue(200_000_000.0)), r#"{"id":"7","after":{"of":200000000}}"#);
        assert_eq!(line(NumberValue(-1.5)), r#"{"id":"7","after":{"of":-1.5}}"#);
    }

    #[test]
    fn a_kind_of_a_newer_service_is_its_number() {
        let event = pb::Event { kind: 99, ..pb::Event::default() };
        let line = Json::of("Event").and_then(|json| json.line(&event)).expect("a line");
        assert_eq!(line, r#"{"kind":99}"#);
    }
}
