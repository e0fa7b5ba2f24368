//! The least that Postgres could do to redeem a coupon: one prepared statement that changes the same three tables, by `pgbench`.

use anyhow::{Context as _, bail, ensure};

use super::programs;
use super::sql::{COUPONS, EVENTS, Round, psql};

const TITLE: &str = "Redeemed by pgbench";

/// Makes coupons for [`pgbench_redeem`] and [`pgbench_bare_update`], with the rows and indexes of coupons that were claimed.
///
/// # Errors
/// If the database lacks the service's schema, or `psql` is not installed or fails.
pub async fn prepare_redeems(postgres_url: &str, coupons: u32) -> anyhow::Result<()> {
    let round = Round::create(postgres_url, TITLE, coupons).await?;
    let rows = round.rows(coupons);
    let script = format!(
        "INSERT INTO coupons ({COUPONS}) SELECT {COUPONS} FROM ({}) AS rows ORDER BY n;
        INSERT INTO events ({EVENTS}) SELECT {EVENTS} FROM ({}) AS rows ORDER BY n;
        VACUUM ANALYZE;",
        rows.coupons, rows.events
    );
    psql(postgres_url, &script).await.map(drop)
}

/// Redemptions a second by one statement of each of so many clients: the UPDATE of the coupon, and the INSERTs of its order and its event.
/// There are so many of them, or a few more, so that all clients do as many.
///
/// # Errors
/// If fewer coupons are left of [`prepare_redeems`], `pgbench` is not installed or fails, or rows are missing afterwards.
pub async fn pgbench_redeem(postgres_url: &str, clients: u32, redeems: u32) -> anyhow::Result<f64> {
    run(postgres_url, Statement::Redeem, clients, redeems).await
}

/// The same with the UPDATE alone.
///
/// # Errors
/// See [`pgbench_redeem`].
pub async fn pgbench_bare_update(postgres_url: &str, clients: u32, redeems: u32) -> anyhow::Result<f64> {
    run(postgres_url, Statement::BareUpdate, clients, redeems).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statement {
    Redeem,
    BareUpdate,
}

async fn run(postgres_url: &str, statement: Statement, clients: u32, redeems: u32) -> anyhow::Result<f64> {
    ensure!(clients > 0, "pgbench needs a client");
    let each = redeems.div_ceil(clients);
    let unused = Unused::find(postgres_url).await?;
    let redeems = each * clients;
    ensure!(unused.left >= redeems, "{redeems} coupons are needed, {} are left: prepare more", unused.left);
    let before = Counts::of(postgres_url, &unused).await?;
    let rate = pgbench(postgres_url, &unused.script(statement, clients), clients, each).await?;
    let after = Counts::of(postgres_url, &unused).await?;
    let rows = u64::from(redeems);
    let expected = match statement {
        Statement::Redeem => {
            Counts { redeemed: before.redeemed + rows, orders: before.orders + rows, events: before.events + rows }
        }
        Statement::BareUpdate => Counts { redeemed: before.redeemed + rows, ..before },
    };
    ensure!(after == expected, "pgbench left {after:?}, expected are {expected:?}");
    Ok(rate)
}

async fn pgbench(postgres_url: &str, script: &str, clients: u32, each: u32) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir().context("pgbench's script needs a folder")?;
    let file = folder.path().join("redeem.sql");
    std::fs::write(&file, script)?;
    let mut command = programs::of_postgres("pgbench")?;
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.args(["--client", &clients.to_string(), "--transactions", &each.to_string(), "--define=i=-1", "--file"]);
    command.arg(&file).arg(postgres_url);
    let said = programs::run(&mut command, "").await?;
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    rate.with_context(|| format!("pgbench: {said}"))
}

/// The coupons that are left to redeem: of one round, from one serial on.
struct Unused {
    round: Round,
    first: u32,
    left: u32,
}

impl Unused {
    /// Of the last round that was prepared.
    async fn find(postgres_url: &str) -> anyhow::Result<Self> {
        let query = format!(
            "SELECT rounds.campaign_id, rounds.no, min(coupons.serial), count(*)
            FROM campaigns JOIN rounds ON rounds.campaign_id = campaigns.id JOIN coupons ON coupons.round_no = rounds.no
            WHERE campaigns.title = '{TITLE}' AND coupons.state = 'ISSUED'
            GROUP BY rounds.campaign_id, rounds.no ORDER BY rounds.no DESC LIMIT 1;"
        );
        let row = psql(postgres_url, &query).await?;
        let columns: Vec<_> = row.split('|').collect();
        let [campaign, number, first, left] = columns[..] else { bail!("no coupons are left: prepare some") };
        let round = Round { campaign: campaign.parse()?, number: number.parse()? };
        Ok(Self { round, first: first.parse()?, left: left.parse()? })
    }

