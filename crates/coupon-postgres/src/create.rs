//! Creating a campaign: once per request, and once per title and end of validity among campaigns that have not ended.

use coupon_domain::audit::{CREATE, of_creation};
use coupon_domain::ports::{CreateOutcome, NewCampaign, RequestRecord};
use diesel::sql_types::{Jsonb, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::campaigns::campaign;
use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{CampaignRow, json, readable};
use crate::statement::sql;
use crate::{audit, requests, titles};

impl PostgresLedger {
    pub(crate) async fn create_campaign(&self, new: &NewCampaign) -> Result<CreateOutcome, Failure> {
        let (new, rules) = (new.clone(), json(&new.rules)?);
        self.transaction(move |conn| Box::pin(async move { create(conn, &new, &rules).await })).await
    }
}

/// The request's row comes first: a second call with the same request waits for it, and sees afterwards what became of it.
async fn create(
    conn: &mut AsyncPgConnection,
    new: &NewCampaign,
    rules: &serde_json::Value,
) -> Result<End<CreateOutcome>, Failure> {
    if let Some(first) = requests::begin(conn, &new.id, new.by.request, CREATE).await? {
        return Ok(End::Rollback(repeated(conn, &first).await?));
    }
    if let Some(holder) = titles::keep(conn, &new.id, rules).await? {
        return Ok(End::Rollback(CreateOutcome::TitleTaken(holder)));
    }
    // From here on it must succeed.
    let made = sql(include_str!("queries/create_campaign.sql"))
        .bind::<Text, _>(new.id.as_str())
        .bind::<Jsonb, _>(rules)
        .bind::<Text, _>(new.state.as_str())
        .bind::<Text, _>(Uuid::now_v7().to_string())
        .get_result::<CampaignRow>(conn)
        .await?;
    let made = made.read()?;
    let record = of_creation(new, made.created_at).map_err(|error| Failure::Damaged(error.to_string()))?;
    audit::insert(conn, &[record]).await?;
    Ok(End::Commit(CreateOutcome::Created(made)))
}

async fn repeated(conn: &mut AsyncPgConnection, first: &RequestRecord) -> Result<CreateOutcome, Failure> {
    if first.verb != CREATE {
        return Ok(CreateOutcome::RequestUsed);
    }
    let made = campaign(conn, &first.campaign).await?;
    Ok(CreateOutcome::Repeated(readable(made, "the campaign of a request")?))
}
