//! Group commit: what several commands write goes into one transaction, and so costs one fsync.

use diesel::connection::{AnsiTransactionManager, TransactionManager as _};
use diesel::prelude::*;

/// The connection that writes; a transaction begins with the first write of a group and ends with the group.
pub(crate) struct Grouped {
    conn: SqliteConnection,
    begun: bool,
}

impl Grouped {
    pub(crate) fn new(conn: SqliteConnection) -> Self {
        Self { conn, begun: false }
    }

    /// The connection, in the group's transaction.
    pub(crate) fn begun(&mut self) -> QueryResult<&mut SqliteConnection> {
        if !self.begun {
            // IMMEDIATE, so that waiting for a lock happens here and nowhere later.
            AnsiTransactionManager::begin_transaction_sql(&mut self.conn, "BEGIN IMMEDIATE")?;
            self.begun = true;
        }
        Ok(&mut self.conn)
    }

    /// Makes durable what the group wrote, if it wrote. If that fails, the process stops.
    pub(crate) fn commit(&mut self) {
        if !self.begun {
            return;
        }
        self.begun = false;
        if let Err(e) = AnsiTransactionManager::commit_transaction(&mut self.conn) {
            stop_the_process(&e);
        }
    }
}

/// After a failed write nobody knows what the disk holds, and what the gate has decided cannot be taken back. The next start finds out.
pub(crate) fn stop_the_process(error: &diesel::result::Error) -> ! {
    tracing::error!(%error, "a commit failed: the process stops, since it cannot know what the disk holds");
    std::process::abort()
}
