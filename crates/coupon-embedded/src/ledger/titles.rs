//! Titles with the end of validity: each of one campaign that has not ended.

use coupon_domain::campaign::{CampaignState, Rules};
use coupon_domain::ids::CampaignId;
use diesel::prelude::*;

use super::schema::{campaigns, titles};
use super::value;
use crate::failed::Failed;

/// What may be given to one campaign only.
pub(super) struct Title {
    title: String,
    validity_key: String,
}

impl Title {
    /// That of these rules, spelled as `campaigns` generates it.
    pub(super) fn of(rules: &Rules) -> Result<Self, Failed> {
        Ok(Self { title: rules.title.clone(), validity_key: value::to_json(&rules.validity)? })
    }
}

/// The campaign that has it, or is about to get it. One that has ended does not count: it got the title for a moment before.
pub(super) fn holder(conn: &mut SqliteConnection, title: &Title) -> Result<Option<CampaignId>, Failed> {
    let id: Option<String> = titles::table
        .find((&title.title, &title.validity_key))
        .inner_join(campaigns::table)
        .filter(campaigns::state.ne(CampaignState::Ended.as_str()))
        .select(titles::campaign_id)
        .get_result(conn)
        .optional()?;
    id.map(|id| value::campaign(&id)).transpose()
}

/// Gives it to a campaign, if no other has it.
pub(super) fn take(conn: &mut SqliteConnection, campaign: &CampaignId, title: &Title) -> Result<(), Failed> {
    if holder(conn, title)?.is_some() {
        return Ok(());
    }
    diesel::insert_into(titles::table)
        .values((
            titles::title.eq(&title.title),
            titles::validity_key.eq(&title.validity_key),
            titles::campaign_id.eq(campaign.as_str()),
        ))
        .on_conflict((titles::title, titles::validity_key))
        .do_update()
        .set(titles::campaign_id.eq(campaign.as_str()))
        .execute(conn)?;
    Ok(())
}

/// Keeps it for a campaign, or answers which other one has it.
pub(super) fn keep(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    title: &Title,
) -> Result<Option<CampaignId>, Failed> {
    take(conn, campaign, title)?;
    Ok(holder(conn, title)?.filter(|holder| holder != campaign))
}

/// Leaves a campaign the title of its rules and no other, and none once it has ended.
pub(super) fn settle(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<(), Failed> {
    let own: Option<(String, String)> = campaigns::table
        .find(campaign.as_str())
        .filter(campaigns::state.ne(CampaignState::Ended.as_str()))
        .select((campaigns::title, campaigns::validity_key))
        .get_result(conn)
        .optional()?;
    let of_campaign = titles::table.filter(titles::campaign_id.eq(campaign.as_str()));
    let Some((title, validity_key)) = own else {
        diesel::delete(of_campaign).execute(conn)?;
        return Ok(());
    };
    let another = titles::title.ne(&title).or(titles::validity_key.ne(&validity_key));
    diesel::delete(of_campaign.filter(another)).execute(conn)?;
    // If another campaign has it, nobody kept it for this one; what its gate decided is recorded all the same.
    take(conn, campaign, &Title { title, validity_key })
}
