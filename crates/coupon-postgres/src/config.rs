//! How to reach Postgres, and how long to wait for it.

use std::fmt;
use std::time::Duration;

/// Where the ledger is and how long to wait for it. Nothing waits without end.
#[derive(Clone)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`. Never shown, since it may have a password.
    pub url: String,
    /// Connections at most.
    pub max_connections: usize,
    /// For a free connection of the pool, a new one included.
    pub acquire_timeout: Duration,
    /// For a new connection.
    pub connect_timeout: Duration,
    /// For one statement, by the server.
    pub statement_timeout: Duration,
    /// For one lock, by the server.
    pub lock_timeout: Duration,
    /// For the next statement of a transaction, by the server.
    pub idle_in_transaction_timeout: Duration,
    /// For all statements of one call together, by this side: for the case that the server has vanished.
    pub call_timeout: Duration,
}

impl PostgresConfig {
    /// This database, with limits that suit a service.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(3),
            idle_in_transaction_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
        }
    }

    /// What each session sets before its first use.
    ///
    /// Plans are kept while tables grow from nothing to millions: the settings hold them to indexes.
    ///
    /// Errors are told apart by their text where the driver gives no more, hence English where this user may choose it.
    pub(crate) fn session(&self) -> String {
        format!(
            "SET application_name = 'coupon';
             SET default_transaction_isolation = 'read committed';
             SET synchronous_commit = on;
             SET enable_seqscan = off;
             SET jit = off;
             SET statement_timeout = {};
             SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = {};
             DO $$ BEGIN IF pg_is_in_recovery() THEN
                 RAISE EXCEPTION 'the database system is a standby'; END IF; END $$;
             DO $$ BEGIN SET lc_messages = 'C'; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$",
            self.statement_timeout.as_millis(),
            self.lock_timeout.as_millis(),
            self.idle_in_transaction_timeout.as_millis(),
        )
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig").field("max_connections", &self.max_connections).finish_non_exhaustive()
    }
}
