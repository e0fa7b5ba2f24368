//! From messages back to events.

use std::time::Duration;

use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::money::{Currency, Money};
use coupon_domain::notice::Notice;
use coupon_domain::ports::{Event, EventDetails, EventKind};
use coupon_domain::redemption::Price;
use coupon_domain::time::Timestamp;
use coupon_proto::google::r#type::Money as PbMoney;
use coupon_proto::v1 as pb;
use prost_reflect::DynamicMessage;
use serde_json::Value;

/// The field of a message that this version cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is missing or of an unknown form")]
pub struct Unreadable(pub &'static str);

/// The event that a message tells.
///
/// # Errors
/// If a field is not of the form in which [`message`](crate::message()) writes it, or the kind is unknown.
pub fn event(message: &pb::Event) -> Result<Event, Unreadable> {
    let notice = match &message.lead {
        Some(lead) => Some(Notice { lead: duration(lead)?, late: message.late }),
        None => None,
    };
    let price = match (&message.amount, &message.discount) {
        (Some(amount), Some(discount)) => Some(Price { amount: money(amount)?, discount: money(discount)? }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(Unreadable("amount and discount")),
    };
    let details = EventDetails {
        reason: text(&message.reason),
        price,
        expires_at: message.expires_at.as_ref().map(timestamp),
        notice,
    };
    Ok(Event {
        id: text(&message.id).ok_or(Unreadable("id"))?,
        kind: kind(message.kind)?,
        campaign: CampaignId::parse(&message.campaign_id).map_err(|_| Unreadable("campaign_id"))?,
        round: optional(&message.round_id, RoundId::parse).map_err(|_| Unreadable("round_id"))?,
        coupon: optional(&message.coupon_id, CouponId::parse).map_err(|_| Unreadable("coupon_id"))?,
        user: optional(&message.user_id, UserId::parse).map_err(|_| Unreadable("user_id"))?,
        order: optional(&message.order_id, OrderId::parse).map_err(|_| Unreadable("order_id"))?,
        state: text(&message.state),
        details,
        at: message.at.as_ref().map(timestamp).ok_or(Unreadable("at"))?,
    })
}

/// The event that a message's JSON form tells.
///
/// # Errors
/// As [`event`]; also if it is not the JSON form of such a message.
pub fn event_of_json(json: &Value) -> Result<Event, Unreadable> {
    let dynamic = DynamicMessage::deserialize(crate::json::EVENT.clone(), json).map_err(|_| Unreadable("the JSON"))?;
    event(&dynamic.transcode_to::<pb::Event>().map_err(|_| Unreadable("the JSON"))?)
}

/// The words of the two enums differ only in spelling: `EVENT_KIND_COUPON_ROLLED_BACK` is `coupon.rolled_back`.
fn kind(number: i32) -> Result<EventKind, Unreadable> {
    let name = pb::EventKind::try_from(number).map_err(|_| Unreadable("kind"))?.as_str_name();
    let word = name.trim_start_matches("EVENT_KIND_").to_ascii_lowercase().replacen('_', ".", 1);
    EventKind::from_word(&word).ok_or(Unreadable("kind"))
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn optional<T, E>(value: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<Option<T>, E> {
    if value.is_empty() { Ok(None) } else { parse(value).map(Some) }
}

fn timestamp(at: &prost_types::Timestamp) -> Timestamp {
    Timestamp::from_micros(at.seconds.saturating_mul(1_000_000).saturating_add(i64::from(at.nanos) / 1000))
}

fn duration(span: &prost_types::Duration) -> Result<Duration, Unreadable> {
    Duration::try_from(*span).map_err(|_| Unreadable("lead"))
}

fn money(money: &PbMoney) -> Result<Money, Unreadable> {
    Currency::parse(&money.currency_code)
        .and_then(|currency| Money::from_parts(currency, money.units, money.nanos))
        .map_err(|_| Unreadable("amount and discount"))
}
