//! Between columns and the domain's types. What a column holds was checked when it was written; if it cannot be read, the file is damaged.

use std::time::Duration;

use coupon_domain::ids::{Actor, CampaignId, CouponId, OrderId, RoundId, SubscriberName, UserId};
use coupon_domain::money::{Currency, Money};
use serde::{Deserialize, Serialize};

use crate::failed::Failed;
use crate::sqlite::from_integer;

/// The value, or the column that is damaged.
pub(super) fn expect<T>(value: Option<T>, column: &str) -> Result<T, Failed> {
    value.ok_or_else(|| Failed::Unreadable(column.to_owned()))
}

pub(super) fn count<T: TryFrom<i64>>(integer: i64, column: &str) -> Result<T, Failed> {
    expect(from_integer(integer), column)
}

pub(super) fn round(no: i64) -> Result<RoundId, Failed> {
    expect(from_integer(no).and_then(RoundId::from_number), "a round's number")
}

pub(super) fn coupon(no: i64, serial: i64) -> Result<CouponId, Failed> {
    Ok(CouponId { round: round(no)?, serial: count(serial, "a coupon's serial")? })
}

pub(super) fn campaign(id: &str) -> Result<CampaignId, Failed> {
    expect(CampaignId::parse(id).ok(), "a campaign's id")
}

pub(super) fn user(id: &str) -> Result<UserId, Failed> {
    expect(UserId::parse(id).ok(), "a user's id")
}

pub(super) fn order(id: &str) -> Result<OrderId, Failed> {
    expect(OrderId::parse(id).ok(), "an order's id")
}

pub(super) fn actor(name: &str) -> Result<Actor, Failed> {
    expect(Actor::parse(name).ok(), "an actor's name")
}

pub(super) fn subscriber(name: &str) -> Result<SubscriberName, Failed> {
    expect(SubscriberName::parse(name).ok(), "a subscriber's name")
}

pub(super) fn money(currency: &str, minor: i64) -> Result<Money, Failed> {
    Ok(Money { currency: expect(Currency::parse(currency).ok(), "a currency")?, minor })
}

/// What has a text of its own in a column.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, Failed> {
    spelled(serde_json::to_string(value))
}

/// What could be spelled as JSON; all of ours can.
pub(super) fn spelled<T>(result: Result<T, serde_json::Error>) -> Result<T, Failed> {
    result.map_err(|e| Failed::Unreadable(e.to_string()))
}

/// Reads that text.
pub(super) fn from_json<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failed> {
    serde_json::from_str(text).map_err(|e| Failed::Unreadable(format!("JSON: {e}")))
}

/// A span of time as a column holds it: in microseconds.
pub(super) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A round's number as a column holds it.
pub(super) fn number(round: RoundId) -> i64 {
    i64::from(round.number())
}
