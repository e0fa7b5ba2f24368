//! The ledger's writing thread.

use std::sync::Arc;

use coupon_domain::ports::{Clock, Event};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;
use uuid::{ContextV7, Uuid};

use crate::failed::Failed;
use crate::grouped::Grouped;
use crate::worker::Store;

/// Owns the one connection that writes.
pub(super) struct Writer {
    ledger: Grouped,
    clock: Arc<dyn Clock>,
    event_ids: ContextV7,
}

/// What a command is given beside the connection.
pub(super) struct Stamp<'a> {
    /// The ledger's time, the same for all of the command.
    pub(super) at: Timestamp,
    event_ids: &'a ContextV7,
}

impl Store for Writer {
    fn commit(&mut self) {
        self.ledger.commit();
    }
}

impl Writer {
    pub(super) fn new(conn: SqliteConnection, clock: Arc<dyn Clock>) -> Self {
        Self { ledger: Grouped::new(conn), clock, event_ids: ContextV7::new() }
    }

    /// Runs one command in the group's transaction, behind a savepoint: if it fails, it fails alone.
    pub(super) fn run<T>(
        &mut self,
        command: impl FnOnce(&mut SqliteConnection, &Stamp<'_>) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let conn = self.ledger.begun().map_err(|e| Failed::Unavailable(e.into()))?;
        let stamp = Stamp { at: self.clock.now(), event_ids: &self.event_ids };
        conn.transaction(|conn| command(conn, &stamp))
    }
}

impl Stamp<'_> {
    /// What the id of an event that the ledger decides is made of; it rises in the order of the events.
    pub(super) fn next_id(&self) -> Uuid {
        let micros = u64::try_from(self.at.micros()).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000 * 1000).unwrap_or(0);
        let timestamp = uuid::Timestamp::from_unix(self.event_ids, micros / 1_000_000, nanos);
        Uuid::new_v7(timestamp)
    }

    /// The id of such an event.
    pub(super) fn event_id(&self) -> String {
        Event::id_of_uuid(self.next_id())
    }
}
