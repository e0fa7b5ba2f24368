//! The schema: made by embedded migrations, and looked at before use.

use std::collections::HashSet;
use std::time::Duration;

use coupon_domain::ports::{LedgerError, Source};
use diesel::QueryableByName;
use diesel::migration::{Migration, MigrationSource as _};
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Text};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use crate::connection::{PostgresLedger, connect};
use crate::statement::sql;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// Instances that start together take turns by it. The number means nothing, it only has to be the same for all.
const LOCK: &str = "SELECT pg_advisory_lock(7305523412036913)";
const SESSION: &str = "SET application_name = 'coupon migrate'; SET lock_timeout = '60s'; SET synchronous_commit = on";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the schema was not made.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Postgres cannot be reached.
    #[error("Postgres cannot be reached")]
    Connect(#[source] diesel::ConnectionError),
    /// A migration failed; those before it stay.
    #[error("a migration failed")]
    Failed(#[source] Source),
}

/// Brings a database's schema up to date; names the migrations that were run. Instances that start together take turns.
///
/// # Errors
/// See [`MigrateError`].
pub async fn migrate(url: &str) -> Result<Vec<String>, MigrateError> {
    let mut conn = connect(url, SESSION, CONNECT_TIMEOUT).await.map_err(MigrateError::Connect)?;
    // The session ends with this function, and the lock with it.
    sql(LOCK).execute(&mut conn).await.map_err(|e| MigrateError::Failed(e.into()))?;
    // Diesel's migrations block the thread.
    let run = tokio::task::spawn_blocking(move || run_all(conn));
    match run.await {
        Ok(done) => done.map_err(MigrateError::Failed),
        Err(stopped) => Err(MigrateError::Failed(stopped.into())),
    }
}

fn run_all(conn: AsyncPgConnection) -> Result<Vec<String>, Source> {
    let mut harness = AsyncConnectionWrapper::<AsyncPgConnection>::from(conn);
    let done = harness.run_pending_migrations(MIGRATIONS)?;
    Ok(done.iter().map(ToString::to_string).collect())
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Bool)]
    found: bool,
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

impl PostgresLedger {
    /// Migrations that this program needs and the database has not had, in order. Empty: the schema is as it should be.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn pending_migrations(&self) -> Result<Vec<String>, LedgerError> {
        let known: HashSet<String> = self
            .run(|conn| {
                Box::pin(async move {
                    let table = sql("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS found");
                    if !table.get_result::<Found>(conn).await?.found {
                        return Ok(HashSet::new());
                    }
                    let versions = sql("SELECT version::text AS version FROM __diesel_schema_migrations");
                    Ok(versions.load::<Version>(conn).await?.into_iter().map(|v| v.version).collect())
                })
            })
            .await?;
        let needed: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(LedgerError::Broken)?;
        let mut names: Vec<_> = needed
            .iter()
            .filter(|m| !known.contains(&m.name().version().to_string()))
            .map(|m| m.name().to_string())
            .collect();
        names.sort();
        Ok(names)
    }
}
