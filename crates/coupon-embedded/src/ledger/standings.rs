//! How campaigns stand between their gates and the ledger.

use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::Standing;
use diesel::dsl::{exists, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::schema::{campaigns, journal_cursors, rounds};
use super::{record, value};
use crate::failed::Failed;
use crate::sqlite::to_integer;

/// Those that have not ended or have rounds at the gate.
pub(super) fn all(conn: &mut SqliteConnection) -> Result<Vec<Standing>, Failed> {
    // Spelled out, so that SQLite sees that the partial index fits.
    let at_gate = rounds::table.filter(rounds::campaign_id.eq(campaigns::id)).filter(sql::<Bool>("retired = 0"));
    let ids: Vec<String> = campaigns::table
        .filter(campaigns::state.ne(CampaignState::Ended.as_str()).or(exists(at_gate)))
        .order(campaigns::id)
        .select(campaigns::id)
        .load(conn)?;
    ids.iter().filter_map(|id| value::campaign(id).and_then(|id| find(conn, &id)).transpose()).collect()
}

/// That of one campaign.
pub(super) fn find(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Option<Standing>, Failed> {
    let line: Option<(i64, bool)> = campaigns::table
        .find(campaign.as_str())
        .select((campaigns::epoch, campaigns::open))
        .get_result(conn)
        .optional()?;
    let Some((epoch, open)) = line else { return Ok(None) };
    let cursor = record::cursor(conn, campaign)?;
    let acknowledged: i64 =
        journal_cursors::table.find(campaign.as_str()).select(journal_cursors::acknowledged).get_result(conn)?;
    Ok(Some(Standing {
        campaign: campaign.clone(),
        epoch: value::count(epoch, "a campaign's epoch")?,
        open,
        cursor,
        acknowledged: value::count(acknowledged, "an acknowledged position")?,
    }))
}

/// The epoch in which the campaign's gate answers; none while it is being recovered.
pub(super) fn open_in(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Option<u64>, Failed> {
    let open = campaigns::table.find(campaign.as_str()).filter(campaigns::open);
    let epoch: Option<i64> = open.select(campaigns::epoch).get_result(conn).optional()?;
    epoch.map(|epoch| value::count(epoch, "a campaign's epoch")).transpose()
}

/// Keeps that decisions up to this one were told of.
pub(super) fn acknowledge(conn: &mut SqliteConnection, campaign: &CampaignId, n: u64) -> QueryResult<()> {
    let below = journal_cursors::table.find(campaign.as_str()).filter(journal_cursors::acknowledged.lt(to_integer(n)));
    diesel::update(below).set(journal_cursors::acknowledged.eq(to_integer(n))).execute(conn)?;
    Ok(())
}

/// Raises the epoch by one and closes the campaign, if its epoch is this one.
pub(super) fn raise_epoch(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    from: u64,
) -> Result<Option<u64>, Failed> {
    let in_epoch = campaigns::table.find(campaign.as_str()).filter(campaigns::epoch.eq(to_integer(from)));
    let raised: Option<i64> = diesel::update(in_epoch)
        .set((campaigns::epoch.eq(campaigns::epoch + 1), campaigns::open.eq(false)))
        .returning(campaigns::epoch)
        .get_result(conn)
        .optional()?;
    raised.map(|epoch| value::count(epoch, "a campaign's epoch")).transpose()
}

/// Opens the campaign, if its epoch is this one.
pub(super) fn mark_open(conn: &mut SqliteConnection, campaign: &CampaignId, epoch: u64) -> QueryResult<bool> {
    let in_epoch = campaigns::table.find(campaign.as_str()).filter(campaigns::epoch.eq(to_integer(epoch)));
    Ok(diesel::update(in_epoch).set(campaigns::open.eq(true)).execute(conn)? == 1)
}
