//! Rows as the statements return them, and their way into the domain's types.

use std::time::Duration;

use chrono::{DateTime, Utc};
use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::journal::Spelled;
use coupon_domain::model::{RoundHead, RoundView};
use coupon_domain::money::{Currency, Money};
use coupon_domain::ports::RoundRecord;
use coupon_domain::position::{Chain, Position};
use coupon_domain::recording::Cursor;
use coupon_domain::redemption::{CouponRecord, CouponState, OrderRecord, OrderState, Price};
use coupon_domain::round::Phase;
use coupon_domain::time::Timestamp;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz};

use crate::failure::Failure;

/// The value, or that this part of a row cannot be read.
pub(crate) fn readable<T>(value: Option<T>, part: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::Damaged(format!("{part} cannot be read")))
}

/// For a `jsonb`.
pub(crate) fn json(value: &impl Spelled) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|e| Failure::Damaged(e.to_string()))
}

/// For a `bigint` of microseconds.
pub(crate) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// For a `timestamptz`.
pub(crate) fn instant(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.micros()).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// From a `timestamptz`, which has microseconds too.
pub(crate) fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_micros(at.timestamp_micros())
}

/// For a `bigint`. No counter of ours comes near its end.
pub(crate) fn big(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// For an `integer`. The domain's numbers have at most 28 bits.
pub(crate) fn int(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The number of a round, for an `integer`.
pub(crate) fn number(round: RoundId) -> i32 {
    int(round.number())
}

pub(crate) fn unsigned(n: i64, part: &str) -> Result<u64, Failure> {
    readable(u64::try_from(n).ok(), part)
}

pub(crate) fn count(n: i32, part: &str) -> Result<u32, Failure> {
    readable(u32::try_from(n).ok(), part)
}

pub(crate) fn round_id(no: i32) -> Result<RoundId, Failure> {
    readable(u32::try_from(no).ok().and_then(RoundId::from_number), "a round's number")
}

pub(crate) fn campaign_id(raw: &str) -> Result<CampaignId, Failure> {
    readable(CampaignId::parse(raw).ok(), "a campaign's id")
}

pub(crate) fn user_id(raw: &str) -> Result<UserId, Failure> {
    readable(UserId::parse(raw).ok(), "a user's id")
}

/// For what comes after this user. The smallest text stands for nobody: every user's id comes after it.
pub(crate) fn behind(after: Option<&UserId>) -> String {
    after.map(ToString::to_string).unwrap_or_default()
}

pub(crate) fn coupon_id(no: i32, serial: i32) -> Result<CouponId, Failure> {
    Ok(CouponId { round: round_id(no)?, serial: count(serial, "coupons.serial")? })
}

#[derive(QueryableByName)]
pub(crate) struct NowRow {
    #[diesel(sql_type = Timestamptz)]
    pub(crate) at: DateTime<Utc>,
}

#[derive(QueryableByName)]
pub(crate) struct CampaignRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Jsonb)]
    rules: serde_json::Value,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    updated_at: DateTime<Utc>,
}

impl CampaignRow {
    pub(crate) fn read(self) -> Result<Campaign, Failure> {
        Ok(Campaign {
            id: campaign_id(&self.id)?,
            rules: read_rules(self.rules)?,
            state: readable(CampaignState::from_word(&self.state), "campaigns.state")?,
            revision: unsigned(self.revision, "campaigns.revision")?,
            created_at: timestamp(self.created_at),
            updated_at: timestamp(self.updated_at),
        })
    }
}

#[derive(QueryableByName)]
pub(crate) struct CursorRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = BigInt)]
    n: i64,
    #[diesel(sql_type = Text)]
    chain: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_at: Option<DateTime<Utc>>,
}

impl CursorRow {
    pub(crate) fn read(&self) -> Result<Cursor, Failure> {
        Ok(Cursor {
            position: Position {
                epoch: unsigned(self.epoch, "journal_cursors.epoch")?,
                n: unsigned(self.n, "journal_cursors.n")?,
            },
            chain: readable(Chain::parse(&self.chain), "journal_cursors.chain")?,
            last_at: self.last_at.map(timestamp),
        })
    }
}

pub(crate) fn read_rules(rules: serde_json::Value) -> Result<Rules, Failure> {
    readable(serde_json::from_value(rules).ok(), "campaigns.rules")
}

/// What a [`RoundRow`] is read from.
macro_rules! round_columns {
    () => {
        "campaign_id, spec, phase, supply, places, issued, added, drawn, delay, left_at_close, last_n"
    };
}
pub(crate) use round_columns;

