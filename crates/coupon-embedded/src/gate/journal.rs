//! The journal's table.

use coupon_domain::ids::CampaignId;
use coupon_domain::journal::Entry;
use coupon_domain::position::Chain;
use coupon_domain::time::Timestamp;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use self::table::journal;
use crate::failed::Failed;
use crate::sqlite::{from_integer, to_integer};

pub(super) const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite/journal");

/// Entries that one step of trimming forgets at most.
pub(super) const TRIM_STEP: usize = 256;

mod table {
    diesel::table! {
        journal (id) {
            id -> BigInt,
            campaign_id -> Text,
            epoch -> BigInt,
            first -> BigInt,
            last -> BigInt,
            at -> BigInt,
            prev -> Text,
            rows -> Text,
        }
    }
}

pub(super) fn append(conn: &mut SqliteConnection, campaign: &CampaignId, entry: &Entry) -> QueryResult<()> {
    diesel::insert_into(journal::table)
        .values((
            journal::campaign_id.eq(campaign.as_str()),
            journal::epoch.eq(to_integer(entry.epoch)),
            journal::first.eq(to_integer(entry.first)),
            journal::last.eq(to_integer(entry.last)),
            journal::at.eq(entry.at.micros()),
            journal::prev.eq(entry.prev.to_string()),
            journal::rows.eq(entry.rows.as_str()),
        ))
        .execute(conn)?;
    Ok(())
}

/// As many entries behind `after` as hold at most `decisions`, but one at least. Steps through the rows and stops where it is enough.
pub(super) fn read(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    after: u64,
    decisions: usize,
) -> Result<Vec<Entry>, Failed> {
    let lines = journal::table
        .filter(journal::campaign_id.eq(campaign.as_str()).and(journal::last.gt(to_integer(after))))
        .order((journal::last, journal::epoch))
        .select((journal::epoch, journal::first, journal::last, journal::at, journal::prev, journal::rows))
        .load_iter::<Line, _>(conn)?;
    let mut entries = Vec::new();
    let mut held = 0;
    for line in lines {
        let entry = line?.entry().ok_or_else(|| Failed::Unreadable(format!("a journal entry of {campaign}")))?;
        held += entry.last.saturating_sub(entry.first) + 1;
        if held > decisions as u64 && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[derive(Queryable)]
struct Line {
    epoch: i64,
    first: i64,
    last: i64,
    at: i64,
    prev: String,
    rows: String,
}

impl Line {
    fn entry(self) -> Option<Entry> {
        Some(Entry {
            epoch: from_integer(self.epoch)?,
            first: from_integer(self.first)?,
            last: from_integer(self.last)?,
            at: Timestamp::from_micros(self.at),
            prev: Chain::parse(&self.prev)?,
            rows: self.rows,
        })
    }
}

/// Forgets the oldest entries that lie at or before `up_to` and before this instant, at most [`TRIM_STEP`]; how many.
pub(super) fn trim_step(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    up_to: u64,
    before: Timestamp,
) -> QueryResult<usize> {
    let oldest: Vec<(i64, i64)> = journal::table
        .filter(journal::campaign_id.eq(campaign.as_str()).and(journal::last.le(to_integer(up_to))))
        .order(journal::last)
        .limit(TRIM_STEP as i64)
        .select((journal::last, journal::at))
        .load(conn)?;
    // A gate's time never goes back, so that what is old enough comes first, and the rest need not be looked at.
    let Some((last, _)) = oldest.into_iter().take_while(|(_, at)| *at < before.micros()).last() else { return Ok(0) };
    diesel::delete(journal::table.filter(journal::campaign_id.eq(campaign.as_str()).and(journal::last.le(last))))
        .execute(conn)
}
