//! Writing a recording: its rows, one event for each decision, and the cursor, in one transaction.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{Event, EventKind, LedgerError, RecordError};
use coupon_domain::recording::{CouponRow, Cursor, PhaseRow, PlaceRow, Recording, RoundRow};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::records::cursor;
use crate::rows::{CursorRow, big, instant, int, number};
use crate::statement::sql;

/// Whoever comes second does not wait: `SKIP LOCKED` says so without an error, whose code the driver would not tell.
const LOCK_CURSOR: &str =
    "SELECT epoch, n, chain, last_at FROM journal_cursors WHERE campaign_id = $1 FOR UPDATE SKIP LOCKED";

/// Locked, so that a recovery which ends meanwhile waits for this and then finds its gate behind the ledger.
const CAMPAIGN_EPOCH: &str = "SELECT epoch, open FROM campaigns WHERE id = $1 FOR SHARE";

const MOVE_CURSOR: &str =
    "UPDATE journal_cursors SET epoch = $2, n = $3, chain = $4, last_at = $5 WHERE campaign_id = $1";

/// By the ledger's clock, which a person may have set back.
const CHANGE_STATE: &str =
    "UPDATE campaigns SET state = $2, revision = revision + $3, updated_at = greatest(updated_at, coupon_now())
    WHERE id = $1";

/// One request may have reached the gates of two campaigns: the first recorded has it, and neither recording may fail.
const INSERT_REQUESTS: &str = "INSERT INTO requests (id, campaign_id, verb)
    SELECT r.id, $1, r.verb FROM unnest($2::uuid[], $3::text[]) AS r (id, verb) ORDER BY r.id ON CONFLICT DO NOTHING";

const RETIRE: &str = "UPDATE rounds SET retired = true WHERE no = ANY ($1)";
const FORGET: &str = "DELETE FROM rounds WHERE no = ANY ($1)";

/// Why nothing was written though nothing failed.
enum Turned {
    Busy,
    Moved(Cursor),
    Outdated(i64),
}

#[derive(QueryableByName)]
struct EpochRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    open: bool,
}

impl PostgresLedger {
    pub(crate) async fn write_recording(
        &self,
        campaign: &CampaignId,
        recording: &Recording,
    ) -> Result<(), RecordError> {
        let (campaign, recording) = (campaign.clone(), recording.clone());
        let written = self.transaction(move |conn| {
            Box::pin(async move {
                if let Some(turned) = turned_away(conn, &campaign, &recording).await? {
                    return Ok(End::Rollback(Err(turned)));
                }
                write(conn, &campaign, &recording).await?;
                Ok(End::Commit(Ok(())))
            })
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Turned::Busy)) => Err(RecordError::Busy),
            Ok(Err(Turned::Moved(cursor))) => Err(RecordError::Moved(cursor)),
            Ok(Err(Turned::Outdated(epoch))) => {
                Err(RecordError::Fork(format!("the campaign was opened in epoch {epoch}")))
            }
            Err(failure) => match failure.broken_key() {
                Some(key) => Err(RecordError::Fork(key)),
                None => Err(LedgerError::from(failure).into()),
            },
        }
    }
}

