#![doc = include_str!("../README.md")]

mod failed;
mod folder;
mod gate;
mod grouped;
mod ledger;
mod readers;
mod sqlite;
mod statement;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use coupon_domain::ports::{Clock, Source};

use self::folder::DataFolder;
pub use self::gate::EmbeddedGate;
pub use self::ledger::SqliteLedger;

/// Why a data folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or its lock file cannot be made or read.
    #[error("cannot use the data folder {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process owns the folder.
    #[error("the data folder {} is owned by another process ({owner}); stop it, or use another folder", folder.display())]
    Owned {
        /// The folder.
        folder: PathBuf,
        /// The owner as its lock file says: `pid 123`.
        owner: String,
    },
    /// A database cannot be opened, or not brought up to date.
    #[error("cannot open the database {}", file.display())]
    Database {
        /// Its file.
        file: PathBuf,
        /// What SQLite says.
        source: Source,
    },
}

/// Gate and ledger in one data folder, which they own until both are dropped.
pub struct Embedded {
    /// The gate, and its journal.
    pub gate: Arc<EmbeddedGate>,
    /// The ledger.
    pub ledger: Arc<SqliteLedger>,
}

impl Embedded {
    /// Opens the folder, makes what is missing and brings the schema up to date. `clock` is the time of gate and ledger.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let folder = Arc::new(DataFolder::claim(data_dir)?);
        let gate = EmbeddedGate::open(&folder, Arc::clone(&clock))?;
        let ledger = SqliteLedger::open(&folder, clock)?;
        folder.sync()?;
        Ok(Self { gate: Arc::new(gate), ledger: Arc::new(ledger) })
    }
}
