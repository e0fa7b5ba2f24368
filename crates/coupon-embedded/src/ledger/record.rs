//! The recorder's way into the ledger: all rows of a run of journal entries and the cursor, in one transaction.

use async_trait::async_trait;
use coupon_domain::campaign::Rules;
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::Seat;
use coupon_domain::ports::{LedgerError, RecordError, RecordRepository, Snapshot};
use coupon_domain::position::{Chain, Position};
use coupon_domain::recording::{CouponRow, Cursor, PlaceRow, Recording};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::{coupons, journal_cursors, places};
use super::{
    SqliteLedger, Stamp, audit, campaigns, events, notices, requests, rounds, seats, snapshot, standings, value,
};
use crate::failed::Failed;
use crate::sqlite::to_integer;

#[async_trait]
impl RecordRepository for SqliteLedger {
    async fn cursor(&self, campaign: &CampaignId) -> Result<Cursor, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read(move |conn| cursor(conn, &campaign)).await?)
    }

    async fn record(&self, campaign: &CampaignId, recording: &Recording) -> Result<(), RecordError> {
        let (campaign, recording) = (campaign.clone(), recording.clone());
        let recorded = self.write(move |conn, stamp| {
            let here = cursor(conn, &campaign)?;
            if (here.position, here.chain) != (recording.from.position, recording.from.chain) {
                return Ok(Err(RecordError::Moved(here)));
            }
            if let Some(epoch) = standings::open_in(conn, &campaign)?.filter(|epoch| recording.epoch < *epoch) {
                return Ok(Err(RecordError::Fork(format!("the campaign was opened in epoch {epoch}"))));
            }
            write(conn, stamp, &campaign, &recording).map(Ok)
        });
        recorded.await?
    }

    async fn snapshot(&self, campaign: &CampaignId) -> Result<Snapshot, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.read_at_one_instant(move |conn| snapshot::of(conn, &campaign)).await?)
    }

    async fn seats(
        &self,
        round: RoundId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, Seat)>, LedgerError> {
        let after = after.cloned();
        Ok(self.read_at_one_instant(move |conn| seats::of_round(conn, round, after.as_ref(), limit)).await?)
    }

    async fn coupon_counts(
        &self,
        campaign: &CampaignId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, u32)>, LedgerError> {
        let (campaign, after) = (campaign.clone(), after.cloned());
        Ok(self.read(move |conn| seats::coupon_counts(conn, &campaign, after.as_ref(), limit)).await?)
    }

    async fn seat(&self, round: RoundId, user: &UserId) -> Result<Seat, LedgerError> {
        let user = user.clone();
        Ok(self.read_at_one_instant(move |conn| seats::of_user(conn, round, &user)).await?)
    }
}

/// How far the ledger has come; at the beginning, for a campaign it does not know.
pub(super) fn cursor(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Cursor, Failed> {
    let line: Option<(i64, i64, String, Option<i64>)> = journal_cursors::table
        .find(campaign.as_str())
        .select((journal_cursors::epoch, journal_cursors::n, journal_cursors::chain, journal_cursors::last_at))
        .get_result(conn)
        .optional()?;
    let Some((epoch, n, chain, last_at)) = line else { return Ok(Cursor::default()) };
    Ok(Cursor {
        position: Position { epoch: value::count(epoch, "a cursor's epoch")?, n: value::count(n, "a cursor's n")? },
        chain: value::expect(Chain::parse(&chain), "a cursor's chain")?,
        last_at: last_at.map(Timestamp::from_micros),
    })
}

fn write(
    conn: &mut SqliteConnection,
    stamp: &Stamp<'_>,
    campaign: &CampaignId,
    recording: &Recording,
) -> Result<(), Failed> {
    let there = campaigns::expect(conn, campaign)?;
    let audits = audit::of_recording(conn, &there, &recording.operations)?;
    // The campaign comes before the coupons: its rules say how many a user may have, and when notice is given of them.
    let rules = campaigns::change(conn, stamp, there, recording)?;
    recording.rounds.iter().try_for_each(|row| rounds::insert(conn, campaign, row))?;
    recording.places.iter().try_for_each(|row| insert_place(conn, row))?;
    recording.coupons.iter().try_for_each(|row| insert_coupon(conn, campaign, row, &rules))?;
    recording.changes.iter().try_for_each(|(round, change)| rounds::change(conn, campaign, *round, change))?;
    recording.requests().try_for_each(|(id, verb)| requests::note(conn, id, campaign, verb))?;
    recording.retired.iter().try_for_each(|row| rounds::retire(conn, campaign, row))?;
    recording.events(campaign).iter().try_for_each(|event| events::append(conn, event))?;
    audits.iter().try_for_each(|record| audit::append(conn, record))?;
    move_cursor(conn, campaign, &recording.to)
}

fn insert_place(conn: &mut SqliteConnection, row: &PlaceRow) -> QueryResult<()> {
    diesel::insert_into(places::table)
        .values((
            places::round_no.eq(value::number(row.round)),
            places::ticket.eq(i64::from(row.ticket)),
            places::user_id.eq(row.user.as_str()),
            places::reserved_at.eq(row.reserved_at.micros()),
            places::n.eq(to_integer(row.n)),
            places::leaf.eq(row.leaf.as_ref().map(|leaf| leaf.as_bytes().as_slice())),
        ))
        .execute(conn)?;
    Ok(())
}

fn insert_coupon(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    row: &CouponRow,
    rules: &Rules,
) -> QueryResult<()> {
    let notice_at = notices::first_look(&row.user, row.expires_at, &rules.notice_leads);
    diesel::insert_into(coupons::table)
        .values((
            coupons::round_no.eq(value::number(row.round)),
            coupons::serial.eq(i64::from(row.serial)),
            coupons::campaign_id.eq(campaign.as_str()),
            coupons::user_id.eq(row.user.as_str()),
            coupons::claimed_at.eq(row.claimed_at.micros()),
            coupons::expires_at.eq(row.expires_at.micros()),
            coupons::notice_at.eq(notice_at),
            coupons::n.eq(to_integer(row.n)),
        ))
        .execute(conn)?;
    Ok(())
}

fn move_cursor(conn: &mut SqliteConnection, campaign: &CampaignId, to: &Cursor) -> Result<(), Failed> {
    let moved = diesel::update(journal_cursors::table.find(campaign.as_str()))
        .set((
            journal_cursors::epoch.eq(to_integer(to.position.epoch)),
            journal_cursors::n.eq(to_integer(to.position.n)),
            journal_cursors::chain.eq(to.chain.to_string()),
            journal_cursors::last_at.eq(to.last_at.map(Timestamp::micros)),
        ))
        .execute(conn)?;
    if moved == 1 { Ok(()) } else { Err(Failed::Missing(format!("campaign {campaign}"))) }
}
