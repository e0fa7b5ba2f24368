//! Whether a server will keep what it acknowledges. One that will not is refused, not worked around.

use coupon_domain::ports::LedgerError;
use diesel::QueryableByName;
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl as _;

use crate::connection::PostgresLedger;
use crate::statement::sql;

/// The oldest version that is served, as `server_version_num` has it.
const OLDEST: i32 = 150_000;

/// Why a database cannot be the ledger as it is set up.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Too old.
    #[error("Postgres is {0}; 15 or later is needed")]
    TooOld(String),
    /// A setting would lose what was acknowledged.
    #[error("Postgres has {setting} = {found}; it must be on, or a crash loses what was acknowledged")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it is.
        found: String,
    },
    /// The schema is missing or old.
    #[error("the database lacks the migrations {}; run `coupon migrate`", .0.join(", "))]
    NotMigrated(Vec<String>),
    /// It did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

#[derive(QueryableByName)]
struct Settings {
    #[diesel(sql_type = Integer)]
    version_number: i32,
    #[diesel(sql_type = Text)]
    version: String,
    #[diesel(sql_type = Text)]
    fsync: String,
    #[diesel(sql_type = Text)]
    full_page_writes: String,
    #[diesel(sql_type = Text)]
    synchronous_commit: String,
}

const SETTINGS: &str = "SELECT
    current_setting('server_version_num')::integer AS version_number, current_setting('server_version') AS version,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes, current_setting('synchronous_commit') AS synchronous_commit";

impl PostgresLedger {
    /// Refuses a server that is too old or set up to lose data, and a database without the schema.
    ///
    /// # Errors
    /// See [`Unfit`].
    pub async fn preflight(&self) -> Result<(), Unfit> {
        let settings = self
            .run(|conn| Box::pin(async move { Ok(sql(SETTINGS).get_result::<Settings>(conn).await?) }))
            .await
            .map_err(LedgerError::from)?;
        if settings.version_number < OLDEST {
            return Err(Unfit::TooOld(settings.version));
        }
        let switches = [
            ("fsync", settings.fsync),
            ("full_page_writes", settings.full_page_writes),
            ("synchronous_commit", settings.synchronous_commit),
        ];
        if let Some((setting, found)) = switches.into_iter().find(|(_, value)| value != "on") {
            return Err(Unfit::Setting { setting, found });
        }
        let pending = self.pending_migrations().await?;
        if pending.is_empty() { Ok(()) } else { Err(Unfit::NotMigrated(pending)) }
    }

    /// How durable a yes is, for people.
    #[must_use]
    pub fn durability(&self) -> String {
        "fsync before each answer".to_owned()
    }
}
