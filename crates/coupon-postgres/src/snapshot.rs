//! What a gate is loaded from, but for the seats.

use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::Snapshot;
use diesel::sql_types::{BigInt, Jsonb, Text};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::requests;
use crate::rows::{CursorRow, RoundRow, read_rules, readable, round_columns, unsigned};
use crate::statement::sql;

/// All statements of the transaction see the ledger at one instant.
pub(crate) const ONE_INSTANT: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

const HEAD: &str = "SELECT journal_cursors.epoch, journal_cursors.n, journal_cursors.chain, journal_cursors.last_at,
        campaigns.state, campaigns.rules, campaigns.revision, campaigns.issued
    FROM campaigns JOIN journal_cursors ON journal_cursors.campaign_id = campaigns.id
    WHERE campaigns.id = $1";

const ROUNDS_AT_GATE: &str =
    concat!("SELECT ", round_columns!(), " FROM rounds WHERE campaign_id = $1 AND NOT retired ORDER BY no");

#[derive(QueryableByName)]
struct HeadRow {
    #[diesel(embed)]
    cursor: CursorRow,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Jsonb)]
    rules: serde_json::Value,
    #[diesel(sql_type = BigInt)]
    revision: i64,
    #[diesel(sql_type = BigInt)]
    issued: i64,
}

impl PostgresLedger {
    pub(crate) async fn snapshot_of(&self, campaign: &CampaignId) -> Result<Snapshot, Failure> {
        let campaign = campaign.clone();
        self.transaction(move |conn| Box::pin(async move { Ok(End::Commit(snapshot(conn, &campaign).await?)) })).await
    }
}

async fn snapshot(conn: &mut AsyncPgConnection, campaign: &CampaignId) -> Result<Snapshot, Failure> {
    sql(ONE_INSTANT).execute(conn).await?;
    let head = sql(HEAD).bind::<Text, _>(campaign.as_str()).get_result::<HeadRow>(conn).await.optional()?;
    let head = readable(head, &format!("campaign {campaign}"))?;
    let rounds = sql(ROUNDS_AT_GATE).bind::<Text, _>(campaign.as_str()).load::<RoundRow>(conn).await?;
    Ok(Snapshot {
        cursor: head.cursor.read()?,
        state: readable(CampaignState::from_word(&head.state), "campaigns.state")?,
        rules: read_rules(head.rules)?,
        revision: unsigned(head.revision, "campaigns.revision")?,
        requests: requests::of_campaign(conn, campaign).await?,
        issued: unsigned(head.issued, "campaigns.issued")?,
        rounds: rounds.into_iter().map(|row| Ok(row.read()?.head)).collect::<Result<_, Failure>>()?,
    })
}
