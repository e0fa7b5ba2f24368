//! Coupons after their claim: looking at them. `checkout.rs`, `sweep.rs` and `notices.rs` change them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use coupon_domain::checkout::{Call, Outcome};
use coupon_domain::ids::{CampaignId, CouponId, UserId};
use coupon_domain::ports::{CouponFilter, CouponPage, CouponRepository, CouponTotals, LedgerError};
use coupon_domain::redemption::{CouponRecord, CouponState};
use coupon_domain::time::Timestamp;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{CouponRow, NowRow, coupon_columns, int, number, readable, timestamp, unsigned};
use crate::statement::sql;
use crate::sweep::AtCouponRow;

const COUPON: &str = concat!(
    "SELECT coupon_now() AS at, ",
    coupon_columns!(),
    " FROM coupons JOIN rounds ON rounds.no = coupons.round_no WHERE coupons.round_no = $1 AND coupons.serial = $2"
);

/// Some of the rounds from this one on that have coupons.
const USED_ROUNDS: &str = "SELECT no FROM rounds WHERE ($1 IS NULL OR campaign_id = $1) AND no >= $2 AND issued > 0
    ORDER BY no LIMIT 100";

#[derive(QueryableByName)]
struct TotalsRow {
    #[diesel(sql_type = BigInt)]
    issued_count: i64,
    #[diesel(sql_type = BigInt)]
    held_count: i64,
    #[diesel(sql_type = BigInt)]
    redeemed_count: i64,
    #[diesel(sql_type = BigInt)]
    expired_count: i64,
    #[diesel(sql_type = BigInt)]
    void_count: i64,
}

impl TotalsRow {
    fn read(&self) -> Result<CouponTotals, Failure> {
        let count = |n| unsigned(n, "a count");
        Ok(CouponTotals {
            issued: count(self.issued_count)?,
            held: count(self.held_count)?,
            redeemed: count(self.redeemed_count)?,
            expired: count(self.expired_count)?,
            void: count(self.void_count)?,
        })
    }
}

/// A coupon, if there is one, with what all rows of a page have.
#[derive(QueryableByName)]
struct PageRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(embed)]
    totals: TotalsRow,
    #[diesel(embed)]
    coupon: Option<CouponRow>,
}

#[derive(QueryableByName)]
struct RoundNumberRow {
    #[diesel(sql_type = Integer)]
    no: i32,
}

/// Of a user the totals come with each page; of all users nobody counts them.
async fn page(conn: &mut AsyncPgConnection, filter: &CouponFilter) -> Result<CouponPage, Failure> {
    match &filter.user {
        Some(user) => page_of_user(conn, user, filter).await,
        None => page_of_all(conn, filter).await,
    }
}

async fn page_of_user(
    conn: &mut AsyncPgConnection,
    user: &UserId,
    filter: &CouponFilter,
) -> Result<CouponPage, Failure> {
    let rows = sql(include_str!("queries/coupons_of_user.sql"))
        .bind::<Text, _>(user.as_str())
        .bind::<Nullable<Text>, _>(filter.campaign.as_ref().map(CampaignId::as_str))
        .bind::<Nullable<Text>, _>(filter.state.map(CouponState::as_str))
        .bind::<Nullable<Integer>, _>(filter.after.map(|id| number(id.round)))
        .bind::<Nullable<Integer>, _>(filter.after.map(|id| int(id.serial)))
        .bind::<BigInt, _>(i64::from(filter.limit))
        .load::<PageRow>(conn)
        .await?;
    let first = readable(rows.as_slice().first(), "a page of coupons")?;
    let (at, totals) = (timestamp(first.at), Some(first.totals.read()?));
    let coupons = rows.into_iter().filter_map(|row| row.coupon).map(CouponRow::read).collect::<Result<_, _>>()?;
    Ok(CouponPage { coupons, totals, at })
}

/// Round by round along the key, so that a page costs what is in it, however many coupons there are.
async fn page_of_all(conn: &mut AsyncPgConnection, filter: &CouponFilter) -> Result<CouponPage, Failure> {
    let at = sql("SELECT coupon_now() AS at").get_result::<NowRow>(conn).await?.at;
    let limit = filter.limit as usize;
    let mut coupons = Vec::new();
    let mut after = filter.after.map_or((0, -1), |id| (number(id.round), int(id.serial)));
    'page: while coupons.len() < limit {
        let rounds = sql(USED_ROUNDS)
            .bind::<Nullable<Text>, _>(filter.campaign.as_ref().map(CampaignId::as_str))
            .bind::<Integer, _>(after.0)
            .load::<RoundNumberRow>(conn)
            .await?;
        if rounds.is_empty() {
            break;
        }
        for RoundNumberRow { no } in rounds {
            let behind = if no == after.0 { after.1 } else { -1 };
            let rows = sql(include_str!("queries/coupons_of_round.sql"))
                .bind::<Integer, _>(no)
                .bind::<Integer, _>(behind)
                .bind::<Nullable<Text>, _>(filter.state.map(CouponState::as_str))
                .bind::<Timestamptz, _>(at)
                .bind::<BigInt, _>(i64::try_from(limit - coupons.len()).unwrap_or(i64::MAX))
                .load::<CouponRow>(conn)
                .await?;
            for row in rows {
                coupons.push(row.read()?);
            }
            if coupons.len() >= limit {
                break 'page;
            }
            after = (no + 1, -1);
        }
    }
    Ok(CouponPage { coupons, totals: None, at: timestamp(at) })
}

#[async_trait]
impl CouponRepository for PostgresLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        let found = self.run(move |conn| {
            Box::pin(async move {
                let coupon = sql(COUPON).bind::<Integer, _>(number(id.round)).bind::<Integer, _>(int(id.serial));
                let Some(row) = coupon.get_result::<AtCouponRow>(conn).await.optional()? else { return Ok(None) };
                Ok(Some((row.coupon.read()?, timestamp(row.at))))
            })
        });
        Ok(found.await?)
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let filter = filter.clone();
        Ok(self.run(move |conn| Box::pin(async move { page(conn, &filter).await })).await?)
    }

    async fn carry_out(&self, calls: &[Call]) -> Result<Vec<Outcome>, LedgerError> {
        Ok(self.carry_out_all(calls).await?)
    }

    async fn foresee(&self, call: &Call) -> Result<Outcome, LedgerError> {
        Ok(self.foresee_one(call).await?)
    }

    async fn sweep(&self, limit: u32) -> Result<u32, LedgerError> {
        Ok(self.sweep_some(limit).await?)
    }

    async fn give_notice(&self, limit: u32) -> Result<u32, LedgerError> {
        Ok(self.give_some_notice(limit).await?)
    }
}
