//! What can go wrong on SQLite, and what that means for the ports.

use coupon_domain::ports::{JournalError, LedgerError, RecordError, Source};
use diesel::result::{DatabaseErrorKind, Error};

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// There is no connection, or no transaction could begin: nothing was written.
    #[error("the database cannot be used")]
    Unavailable(#[source] Source),
    /// The writer is gone; whether it wrote is not known.
    #[error("the writer is gone")]
    Gone,
    /// A statement failed.
    #[error(transparent)]
    Sql(#[from] Error),
    /// A row is not what this version writes.
    #[error("{0} cannot be read")]
    Unreadable(String),
    /// A row that should be changed is not there.
    #[error("{0} is not there")]
    Missing(String),
}

impl From<Failed> for LedgerError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Unavailable(source) => Self::Unavailable(source),
            Failed::Gone => Self::Unknown(failed.into()),
            Failed::Sql(_) | Failed::Unreadable(_) | Failed::Missing(_) => Self::Broken(failed.into()),
        }
    }
}

impl From<Failed> for RecordError {
    fn from(failed: Failed) -> Self {
        match &failed {
            Failed::Missing(_) => Self::Fork(failed.to_string()),
            Failed::Sql(Error::DatabaseError(
                DatabaseErrorKind::UniqueViolation | DatabaseErrorKind::ForeignKeyViolation,
                what,
            )) => Self::Fork(what.message().to_owned()),
            Failed::Unavailable(_) | Failed::Gone | Failed::Sql(_) | Failed::Unreadable(_) => {
                Self::Ledger(failed.into())
            }
        }
    }
}

impl From<Failed> for JournalError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Unreadable(what) => Self::Damaged(what),
            Failed::Unavailable(_) | Failed::Gone | Failed::Sql(_) | Failed::Missing(_) => {
                Self::Unavailable(failed.into())
            }
        }
    }
}
