//! Storing what time alone has done: holds that are over, and the end of validity.

use chrono::{DateTime, Utc};
use coupon_domain::checkout::Book;
use coupon_domain::redemption::{CouponRecord, OrderRecord};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{CouponRow, OrderRow, column, timestamp};
use crate::statement::sql;
use crate::write::{self, Then};

const ORDERS: &str =
    "SELECT orders.campaign_id, orders.id, orders.round_no, orders.serial, orders.user_id, orders.currency,
        orders.amount, orders.discount, orders.state, orders.redeemed_at
    FROM unnest($1::text[], $2::text[]) AS o (campaign_id, id)
    JOIN orders ON orders.campaign_id = o.campaign_id AND orders.id = o.id";

#[derive(QueryableByName)]
pub(crate) struct AtCouponRow {
    #[diesel(sql_type = Timestamptz)]
    pub(crate) at: DateTime<Utc>,
    #[diesel(embed)]
    pub(crate) coupon: CouponRow,
}

impl PostgresLedger {
    pub(crate) async fn sweep_some(&self, limit: u32) -> Result<u32, Failure> {
        self.transaction(move |conn| Box::pin(async move { sweep(conn, limit).await })).await
    }
}

async fn sweep(conn: &mut AsyncPgConnection, limit: u32) -> Result<End<u32>, Failure> {
    let due = sql(include_str!("queries/lock_overdue.sql")).bind::<BigInt, _>(i64::from(limit));
    let due = due.load::<AtCouponRow>(conn).await?;
    let Some(at) = due.as_slice().first().map(|row| timestamp(row.at)) else { return Ok(End::Rollback(0)) };
    let coupons = due.into_iter().map(|row| row.coupon.read()).collect::<Result<Vec<_>, _>>()?;
    let orders = orders(conn, &coupons).await?;
    let mut book = Book::of(coupons, orders.iter().cloned());
    book.sweep(at);
    let changes = book.into_changes(Uuid::now_v7);
    write::changes(conn, &changes, &orders, Then::GoOn).await?;
    Ok(End::Commit(u32::try_from(changes.coupons.len()).unwrap_or(u32::MAX)))
}

/// The orders that these coupons are held for. They are read behind the lock, which keeps them as they are.
async fn orders(conn: &mut AsyncPgConnection, coupons: &[CouponRecord]) -> Result<Vec<OrderRecord>, Failure> {
    let held: Vec<_> = coupons.iter().filter_map(|coupon| Some((&coupon.campaign, coupon.order.as_ref()?))).collect();
    if held.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sql(ORDERS)
        .bind::<Array<Text>, _>(column(&held, |(campaign, _)| campaign.as_str()))
        .bind::<Array<Text>, _>(column(&held, |(_, order)| order.as_str()))
        .load::<OrderRow>(conn)
        .await?;
    rows.into_iter().filter_map(|row| row.read().transpose()).collect()
}
