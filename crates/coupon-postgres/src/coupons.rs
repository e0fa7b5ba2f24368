//! Coupons after their claim: looking at them. `redeem.rs` changes them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use coupon_domain::ids::{CampaignId, CouponId};
use coupon_domain::ports::{CouponFilter, CouponPage, CouponRepository, CouponTotals, LedgerError};
use coupon_domain::redemption::{CouponRecord, CouponState, Redeem, RedeemFacts, RedeemOutcome};
use coupon_domain::time::Timestamp;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::redeem::facts;
use crate::rows::{CouponRow, int, number, readable, timestamp, unsigned};
use crate::statement::sql;

const COUPON: &str =
    "SELECT coupon_now() AS at, coupons.round_no, coupons.serial, rounds.campaign_id, coupons.user_id, coupons.state,
        coupons.claimed_at, coupons.expires_at, coupons.order_id, coupons.redeemed_at
    FROM coupons JOIN rounds ON rounds.no = coupons.round_no
    WHERE coupons.round_no = $1 AND coupons.serial = $2";

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(embed)]
    coupon: CouponRow,
}

#[derive(QueryableByName)]
struct PageRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
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
    #[diesel(embed)]
    coupon: CouponRow,
}

impl PageRow {
    fn totals(&self) -> Result<CouponTotals, Failure> {
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

async fn page(conn: &mut AsyncPgConnection, filter: &CouponFilter) -> Result<CouponPage, Failure> {
    let rows = sql(include_str!("queries/coupons_of_user.sql"))
        .bind::<Text, _>(filter.user.as_str())
        .bind::<Nullable<Text>, _>(filter.campaign.as_ref().map(CampaignId::as_str))
        .bind::<Nullable<Text>, _>(filter.state.map(CouponState::as_str))
        .bind::<Nullable<Integer>, _>(filter.after.map(|id| number(id.round)))
        .bind::<Nullable<Integer>, _>(filter.after.map(|id| int(id.serial)))
        .bind::<BigInt, _>(i64::from(filter.limit))
        .load::<PageRow>(conn)
        .await?;
    let first = readable(rows.as_slice().first(), "a page of coupons")?;
    Ok(CouponPage {
        at: timestamp(first.at),
        totals: first.totals()?,
        coupons: rows.into_iter().filter_map(|row| row.coupon.read().transpose()).collect::<Result<_, _>>()?,
    })
}

#[async_trait]
impl CouponRepository for PostgresLedger {
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError> {
        let found = self.run(move |conn| {
            Box::pin(async move {
                let coupon = sql(COUPON).bind::<Integer, _>(number(id.round)).bind::<Integer, _>(int(id.serial));
                let Some(row) = coupon.get_result::<FoundRow>(conn).await.optional()? else { return Ok(None) };
                Ok(Some((readable(row.coupon.read()?, "a coupon")?, timestamp(row.at))))
            })
        });
        Ok(found.await?)
    }

    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError> {
        let filter = filter.clone();
        Ok(self.run(move |conn| Box::pin(async move { page(conn, &filter).await })).await?)
    }

    async fn redeem(&self, calls: &[Redeem]) -> Result<Vec<RedeemOutcome>, LedgerError> {
        Ok(self.redeem_all(calls).await?)
    }

    async fn redeem_facts(&self, call: &Redeem) -> Result<(RedeemFacts, Timestamp), LedgerError> {
        let call = call.clone();
        let known = self.run(move |conn| {
            Box::pin(async move {
                let known = facts(conn, &[(0, &call)]).await?.pop();
                readable(known.map(|(_, facts, at)| (facts, at)), "the facts of a call")
            })
        });
        Ok(known.await?)
    }
}