async fn turned_away(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<Option<Turned>, Failure> {
    let locked = sql(LOCK_CURSOR).bind::<Text, _>(campaign.as_str()).get_result::<CursorRow>(conn).await.optional()?;
    let Some(row) = locked else {
        // Locked by somebody, if it is there at all.
        cursor(conn, campaign).await?;
        return Ok(Some(Turned::Busy));
    };
    let cursor = row.read()?;
    if cursor != recording.from {
        return Ok(Some(Turned::Moved(cursor)));
    }
    let opened =
        sql(CAMPAIGN_EPOCH).bind::<Text, _>(campaign.as_str()).get_result::<EpochRow>(conn).await.optional()?;
    let outdated = opened.filter(|row| row.open && big(recording.epoch) < row.epoch).map(|row| row.epoch);
    Ok(outdated.map(Turned::Outdated))
}

async fn write(conn: &mut AsyncPgConnection, campaign: &CampaignId, recording: &Recording) -> Result<(), Failure> {
    insert_rounds(conn, campaign, &recording.rounds).await?;
    insert_places(conn, &recording.places).await?;
    insert_coupons(conn, &recording.coupons).await?;
    update_rounds(conn, campaign, recording).await?;
    change_state(conn, campaign, recording).await?;
    insert_events(conn, campaign, recording).await?;
    retire(conn, recording).await?;
    move_cursor(conn, campaign, &recording.to).await
}

async fn insert_rounds(conn: &mut AsyncPgConnection, campaign: &CampaignId, rows: &[RoundRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let specs = rows.iter().map(|row| serde_json::to_value(&row.spec)).collect::<Result<Vec<_>, _>>();
    let reserve = |row: &RoundRow| row.spec.reserve;
    sql(include_str!("queries/insert_rounds.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Integer>, _>(column(rows, |row| number(row.spec.id)))
        .bind::<Array<Jsonb>, _>(specs.map_err(|e| Failure::Damaged(e.to_string()))?)
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |row| reserve(row).map(|w| instant(w.opens))))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |row| reserve(row).map(|w| instant(w.closes))))
        .bind::<Array<Timestamptz>, _>(column(rows, |row| instant(row.spec.claim.opens)))
        .bind::<Array<Timestamptz>, _>(column(rows, |row| instant(row.spec.claim.closes)))
        .bind::<Array<Nullable<Integer>>, _>(column(rows, |row| row.spec.supply.known_at_start().map(int)))
        .bind::<Array<BigInt>, _>(column(rows, |row| big(row.n)))
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_places(conn: &mut AsyncPgConnection, rows: &[PlaceRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = sorted(rows, |row| (row.round, row.ticket));
    sql(include_str!("queries/insert_places.sql"))
        .bind::<Array<Integer>, _>(column(&rows, |row| number(row.round)))
        .bind::<Array<Integer>, _>(column(&rows, |row| int(row.ticket)))
        .bind::<Array<Text>, _>(column(&rows, |row| row.user.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| instant(row.reserved_at)))
        .bind::<Array<BigInt>, _>(column(&rows, |row| big(row.n)))
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_coupons(conn: &mut AsyncPgConnection, rows: &[CouponRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = sorted(rows, |row| (row.round, row.serial));
    sql(include_str!("queries/insert_coupons.sql"))
        .bind::<Array<Integer>, _>(column(&rows, |row| number(row.round)))
        .bind::<Array<Integer>, _>(column(&rows, |row| int(row.serial)))
        .bind::<Array<Text>, _>(column(&rows, |row| row.user.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| instant(row.claimed_at)))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| instant(row.expires_at)))
        .bind::<Array<BigInt>, _>(column(&rows, |row| big(row.n)))
        .execute(conn)
        .await?;
    Ok(())
}

/// What a recording does to one round.
#[derive(Default)]
struct RoundChange<'a> {
    phase: Option<&'a PhaseRow>,
    places: u32,
    issued: u32,
    last_n: u64,
}

type RoundChanges<'a> = BTreeMap<RoundId, RoundChange<'a>>;

fn round_changes(recording: &Recording) -> RoundChanges<'_> {
    let mut changes = RoundChanges::new();
    for row in &recording.places {
        changed(&mut changes, row.round, row.n).places += 1;
    }
    for row in &recording.coupons {
        changed(&mut changes, row.round, row.n).issued += 1;
    }
    for row in &recording.phases {
        changed(&mut changes, row.round, row.n).phase = Some(row);
    }
    changes
}

fn changed<'m, 'a>(changes: &'m mut RoundChanges<'a>, round: RoundId, n: u64) -> &'m mut RoundChange<'a> {
    let change = changes.entry(round).or_default();
    change.last_n = change.last_n.max(n);
    change
}

