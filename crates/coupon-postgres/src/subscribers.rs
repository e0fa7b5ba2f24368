//! Who has read the feed how far, and which events need not be kept any longer.

use std::time::Duration;

use chrono::{DateTime, Utc};
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{Pruned, Retention, Subscriber};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::failure::Failure;
use crate::rows::{micros, readable, timestamp, unsigned};
use crate::statement::{Sql, sql};

/// Whoever had a lease has lost it.
const SUBSCRIBE: &str = "INSERT INTO subscribers AS known (name, session, position, created_at, seen_at)
    SELECT $1, $2, coalesce($3, 0), clock.at, clock.at FROM (SELECT coupon_now() AS at) AS clock
    ON CONFLICT (name) DO UPDATE SET
        session = excluded.session, lease_until = NULL, position = coalesce($3, known.position), seen_at = excluded.seen_at
    RETURNING position";

const LEASE: &str = "INSERT INTO subscribers AS known (name, session, position, lease_until, created_at, seen_at)
    SELECT $1, $2, 0, clock.at + $3 * interval '1 microsecond', clock.at, clock.at FROM (SELECT coupon_now() AS at) AS clock
    ON CONFLICT (name) DO UPDATE SET session = excluded.session, lease_until = excluded.lease_until, seen_at = excluded.seen_at
    WHERE known.session = excluded.session OR known.lease_until IS NULL OR known.lease_until <= excluded.seen_at
    RETURNING position";

const POSITION: &str = "SELECT position FROM subscribers WHERE name = $1 AND session = $2";

const ACKNOWLEDGE: &str = "UPDATE subscribers SET position = greatest(position, $2), seen_at = coupon_now()
    WHERE name = $1 RETURNING position";

const SUBSCRIBERS: &str = "SELECT name, position, created_at, seen_at FROM subscribers ORDER BY name";

#[derive(QueryableByName)]
struct PositionRow {
    #[diesel(sql_type = BigInt)]
    position: i64,
}

#[derive(QueryableByName)]
struct SubscriberRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    position: i64,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    seen_at: DateTime<Utc>,
}

impl SubscriberRow {
    fn read(self) -> Result<Subscriber, Failure> {
        Ok(Subscriber {
            name: readable(SubscriberName::parse(&self.name).ok(), "subscribers.name")?,
            position: self.position,
            created_at: timestamp(self.created_at),
            seen_at: timestamp(self.seen_at),
        })
    }
}

#[derive(QueryableByName)]
struct PrunedRow {
    #[diesel(sql_type = BigInt)]
    events: i64,
    #[diesel(sql_type = BigInt)]
    unread: i64,
}

async fn position_from(conn: &mut AsyncPgConnection, statement: Sql<'_>) -> Result<Option<i64>, Failure> {
    Ok(statement.get_result::<PositionRow>(conn).await.optional()?.map(|row| row.position))
}

pub(crate) async fn subscribe(
    conn: &mut AsyncPgConnection,
    name: &SubscriberName,
    session: Uuid,
    after: Option<i64>,
) -> Result<i64, Failure> {
    let subscribe = sql(SUBSCRIBE).bind::<Text, _>(name.as_str()).bind::<SqlUuid, _>(session);
    let position = position_from(conn, subscribe.bind::<Nullable<BigInt>, _>(after)).await?;
    readable(position, "a subscriber who was there a moment ago")
}

pub(crate) async fn lease(
    conn: &mut AsyncPgConnection,
    name: &SubscriberName,
    session: Uuid,
    span: Duration,
) -> Result<Option<i64>, Failure> {
    let lease = sql(LEASE).bind::<Text, _>(name.as_str()).bind::<SqlUuid, _>(session);
    position_from(conn, lease.bind::<BigInt, _>(micros(span))).await
}

pub(crate) async fn position(
    conn: &mut AsyncPgConnection,
    name: &SubscriberName,
    session: Uuid,
) -> Result<Option<i64>, Failure> {
    position_from(conn, sql(POSITION).bind::<Text, _>(name.as_str()).bind::<SqlUuid, _>(session)).await
}

pub(crate) async fn acknowledge(
    conn: &mut AsyncPgConnection,
    name: &SubscriberName,
    up_to: i64,
) -> Result<Option<i64>, Failure> {
    position_from(conn, sql(ACKNOWLEDGE).bind::<Text, _>(name.as_str()).bind::<BigInt, _>(up_to)).await
}

pub(crate) async fn all(conn: &mut AsyncPgConnection) -> Result<Vec<Subscriber>, Failure> {
    let rows = sql(SUBSCRIBERS).load::<SubscriberRow>(conn).await?;
    rows.into_iter().map(SubscriberRow::read).collect()
}

pub(crate) async fn unsubscribe(conn: &mut AsyncPgConnection, name: &SubscriberName) -> Result<bool, Failure> {
    let delete = sql("DELETE FROM subscribers WHERE name = $1").bind::<Text, _>(name.as_str());
    Ok(delete.execute(conn).await? == 1)
}

pub(crate) async fn prune(conn: &mut AsyncPgConnection, retention: Retention, limit: u32) -> Result<Pruned, Failure> {
    let row = sql(include_str!("queries/prune_events.sql"))
        .bind::<BigInt, _>(micros(retention.min))
        .bind::<BigInt, _>(micros(retention.max))
        .bind::<BigInt, _>(i64::from(limit))
        .get_result::<PrunedRow>(conn)
        .await?;
    let count = |n| unsigned(n, "a count of events");
    Ok(Pruned { events: count(row.events)?, unread: count(row.unread)? })
}
