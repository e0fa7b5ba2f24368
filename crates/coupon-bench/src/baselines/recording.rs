//! The least that Postgres could do to record claims: `INSERT .. SELECT` of the recorder's rows from tables that already hold them, by
//! `psql`.

use anyhow::{Context as _, bail, ensure};

use super::sql::{COUPONS, EVENTS, Round, psql};

/// Claims in a transaction, as many as the recorder's.
const CHUNK: u32 = 5_000;

/// Claims recorded a second, each of them a row in `coupons` and one in `events`, with all their indexes, checks and triggers.
///
/// # Errors
/// If the database lacks the service's schema, `psql` is not installed or fails, or rows are missing afterwards.
pub async fn insert_select(postgres_url: &str, claims: u32) -> anyhow::Result<f64> {
    ensure!(claims > 0, "there is nothing to record");
    let round = Round::create(postgres_url, "Recorded by psql", claims).await?;
    let said = psql(postgres_url, &script(&round, claims)).await?;
    let columns: Vec<_> = said.split('|').collect();
    let [seconds, coupons, events] = columns[..] else { bail!("psql answers {said:?}") };
    let seconds: f64 = seconds.parse().with_context(|| format!("psql answers {said:?}"))?;
    ensure!(
        [coupons, events] == [claims.to_string(), claims.to_string()],
        "{coupons} coupons and {events} events for {claims} claims"
    );
    Ok(f64::from(claims) / seconds)
}

/// The time is that of the transactions alone, by Postgres' own clock. Staged rows are in shared buffers and not in the log.
fn script(round: &Round, claims: u32) -> String {
    let rows = round.rows(claims);
    let chunks: String = (0..claims.div_ceil(CHUNK)).map(|chunk| transaction(chunk * CHUNK)).collect();
    let number = round.number;
    format!(
        "DROP TABLE IF EXISTS staged_coupons, staged_events;
        CREATE UNLOGGED TABLE staged_coupons AS {};
        CREATE UNLOGGED TABLE staged_events AS {};
        ALTER TABLE staged_coupons ADD PRIMARY KEY (n);
        ALTER TABLE staged_events ADD PRIMARY KEY (n);
        VACUUM ANALYZE;
        CHECKPOINT;
        SELECT clock_timestamp() AS began \\gset
        {chunks}
        SELECT extract(epoch FROM clock_timestamp() - :'began'::timestamptz) AS seconds \\gset
        SELECT :'seconds', (SELECT count(*) FROM coupons WHERE round_no = {number}), (SELECT count(*) FROM events WHERE round_no = {number});
        DROP TABLE staged_coupons, staged_events;",
        rows.coupons, rows.events
    )
}

fn transaction(after: u32) -> String {
    let (first, last) = (after + 1, after + CHUNK);
    format!(
        "BEGIN;
        INSERT INTO coupons ({COUPONS}) SELECT {COUPONS} FROM staged_coupons WHERE n BETWEEN {first} AND {last} ORDER BY n;
        INSERT INTO events ({EVENTS}) SELECT {EVENTS} FROM staged_events WHERE n BETWEEN {first} AND {last} ORDER BY n;
        COMMIT;\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::sql::migrated_database;

    #[tokio::test]
    async fn all_rows_are_written_and_nothing_else_is_left() {
        let database = migrated_database().await.expect("a database");
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        let before = database.psql(tables).await.expect("a count");

        for _ in 0..2 {
            let rate = insert_select(database.url(), 7_001).await.expect("a rate");
            assert!(rate > 10.0, "{rate}");
        }

        let rows = database.psql("SELECT count(*), count(DISTINCT (round_no, user_id)) FROM coupons").await;
        assert_eq!(rows.expect("a count"), "14002|14002");
        let told = "SELECT count(*) FROM events JOIN coupons USING (round_no, serial, user_id) WHERE id = campaign_id || '-' || n";
        assert_eq!(database.psql(told).await.expect("a count"), "14002");
        assert_eq!(database.psql(tables).await.expect("a count"), before);
    }
}
