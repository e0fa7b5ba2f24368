//! Campaigns, their rounds and the epochs of their gates.

use async_trait::async_trait;
use coupon_domain::campaign::{Campaign, CampaignState, Rules};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{
    CampaignRepository, CreateOutcome, LedgerError, NewCampaign, RequestRecord, RoundRecord, Standing,
};
use coupon_domain::time::Timestamp;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Uuid as SqlUuid};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use uuid::Uuid;

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::requests;
use crate::rows::{
    CampaignRow, CursorRow, NowRow, RoundRow, big, campaign_id, int, number, round_columns, round_id, timestamp,
    unsigned,
};
use crate::statement::sql;

const CAMPAIGN: &str = "SELECT id, rules, state, revision, created_at, updated_at FROM campaigns WHERE id = $1";

const CAMPAIGNS: &str = "SELECT id, rules, state, revision, created_at, updated_at FROM campaigns
    WHERE ($1 IS NULL OR state = $1)
        AND ($2 IS NULL OR (created_at, id) < (SELECT last.created_at, last.id FROM campaigns AS last WHERE last.id = $2))
    ORDER BY created_at DESC, id DESC LIMIT $3";

const ROUND: &str = concat!("SELECT ", round_columns!(), " FROM rounds WHERE no = $1");

/// Where the last round of a page was forgotten before the next one is asked for, it begins anew: rather twice than never.
const ROUNDS: &str = concat!(
    "SELECT ",
    round_columns!(),
    " FROM rounds
    WHERE campaign_id = $1
        AND ($2 IS NULL OR (claim_opens_at, no) < (
            coalesce((SELECT last.claim_opens_at FROM rounds AS last WHERE last.no = $2), 'infinity'), $2
        ))
    ORDER BY claim_opens_at DESC, no DESC LIMIT $3"
);

const STANDINGS: &str = "SELECT campaigns.id, campaigns.epoch AS raised_to, campaigns.open,
        journal_cursors.epoch, journal_cursors.n, journal_cursors.chain, journal_cursors.last_at,
        coalesce(acknowledged.n, 0) AS acknowledged
    FROM campaigns JOIN journal_cursors ON journal_cursors.campaign_id = campaigns.id
        LEFT JOIN acknowledged ON acknowledged.campaign_id = campaigns.id
    WHERE CASE
        WHEN $1 IS NOT NULL THEN campaigns.id = $1
        ELSE campaigns.state <> 'ENDED' OR campaigns.id IN (SELECT rounds.campaign_id FROM rounds WHERE NOT rounds.retired)
    END
    ORDER BY campaigns.id";

const RAISE_EPOCH: &str =
    "UPDATE campaigns SET epoch = epoch + 1, open = false WHERE id = $1 AND epoch = $2 RETURNING epoch";

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct CheckRow {
    #[diesel(sql_type = Text)]
    check_value: String,
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = Integer)]
    no: i32,
}

#[derive(QueryableByName)]
struct EpochRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

#[derive(QueryableByName)]
struct StandingRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = BigInt)]
    raised_to: i64,
    #[diesel(sql_type = Bool)]
    open: bool,
    #[diesel(embed)]
    cursor: CursorRow,
    #[diesel(sql_type = BigInt)]
    acknowledged: i64,
}

impl StandingRow {
    fn read(self) -> Result<Standing, Failure> {
        Ok(Standing {
            campaign: campaign_id(&self.id)?,
            epoch: unsigned(self.raised_to, "campaigns.epoch")?,
            open: self.open,
            cursor: self.cursor.read()?,
            acknowledged: unsigned(self.acknowledged, "acknowledged.n")?,
        })
    }
}

/// A campaign, for all who need one within their own work.
pub(crate) async fn campaign(conn: &mut AsyncPgConnection, id: &CampaignId) -> Result<Option<Campaign>, Failure> {
    let row = sql(CAMPAIGN).bind::<Text, _>(id.as_str()).get_result::<CampaignRow>(conn).await.optional()?;
    row.map(CampaignRow::read).transpose()
}

impl PostgresLedger {
    async fn standings_of(&self, campaign: Option<CampaignId>) -> Result<Vec<Standing>, Failure> {
        self.run_urgent(move |conn| {
            Box::pin(async move {
                let only = campaign.as_ref().map(CampaignId::as_str);
                let rows = sql(STANDINGS).bind::<Nullable<Text>, _>(only).load::<StandingRow>(conn).await?;
                rows.into_iter().map(StandingRow::read).collect()
            })
        })
        .await
    }
}

#[async_trait]
impl CampaignRepository for PostgresLedger {
    async fn installation(&self) -> Result<Uuid, LedgerError> {
        let row = self.run(|conn| {
            Box::pin(async move {
                sql("INSERT INTO installation (id) VALUES ($1) ON CONFLICT DO NOTHING")
                    .bind::<SqlUuid, _>(Uuid::new_v4())
                    .execute(conn)
                    .await?;
                Ok(sql("SELECT id FROM installation").get_result::<IdRow>(conn).await?)
            })
        });
        Ok(row.await?.id)
    }

