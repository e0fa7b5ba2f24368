//! What a gate is loaded from, but for the seats.

use coupon_domain::ids::CampaignId;
use coupon_domain::ports::Snapshot;
use diesel::prelude::*;

use super::schema::campaigns as table;
use super::{campaigns, record, requests, rounds, value};
use crate::failed::Failed;

/// That of one campaign.
pub(super) fn of(conn: &mut SqliteConnection, id: &CampaignId) -> Result<Snapshot, Failed> {
    let campaign = campaigns::find(conn, id)?.ok_or_else(|| Failed::Missing(format!("campaign {id}")))?;
    let issued: i64 = table::table.find(id.as_str()).select(table::issued).get_result(conn)?;
    Ok(Snapshot {
        cursor: record::cursor(conn, id)?,
        state: campaign.state,
        rules: campaign.rules,
        revision: campaign.revision,
        requests: requests::of_campaign(conn, id)?,
        issued: value::count(issued, "a campaign's coupons")?,
        rounds: rounds::at_gate(conn, id)?,
    })
}