#[derive(QueryableByName)]
pub(crate) struct RoundRow {
    #[diesel(sql_type = Text)]
    campaign_id: String,
    #[diesel(sql_type = Jsonb)]
    spec: serde_json::Value,
    #[diesel(sql_type = Text)]
    phase: String,
    #[diesel(sql_type = Nullable<Integer>)]
    supply: Option<i32>,
    #[diesel(sql_type = Integer)]
    places: i32,
    #[diesel(sql_type = Integer)]
    issued: i32,
    #[diesel(sql_type = Integer)]
    added: i32,
    #[diesel(sql_type = Bool)]
    drawn: bool,
    #[diesel(sql_type = BigInt)]
    delay: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    left_at_close: Option<i64>,
    #[diesel(sql_type = BigInt)]
    last_n: i64,
}

impl RoundRow {
    pub(crate) fn read(self) -> Result<RoundRecord, Failure> {
        let view = RoundView {
            spec: readable(serde_json::from_value(self.spec).ok(), "rounds.spec")?,
            phase: readable(Phase::from_word(&self.phase), "rounds.phase")?,
            supply: self.supply.map(|supply| count(supply, "rounds.supply")).transpose()?,
            places: count(self.places, "rounds.places")?,
            issued: count(self.issued, "rounds.issued")?,
            added: count(self.added, "rounds.added")?,
            drawn: self.drawn,
            delay: Duration::from_micros(unsigned(self.delay, "rounds.delay")?),
        };
        Ok(RoundRecord {
            campaign: campaign_id(&self.campaign_id)?,
            head: RoundHead { view, last_n: unsigned(self.last_n, "rounds.last_n")? },
            left_at_close: self.left_at_close.map(|left| unsigned(left, "rounds.left_at_close")).transpose()?,
        })
    }
}

/// What a [`CouponRow`] is read from, of `coupons` and `rounds`.
macro_rules! coupon_columns {
    () => {
        "coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state, coupons.claimed_at,
        coupons.expires_at, coupons.order_id, coupons.held_until, coupons.redeemed_at"
    };
}
pub(crate) use coupon_columns;

/// A coupon.
#[derive(QueryableByName)]
pub(crate) struct CouponRow {
    #[diesel(sql_type = Integer)]
    round_no: i32,
    #[diesel(sql_type = Integer)]
    serial: i32,
    #[diesel(sql_type = Text)]
    campaign_id: String,
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Timestamptz)]
    claimed_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    expires_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    order_id: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    held_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    redeemed_at: Option<DateTime<Utc>>,
}

impl CouponRow {
    pub(crate) fn read(self) -> Result<CouponRecord, Failure> {
        Ok(CouponRecord {
            id: coupon_id(self.round_no, self.serial)?,
            campaign: campaign_id(&self.campaign_id)?,
            user: user_id(&self.user_id)?,
            state: readable(CouponState::from_word(&self.state), "coupons.state")?,
            claimed_at: timestamp(self.claimed_at),
            expires_at: timestamp(self.expires_at),
            order: self.order_id.as_deref().map(order_id).transpose()?,
            held_until: self.held_until.map(timestamp),
            redeemed_at: self.redeemed_at.map(timestamp),
        })
    }
}

/// An order; every part is null where there is none.
#[derive(QueryableByName)]
pub(crate) struct OrderRow {
    #[diesel(sql_type = Nullable<Text>)]
    campaign_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    id: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    round_no: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    serial: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    currency: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    discount: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    redeemed_at: Option<DateTime<Utc>>,
}

impl OrderRow {
    pub(crate) fn read(self) -> Result<Option<OrderRecord>, Failure> {
        let (Some(campaign), Some(id), Some(user), Some(state)) = (self.campaign_id, self.id, self.user_id, self.state)
        else {
            return Ok(None);
        };
        let price = match (self.currency, self.amount, self.discount) {
            (Some(currency), Some(amount), Some(discount)) => {
                let currency = readable(Currency::parse(&currency).ok(), "orders.currency")?;
                let money = |minor| Money { currency, minor };
                Some(Price { amount: money(amount), discount: money(discount) })
            }
            _ => None,
        };
        Ok(Some(OrderRecord {
            campaign: campaign_id(&campaign)?,
            id: order_id(&id)?,
            coupon: coupon_of(self.round_no, self.serial)?,
            user: user_id(&user)?,
            price,
            state: readable(OrderState::from_word(&state), "orders.state")?,
            redeemed_at: self.redeemed_at.map(timestamp),
        }))
    }
}

/// A coupon's parts where a row has them.
pub(crate) fn coupon_of(no: Option<i32>, serial: Option<i32>) -> Result<Option<CouponId>, Failure> {
    no.zip(serial).map(|(no, serial)| coupon_id(no, serial)).transpose()
}

pub(crate) fn order_id(raw: &str) -> Result<OrderId, Failure> {
    readable(OrderId::parse(raw).ok(), "an order's id")
}

/// One column of some rows, for an array.
pub(crate) fn column<'a, T, V>(rows: &'a [T], part: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(part).collect()
}
