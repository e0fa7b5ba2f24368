//! Postgres by `psql`, and the campaign that the baselines' coupons are of.

use anyhow::{Context as _, bail};
use uuid::Uuid;

use super::programs;

/// Makes an empty database of this name on the server that this address is of; answers the new one's address.
///
/// # Errors
/// If there is one of this name, or `psql` is not installed or fails.
pub async fn create_database(postgres_url: &str, name: &str) -> anyhow::Result<String> {
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        bail!("{name:?} is no name for a database: a-z, 0-9 and _ are");
    }
    psql(postgres_url, &format!("CREATE DATABASE {name} TEMPLATE template0;")).await?;
    let scheme_end = postgres_url.find("://").context("the database's address has no scheme")? + 3;
    let path = postgres_url[scheme_end..].find('/').map_or(postgres_url.len(), |at| scheme_end + at);
    let query = postgres_url[path..].find('?').map_or("", |at| &postgres_url[path + at..]);
    Ok(format!("{}/{name}{query}", &postgres_url[..path]))
}

/// Runs a script; answers what its commands return, a line per row, columns parted by `|`.
pub(super) async fn psql(postgres_url: &str, script: &str) -> anyhow::Result<String> {
    let mut command = programs::of_postgres("psql")?;
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
    command.args(["--dbname", postgres_url, "--file", "-"]);
    programs::run(&mut command, script).await
}

/// A campaign with one round, for coupons that no gate has given.
pub(super) struct Round {
    pub(super) campaign: Uuid,
    pub(super) number: u32,
}

impl Round {
    /// Makes one of this title for so many coupons.
    ///
    /// The campaign has ended, so that no service would open it. Its rules have what the schema asks for: nobody reads them.
    pub(super) async fn create(postgres_url: &str, title: &str, coupons: u32) -> anyhow::Result<Self> {
        let campaign = Uuid::now_v7();
        let script = format!(
            "BEGIN;
            INSERT INTO campaigns (id, rules, state, created_at, updated_at)
            VALUES ('{campaign}', jsonb_build_object('title', '{title}', 'validity', '30d'), 'ENDED', coupon_now(), coupon_now());
            WITH next AS (SELECT nextval('round_numbers')::integer AS no)
            INSERT INTO rounds (no, campaign_id, spec, claim_opens_at, claim_closes_at, phase, supply, issued, last_n)
            SELECT no, '{campaign}', jsonb_build_object('id', no), coupon_now(), coupon_now() + interval '1 hour', 'CLAIMING',
                {coupons}, {coupons}, {coupons}
            FROM next RETURNING no;
            COMMIT;"
        );
        let number = psql(postgres_url, &script).await?;
        Ok(Self { campaign, number: number.parse().with_context(|| format!("psql answers {number:?}"))? })
    }

    /// Queries for so many rows of this round's coupons and their events, as the recorder would write them after a bench:
    /// one decision each, of users whose ids are like the generator's.
    pub(super) fn rows(&self, coupons: u32) -> Rows {
        let Self { campaign, number } = self;
        Rows {
            coupons: format!(
                "SELECT {number} AS round_no, serial, 'u-' || serial AS user_id, now() AS claimed_at,
                    now() + interval '30 days' AS expires_at, serial::bigint + 1 AS n, now() + interval '23 days' AS notice_at
                FROM generate_series(0, {coupons} - 1) AS serial"
            ),
            events: format!(
                "SELECT '{campaign}-' || serial + 1 AS id, 'coupon.issued' AS kind, '{campaign}' AS campaign_id,
                    {number} AS round_no, serial, 'u-' || serial AS user_id, NULL::text AS order_id, NULL::text AS state,
                    NULL::jsonb AS details, now() AS at, serial::bigint + 1 AS n
                FROM generate_series(0, {coupons} - 1) AS serial"
            ),
        }
    }
}

/// See [`Round::rows`].
pub(super) struct Rows {
    pub(super) coupons: String,
    pub(super) events: String,
}

/// The columns that the recorder writes.
pub(super) const COUPONS: &str = "round_no, serial, user_id, claimed_at, expires_at, n, notice_at";
pub(super) const EVENTS: &str = "id, kind, campaign_id, round_no, serial, user_id, order_id, state, details, at";

#[cfg(test)]
pub(super) async fn migrated_database() -> anyhow::Result<coupon_testkit::postgres::PostgresDatabase> {
    let server = coupon_testkit::postgres::PostgresServer::shared().await?;
    let migrate = |url: String| async move { coupon_postgres::migrate(&url).await.map(drop) };
    server.migrated_database(migrate).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_beside_another_is_made() {
        let first = migrated_database().await.expect("a database");

        let second = create_database(first.url(), "beside").await.expect("made");

        assert_eq!(psql(&second, "SELECT current_database();").await.expect("it answers"), "beside");
        let again = create_database(first.url(), "beside").await.expect_err("it is there");
        assert!(again.to_string().contains("already exists"), "{again}");
        create_database(first.url(), "a; b").await.expect_err("no name");
    }
}
