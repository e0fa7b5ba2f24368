//! Rows as the statements return them, and their way into the domain's types.

use chrono::{DateTime, Utc};
use coupon_domain::campaign::{Campaign, CampaignState};
use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::model::{RoundHead, RoundView};
use coupon_domain::money::{Currency, Money};
use coupon_domain::ports::RoundRecord;
use coupon_domain::position::{Chain, Position};
use coupon_domain::recording::Cursor;
use coupon_domain::redemption::{CouponRecord, CouponState, OrderRecord, OrderState};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::time::Timestamp;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Jsonb, Nullable, Text, Timestamptz};

use crate::failure::Failure;

/// The value, or that this part of a row cannot be read.
pub(crate) fn readable<T>(value: Option<T>, part: &str) -> Result<T, Failure> {
    value.ok_or_else(|| Failure::Damaged(format!("{part} cannot be read")))
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
            rules: readable(serde_json::from_value(self.rules).ok(), "campaigns.rules")?,
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

/// All of a round but its campaign; every part is null where there is none.
#[derive(QueryableByName)]
pub(crate) struct RoundHeadRow {
    #[diesel(sql_type = Nullable<Jsonb>)]
    spec: Option<serde_json::Value>,
    #[diesel(sql_type = Nullable<Text>)]
    phase: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    supply: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    places: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    issued: Option<i32>,
    #[diesel(sql_type = Nullable<BigInt>)]
    last_n: Option<i64>,
}

impl RoundHeadRow {
    pub(crate) fn read(self) -> Result<Option<RoundHead>, Failure> {
        let (Some(spec), Some(phase), Some(places), Some(issued), Some(last_n)) =
            (self.spec, self.phase, self.places, self.issued, self.last_n)
        else {
            return Ok(None);
        };
        let view = RoundView {
            spec: read_spec(spec)?,
            phase: readable(Phase::from_word(&phase), "rounds.phase")?,
            supply: self.supply.map(|supply| count(supply, "rounds.supply")).transpose()?,
            places: count(places, "rounds.places")?,
            issued: count(issued, "rounds.issued")?,
        };
        Ok(Some(RoundHead { view, last_n: unsigned(last_n, "rounds.last_n")? }))
    }
}

pub(crate) fn read_spec(spec: serde_json::Value) -> Result<RoundSpec, Failure> {
    readable(serde_json::from_value(spec).ok(), "rounds.spec")
}

#[derive(QueryableByName)]
pub(crate) struct RoundRow {
    #[diesel(sql_type = Text)]
    campaign_id: String,
    #[diesel(embed)]
    head: RoundHeadRow,
}

impl RoundRow {
    pub(crate) fn read(self) -> Result<RoundRecord, Failure> {
        let campaign = campaign_id(&self.campaign_id)?;
        Ok(RoundRecord { campaign, head: readable(self.head.read()?, "a round")? })
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
