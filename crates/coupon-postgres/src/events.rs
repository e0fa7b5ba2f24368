//! Reading events in the order in which the ledger got them, without ever passing one by.
//!
//! A number of `seq` is drawn before its transaction commits, so that event 6 can be seen while event 5 is still to come. A reader who
//! goes on behind 6 would never see 5. Therefore only events up to a settled number are told: first see how far `seq` is, then wait for
//! the transactions that write events at that moment. Whoever begins later draws a larger number.

use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::{Event, EventFilter, EventKind, FeedPage};
use diesel::OptionalExtension as _;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{campaign_id, column, coupon_of, order_id, readable, round_id, timestamp, user_id};
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
/// What an [`EventRow`] is read from.
macro_rules! event_columns {
    () => {
        "events.seq, events.id, events.kind, events.campaign_id, events.round_no, events.serial, events.user_id,
        events.order_id, events.state, events.details, events.at"
    };
}
pub(crate) use event_columns;

const EVENTS: &str =
    concat!("SELECT ", event_columns!(), " FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3");

const FILTERED: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM events
    WHERE seq > $1 AND seq <= $2 AND ($4 IS NULL OR kind = ANY ($4)) AND ($5 IS NULL OR campaign_id = $5)
    ORDER BY seq LIMIT $3"
);

/// How far a page looks that picks from so many events.
const REACH: i64 = 10_000;
const END_OF_REACH: &str =
    "SELECT seq AS number FROM events WHERE seq > $1 AND seq <= $2 ORDER BY seq OFFSET $3 - 1 LIMIT 1";

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
pub(crate) struct EventRow {
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
    #[diesel(sql_type = Nullable<Jsonb>)]
    details: Option<serde_json::Value>,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

impl EventRow {
    pub(crate) fn read(self) -> Result<(i64, Event), Failure> {
        let details = self.details.map(serde_json::from_value).transpose().ok();
        let event = Event {
            id: self.id,
            kind: readable(EventKind::from_word(&self.kind), "events.kind")?,
            campaign: campaign_id(&self.campaign_id)?,
            round: self.round_no.map(round_id).transpose()?,
            coupon: coupon_of(self.round_no, self.serial)?,
            user: self.user_id.as_deref().map(user_id).transpose()?,
            order: self.order_id.as_deref().map(order_id).transpose()?,
            state: self.state,
            details: readable(details, "events.details")?.unwrap_or_default(),
            at: timestamp(self.at),
        };
        Ok((self.seq, event))
    }
}

impl PostgresLedger {
    pub(crate) async fn page_of_feed(&self, after: i64, filter: &EventFilter, limit: u32) -> Result<FeedPage, Failure> {
        let (mark, filter) = (std::sync::Arc::clone(&self.settled), filter.clone());
        self.run(move |conn| {
            Box::pin(async move {
                let up_to = settled(conn, &mark, after).await?;
                if up_to <= after || limit == 0 {
                    return Ok(FeedPage { events: Vec::new(), up_to: after });
                }
                page(conn, after..up_to, &filter, i64::from(limit)).await
            })
        })
        .await
    }

    pub(crate) async fn settled_position(&self) -> Result<i64, Failure> {
        let mark = std::sync::Arc::clone(&self.settled);
        self.run(move |conn| Box::pin(async move { settled(conn, &mark, 0).await })).await
    }
}

/// Events between settled positions: behind the first, the last included.
async fn page(
    conn: &mut AsyncPgConnection,
    between: Range<i64>,
    filter: &EventFilter,
    limit: i64,
) -> Result<FeedPage, Failure> {
    let Range { start, mut end } = between;
    let rows = if *filter == EventFilter::default() {
        let all = sql(EVENTS).bind::<BigInt, _>(start).bind::<BigInt, _>(end).bind::<BigInt, _>(limit);
        all.load::<EventRow>(conn).await?
    } else {
        let reach = REACH.max(limit);
        if end - start > reach {
            let last = sql(END_OF_REACH).bind::<BigInt, _>(start).bind::<BigInt, _>(end).bind::<BigInt, _>(reach);
            end = last.get_result::<NumberRow>(conn).await.optional()?.map_or(end, |row| row.number);
        }
        let kinds = Some(column(&filter.kinds, |kind| kind.as_str())).filter(|kinds| !kinds.is_empty());
        sql(FILTERED)
            .bind::<BigInt, _>(start)
            .bind::<BigInt, _>(end)
            .bind::<BigInt, _>(limit)
            .bind::<Nullable<Array<Text>>, _>(kinds)
            .bind::<Nullable<Text>, _>(filter.campaign.as_ref().map(CampaignId::as_str))
            .load::<EventRow>(conn)
            .await?
    };
    let events = rows.into_iter().map(EventRow::read).collect::<Result<Vec<_>, _>>()?;
    let whole = events.last().filter(|_| events.len() as u64 >= limit.unsigned_abs());
    Ok(FeedPage { up_to: whole.map_or(end, |(position, _)| *position), events })
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
