//! Counts of rounds, for people.

use std::collections::BTreeMap;

use async_trait::async_trait;
use coupon_domain::answer::Refusal;
use coupon_domain::choice::Verb;
use coupon_domain::ids::RoundId;
use coupon_domain::ports::{LedgerError, StatisticsRepository, Tally};
use coupon_domain::stats::ArrivalBucket;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::connection::PostgresLedger;
use crate::failure::Failure;
use crate::rows::{big, count, int, number, readable, unsigned};
use crate::statement::sql;

const REFUSALS: &str = "SELECT verb, reason, count FROM round_refusals WHERE round_no = $1";

const ARRIVALS: &str = "SELECT bucket, won, lost FROM round_arrivals WHERE round_no = $1 ORDER BY bucket";

#[derive(QueryableByName)]
struct RefusalRow {
    #[diesel(sql_type = Text)]
    verb: String,
    #[diesel(sql_type = Text)]
    reason: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

impl RefusalRow {
    fn read(&self) -> Result<((Verb, Refusal), u64), Failure> {
        let verb = [Verb::Reserve, Verb::Claim].into_iter().find(|verb| word(*verb) == self.verb);
        let reason = Refusal::ALL.into_iter().find(|reason| reason.as_str() == self.reason);
        let key = readable(verb.zip(reason), "round_refusals")?;
        Ok((key, unsigned(self.count, "round_refusals.count")?))
    }
}

#[derive(QueryableByName)]
struct ArrivalRow {
    #[diesel(sql_type = Integer)]
    bucket: i32,
    #[diesel(sql_type = BigInt)]
    won: i64,
    #[diesel(sql_type = BigInt)]
    lost: i64,
}

impl ArrivalRow {
    fn read(&self) -> Result<ArrivalBucket, Failure> {
        Ok(ArrivalBucket {
            bucket: count(self.bucket, "round_arrivals.bucket")?,
            won: unsigned(self.won, "round_arrivals.won")?,
            lost: unsigned(self.lost, "round_arrivals.lost")?,
        })
    }
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Reserve => "RESERVE",
        Verb::Claim => "CLAIM",
    }
}

async fn add(conn: &mut AsyncPgConnection, round: RoundId, tally: &Tally) -> Result<(), Failure> {
    let Tally { refusals, arrivals } = tally;
    sql(include_str!("queries/add_tally.sql"))
        .bind::<Integer, _>(number(round))
        .bind::<Array<Text>, _>(refusals.keys().map(|(verb, _)| word(*verb)).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(refusals.keys().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(refusals.values().map(|count| big(*count)).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(arrivals.iter().map(|bucket| int(bucket.bucket)).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(arrivals.iter().map(|bucket| big(bucket.won)).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(arrivals.iter().map(|bucket| big(bucket.lost)).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

async fn tally(conn: &mut AsyncPgConnection, round: RoundId) -> Result<Tally, Failure> {
    let refusals = sql(REFUSALS).bind::<Integer, _>(number(round)).load::<RefusalRow>(conn).await?;
    let arrivals = sql(ARRIVALS).bind::<Integer, _>(number(round)).load::<ArrivalRow>(conn).await?;
    Ok(Tally {
        refusals: refusals.iter().map(RefusalRow::read).collect::<Result<BTreeMap<_, _>, _>>()?,
        arrivals: arrivals.iter().map(ArrivalRow::read).collect::<Result<_, _>>()?,
    })
}

#[async_trait]
impl StatisticsRepository for PostgresLedger {
    async fn add_tally(&self, round: RoundId, tally: &Tally) -> Result<(), LedgerError> {
        let tally = tally.clone();
        Ok(self.run(move |conn| Box::pin(async move { add(conn, round, &tally).await })).await?)
    }

    async fn tally(&self, round: RoundId) -> Result<Tally, LedgerError> {
        Ok(self.run(move |conn| Box::pin(async move { tally(conn, round).await })).await?)
    }
}
