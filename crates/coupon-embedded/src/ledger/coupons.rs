//! Coupons after their claim.

use async_trait::async_trait;
use coupon_domain::checkout::{Call, Outcome};
use coupon_domain::ids::CouponId;
use coupon_domain::ports::{CouponFilter, CouponPage, CouponRepository, LedgerError};
use coupon_domain::redemption::{CouponRecord, CouponState};
use coupon_domain::time::Timestamp;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::schema::coupons;
use super::{SqliteLedger, coupon_lists, notices, value};
use crate::failed::Failed;
use crate::statement::Statement;

#[async_trait]
impl CouponRepository for SqliteLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        let at = self.clock.now();
        let coupon = self.read(move |conn| find(conn, id)).await?;
        Ok(coupon.map(|coupon| (coupon, at)))
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let (filter, at) = (filter.clone(), self.clock.now());
        Ok(self.read_at_one_instant(move |conn| coupon_lists::page(conn, &filter, at)).await?)
    }

    async fn carry_out(&self, calls: &[Call]) -> Result<Vec<Outcome>, LedgerError> {
        self.carry_out_calls(calls.to_vec()).await
    }

    async fn foresee(&self, call: &Call) -> Result<Outcome, LedgerError> {
        self.foresee_call(call.clone()).await
    }

    async fn sweep(&self, limit: u32) -> Result<u32, LedgerError> {
        self.sweep_coupons(limit).await
    }

    async fn give_notice(&self, limit: u32) -> Result<u32, LedgerError> {
        Ok(self.write(move |conn, stamp| notices::give(conn, stamp, limit)).await?)
    }
}

/// What a [`Line`] is read from.
pub(super) type Columns = (
    coupons::round_no,
    coupons::serial,
    coupons::campaign_id,
    coupons::user_id,
    coupons::state,
    coupons::claimed_at,
    coupons::expires_at,
    coupons::order_id,
    coupons::held_until,
    coupons::redeemed_at,
);
pub(super) const COLUMNS: Columns = (
    coupons::round_no,
    coupons::serial,
    coupons::campaign_id,
    coupons::user_id,
    coupons::state,
    coupons::claimed_at,
    coupons::expires_at,
    coupons::order_id,
    coupons::held_until,
    coupons::redeemed_at,
);

#[derive(Queryable)]
pub(super) struct Line {
    round_no: i64,
    serial: i64,
    campaign_id: String,
    user_id: String,
    state: String,
    claimed_at: i64,
    expires_at: i64,
    order_id: Option<String>,
    held_until: Option<i64>,
    redeemed_at: Option<i64>,
}

impl Line {
    pub(super) fn record(self) -> Result<CouponRecord, Failed> {
        Ok(CouponRecord {
            id: value::coupon(self.round_no, self.serial)?,
            campaign: value::campaign(&self.campaign_id)?,
            user: value::user(&self.user_id)?,
            state: value::expect(CouponState::from_word(&self.state), "a coupon's state")?,
            claimed_at: Timestamp::from_micros(self.claimed_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            order: self.order_id.as_deref().map(value::order).transpose()?,
            held_until: self.held_until.map(Timestamp::from_micros),
            redeemed_at: self.redeemed_at.map(Timestamp::from_micros),
        })
    }
}

/// Its key in the table.
pub(super) fn key(id: CouponId) -> (i64, i64) {
    (value::number(id.round), i64::from(id.serial))
}

/// One coupon as stored.
pub(super) fn find(conn: &mut SqliteConnection, id: CouponId) -> Result<Option<CouponRecord>, Failed> {
    let line = coupons::table.find(key(id)).select(COLUMNS).get_result::<Line>(conn).optional()?;
    line.map(Line::record).transpose()
}

const UPDATE: &str = "UPDATE coupons SET state = ?, order_id = ?, held_until = ?, redeemed_at = ? \
    WHERE round_no = ? AND serial = ?";

/// Writes where a coupon stands.
pub(super) fn update(conn: &mut SqliteConnection, coupon: &CouponRecord) -> QueryResult<()> {
    let (no, serial) = key(coupon.id);
    let binds = [
        coupon.state.as_str().into(),
        coupon.order.as_ref().map(|order| order.as_str()).into(),
        coupon.held_until.map(Timestamp::micros).into(),
        coupon.redeemed_at.map(Timestamp::micros).into(),
        no.into(),
        serial.into(),
    ];
    Statement::new(UPDATE, binds).execute(conn)?;
    Ok(())
}

/// Coupons that are stored as what they are not any more: those whose hold is over, then those past their validity, the longest first.
/// The conditions are spelled out, so that SQLite sees that its partial indexes fit.
pub(super) fn overdue(conn: &mut SqliteConnection, at: Timestamp, limit: u32) -> Result<Vec<CouponRecord>, Failed> {
    let mut lines: Vec<Line> = coupons::table
        .filter(sql::<Bool>("state = 'HELD' AND user_id NOT GLOB 'lost:*'"))
        .filter(coupons::held_until.le(at.micros()))
        .order(coupons::held_until)
        .limit(i64::from(limit))
        .select(COLUMNS)
        .load(conn)?;
    let left = i64::from(limit) - i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let expired = coupons::table
        .filter(sql::<Bool>("state = 'ISSUED' AND user_id NOT GLOB 'lost:*'"))
        .filter(coupons::expires_at.le(at.micros()))
        .order(coupons::expires_at)
        .limit(left)
        .select(COLUMNS);
    lines.extend(expired.load::<Line>(conn)?);
    lines.into_iter().map(Line::record).collect()
}
