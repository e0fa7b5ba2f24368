//! Events that an outlet could not deliver yet.

use async_trait::async_trait;
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{DeadLetter, DeliveryRepository, LedgerError, MAX_BATCH, Parked, Parking, Progress};
use coupon_domain::time::Timestamp;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use uuid::Uuid;

use super::events::Line as EventLine;
use super::schema::{deliveries, events};
use super::{SqliteLedger, subscribers, value};
use crate::failed::Failed;
use crate::statement::Statement;

diesel::alias!(deliveries as earlier: Earlier);

#[async_trait]
impl DeliveryRepository for SqliteLedger {
    async fn due(&self, outlet: &SubscriberName, limit: u32) -> Result<Vec<Parked>, LedgerError> {
        let (outlet, at) = (outlet.clone(), self.clock.now());
        Ok(self.read(move |conn| due(conn, &outlet, limit, at)).await?)
    }

    async fn parked_keys(&self, outlet: &SubscriberName, keys: &[String]) -> Result<Vec<String>, LedgerError> {
        let (outlet, keys) = (outlet.clone(), keys.to_vec());
        Ok(self.read_at_one_instant(move |conn| Ok(parked_keys(conn, &outlet, &keys)?)).await?)
    }

    async fn progress(&self, outlet: &SubscriberName, session: Uuid, progress: &Progress) -> Result<bool, LedgerError> {
        let (outlet, progress) = (outlet.clone(), progress.clone());
        let written = self.write(move |conn, stamp| {
            if !subscribers::has_lease(conn, &outlet, session, stamp.at)? {
                return Ok(false);
            }
            write(conn, &outlet, &progress, stamp.at)?;
            Ok(true)
        });
        Ok(written.await?)
    }

    async fn dead_letters(
        &self,
        outlet: &SubscriberName,
        after: i64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, LedgerError> {
        let outlet = outlet.clone();
        Ok(self.read(move |conn| dead_letters(conn, &outlet, after, limit)).await?)
    }

    async fn revive(&self, outlet: &SubscriberName) -> Result<u64, LedgerError> {
        let outlet = outlet.clone();
        Ok(self.write(move |conn, stamp| Ok(revive(conn, &outlet, stamp.at)?)).await?)
    }

    async fn rewind(&self, outlet: &SubscriberName, position: i64) -> Result<bool, LedgerError> {
        let outlet = outlet.clone();
        Ok(self.write(move |conn, _| Ok(subscribers::rewind(conn, &outlet, position)?)).await?)
    }
}

/// Of each key the first one that is no dead letter, if its time has come.
fn due(conn: &mut SqliteConnection, outlet: &SubscriberName, limit: u32, at: Timestamp) -> Result<Vec<Parked>, Failed> {
    let before = earlier
        .filter(earlier.field(deliveries::subscriber).eq(deliveries::subscriber))
        .filter(earlier.field(deliveries::key).eq(deliveries::key))
        .filter(earlier.field(deliveries::next_at).is_not_null())
        .filter(earlier.field(deliveries::seq).lt(deliveries::seq));
    let lines: Vec<(i64, EventLine)> = deliveries::table
        .inner_join(events::table)
        .filter(deliveries::subscriber.eq(outlet.as_str()).and(deliveries::next_at.le(at.micros())))
        .filter(not(exists(before)))
        .order(deliveries::seq)
        .limit(i64::from(limit))
        .select((deliveries::attempts, events::all_columns))
        .load(conn)?;
    lines.into_iter().map(|(attempts, line)| parked(attempts, line)).collect()
}

fn parked(attempts: i64, line: EventLine) -> Result<Parked, Failed> {
    let (position, event) = line.event()?;
    Ok(Parked { position, event, attempts: value::count(attempts, "a delivery's attempts")? })
}

fn parked_keys(conn: &mut SqliteConnection, outlet: &SubscriberName, keys: &[String]) -> QueryResult<Vec<String>> {
    let mut parked = Vec::new();
    for some in keys.chunks(MAX_BATCH) {
        let there = deliveries::table
            .filter(deliveries::subscriber.eq(outlet.as_str()).and(deliveries::key.eq_any(some)))
            .filter(deliveries::next_at.is_not_null())
            .select(deliveries::key)
            .distinct();
        parked.extend(there.load::<String>(conn)?);
    }
    Ok(parked)
}

fn write(conn: &mut SqliteConnection, outlet: &SubscriberName, progress: &Progress, at: Timestamp) -> QueryResult<()> {
    if let Some(position) = progress.position {
        subscribers::move_on(conn, outlet, position)?;
    }
    for position in &progress.taken {
        diesel::delete(deliveries::table.find((outlet.as_str(), *position))).execute(conn)?;
    }
    progress.parked.iter().try_for_each(|parking| park(conn, outlet, parking, at))
}

const PARK: &str = "INSERT INTO deliveries (subscriber, seq, key, attempts, next_at, error, failed_at) \
    VALUES (?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT (subscriber, seq) DO UPDATE SET key = excluded.key, attempts = excluded.attempts, \
    next_at = excluded.next_at, error = excluded.error, failed_at = excluded.failed_at";

/// An event that was too old to be kept is gone: nothing of it can be parked any more.
fn park(conn: &mut SqliteConnection, outlet: &SubscriberName, parking: &Parking, at: Timestamp) -> QueryResult<()> {
    let there: Option<i64> = events::table.find(parking.position).select(events::seq).get_result(conn).optional()?;
    let Some(seq) = there else { return Ok(()) };
    let next_at = parking.retry_in.map(|span| at.plus(span).micros());
    let binds = [
        outlet.as_str().into(),
        seq.into(),
        parking.key.as_str().into(),
        i64::from(parking.attempts).into(),
        next_at.into(),
        parking.error.as_str().into(),
        at.micros().into(),
    ];
    Statement::new(PARK, binds).execute(conn)?;
    Ok(())
}

fn dead_letters(
    conn: &mut SqliteConnection,
    outlet: &SubscriberName,
    after: i64,
    limit: u32,
) -> Result<Vec<DeadLetter>, Failed> {
    let lines: Vec<(i64, String, i64, EventLine)> = deliveries::table
        .inner_join(events::table)
        .filter(deliveries::subscriber.eq(outlet.as_str()).and(deliveries::seq.gt(after)))
        .filter(deliveries::next_at.is_null())
        .order(deliveries::seq)
        .limit(i64::from(limit))
        .select((deliveries::attempts, deliveries::error, deliveries::failed_at, events::all_columns))
        .load(conn)?;
    let letters = lines.into_iter().map(|(attempts, error, failed_at, line)| {
        Ok(DeadLetter { parked: parked(attempts, line)?, error, failed_at: Timestamp::from_micros(failed_at) })
    });
    letters.collect()
}

fn revive(conn: &mut SqliteConnection, outlet: &SubscriberName, at: Timestamp) -> QueryResult<u64> {
    let dead = deliveries::table.filter(deliveries::subscriber.eq(outlet.as_str()));
    let revived = diesel::update(dead.filter(deliveries::next_at.is_null()))
        .set((deliveries::next_at.eq(at.micros()), deliveries::attempts.eq(0)))
        .execute(conn)?;
    Ok(revived as u64)
}
