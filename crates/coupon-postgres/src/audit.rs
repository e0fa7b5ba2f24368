//! Who changed what.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use coupon_domain::audit::AuditRecord;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::{Actor, CampaignId, UserId};
use coupon_domain::ports::{AuditRepository, LedgerError};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{campaign_id, column, coupon_of, instant, int, number, readable, round_id, timestamp, user_id};
use crate::statement::sql;

const ANNOUNCE: &str = "INSERT INTO operators (request, actor) VALUES ($1, $2) ON CONFLICT DO NOTHING";

const ACTORS: &str = "SELECT request, actor FROM operators WHERE request = ANY ($1)";

const OF_ALL: &str = "SELECT no, action, actor, request, campaign_id, round_no, serial, user_id, before, after, at
    FROM audit_records WHERE no < $1 ORDER BY no DESC LIMIT $2";

const OF_CAMPAIGN: &str = "SELECT no, action, actor, request, campaign_id, round_no, serial, user_id, before, after, at
    FROM audit_records WHERE no < $1 AND campaign_id = $3 ORDER BY no DESC LIMIT $2";

#[derive(QueryableByName)]
struct ActorRow {
    #[diesel(sql_type = SqlUuid)]
    request: Uuid,
    #[diesel(sql_type = Text)]
    actor: String,
}

#[derive(QueryableByName)]
struct AuditRow {
    #[diesel(sql_type = BigInt)]
    no: i64,
    #[diesel(sql_type = Text)]
    action: String,
    #[diesel(sql_type = Text)]
    actor: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    request: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    campaign_id: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    round_no: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    serial: Option<i32>,
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    before: Option<serde_json::Value>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    after: Option<serde_json::Value>,
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
}

impl AuditRow {
    fn read(self) -> Result<(i64, AuditRecord), Failure> {
        let record = AuditRecord {
            action: self.action,
            by: Operator { actor: actor(&self.actor)?, request: self.request },
            campaign: self.campaign_id.as_deref().map(campaign_id).transpose()?,
            round: self.round_no.map(round_id).transpose()?,
            coupon: coupon_of(self.round_no, self.serial)?,
            user: self.user_id.as_deref().map(user_id).transpose()?,
            before: self.before,
            after: self.after,
            at: timestamp(self.at),
        };
        Ok((self.no, record))
    }
}

fn actor(raw: &str) -> Result<Actor, Failure> {
    readable(Actor::parse(raw).ok(), "an actor")
}

/// Writes these in order.
pub(crate) async fn insert(conn: &mut AsyncPgConnection, records: &[AuditRecord]) -> Result<(), Failure> {
    if records.is_empty() {
        return Ok(());
    }
    let round = |record: &AuditRecord| record.coupon.map(|coupon| coupon.round).or(record.round);
    sql(include_str!("queries/insert_audit_records.sql"))
        .bind::<Array<Text>, _>(column(records, |record| record.action.as_str()))
        .bind::<Array<Text>, _>(column(records, |record| record.by.actor.as_str()))
        .bind::<Array<Nullable<SqlUuid>>, _>(column(records, |record| record.by.request))
        .bind::<Array<Nullable<Text>>, _>(column(records, |record| record.campaign.as_ref().map(CampaignId::as_str)))
        .bind::<Array<Nullable<Integer>>, _>(column(records, |record| round(record).map(number)))
        .bind::<Array<Nullable<Integer>>, _>(column(records, |record| record.coupon.map(|coupon| int(coupon.serial))))
        .bind::<Array<Nullable<Text>>, _>(column(records, |record| record.user.as_ref().map(UserId::as_str)))
        .bind::<Array<Nullable<Jsonb>>, _>(column(records, |record| record.before.clone()))
        .bind::<Array<Nullable<Jsonb>>, _>(column(records, |record| record.after.clone()))
        .bind::<Array<Timestamptz>, _>(column(records, |record| instant(record.at)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Who announced these requests.
pub(crate) async fn actors(conn: &mut AsyncPgConnection, requests: Vec<Uuid>) -> Result<Vec<(Uuid, Actor)>, Failure> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sql(ACTORS).bind::<Array<SqlUuid>, _>(requests).load::<ActorRow>(conn).await?;
    rows.iter().map(|row| Ok((row.request, actor(&row.actor)?))).collect()
}

/// Who does what no operator asked for.
pub(crate) fn service() -> Result<Actor, Failure> {
    actor("service")
}

#[async_trait]
impl AuditRepository for PostgresLedger {
    async fn announce(&self, request: Uuid, actor: &Actor) -> Result<(), LedgerError> {
        let actor = actor.to_string();
        let announced = self.run(move |conn| {
            Box::pin(async move {
                Ok(sql(ANNOUNCE).bind::<SqlUuid, _>(request).bind::<Text, _>(actor).execute(conn).await?)
            })
        });
        announced.await?;
        Ok(())
    }

    async fn audit_records(
        &self,
        campaign: Option<&CampaignId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRecord)>, LedgerError> {
        let campaign = campaign.cloned();
        let records = self.run(move |conn| {
            Box::pin(async move {
                let text = if campaign.is_some() { OF_CAMPAIGN } else { OF_ALL };
                let mut page =
                    sql(text).bind::<BigInt, _>(before.unwrap_or(i64::MAX)).bind::<BigInt, _>(i64::from(limit));
                if let Some(campaign) = &campaign {
                    page = page.bind::<Text, _>(campaign.as_str());
                }
                page.load::<AuditRow>(conn).await?.into_iter().map(AuditRow::read).collect()
            })
        });
        Ok(records.await?)
    }
}
