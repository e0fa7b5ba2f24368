//! Calls of checkouts and operators: lock the rows that they are about, decide in a `Book`, write what changed, in one transaction.
//!
//! Whoever changes a coupon has its row locked. Whoever gives an order a coupon, or takes it away by the order's name, has the order
//! locked, known or not. Orders come before coupons, both in one order for all, so that no two transactions wait for one another. An order
//! may also change under the lock of the coupon that it holds: a hold that is over ends with the next call for its coupon.

use chrono::{DateTime, Utc};
use coupon_domain::checkout::{Book, Call, Outcome};
use coupon_domain::redemption::{CouponRecord, OrderRecord};
use coupon_domain::time::Timestamp;
use diesel::QueryableByName;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use uuid::Uuid;

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{CouponRow, OrderRow, int, number, readable, timestamp};
use crate::snapshot::ONE_INSTANT;
use crate::statement::sql;
use crate::write::{self, Then};

const ROLLBACK: &str = "ROLLBACK";
const LOCK_ORDERS: &str = include_str!("queries/lock_orders.sql");
const COUPONS: &str = include_str!("queries/coupons_of_calls.sql");
const LOCK_COUPONS: &str = concat!(include_str!("queries/coupons_of_calls.sql"), "FOR NO KEY UPDATE OF coupons");
const ORDERS: &str = include_str!("queries/orders_of_calls.sql");

#[derive(QueryableByName)]
struct AtOrderRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(embed)]
    order: OrderRow,
}

/// What some calls name.
struct Named<'a> {
    rounds: Vec<i32>,
    serials: Vec<i32>,
    campaigns: Vec<&'a str>,
    orders: Vec<&'a str>,
}

impl<'a> Named<'a> {
    fn by(calls: &'a [Call]) -> Self {
        let coupons = calls.iter().filter_map(Call::coupon);
        let (rounds, serials) = coupons.map(|id| (number(id.round), int(id.serial))).unzip();
        let orders = calls.iter().filter_map(Call::order);
        let (campaigns, orders) = orders.map(|(campaign, id)| (campaign.as_str(), id.as_str())).unzip();
        Self { rounds, serials, campaigns, orders }
    }
}

/// The rows that some calls are about, and the ledger's time.
struct Rows {
    coupons: Vec<CouponRecord>,
    orders: Vec<OrderRecord>,
    at: Timestamp,
}

impl PostgresLedger {
    pub(crate) async fn carry_out_all(&self, calls: &[Call]) -> Result<Vec<Outcome>, Failure> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let calls = calls.to_vec();
        self.run(move |conn| Box::pin(async move { whole(conn, &calls).await })).await
    }

    pub(crate) async fn foresee_one(&self, call: &Call) -> Result<Outcome, Failure> {
        let call = [call.clone()];
        let foreseen = self.transaction(move |conn| {
            Box::pin(async move {
                sql(ONE_INSTANT).execute(conn).await?;
                let named = Named::by(&call);
                let coupons = coupons(conn, COUPONS, &named).await?;
                let (orders, at) = orders(conn, &named).await?;
                Ok(End::Rollback(Book::of(coupons, orders).decide(&call[0], at)))
            })
        });
        foreseen.await
    }
}

/// A transaction that begins with its first statement and ends with its last one: two round trips for all of it.
async fn whole(conn: &mut AsyncPgConnection, calls: &[Call]) -> Result<Vec<Outcome>, Failure> {
    let outcomes = carry_out(conn, calls).await;
    if outcomes.is_err() {
        // The first failure says why; a connection that cannot even roll back is dropped by the pool.
        let _ = conn.batch_execute(ROLLBACK).await;
    }
    outcomes
}

async fn carry_out(conn: &mut AsyncPgConnection, calls: &[Call]) -> Result<Vec<Outcome>, Failure> {
    let Rows { coupons, orders, at } = lock(conn, &Named::by(calls)).await?;
    let mut book = Book::of(coupons, orders.iter().cloned());
    let outcomes = calls.iter().map(|call| book.decide(call, at)).collect();
    let changes = book.into_changes(Uuid::now_v7);
    if changes.is_empty() {
        conn.batch_execute(ROLLBACK).await?;
    } else {
        write::changes(conn, &changes, &orders, Then::Commit).await?;
    }
    Ok(outcomes)
}

/// The beginning of the transaction and three statements in one flight, whose order `statement.rs` explains. Each sees what was committed
/// before it began: coupons are looked for when the orders are locked, and the rest is read when the coupons are locked.
async fn lock(conn: &mut AsyncPgConnection, named: &Named<'_>) -> Result<Rows, Failure> {
    let shared: &AsyncPgConnection = conn;
    let ((), (), coupons, (orders, at)) = tokio::try_join!(
        biased;
        begin(shared),
        lock_orders(shared, named),
        coupons(shared, LOCK_COUPONS, named),
        orders(shared, named),
    )?;
    Ok(Rows { coupons, orders, at })
}

async fn begin(mut conn: &AsyncPgConnection) -> Result<(), Failure> {
    sql("BEGIN").execute(&mut conn).await?;
    Ok(())
}

async fn lock_orders(mut conn: &AsyncPgConnection, named: &Named<'_>) -> Result<(), Failure> {
    sql(LOCK_ORDERS)
        .bind::<Array<Text>, _>(&named.campaigns)
        .bind::<Array<Text>, _>(&named.orders)
        .execute(&mut conn)
        .await?;
    Ok(())
}

async fn coupons(
    mut conn: &AsyncPgConnection,
    statement: &'static str,
    named: &Named<'_>,
) -> Result<Vec<CouponRecord>, Failure> {
    let rows = sql(statement)
        .bind::<Array<Integer>, _>(&named.rounds)
        .bind::<Array<Integer>, _>(&named.serials)
        .bind::<Array<Text>, _>(&named.campaigns)
        .bind::<Array<Text>, _>(&named.orders)
        .load::<CouponRow>(&mut conn)
        .await?;
    rows.into_iter().map(CouponRow::read).collect()
}

async fn orders(mut conn: &AsyncPgConnection, named: &Named<'_>) -> Result<(Vec<OrderRecord>, Timestamp), Failure> {
    let rows = sql(ORDERS)
        .bind::<Array<Integer>, _>(&named.rounds)
        .bind::<Array<Integer>, _>(&named.serials)
        .bind::<Array<Text>, _>(&named.campaigns)
        .bind::<Array<Text>, _>(&named.orders)
        .load::<AtOrderRow>(&mut conn)
        .await?;
    let at = timestamp(readable(rows.as_slice().first(), "the ledger's time")?.at);
    let orders = rows.into_iter().filter_map(|row| row.order.read().transpose()).collect::<Result<_, _>>()?;
    Ok((orders, at))
}
