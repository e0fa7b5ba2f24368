//! Events that a receiver outside has not taken yet.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{DeadLetter, DeliveryRepository, LedgerError, Parked, Progress};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::connection::PostgresLedger;
use crate::events::{EventRow, event_columns};
use crate::failure::Failure;
use crate::rows::{column, count, int, micros, timestamp};
use crate::statement::sql;

const DUE: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", first.attempts
    FROM deliveries AS first JOIN events ON events.seq = first.position
    WHERE first.outlet = $1 AND first.next_at <= coupon_now()
        AND NOT EXISTS (
            SELECT FROM deliveries AS earlier
            WHERE earlier.outlet = first.outlet AND earlier.key = first.key AND earlier.position < first.position
                AND earlier.next_at IS NOT NULL
        )
    ORDER BY first.position LIMIT $2"
);

const KEYS: &str = "SELECT DISTINCT key FROM deliveries WHERE outlet = $1 AND key = ANY ($2) AND next_at IS NOT NULL";

const DEAD: &str = concat!(
    "SELECT ",
    event_columns!(),
    ", dead.attempts, dead.error, dead.failed_at
    FROM deliveries AS dead JOIN events ON events.seq = dead.position
    WHERE dead.outlet = $1 AND dead.position > $2 AND dead.next_at IS NULL
    ORDER BY dead.position LIMIT $3"
);

const REVIVE: &str = "UPDATE deliveries SET next_at = coupon_now(), attempts = 0 WHERE outlet = $1 AND next_at IS NULL";

/// Whoever is at this outlet has lost the lease: it would go on from where it is, and write that down.
const REWIND: &str = "UPDATE subscribers SET position = $2, session = NULL, lease_until = NULL
    WHERE name = $1 AND position >= $2";

#[derive(QueryableByName)]
struct ParkedRow {
    #[diesel(embed)]
    event: EventRow,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

impl ParkedRow {
    fn read(self) -> Result<Parked, Failure> {
        let (position, event) = self.event.read()?;
        Ok(Parked { position, event, attempts: count(self.attempts, "deliveries.attempts")? })
    }
}

#[derive(QueryableByName)]
struct DeadRow {
    #[diesel(embed)]
    parked: ParkedRow,
    #[diesel(sql_type = Text)]
    error: String,
    #[diesel(sql_type = Timestamptz)]
    failed_at: DateTime<Utc>,
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    key: String,
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

async fn note(
    conn: &mut AsyncPgConnection,
    outlet: &SubscriberName,
    session: Uuid,
    progress: &Progress,
) -> Result<bool, Failure> {
    let Progress { position, taken, parked } = progress;
    let row = sql(include_str!("queries/note_progress.sql"))
        .bind::<Text, _>(outlet.as_str())
        .bind::<SqlUuid, _>(session)
        .bind::<Nullable<BigInt>, _>(*position)
        .bind::<Array<BigInt>, _>(taken)
        .bind::<Array<BigInt>, _>(column(parked, |parking| parking.position))
        .bind::<Array<Text>, _>(column(parked, |parking| parking.key.as_str()))
        .bind::<Array<Integer>, _>(column(parked, |parking| int(parking.attempts)))
        .bind::<Array<Nullable<BigInt>>, _>(column(parked, |parking| parking.retry_in.map(micros)))
        .bind::<Array<Text>, _>(column(parked, |parking| parking.error.as_str()))
        .get_result::<CountRow>(conn)
        .await?;
    Ok(row.count == 1)
}

#[async_trait]
impl DeliveryRepository for PostgresLedger {
    async fn due(&self, outlet: &SubscriberName, limit: u32) -> Result<Vec<Parked>, LedgerError> {
        let outlet = outlet.clone();
        let due = self.run(move |conn| {
            Box::pin(async move {
                let due = sql(DUE).bind::<Text, _>(outlet.as_str()).bind::<BigInt, _>(i64::from(limit));
                due.load::<ParkedRow>(conn).await?.into_iter().map(ParkedRow::read).collect()
            })
        });
        Ok(due.await?)
    }

    async fn parked_keys(&self, outlet: &SubscriberName, keys: &[String]) -> Result<Vec<String>, LedgerError> {
        let (outlet, keys) = (outlet.clone(), keys.to_vec());
        let parked = self.run(move |conn| {
            Box::pin(async move {
                let parked = sql(KEYS).bind::<Text, _>(outlet.as_str()).bind::<Array<Text>, _>(keys);
                Ok(parked.load::<KeyRow>(conn).await?.into_iter().map(|row| row.key).collect())
            })
        });
        Ok(parked.await?)
    }

    async fn progress(&self, outlet: &SubscriberName, session: Uuid, progress: &Progress) -> Result<bool, LedgerError> {
        let (outlet, progress) = (outlet.clone(), progress.clone());
        Ok(self.run(move |conn| Box::pin(async move { note(conn, &outlet, session, &progress).await })).await?)
    }

    async fn dead_letters(
        &self,
        outlet: &SubscriberName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        let outlet = outlet.clone();
        let dead = self.run(move |conn| {
            Box::pin(async move {
                let dead = sql(DEAD).bind::<Text, _>(outlet.as_str()).bind::<BigInt, _>(after);
                let rows = dead.bind::<BigInt, _>(i64::from(limit)).load::<DeadRow>(conn).await?;
                let letter = |DeadRow { parked, error, failed_at }| {
                    Ok(DeadLetter { parked: parked.read()?, error, failed_at: timestamp(failed_at) })
                };
                rows.into_iter().map(letter).collect()
            })
        });
        Ok(dead.await?)
    }

    async fn revive(&self, outlet: &SubscriberName) -> Result<u64, LedgerError> {
        let outlet = outlet.clone();
        let revived = self.run(move |conn| {
            Box::pin(async move { Ok(sql(REVIVE).bind::<Text, _>(outlet.as_str()).execute(conn).await?) })
        });
        Ok(revived.await? as u64)
    }

    async fn rewind(&self, outlet: &SubscriberName, position: i64) -> Result<bool, LedgerError> {
        let outlet = outlet.clone();
        let moved = self.run(move |conn| {
            Box::pin(async move {
                let rewind = sql(REWIND).bind::<Text, _>(outlet.as_str()).bind::<BigInt, _>(position);
                Ok(rewind.execute(conn).await?)
            })
        });
        Ok(moved.await? == 1)
    }
}
