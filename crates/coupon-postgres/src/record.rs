//! Writing a recording: its rows, one event for each decision, and the cursor, in one transaction.

use std::time::Duration;

use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::{CampaignId, UserId};
use coupon_domain::ports::{LedgerError, RecordError};
use coupon_domain::recording::{CampaignChange, CouponRow, Cursor, PlaceRow, Recording, RoundRow};
use coupon_domain::round::Phase;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::records::cursor;
use crate::rows::{CursorRow, big, instant, int, json, number};
use crate::statement::sql;
use crate::{requests, titles};

/// Whoever comes second does not wait: `SKIP LOCKED` says so without an error, whose code the driver would not tell.
const LOCK_CURSOR: &str =
    "SELECT epoch, n, chain, last_at FROM journal_cursors WHERE campaign_id = $1 FOR UPDATE SKIP LOCKED";

/// Locked, so that a recovery which ends meanwhile waits for this and then finds its gate behind the ledger.
const CAMPAIGN_EPOCH: &str = "SELECT epoch, open FROM campaigns WHERE id = $1 FOR NO KEY UPDATE";

const MOVE_CURSOR: &str =
    "UPDATE journal_cursors SET epoch = $2, n = $3, chain = $4, last_at = $5 WHERE campaign_id = $1";

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

/// The campaign comes before the coupons, which its new rules may be needed for.
async fn write(conn: &mut AsyncPgConnection, campaign: &CampaignId, recording: &Recording) -> Result<(), Failure> {
    insert_rounds(conn, campaign, &recording.rounds).await?;
    update_campaign(conn, campaign, &recording.campaign).await?;
    insert_places(conn, &recording.places).await?;
    insert_coupons(conn, campaign, &recording.coupons).await?;
    update_rounds(conn, campaign, recording).await?;
    keep_requests(conn, campaign, recording).await?;
    insert_events(conn, campaign, recording).await?;
    retire(conn, recording).await?;
    move_cursor(conn, campaign, &recording.to).await
}

async fn insert_rounds(conn: &mut AsyncPgConnection, campaign: &CampaignId, rows: &[RoundRow]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let specs = rows.iter().map(|row| json(&row.spec)).collect::<Result<Vec<_>, _>>()?;
    let reserve = |row: &RoundRow| row.spec.reserve;
    sql(include_str!("queries/insert_rounds.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Integer>, _>(column(rows, |row| number(row.spec.id)))
        .bind::<Array<Jsonb>, _>(specs)
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
        .bind::<Array<Nullable<Binary>>, _>(column(&rows, |row| {
            row.leaf.as_ref().map(|leaf| leaf.as_bytes().as_slice())
        }))
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_coupons(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    rows: &[CouponRow],
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = sorted(rows, |row| (row.round, row.serial));
    sql(include_str!("queries/insert_coupons.sql"))
        .bind::<Text, _>(campaign.as_str())
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

async fn update_rounds(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failure> {
    let changes: Vec<_> = recording.changes.iter().collect();
    if changes.is_empty() {
        return Ok(());
    }
    let delay = |drawn: Duration| i64::try_from(drawn.as_micros()).unwrap_or(i64::MAX);
    let updated = sql(include_str!("queries/update_rounds.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Integer>, _>(column(&changes, |(round, _)| number(**round)))
        .bind::<Array<Nullable<Text>>, _>(column(&changes, |(_, change)| change.phase.map(Phase::as_str)))
        .bind::<Array<Bool>, _>(column(&changes, |(_, change)| change.supply.is_some()))
        .bind::<Array<Nullable<Integer>>, _>(column(&changes, |(_, change)| change.supply.flatten().map(int)))
        .bind::<Array<Nullable<BigInt>>, _>(column(&changes, |(_, change)| change.left_at_close.flatten().map(big)))
        .bind::<Array<Nullable<Integer>>, _>(column(&changes, |(_, change)| change.added.map(int)))
        .bind::<Array<Nullable<BigInt>>, _>(column(&changes, |(_, change)| change.drawn.map(delay)))
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

async fn update_campaign(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    change: &CampaignChange,
) -> Result<(), Failure> {
    let CampaignChange { state, rules, total_limit, revisions } = change;
    if *revisions == 0 {
        return Ok(());
    }
    sql(include_str!("queries/update_campaign.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Nullable<Text>, _>(state.map(CampaignState::as_str))
        .bind::<Nullable<Jsonb>, _>(rules.as_deref().map(json).transpose()?)
        .bind::<Nullable<Integer>, _>(total_limit.map(int))
        .bind::<BigInt, _>(i64::from(*revisions))
        .execute(conn)
        .await?;
    if rules.is_some() || *state == Some(CampaignState::Ended) {
        titles::settle(conn, campaign).await?;
    }
    Ok(())
}

async fn keep_requests(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failure> {
    let rows = column(&recording.requests, |(id, verb)| (*id, verb.as_str()));
    requests::keep(conn, campaign, &rows).await?;
    Ok(())
}

async fn insert_events(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failure> {
    let events = recording.events(campaign);
    if events.is_empty() {
        return Ok(());
    }
    sql(include_str!("queries/insert_events.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Text>, _>(column(&events, |event| event.id.as_str()))
        .bind::<Array<Text>, _>(column(&events, |event| event.kind.as_str()))
        .bind::<Array<Nullable<Integer>>, _>(column(&events, |event| event.round.map(number)))
        .bind::<Array<Nullable<Integer>>, _>(column(&events, |event| event.coupon.map(|coupon| int(coupon.serial))))
        .bind::<Array<Nullable<Text>>, _>(column(&events, |event| event.user.as_ref().map(UserId::as_str)))
        .bind::<Array<Nullable<Text>>, _>(column(&events, |event| event.state.as_deref()))
        .bind::<Array<Timestamptz>, _>(column(&events, |event| instant(event.at)))
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
