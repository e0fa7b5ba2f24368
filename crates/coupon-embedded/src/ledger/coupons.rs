//! Coupons after their claim: reading.

use async_trait::async_trait;
use coupon_domain::ids::CouponId;
use coupon_domain::ports::{CouponFilter, CouponPage, CouponRepository, CouponTotals, LedgerError};
use coupon_domain::redemption::{CouponRecord, CouponState, Redeem, RedeemFacts, RedeemOutcome};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::schema::coupons;
use super::{SqliteLedger, orders, value};
use crate::failed::Failed;

#[async_trait]
impl CouponRepository for SqliteLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        let at = self.clock.now();
        let coupon = self.read(move |conn| find(conn, id)).await?;
        Ok(coupon.map(|coupon| (coupon, at)))
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let (filter, at) = (filter.clone(), self.clock.now());
        let page = self.read_at_one_instant(move |conn| {
            Ok(CouponPage { coupons: list(conn, &filter, at)?, totals: totals(conn, &filter, at)?, at })
        });
        Ok(page.await?)
    }

    async fn redeem(&self, calls: &[Redeem]) -> Result<Vec<RedeemOutcome>, LedgerError> {
        let calls = calls.to_vec();
        let outcomes =
            self.write(move |conn, stamp| Ok(calls.iter().map(|call| orders::redeem(conn, stamp, call)).collect()));
        let outcomes: Vec<Result<_, Failed>> = outcomes.await?;
        Ok(outcomes.into_iter().collect::<Result<_, _>>()?)
    }

    async fn redeem_facts(&self, call: &Redeem) -> Result<(RedeemFacts, Timestamp), LedgerError> {
        let (call, at) = (call.clone(), self.clock.now());
        let facts = self.read_at_one_instant(move |conn| orders::facts(conn, &call)).await?;
        Ok((facts, at))
    }
}

type Columns = (
    coupons::round_no,
    coupons::serial,
    coupons::campaign_id,
    coupons::user_id,
    coupons::state,
    coupons::claimed_at,
    coupons::expires_at,
    coupons::order_id,
    coupons::redeemed_at,
);
const COLUMNS: Columns = (
    coupons::round_no,
    coupons::serial,
    coupons::campaign_id,
    coupons::user_id,
    coupons::state,
    coupons::claimed_at,
    coupons::expires_at,
    coupons::order_id,
    coupons::redeemed_at,
);

#[derive(Queryable)]
struct Line {
    round_no: i64,
    serial: i64,
    campaign_id: String,
    user_id: String,
    state: String,
    claimed_at: i64,
    expires_at: i64,
    order_id: Option<String>,
    redeemed_at: Option<i64>,
}

impl Line {
    fn record(self) -> Result<CouponRecord, Failed> {
        Ok(CouponRecord {
            id: value::coupon(self.round_no, self.serial)?,
            campaign: value::campaign(&self.campaign_id)?,
            user: value::user(&self.user_id)?,
            state: value::expect(CouponState::from_word(&self.state), "a coupon's state")?,
            claimed_at: Timestamp::from_micros(self.claimed_at),
            expires_at: Timestamp::from_micros(self.expires_at),
            order: self.order_id.as_deref().map(value::order).transpose()?,
            redeemed_at: self.redeemed_at.map(Timestamp::from_micros),
        })
    }
}

/// One coupon as stored.
pub(super) fn find(conn: &mut SqliteConnection, id: CouponId) -> Result<Option<CouponRecord>, Failed> {
    let key = (value::number(id.round), i64::from(id.serial));
    let line = coupons::table.find(key).select(COLUMNS).get_result::<Line>(conn).optional()?;
    line.map(Line::record).transpose()
}

fn list(conn: &mut SqliteConnection, filter: &CouponFilter, at: Timestamp) -> Result<Vec<CouponRecord>, Failed> {
    let mut query = coupons::table
        .filter(coupons::user_id.eq(filter.user.as_str()))
        .select(COLUMNS)
        .order((coupons::round_no, coupons::serial))
        .limit(i64::from(filter.limit))
        .into_boxed();
    if let Some(campaign) = &filter.campaign {
        query = query.filter(coupons::campaign_id.eq(campaign.as_str()));
    }
    if let Some(state) = filter.state {
        // As `CouponRecord::state_at` says: past its validity, an issued coupon is an expired one.
        let stored = coupons::state.eq(state.as_str());
        let issued = coupons::state.eq(CouponState::Issued.as_str());
        query = match state {
            CouponState::Issued => query.filter(stored.and(coupons::expires_at.gt(at.micros()))),
            CouponState::Expired => query.filter(stored.or(issued.and(coupons::expires_at.le(at.micros())))),
            CouponState::Held | CouponState::Redeemed | CouponState::Void => query.filter(stored),
        };
    }
    if let Some(after) = filter.after {
        let round = value::number(after.round);
        let later_in_round = coupons::round_no.eq(round).and(coupons::serial.gt(i64::from(after.serial)));
        query = query.filter(coupons::round_no.gt(round).or(later_in_round));
    }
    query.load::<Line>(conn)?.into_iter().map(Line::record).collect()
}

#[derive(QueryableByName)]
struct Total {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    coupons: i64,
}

fn totals(conn: &mut SqliteConnection, filter: &CouponFilter, at: Timestamp) -> Result<CouponTotals, Failed> {
    let campaign = filter.campaign.as_ref().map_or("", |c| c.as_str());
    let lines: Vec<Total> = diesel::sql_query(
        "SELECT CASE WHEN state = 'ISSUED' AND expires_at <= ?1 THEN 'EXPIRED' ELSE state END AS state, \
         count(*) AS coupons FROM coupons WHERE user_id = ?2 AND (?3 = '' OR campaign_id = ?3) GROUP BY 1",
    )
    .bind::<BigInt, _>(at.micros())
    .bind::<Text, _>(filter.user.as_str())
    .bind::<Text, _>(campaign)
    .load(conn)?;
    let mut totals = CouponTotals::default();
    for line in lines {
        let total = match value::expect(CouponState::from_word(&line.state), "a coupon's state")? {
            CouponState::Issued => &mut totals.issued,
            CouponState::Held => &mut totals.held,
            CouponState::Redeemed => &mut totals.redeemed,
            CouponState::Expired => &mut totals.expired,
            CouponState::Void => &mut totals.void,
        };
        *total += value::count::<u64>(line.coupons, "a user's coupons")?;
    }
    Ok(totals)
}
