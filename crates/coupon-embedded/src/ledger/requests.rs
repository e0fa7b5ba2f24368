//! What each request of an operator did, so that its repeat does nothing.

use coupon_domain::ids::CampaignId;
use coupon_domain::ports::RequestRecord;
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::requests;
use super::value;
use crate::failed::Failed;

/// What this one did.
pub(super) fn find(conn: &mut SqliteConnection, id: Uuid) -> Result<Option<RequestRecord>, Failed> {
    let line: Option<(String, String)> = requests::table
        .find(id.to_string())
        .select((requests::campaign_id, requests::verb))
        .get_result(conn)
        .optional()?;
    line.map(|(campaign, verb)| Ok(RequestRecord { campaign: value::campaign(&campaign)?, verb })).transpose()
}

/// Notes what a request did. If it did something before, that stands: a caller who uses one id for two campaigns at the same time gets
/// two changes and one note, but does not stop the recorder.
pub(super) fn note(conn: &mut SqliteConnection, id: Uuid, campaign: &CampaignId, verb: &str) -> QueryResult<()> {
    diesel::insert_into(requests::table)
        .values((requests::id.eq(id.to_string()), requests::campaign_id.eq(campaign.as_str()), requests::verb.eq(verb)))
        .on_conflict(requests::id)
        .do_nothing()
        .execute(conn)?;
    Ok(())
}

/// All of a campaign, by their ids, whose text is in the order of their bytes.
pub(super) fn of_campaign(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Vec<(Uuid, String)>, Failed> {
    let lines: Vec<(String, String)> = requests::table
        .filter(requests::campaign_id.eq(campaign.as_str()))
        .order(requests::id)
        .select((requests::id, requests::verb))
        .load(conn)?;
    lines.into_iter().map(|(id, verb)| Ok((value::expect(id.parse().ok(), "a request's id")?, verb))).collect()
}
