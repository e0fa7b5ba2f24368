//! The journal's way into the ledger, and back into a gate.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use coupon_domain::answer::{Issued, Place};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::Seat;
use coupon_domain::ports::{LedgerError, RecordError, RecordRepository, Snapshot};
use coupon_domain::recording::{Cursor, Recording};
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{CursorRow, behind, count, number, readable, timestamp, user_id};
use crate::statement::sql;

const CURSOR: &str = "SELECT epoch, n, chain, last_at FROM journal_cursors WHERE campaign_id = $1";

/// A page of each round, so that the index by round and user serves it: whoever is among the first in all rounds is so in each.
const COUPON_COUNTS: &str = "SELECT c.user_id, count(*) AS coupons
    FROM rounds CROSS JOIN LATERAL (
        SELECT user_id FROM coupons WHERE round_no = rounds.no AND user_id > $2 ORDER BY user_id LIMIT $3) AS c
    WHERE rounds.campaign_id = $1 GROUP BY c.user_id ORDER BY c.user_id LIMIT $3";

const SEAT: &str = "SELECT p.user_id, p.ticket, p.reserved_at, c.serial, c.claimed_at
    FROM (SELECT $2 AS user_id) AS asked
    LEFT JOIN places AS p ON p.round_no = $1 AND p.user_id = asked.user_id
    LEFT JOIN coupons AS c ON c.round_no = $1 AND c.user_id = asked.user_id";

#[derive(QueryableByName)]
struct SeatRow {
    #[diesel(sql_type = Nullable<Text>)]
    user_id: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    ticket: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    reserved_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    serial: Option<i32>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    claimed_at: Option<DateTime<Utc>>,
}

impl SeatRow {
    fn read(&self) -> Result<Seat, Failure> {
        let place = self.ticket.zip(self.reserved_at).map(|(ticket, at)| {
            Ok::<_, Failure>(Place { ticket: count(ticket, "places.ticket")?, reserved_at: timestamp(at) })
        });
        let coupon = self.serial.zip(self.claimed_at).map(|(serial, at)| {
            Ok::<_, Failure>(Issued { serial: count(serial, "coupons.serial")?, claimed_at: timestamp(at) })
        });
        Ok(Seat { place: place.transpose()?, coupon: coupon.transpose()? })
    }
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = BigInt)]
    coupons: i64,
}

/// The cursor of a campaign, for all who need it within their own work.
pub(crate) async fn cursor(conn: &mut AsyncPgConnection, campaign: &CampaignId) -> Result<Cursor, Failure> {
    let row = sql(CURSOR).bind::<Text, _>(campaign.as_str()).get_result::<CursorRow>(conn).await.optional()?;
    readable(row, &format!("the cursor of campaign {campaign}"))?.read()
}

#[async_trait]
impl RecordRepository for PostgresLedger {
    async fn cursor(&self, campaign: &CampaignId) -> Result<Cursor, LedgerError> {
        let campaign = campaign.clone();
        Ok(self.run(move |conn| Box::pin(async move { cursor(conn, &campaign).await })).await?)
    }

    async fn record(&self, campaign: &CampaignId, recording: &Recording) -> Result<(), RecordError> {
        self.write_recording(campaign, recording).await
    }

    async fn snapshot(&self, campaign: &CampaignId) -> Result<Snapshot, LedgerError> {
        Ok(self.snapshot_of(campaign).await?)
    }

    async fn seats(
        &self,
        round: RoundId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, Seat)>, LedgerError> {
        let after = behind(after);
        let seats = self.run(move |conn| {
            Box::pin(async move {
                let rows = sql(include_str!("queries/seats.sql"))
                    .bind::<Integer, _>(number(round))
                    .bind::<Text, _>(after)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load::<SeatRow>(conn)
                    .await?;
                rows.iter().map(|row| Ok((user_id(row.user_id.as_deref().unwrap_or_default())?, row.read()?))).collect()
            })
        });
        Ok(seats.await?)
    }

    async fn coupon_counts(
        &self,
        campaign: &CampaignId,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, u32)>, LedgerError> {
        let (campaign, after) = (campaign.clone(), behind(after));
        let counts = self.run(move |conn| {
            Box::pin(async move {
                let rows = sql(COUPON_COUNTS)
                    .bind::<Text, _>(campaign.as_str())
                    .bind::<Text, _>(after)
                    .bind::<BigInt, _>(i64::from(limit))
                    .load::<CountRow>(conn)
                    .await?;
                rows.iter()
                    .map(|row| Ok((user_id(&row.user_id)?, readable(u32::try_from(row.coupons).ok(), "a count")?)))
                    .collect()
            })
        });
        Ok(counts.await?)
    }

    async fn seat(&self, round: RoundId, user: &UserId) -> Result<Seat, LedgerError> {
        let user = user.clone();
        let seat = self.run(move |conn| {
            Box::pin(async move {
                let seat = sql(SEAT).bind::<Integer, _>(number(round)).bind::<Text, _>(user.as_str());
                seat.get_result::<SeatRow>(conn).await?.read()
            })
        });
        Ok(seat.await?)
    }
}
