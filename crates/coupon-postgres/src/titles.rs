//! Titles with the end of validity: each of one campaign that has not ended.

use coupon_domain::campaign::Rules;
use coupon_domain::ids::CampaignId;
use diesel::QueryableByName;
use diesel::sql_types::{Jsonb, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{campaign_id, json};
use crate::statement::sql;

const HOLDER: &str = "SELECT campaign_id FROM titles
    WHERE title = $1::jsonb ->> 'title' AND validity_key = $1::jsonb ->> 'validity'";

#[derive(QueryableByName)]
struct HolderRow {
    #[diesel(sql_type = Text)]
    campaign_id: String,
}

/// Keeps the title of these rules within a transaction, or answers who has it: another call that wants it waits for its end.
pub(crate) async fn keep(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    rules: &serde_json::Value,
) -> Result<Option<CampaignId>, Failure> {
    let keep = sql(include_str!("queries/keep_title.sql"));
    if keep.bind::<Text, _>(campaign.as_str()).bind::<Jsonb, _>(rules).execute(conn).await? == 1 {
        return Ok(None);
    }
    let holder = sql(HOLDER).bind::<Jsonb, _>(rules).get_result::<HolderRow>(conn).await?;
    campaign_id(&holder.campaign_id).map(Some)
}

/// Gives up all titles of a campaign but the one of its rules; that one too if it has ended.
pub(crate) async fn settle(conn: &mut AsyncPgConnection, campaign: &CampaignId) -> Result<(), Failure> {
    sql(include_str!("queries/settle_titles.sql")).bind::<Text, _>(campaign.as_str()).execute(conn).await?;
    Ok(())
}

impl PostgresLedger {
    pub(crate) async fn keep_title_of(
        &self,
        campaign: &CampaignId,
        rules: &Rules,
    ) -> Result<Option<CampaignId>, Failure> {
        let (campaign, rules) = (campaign.clone(), json(rules)?);
        self.transaction(move |conn| {
            Box::pin(async move {
                let holder = keep(conn, &campaign, &rules).await?;
                Ok(End::Commit(holder.filter(|holder| *holder != campaign)))
            })
        })
        .await
    }

    pub(crate) async fn settle_titles(&self, campaign: &CampaignId) -> Result<(), Failure> {
        let campaign = campaign.clone();
        self.run(move |conn| Box::pin(async move { settle(conn, &campaign).await })).await
    }
}