async fn update_rounds(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failure> {
    let changes: Vec<_> = round_changes(recording).into_iter().collect();
    if changes.is_empty() {
        return Ok(());
    }
    let supply = |change: &RoundChange<'_>| change.phase.and_then(|phase| phase.supply);
    let updated = sql(include_str!("queries/update_rounds.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Integer>, _>(column(&changes, |(round, _)| number(*round)))
        .bind::<Array<Nullable<Text>>, _>(column(&changes, |(_, change)| change.phase.map(|row| row.phase.as_str())))
        .bind::<Array<Nullable<Integer>>, _>(column(&changes, |(_, change)| supply(change).map(int)))
        .bind::<Array<Integer>, _>(column(&changes, |(_, change)| int(change.places)))
        .bind::<Array<Integer>, _>(column(&changes, |(_, change)| int(change.issued)))
        .bind::<Array<BigInt>, _>(column(&changes, |(_, change)| big(change.last_n)))
        .execute(conn)
        .await?;
    if updated != changes.len() {
        return Err(Failure::Damaged(format!("campaign {campaign} lacks a round of its journal")));
    }
    Ok(())
}

async fn change_state(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failure> {
    let Some(last) = recording.states.last() else { return Ok(()) };
    sql(CHANGE_STATE)
        .bind::<Text, _>(campaign.as_str())
        .bind::<Text, _>(last.state.as_str())
        .bind::<BigInt, _>(big(recording.states.len() as u64))
        .execute(conn)
        .await?;
    let requests: Vec<_> = recording.states.iter().filter_map(|row| Some((row.request?, row.verb.as_str()))).collect();
    if !requests.is_empty() {
        sql(INSERT_REQUESTS)
            .bind::<Text, _>(campaign.as_str())
            .bind::<Array<SqlUuid>, _>(column(&requests, |(id, _)| *id))
            .bind::<Array<Text>, _>(column(&requests, |(_, verb)| *verb))
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// The event of one decision.
struct EventRow<'a> {
    n: u64,
    kind: EventKind,
    round: Option<RoundId>,
    serial: Option<u32>,
    user: Option<&'a str>,
    state: Option<&'a str>,
    at: DateTime<Utc>,
}

fn events(recording: &Recording) -> Vec<EventRow<'_>> {
    let plain = |n, kind, at| EventRow { n, kind, round: None, serial: None, user: None, state: None, at: instant(at) };
    let rounds = recording
        .rounds
        .iter()
        .map(|r| EventRow { round: Some(r.spec.id), ..plain(r.n, EventKind::RoundOpened, r.at) });
    let places = recording.places.iter().map(|r| EventRow {
        round: Some(r.round),
        user: Some(r.user.as_str()),
        ..plain(r.n, EventKind::PlaceReserved, r.reserved_at)
    });
    let coupons = recording.coupons.iter().map(|r| EventRow {
        round: Some(r.round),
        serial: Some(r.serial),
        user: Some(r.user.as_str()),
        ..plain(r.n, EventKind::CouponIssued, r.claimed_at)
    });
    let phases = recording.phases.iter().map(|r| EventRow {
        round: Some(r.round),
        state: Some(r.phase.as_str()),
        ..plain(r.n, EventKind::RoundPhaseChanged, r.at)
    });
    let states = recording
        .states
        .iter()
        .map(|r| EventRow { state: Some(r.state.as_str()), ..plain(r.n, EventKind::CampaignStateChanged, r.at) });
    let mut events: Vec<_> = rounds.chain(places).chain(coupons).chain(phases).chain(states).collect();
    events.sort_by_key(|event| event.n);
    events
}

async fn insert_events(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failure> {
    let events = events(recording);
    if events.is_empty() {
        return Ok(());
    }
    sql(include_str!("queries/insert_events.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Text>, _>(column(&events, |event| Event::id_of_decision(campaign, event.n)))
        .bind::<Array<Text>, _>(column(&events, |event| event.kind.as_str()))
        .bind::<Array<Nullable<Integer>>, _>(column(&events, |event| event.round.map(number)))
        .bind::<Array<Nullable<Integer>>, _>(column(&events, |event| event.serial.map(int)))
        .bind::<Array<Nullable<Text>>, _>(column(&events, |event| event.user))
        .bind::<Array<Nullable<Text>>, _>(column(&events, |event| event.state))
        .bind::<Array<Timestamptz>, _>(column(&events, |event| event.at))
        .execute(conn)
        .await?;
    Ok(())
}

async fn retire(conn: &mut AsyncPgConnection, recording: &Recording) -> Result<(), Failure> {
    for (text, used) in [(RETIRE, true), (FORGET, false)] {
        let rounds: Vec<_> =
            recording.retired.iter().filter(|row| row.used == used).map(|row| number(row.round)).collect();
        if !rounds.is_empty() {
            sql(text).bind::<Array<Integer>, _>(rounds).execute(conn).await?;
        }
    }
    Ok(())
}

async fn move_cursor(conn: &mut AsyncPgConnection, campaign: &CampaignId, to: &Cursor) -> Result<(), Failure> {
    sql(MOVE_CURSOR)
        .bind::<Text, _>(campaign.as_str())
        .bind::<BigInt, _>(big(to.position.epoch))
        .bind::<BigInt, _>(big(to.position.n))
        .bind::<Text, _>(to.chain.to_string())
        .bind::<Nullable<Timestamptz>, _>(to.last_at.map(instant))
        .execute(conn)
        .await?;
    Ok(())
}

/// In the order of their keys, as every writer takes them.
fn sorted<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| key(row));
    rows
}

fn column<'a, T, V>(rows: &'a [T], part: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(part).collect()
}
