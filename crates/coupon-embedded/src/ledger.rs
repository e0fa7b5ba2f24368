//! The ledger: one thread writes, a few connections read.

mod audit;
mod campaigns;
mod checkout;
mod coupon_lists;
mod coupons;
mod deliveries;
mod draws;
mod events;
mod feed;
mod installation;
mod notices;
mod orders;
mod pruning;
mod record;
mod requests;
mod rounds;
mod schema;
mod seats;
mod snapshot;
mod standings;
mod statistics;
mod subscribers;
mod titles;
mod users;
mod value;
mod writer;

use std::sync::Arc;

use coupon_domain::ports::Clock;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

use self::writer::{Stamp, Writer};
use crate::OpenError;
use crate::failed::Failed;
use crate::folder::DataFolder;
use crate::readers::Readers;
use crate::sqlite;
use crate::worker::Worker;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite/ledger");

/// The ledger of an installation that is one process.
pub struct SqliteLedger {
    writer: Worker<Writer>,
    /// Behind the writer, so that it is dropped after it: it keeps others out of the folder.
    readers: Arc<Readers>,
    clock: Arc<dyn Clock>,
}

impl SqliteLedger {
    pub(crate) fn open(folder: &Arc<DataFolder>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let file = folder.file("ledger.sqlite");
        let failed = |source| OpenError::Database { file: file.clone(), source };
        let mut conn = sqlite::open_writer(&file, MIGRATIONS)?;
        installation::make(&mut conn).map_err(|e| failed(e.into()))?;
        let writer = Worker::start("coupon-ledger", Writer::new(conn, Arc::clone(&clock)));
        let writer = writer.map_err(|e| failed(e.into()))?;
        Ok(Self { writer, readers: Readers::of(folder, file), clock })
    }

    /// How durable a row is, for people.
    #[must_use]
    pub fn durability(&self) -> String {
        "fsync with each commit (SQLite, WAL, synchronous=FULL)".to_owned()
    }

    /// Runs a query on a connection that only reads.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        self.readers.read(query).await
    }

    /// Runs several queries that see the ledger at one instant.
    async fn read_at_one_instant<T: Send + 'static>(
        &self,
        queries: impl FnOnce(&mut SqliteConnection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        self.readers.read(|conn| conn.transaction(queries)).await
    }

    /// Runs a command on the writer: all of it or nothing.
    async fn write<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut SqliteConnection, &Stamp<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        self.writer.ask(|writer| writer.run(command)).await.map_err(|_| Failed::Gone)?
    }
}
