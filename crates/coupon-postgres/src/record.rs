//! Writing a recording: its rows, one event for each decision, and the cursor, in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use coupon_domain::audit::{self as audits, AuditRecord, Before};
use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::CampaignId;
use coupon_domain::loss::NOBODY;
use coupon_domain::notice;
use coupon_domain::ports::{LedgerError, RecordError};
use coupon_domain::recording::{CampaignChange, CouponRow, Cursor, OperationChange, PlaceRow, Recording, RoundRow};
use coupon_domain::round::Phase;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::records::cursor;
use crate::rows::{CursorRow, big, column, count, instant, int, json, micros, number, read_rules, readable, round_id};
use crate::statement::sql;
use crate::{audit, requests, titles, write};

/// Whoever comes second does not wait: `SKIP LOCKED` says so without an error, whose code the driver would not tell.
const LOCK_CURSOR: &str =
    "SELECT epoch, n, chain, last_at FROM journal_cursors WHERE campaign_id = $1 FOR UPDATE SKIP LOCKED";

/// Locked, so that a recovery which ends meanwhile waits for this and then finds its gate behind the ledger.
const CAMPAIGN: &str = "SELECT epoch, open, state, rules FROM campaigns WHERE id = $1 FOR NO KEY UPDATE";

const ADDED: &str = "SELECT no, added FROM rounds WHERE no = ANY ($1)";

const MOVE_CURSOR: &str =
    "UPDATE journal_cursors SET epoch = $2, n = $3, chain = $4, last_at = $5 WHERE campaign_id = $1";

const RETIRE: &str = "UPDATE rounds SET retired = true WHERE no = ANY ($1)";
const FORGET: &str = "DELETE FROM rounds WHERE no = ANY ($1)";

/// Of so many coupons one statement changes when a notice is due.
const LOOKED_AT_ONCE: i64 = 10_000;

/// Why nothing was written though nothing failed.
enum Turned {
    Busy,
    Moved(Cursor),
    Outdated(i64),
}

/// The campaign as it was before.
#[derive(QueryableByName)]
struct CampaignRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = Bool)]
    open: bool,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Jsonb)]
    rules: serde_json::Value,
}

impl CampaignRow {
    fn read(self) -> Result<Before, Failure> {
        Ok(Before {
            state: readable(CampaignState::from_word(&self.state), "campaigns.state")?,
            rules: read_rules(self.rules)?,
            added: BTreeMap::new(),
        })
    }
}

#[derive(QueryableByName)]
struct AddedRow {
    #[diesel(sql_type = Integer)]
    no: i32,
    #[diesel(sql_type = Integer)]
    added: i32,
}

