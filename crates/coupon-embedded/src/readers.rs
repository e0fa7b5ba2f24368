//! A few connections that read, so that reading waits for no writer and no writer for it (WAL).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::prelude::*;
use tokio::sync::Semaphore;

use crate::failed::Failed;
use crate::folder::DataFolder;
use crate::sqlite;

const CONNECTIONS: usize = 4;

/// Connections to one file, opened as they are needed.
pub(crate) struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<SqliteConnection>>,
    permits: Arc<Semaphore>,
    /// A reader that outlives gate and ledger still keeps others out of the folder.
    _folder: Arc<DataFolder>,
}

impl Readers {
    pub(crate) fn of(folder: &Arc<DataFolder>, file: PathBuf) -> Arc<Self> {
        let idle = Mutex::new(Vec::with_capacity(CONNECTIONS));
        Arc::new(Self { file, idle, permits: Arc::new(Semaphore::new(CONNECTIONS)), _folder: Arc::clone(folder) })
    }

    /// Runs a query on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&mut SqliteConnection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|e| Failed::Unavailable(e.into()))?;
        let readers = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            // Held until the query is done, whether or not its caller waits.
            let _permit = permit;
            readers.run(query)
        });
        reading.await.map_err(|e| Failed::Unavailable(e.into()))?
    }

    fn run<T>(&self, query: impl FnOnce(&mut SqliteConnection) -> Result<T, Failed>) -> Result<T, Failed> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut conn = match idle {
            Some(conn) => conn,
            None => sqlite::open_reader(&self.file).map_err(Failed::Unavailable)?,
        };
        let result = query(&mut conn);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        result
    }
}
