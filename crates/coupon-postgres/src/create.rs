//! Creating a campaign: once per request, and once per title and end of validity among campaigns that have not ended.

use coupon_domain::ports::{CreateOutcome, NewCampaign};
use diesel::sql_types::{Jsonb, Text, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::campaigns::{campaign, request};
use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{CampaignRow, campaign_id, readable};
use crate::statement::sql;

/// Its word among requests.
const CREATE: &str = "CREATE";

/// How often a campaign that held the title may end just before one looks which it was.
const TRIES: u32 = 3;

const TITLE_HOLDER: &str = "SELECT id FROM campaigns
    WHERE title = $1::jsonb ->> 'title' AND validity_key = $1::jsonb ->> 'validity' AND state <> 'ENDED'";

#[derive(QueryableByName)]
struct HolderRow {
    #[diesel(sql_type = Text)]
    id: String,
}

impl PostgresLedger {
    pub(crate) async fn create_campaign(&self, new: &NewCampaign) -> Result<CreateOutcome, Failure> {
        let rules = serde_json::to_value(&new.rules).map_err(|e| Failure::Damaged(e.to_string()))?;
        let new = new.clone();
        self.transaction(move |conn| Box::pin(async move { create(conn, &new, &rules).await })).await
    }
}

/// The request's row comes first: a second call with the same request waits for it, and sees afterwards what became of it.
async fn create(
    conn: &mut AsyncPgConnection,
    new: &NewCampaign,
    rules: &serde_json::Value,
) -> Result<End<CreateOutcome>, Failure> {
    if let Some(id) = new.request
        && !first_of_its_request(conn, id, new).await?
    {
        return Ok(End::Rollback(repeated(conn, id).await?));
    }
    for _ in 0..TRIES {
        let made = sql(include_str!("queries/create_campaign.sql"))
            .bind::<Text, _>(new.id.as_str())
            .bind::<Jsonb, _>(rules)
            .bind::<Text, _>(new.state.as_str())
            .bind::<Text, _>(Uuid::now_v7().to_string())
            .get_result::<CampaignRow>(conn)
            .await
            .optional()?;
        if let Some(row) = made {
            return Ok(End::Commit(CreateOutcome::Created(row.read()?)));
        }
        let holder = sql(TITLE_HOLDER).bind::<Jsonb, _>(rules).get_result::<HolderRow>(conn).await.optional()?;
        if let Some(holder) = holder {
            return Ok(End::Rollback(CreateOutcome::TitleTaken(campaign_id(&holder.id)?)));
        }
    }
    Err(Failure::Damaged(format!("campaign {} is there, but with another title", new.id)))
}

async fn first_of_its_request(conn: &mut AsyncPgConnection, id: Uuid, new: &NewCampaign) -> Result<bool, Failure> {
    let written = sql("INSERT INTO requests (id, campaign_id, verb) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(new.id.as_str())
        .bind::<Text, _>(CREATE)
        .execute(conn)
        .await?;
    Ok(written == 1)
}

async fn repeated(conn: &mut AsyncPgConnection, id: Uuid) -> Result<CreateOutcome, Failure> {
    let first = readable(request(conn, id).await?, "a request that was there a moment ago")?;
    if first.verb != CREATE {
        return Ok(CreateOutcome::RequestUsed);
    }
    let made = campaign(conn, &first.campaign_id).await?;
    Ok(CreateOutcome::Repeated(readable(made, "the campaign of a request")?))
}