/// The last coupon of some; null if there are no more.
#[derive(QueryableByName)]
struct LastRow {
    #[diesel(sql_type = Nullable<Integer>)]
    round_no: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    serial: Option<i32>,
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
                let before = match admitted(conn, &campaign, &recording).await? {
                    Ok(before) => before,
                    Err(turned) => return Ok(End::Rollback(Err(turned))),
                };
                write(conn, &campaign, &recording, before).await?;
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

/// The campaign before this recording, if it may be written.
async fn admitted(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<Result<Before, Turned>, Failure> {
    let locked = sql(LOCK_CURSOR).bind::<Text, _>(campaign.as_str()).get_result::<CursorRow>(conn).await.optional()?;
    let Some(row) = locked else {
        // Locked by somebody, if it is there at all.
        cursor(conn, campaign).await?;
        return Ok(Err(Turned::Busy));
    };
    let cursor = row.read()?;
    if cursor != recording.from {
        return Ok(Err(Turned::Moved(cursor)));
    }
    let row = sql(CAMPAIGN).bind::<Text, _>(campaign.as_str()).get_result::<CampaignRow>(conn).await.optional()?;
    let row = readable(row, &format!("campaign {campaign}"))?;
    if row.open && big(recording.epoch) < row.epoch {
        return Ok(Err(Turned::Outdated(row.epoch)));
    }
    Ok(Ok(row.read()?))
}

/// The campaign comes before the coupons, which its new rules may be needed for.
async fn write(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
    before: Before,
) -> Result<(), Failure> {
    let leads_before = before.rules.notice_leads.clone();
    let leads = recording.campaign.rules.as_deref().map_or(leads_before.as_slice(), |rules| &rules.notice_leads);
    let audits = audit_records(conn, campaign, recording, before).await?;
    insert_rounds(conn, campaign, &recording.rounds).await?;
    update_campaign(conn, campaign, &recording.campaign).await?;
    if *leads != leads_before {
        look_anew(conn, campaign, leads).await?;
    }
    insert_places(conn, &recording.places).await?;
    insert_coupons(conn, campaign, &recording.coupons, leads).await?;
    update_rounds(conn, campaign, recording).await?;
    keep_requests(conn, campaign, recording).await?;
    write::events(conn, &recording.events(campaign)).await?;
    audit::insert(conn, &audits).await?;
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
    leads: &[Duration],
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let rows = sorted(rows, |row| (row.round, row.serial));
    let first_notice = |row: &CouponRow| {
        let somebodys = !row.user.as_str().starts_with(NOBODY);
        somebodys.then(|| instant(notice::first_due(row.expires_at, leads)))
    };
    sql(include_str!("queries/insert_coupons.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Integer>, _>(column(&rows, |row| number(row.round)))
        .bind::<Array<Integer>, _>(column(&rows, |row| int(row.serial)))
        .bind::<Array<Text>, _>(column(&rows, |row| row.user.as_str()))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| instant(row.claimed_at)))
        .bind::<Array<Timestamptz>, _>(column(&rows, |row| instant(row.expires_at)))
        .bind::<Array<BigInt>, _>(column(&rows, |row| big(row.n)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(&rows, |row| first_notice(row)))
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
    let updated = sql(include_str!("queries/update_rounds.sql"))
        .bind::<Text, _>(campaign.as_str())
        .bind::<Array<Integer>, _>(column(&changes, |(round, _)| number(**round)))
        .bind::<Array<Nullable<Text>>, _>(column(&changes, |(_, change)| change.phase.map(Phase::as_str)))
        .bind::<Array<Bool>, _>(column(&changes, |(_, change)| change.supply.is_some()))
        .bind::<Array<Nullable<Integer>>, _>(column(&changes, |(_, change)| change.supply.flatten().map(int)))
        .bind::<Array<Nullable<BigInt>>, _>(column(&changes, |(_, change)| change.left_at_close.flatten().map(big)))
        .bind::<Array<Nullable<Integer>>, _>(column(&changes, |(_, change)| change.added.map(int)))
        .bind::<Array<Nullable<BigInt>>, _>(column(&changes, |(_, change)| change.drawn.map(micros)))
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
    requests::keep(conn, campaign, &recording.requests().collect::<Vec<_>>()).await?;
    Ok(())
}

/// What this recording's operations are told by, from what they find.
async fn audit_records(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    recording: &Recording,
    mut before: Before,
) -> Result<Vec<AuditRecord>, Failure> {
    if recording.operations.is_empty() {
        return Ok(Vec::new());
    }
    let supplied = recording.operations.iter().filter_map(|operation| match &operation.change {
        OperationChange::Added { round, .. } => Some(number(*round)),
        OperationChange::State(_) | OperationChange::Rules(_) | OperationChange::TotalLimit(_) => None,
    });
    let supplied: Vec<_> = supplied.collect();
    if !supplied.is_empty() {
        for row in sql(ADDED).bind::<Array<Integer>, _>(supplied).load::<AddedRow>(conn).await? {
            before.added.insert(round_id(row.no)?, count(row.added, "rounds.added")?);
        }
    }
    let requests = recording.operations.iter().filter_map(|operation| operation.request).collect();
    let actors: HashMap<_, _> = audit::actors(conn, requests).await?.into_iter().collect();
    let service = audit::service()?;
    let records = audits::of_operations(campaign, &recording.operations, before, |operation| {
        operation.request.and_then(|request| actors.get(&request)).unwrap_or(&service).clone()
    });
    records.map_err(|error| Failure::Damaged(error.to_string()))
}

/// Looks at the campaign's coupons for notices from the first instant on that these leads name, some after the other, so that no
/// statement takes long. What is over stays as it is: no notice goes out behind the end of validity.
async fn look_anew(conn: &mut AsyncPgConnection, campaign: &CampaignId, leads: &[Duration]) -> Result<(), Failure> {
    let longest = leads.iter().copied().max().unwrap_or(notice::DEFAULT_LEAD);
    let (mut round, mut serial) = (0, -1);
    loop {
        let row = sql(include_str!("queries/look_anew.sql"))
            .bind::<Text, _>(campaign.as_str())
            .bind::<BigInt, _>(micros(longest))
            .bind::<Integer, _>(round)
            .bind::<Integer, _>(serial)
            .bind::<BigInt, _>(LOOKED_AT_ONCE)
            .get_result::<LastRow>(conn)
            .await?;
        match row.round_no.zip(row.serial) {
            Some(last) => (round, serial) = last,
            None => return Ok(()),
        }
    }
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
