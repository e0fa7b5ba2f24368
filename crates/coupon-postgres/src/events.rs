//! Reading events in the order in which the ledger got them, without ever passing one by.
//!
//! A number of `seq` is drawn before its transaction commits, so that event 6 can be seen while event 5 is still to come. A reader who
//! goes on behind 6 would never see 5. Therefore only events up to a settled number are told: first see how far `seq` is, then wait for
//! the transactions that write events at that moment. Whoever begins later draws a larger number.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coupon_domain::ports::{Event, EventKind};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{campaign_id, event_coupon, event_order, readable, round_id, timestamp, user_id};
use crate::statement::sql;

/// How often one looks whether the writers of a moment ago have ended, and how long to wait between.
const LOOKS: u32 = 200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(3);

const DRAWN: &str = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM events_seq_seq";
/// An INSERT takes this lock before it draws its number, and keeps it until its rows can be seen.
const WRITERS: &str = "SELECT virtualtransaction AS name FROM pg_locks
    WHERE locktype = 'relation' AND relation = 'events'::regclass AND mode = 'RowExclusiveLock' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ($1 IS NULL OR virtualtransaction = ANY ($1))";
const EVENTS: &str = "SELECT seq, id, kind, campaign_id, round_no, serial, user_id, order_id, state, at FROM events
    WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3";

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct WriterRow {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct EventRow {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    campaign_id: String,
    #[diesel(sql_type = Nullable<Integer>)]
    round_no: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    serial: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    order_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

impl EventRow {
    fn read(self) -> Result<(i64, Event), Failure> {
        let event = Event {
            id: self.id,
            kind: readable(EventKind::from_word(&self.kind), "events.kind")?,
            campaign: campaign_id(&self.campaign_id)?,
            round: self.round_no.map(round_id).transpose()?,
            coupon: event_coupon(self.round_no, self.serial)?,
            user: self.user_id.as_deref().map(user_id).transpose()?,
            order: event_order(self.order_id.as_deref())?,
            state: self.state,
            at: timestamp(self.at),
        };
        Ok((self.seq, event))
    }
}

impl PostgresLedger {
    pub(crate) async fn events_behind(&self, after: i64, limit: u32) -> Result<Vec<(i64, Event)>, Failure> {
        let mark = std::sync::Arc::clone(&self.settled);
        self.run(move |conn| {
            Box::pin(async move {
                let up_to = settled(conn, &mark, after).await?;
                let rows = sql(EVENTS)
                    .bind::<BigInt, _>(after)
                    .bind::<BigInt, _>(up_to)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load::<EventRow>(conn)
                    .await?;
                rows.into_iter().map(EventRow::read).collect()
            })
        })
        .await
    }
}

/// Up to which number no event is still to come. Where a transaction takes too long it is what was settled before.
async fn settled(conn: &mut AsyncPgConnection, mark: &AtomicI64, after: i64) -> Result<i64, Failure> {
    let drawn = sql(DRAWN).get_result::<NumberRow>(conn).await?.number;
    if drawn > after && drawn > mark.load(Ordering::Relaxed) {
        let mut writing = writers(conn, None).await?;
        for _ in 0..LOOKS {
            if writing.is_empty() {
                mark.fetch_max(drawn, Ordering::Relaxed);
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
            writing = writers(conn, Some(writing)).await?;
        }
    }
    Ok(mark.load(Ordering::Relaxed))
}

/// Who writes events now; of these, if any are named.
async fn writers(conn: &mut AsyncPgConnection, of: Option<Vec<String>>) -> Result<Vec<String>, Failure> {
    let rows = sql(WRITERS).bind::<Nullable<Array<Text>>, _>(of).load::<WriterRow>(conn).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}
