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
use coupon_domain::redemption::{CouponRecord, CouponState, OrderRecord, OrderState};
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

fn coupon_id(no: i32, serial: i32) -> Result<CouponId, Failure> {
    Ok(CouponId { round: round_id(no)?, serial: count(serial, "coupons.serial")? })
}

fn order_id(raw: &str) -> Result<OrderId, Failure> {
    readable(OrderId::parse(raw).ok(), "an order's id")
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

/// A coupon; every part is null where there is none.
#[derive(QueryableByName)]
pub(crate) struct CouponRow {
    #[diesel(sql_type = Nullable<Integer>)]
    round_no: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    serial: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    campaign_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    claimed_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    expires_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    order_id: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    redeemed_at: Option<DateTime<Utc>>,
}

impl CouponRow {
    pub(crate) fn read(self) -> Result<Option<CouponRecord>, Failure> {
        let (Some(no), Some(serial), Some(campaign), Some(user), Some(state), Some(claimed_at), Some(expires_at)) =
            (self.round_no, self.serial, self.campaign_id, self.user_id, self.state, self.claimed_at, self.expires_at)
        else {
            return Ok(None);
        };
        Ok(Some(CouponRecord {
            id: coupon_id(no, serial)?,
            campaign: campaign_id(&campaign)?,
            user: user_id(&user)?,
            state: readable(CouponState::from_word(&state), "coupons.state")?,
            claimed_at: timestamp(claimed_at),
            expires_at: timestamp(expires_at),
            order: self.order_id.as_deref().map(order_id).transpose()?,
            redeemed_at: self.redeemed_at.map(timestamp),
        }))
    }
}

/// An order beside a coupon, hence the names; every part is null where there is none.
#[derive(QueryableByName)]
pub(crate) struct OrderRow {
    #[diesel(sql_type = Nullable<Text>)]
    its_id: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    its_round_no: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    its_serial: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    its_user_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    its_currency: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    its_amount: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    its_discount: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    its_state: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    its_redeemed_at: Option<DateTime<Utc>>,
}

impl OrderRow {
    pub(crate) fn read(self) -> Result<Option<OrderRecord>, Failure> {
        let (Some(id), Some(no), Some(serial), Some(user), Some(currency), Some(amount), Some(discount), Some(state)) = (
            self.its_id,
            self.its_round_no,
            self.its_serial,
            self.its_user_id,
            self.its_currency,
            self.its_amount,
            self.its_discount,
            self.its_state,
        ) else {
            return Ok(None);
        };
        let currency = readable(Currency::parse(&currency).ok(), "orders.currency")?;
        Ok(Some(OrderRecord {
            id: order_id(&id)?,
            coupon: coupon_id(no, serial)?,
            user: user_id(&user)?,
            amount: Money { currency, minor: amount },
            discount: Money { currency, minor: discount },
            state: readable(OrderState::from_word(&state), "orders.state")?,
            redeemed_at: self.its_redeemed_at.map(timestamp),
        }))
    }
}

/// A coupon's parts where an event has them.
pub(crate) fn event_coupon(no: Option<i32>, serial: Option<i32>) -> Result<Option<CouponId>, Failure> {
    no.zip(serial).map(|(no, serial)| coupon_id(no, serial)).transpose()
}

/// An order's id where an event has one.
pub(crate) fn event_order(raw: Option<&str>) -> Result<Option<OrderId>, Failure> {
    raw.map(order_id).transpose()
}
