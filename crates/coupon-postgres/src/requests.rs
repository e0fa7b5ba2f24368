//! What operators' requests did, so that a repeat does nothing.

use coupon_domain::ids::CampaignId;
use coupon_domain::ports::RequestRecord;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::failure::Failure;
use crate::rows::{campaign_id, readable};
use crate::statement::sql;

/// One request may have reached the gates of two campaigns: the first recorded has it, and neither recording may fail.
const INSERT: &str = "INSERT INTO requests (id, campaign_id, verb)
    SELECT r.id, $1, r.verb FROM unnest($2::uuid[], $3::text[]) AS r (id, verb) ORDER BY r.id ON CONFLICT DO NOTHING";

#[derive(QueryableByName)]
struct RequestRow {
    #[diesel(sql_type = Text)]
    campaign_id: String,
    #[diesel(sql_type = Text)]
    verb: String,
}

#[derive(QueryableByName)]
struct VerbRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    verb: String,
}

pub(crate) async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> Result<Option<RequestRecord>, Failure> {
    let select = sql("SELECT campaign_id, verb FROM requests WHERE id = $1");
    let row = select.bind::<SqlUuid, _>(id).get_result::<RequestRow>(conn).await.optional()?;
    row.map(|row| Ok(RequestRecord { campaign: campaign_id(&row.campaign_id)?, verb: row.verb })).transpose()
}

/// Those of a campaign, by id.
pub(crate) async fn of_campaign(conn: &mut AsyncPgConnection, id: &CampaignId) -> Result<Vec<(Uuid, String)>, Failure> {
    let select = sql("SELECT id, verb FROM requests WHERE campaign_id = $1 ORDER BY id");
    let rows = select.bind::<Text, _>(id.as_str()).load::<VerbRow>(conn).await?;
    Ok(rows.into_iter().map(|row| (row.id, row.verb)).collect())
}

/// Keeps these, but for those that did something before; answers how many are new. Another call with one of them waits for this one's
/// transaction.
pub(crate) async fn keep(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    requests: &[(Uuid, &str)],
) -> Result<usize, Failure> {
    if requests.is_empty() {
        return Ok(0);
    }
    let (ids, verbs): (Vec<_>, Vec<_>) = requests.iter().copied().unzip();
    let insert = sql(INSERT).bind::<Text, _>(campaign.as_str()).bind::<Array<SqlUuid>, _>(ids);
    Ok(insert.bind::<Array<Text>, _>(verbs).execute(conn).await?)
}

/// Keeps a call's request, if it has one; if that did something before, answers what.
pub(crate) async fn begin(
    conn: &mut AsyncPgConnection,
    campaign: &CampaignId,
    request: Option<Uuid>,
    verb: &str,
) -> Result<Option<RequestRecord>, Failure> {
    match request {
        Some(id) if keep(conn, campaign, &[(id, verb)]).await? == 0 => {
            Ok(Some(readable(find(conn, id).await?, "a request that was there a moment ago")?))
        }
        Some(_) | None => Ok(None),
    }
}