    async fn master_key(&self, key_id: u8, check: &str) -> Result<String, LedgerError> {
        let check = check.to_owned();
        let row = self.run(move |conn| {
            Box::pin(async move {
                sql("INSERT INTO master_keys (id, check_value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                    .bind::<SmallInt, _>(i16::from(key_id))
                    .bind::<Text, _>(check)
                    .execute(conn)
                    .await?;
                let known = sql("SELECT check_value FROM master_keys WHERE id = $1");
                Ok(known.bind::<SmallInt, _>(i16::from(key_id)).get_result::<CheckRow>(conn).await?)
            })
        });
        Ok(row.await?.check_value)
    }

    async fn now(&self) -> Result<Timestamp, LedgerError> {
        let row = self.run_urgent(|conn| {
            Box::pin(async move { Ok(sql("SELECT coupon_now() AS at").get_result::<NowRow>(conn).await?) })
        });
        Ok(timestamp(row.await?.at))
    }

    async fn create(&self, new: &NewCampaign) -> Result<CreateOutcome, LedgerError> {
        Ok(self.create_campaign(new).await?)
    }

    async fn campaign(&self, id: &CampaignId) -> Result<Option<Campaign>, LedgerError> {
        let id = id.clone();
        Ok(self.run(move |conn| Box::pin(async move { campaign(conn, &id).await })).await?)
    }

    async fn campaigns(
        &self,
        state: Option<CampaignState>,
        after: Option<&CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, LedgerError> {
        let after = after.cloned();
        let page = self.run(move |conn| {
            Box::pin(async move {
                let rows = sql(CAMPAIGNS)
                    .bind::<Nullable<Text>, _>(state.map(CampaignState::as_str))
                    .bind::<Nullable<Text>, _>(after.as_ref().map(CampaignId::as_str))
                    .bind::<BigInt, _>(i64::from(limit))
                    .load::<CampaignRow>(conn)
                    .await?;
                rows.into_iter().map(CampaignRow::read).collect()
            })
        });
        Ok(page.await?)
    }

    async fn request(&self, id: Uuid) -> Result<Option<RequestRecord>, LedgerError> {
        Ok(self.run(move |conn| Box::pin(async move { requests::find(conn, id).await })).await?)
    }

    async fn new_round_ids(&self, count: u32) -> Result<Vec<RoundId>, LedgerError> {
        let ids = self.run(move |conn| {
            Box::pin(async move {
                let rows = sql("SELECT nextval('round_numbers')::integer AS no FROM generate_series(1, $1)")
                    .bind::<Integer, _>(int(count))
                    .load::<NumberRow>(conn)
                    .await?;
                rows.into_iter().map(|row| round_id(row.no)).collect()
            })
        });
        Ok(ids.await?)
    }

    async fn round(&self, id: RoundId) -> Result<Option<RoundRecord>, LedgerError> {
        let record = self.run(move |conn| {
            Box::pin(async move {
                let row = sql(ROUND).bind::<Integer, _>(number(id)).get_result::<RoundRow>(conn).await.optional()?;
                row.map(RoundRow::read).transpose()
            })
        });
        Ok(record.await?)
    }

    async fn rounds(
        &self,
        campaign: &CampaignId,
        after: Option<RoundId>,
        limit: u32,
    ) -> Result<Vec<RoundRecord>, LedgerError> {
        let campaign = campaign.clone();
        let page = self.run(move |conn| {
            Box::pin(async move {
                let rows = sql(ROUNDS)
                    .bind::<Text, _>(campaign.as_str())
                    .bind::<Nullable<Integer>, _>(after.map(number))
                    .bind::<BigInt, _>(i64::from(limit))
                    .load::<RoundRow>(conn)
                    .await?;
                rows.into_iter().map(RoundRow::read).collect()
            })
        });
        Ok(page.await?)
    }

    async fn keep_title(&self, campaign: &CampaignId, rules: &Rules) -> Result<Option<CampaignId>, LedgerError> {
        Ok(self.keep_title_of(campaign, rules).await?)
    }

    async fn give_up_titles(&self, campaign: &CampaignId) -> Result<(), LedgerError> {
        Ok(self.settle_titles(campaign).await?)
    }

    async fn standings(&self) -> Result<Vec<Standing>, LedgerError> {
        Ok(self.standings_of(None).await?)
    }

    async fn standing(&self, campaign: &CampaignId) -> Result<Option<Standing>, LedgerError> {
        Ok(self.standings_of(Some(campaign.clone())).await?.pop())
    }

    async fn acknowledge(&self, campaign: &CampaignId, n: u64) -> Result<(), LedgerError> {
        let campaign = campaign.clone();
        let updated = self.run_urgent(move |conn| {
            Box::pin(async move {
                let upsert = sql("INSERT INTO acknowledged (campaign_id, n) VALUES ($1, $2)
                    ON CONFLICT (campaign_id) DO UPDATE SET n = greatest(acknowledged.n, excluded.n)");
                Ok(upsert.bind::<Text, _>(campaign.as_str()).bind::<BigInt, _>(big(n)).execute(conn).await?)
            })
        });
        updated.await?;
        Ok(())
    }

    async fn raise_epoch(&self, campaign: &CampaignId, from: u64) -> Result<Option<u64>, LedgerError> {
        let campaign = campaign.clone();
        let raised = self.run_urgent(move |conn| {
            Box::pin(async move {
                let row = sql(RAISE_EPOCH)
                    .bind::<Text, _>(campaign.as_str())
                    .bind::<BigInt, _>(big(from))
                    .get_result::<EpochRow>(conn)
                    .await
                    .optional()?;
                row.map(|row| unsigned(row.epoch, "campaigns.epoch")).transpose()
            })
        });
        Ok(raised.await?)
    }

    async fn mark_open(&self, campaign: &CampaignId, epoch: u64) -> Result<bool, LedgerError> {
        let campaign = campaign.clone();
        let updated = self.run_urgent(move |conn| {
            Box::pin(async move {
                let update = sql("UPDATE campaigns SET open = true WHERE id = $1 AND epoch = $2");
                Ok(update.bind::<Text, _>(campaign.as_str()).bind::<BigInt, _>(big(epoch)).execute(conn).await?)
            })
        });
        Ok(updated.await? == 1)
    }
}
