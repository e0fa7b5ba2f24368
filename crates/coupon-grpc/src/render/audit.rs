//! Audit records, in an answer of CampaignService.

use coupon_domain::audit::AuditRecord;
use coupon_proto::v1 as pb;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::Value;

use super::timestamp;

pub(crate) fn audit_page(records: Vec<(i64, AuditRecord)>, limit: u32) -> pb::ListAuditRecordsResponse {
    let full = records.len() >= limit as usize;
    let next_page_token = records.last().filter(|_| full).map(|(id, _)| id.to_string()).unwrap_or_default();
    pb::ListAuditRecordsResponse { audit_records: records.into_iter().map(audit_record).collect(), next_page_token }
}

fn audit_record((id, record): (i64, AuditRecord)) -> pb::AuditRecord {
    let AuditRecord { action, by, campaign, round, coupon, user, before, after, at } = record;
    pb::AuditRecord {
        id,
        at: Some(timestamp(at)),
        actor: by.actor.to_string(),
        action,
        campaign_id: campaign.map(|id| id.to_string()).unwrap_or_default(),
        round_id: round.map(|id| id.to_string()).unwrap_or_default(),
        coupon_id: coupon.map(|id| id.to_string()).unwrap_or_default(),
        user_id: user.map(|id| id.to_string()).unwrap_or_default(),
        request_id: by.request.map(|id| id.to_string()).unwrap_or_default(),
        before: before.map(structure),
        after: after.map(structure),
    }
}

/// What is recorded is an object; anything else would be its only field.
fn structure(value: Value) -> Struct {
    let fields = match value {
        Value::Object(fields) => fields,
        other => [("value".to_owned(), other)].into_iter().collect(),
    };
    Struct { fields: fields.into_iter().map(|(name, value)| (name, self::value(value))).collect() }
}

fn value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(yes) => Kind::BoolValue(yes),
        // As JSON readers do: whole up to 2^53, far above all that is recorded.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.into_iter().map(self::value).collect() }),
        object @ Value::Object(_) => Kind::StructValue(structure(object)),
    };
    prost_types::Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use coupon_domain::checkout::{Operator, VOID_COUPON};
    use coupon_domain::ids::{Actor, CouponId};
    use coupon_domain::time::Timestamp;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn record() -> AuditRecord {
        let by = Operator { actor: Actor::parse("ada").expect("an actor"), request: Some(Uuid::from_u128(7)) };
        AuditRecord::new(VOID_COUPON, by, Timestamp::from_micros(1_500_000))
    }

    #[test]
    fn a_record_says_who_when_and_what_it_names() {
        let coupon = CouponId::parse("r-7-0").expect("an id");
        let record = AuditRecord { coupon: Some(coupon), round: Some(coupon.round), ..record() };
        let told = audit_record((42, record));
        assert_eq!((told.id, told.actor.as_str(), told.action.as_str()), (42, "ada", "VOID_COUPON"));
        assert_eq!((told.round_id.as_str(), told.coupon_id.as_str()), ("r-7", "r-7-0"));
        assert_eq!(told.request_id, Uuid::from_u128(7).to_string());
        assert_eq!(told.at, Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }));
        assert_eq!((told.campaign_id.as_str(), told.user_id.as_str()), ("", ""));
        assert_eq!((told.before, told.after), (None, None));
    }

    #[test]
    fn before_and_after_keep_their_shape() {
        let after = json!({ "title": "new", "leads": [7, 1.5], "benefit": { "gift": null }, "paused": true });
        let told = audit_record((1, AuditRecord { before: Some(json!(7)), after: Some(after), ..record() }));
        let field = |of: &Option<Struct>, name: &str| {
            of.as_ref().and_then(|fields| fields.fields.get(name)).and_then(|value| value.kind.clone())
        };
        assert_eq!(field(&told.before, "value"), Some(Kind::NumberValue(7.0)));
        assert_eq!(field(&told.after, "title"), Some(Kind::StringValue("new".to_owned())));
        assert_eq!(field(&told.after, "paused"), Some(Kind::BoolValue(true)));
        let Some(Kind::ListValue(leads)) = field(&told.after, "leads") else { panic!("a list: {told:?}") };
        assert_eq!(leads.values[1].kind, Some(Kind::NumberValue(1.5)));
        let Some(Kind::StructValue(benefit)) = field(&told.after, "benefit") else { panic!("fields: {told:?}") };
        assert_eq!(field(&Some(benefit), "gift"), Some(Kind::NullValue(0)));
    }

    #[test]
    fn a_full_page_names_the_record_to_go_on_before() {
        let page = |limit| audit_page(vec![(9, record()), (4, record())], limit).next_page_token;
        assert_eq!((page(2).as_str(), page(3).as_str()), ("4", ""));
    }
}