    /// What each client repeats. Clients take turns at the coupons; ids of events rise, as the service's do.
    fn script(&self, statement: Statement, clients: u32) -> String {
        let (Round { campaign, number }, first) = (&self.round, self.first);
        let update = format!(
            "UPDATE coupons SET state = 'REDEEMED', order_id = 'bare-' || :serial::integer, redeemed_at = coupon_now()
            WHERE round_no = {number} AND serial = :serial::integer AND state = 'ISSUED'"
        );
        let next = format!("\\set i :i + 1\n\\set serial {first} + :i * {clients} + :client_id\n");
        match statement {
            Statement::BareUpdate => format!("{next}{update};\n"),
            Statement::Redeem => format!(
                "{next}WITH used AS (
                    {update}
                    RETURNING round_no, serial, user_id, order_id, redeemed_at
                ), ordered AS (
                    INSERT INTO orders (campaign_id, id, round_no, serial, user_id, currency, amount, discount, state, redeemed_at)
                    SELECT '{campaign}', order_id, round_no, serial, user_id, 'EUR', 5000, 1000, 'REDEEMED', redeemed_at FROM used
                )
                INSERT INTO events ({EVENTS})
                SELECT '{number:08x}-0000-7000-8000-' || lpad(serial::text, 12, '0'), 'coupon.redeemed', '{campaign}', round_no, serial,
                    user_id, order_id, 'REDEEMED', jsonb_build_object('price', jsonb_build_object('amount', 5000, 'discount', 1000)),
                    redeemed_at
                FROM used;\n"
            ),
        }
    }
}

/// What there is of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    redeemed: u64,
    orders: u64,
    events: u64,
}

impl Counts {
    async fn of(postgres_url: &str, unused: &Unused) -> anyhow::Result<Self> {
        let number = unused.round.number;
        let query = format!(
            "SELECT
                (SELECT count(*) FROM coupons WHERE round_no = {number} AND state = 'REDEEMED'),
                (SELECT count(*) FROM orders WHERE round_no = {number} AND state = 'REDEEMED'),
                (SELECT count(*) FROM events WHERE round_no = {number} AND kind = 'coupon.redeemed');"
        );
        let row = psql(postgres_url, &query).await?;
        let columns = row.split('|').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let [redeemed, orders, events] = columns[..] else { bail!("psql answers {row:?}") };
        Ok(Self { redeemed, orders, events })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::sql::migrated_database;

    #[tokio::test]
    async fn coupons_are_redeemed_once_each_by_one_statement() {
        let database = migrated_database().await.expect("a database");
        prepare_redeems(database.url(), 300).await.expect("prepared");

        let redeem = pgbench_redeem(database.url(), 4, 99).await.expect("a rate");
        let update = pgbench_bare_update(database.url(), 3, 60).await.expect("a rate");
        let again = pgbench_redeem(database.url(), 4, 100).await.expect("a rate");

        assert!(redeem > 1.0 && update > 1.0 && again > 1.0);
        let all = pgbench_redeem(database.url(), 4, 100).await.expect_err("40 are left");
        assert_eq!(all.to_string(), "100 coupons are needed, 40 are left: prepare more");
        let count = async |query: &str| database.psql(query).await.expect("a count");
        assert_eq!(count("SELECT count(*) FROM coupons WHERE state = 'REDEEMED'").await, "260");
        assert_eq!(
            count("SELECT count(DISTINCT (round_no, serial)) FROM orders WHERE state = 'REDEEMED'").await,
            "200"
        );
        assert_eq!(count("SELECT count(*) FROM events WHERE kind = 'coupon.redeemed'").await, "200");
        assert_eq!(count("SELECT count(*) FROM events WHERE kind = 'coupon.issued'").await, "300");
    }

    #[tokio::test]
    async fn more_can_be_prepared_when_some_are_used_up() {
        let database = migrated_database().await.expect("a database");
        for _ in 0..2 {
            prepare_redeems(database.url(), 20).await.expect("prepared");
            pgbench_redeem(database.url(), 2, 20).await.expect("a rate");
        }
        let none = pgbench_redeem(database.url(), 2, 20).await.expect_err("all are used");
        assert_eq!(none.to_string(), "no coupons are left: prepare some");
    }
}
