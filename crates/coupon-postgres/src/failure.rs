//! What goes wrong in here, and what a caller of a port is told of it.

use coupon_domain::ports::{LedgerError, Source};
use diesel::result::{DatabaseErrorKind, Error};

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection: nothing was sent.
    #[error("no connection to Postgres")]
    NoConnection(#[source] Source),
    /// A statement failed.
    #[error(transparent)]
    Sql(#[from] Error),
    /// No answer within the call's time.
    #[error("Postgres did not answer in time")]
    NoAnswer,
    /// The task that did the work was stopped or has panicked.
    #[error("the work was not finished")]
    Stopped(#[source] tokio::task::JoinError),
    /// A row says what no version of this program writes, or is missing.
    #[error("damaged ledger: {0}")]
    Damaged(String),
}

impl Failure {
    /// The unique or foreign key that a statement would have broken.
    pub(crate) fn broken_key(&self) -> Option<String> {
        use DatabaseErrorKind::{ForeignKeyViolation, UniqueViolation};
        match self {
            Self::Sql(Error::DatabaseError(UniqueViolation | ForeignKeyViolation, info)) => {
                let key = info.constraint_name().unwrap_or("a key");
                Some(info.details().map_or_else(|| key.to_owned(), |details| format!("{key}: {details}")))
            }
            _ => None,
        }
    }
}

impl From<Failure> for LedgerError {
    fn from(failure: Failure) -> Self {
        match &failure {
            Failure::NoConnection(_) => Self::Unavailable(failure.into()),
            Failure::NoAnswer | Failure::Stopped(_) => Self::Unknown(failure.into()),
            Failure::Damaged(_) => Self::Broken(failure.into()),
            Failure::Sql(error) => match fate(error) {
                Fate::Unavailable => Self::Unavailable(failure.into()),
                Fate::Unknown => Self::Unknown(failure.into()),
                Fate::Broken => Self::Broken(failure.into()),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unavailable,
    Unknown,
    Broken,
}

/// Texts of errors for which the driver has no kind of its own, and which say nothing against the statement.
const PASSING: [&str; 7] = [
    "canceling statement due to",
    "deadlock detected",
    "terminating connection",
    "the database system is",
    "too many clients",
    "remaining connection slots",
    "No space left on device",
];

fn fate(error: &Error) -> Fate {
    match error {
        // After a failover the old primary may be read-only.
        Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => Fate::Unavailable,
        Error::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure,
            _,
        )
        | Error::BrokenTransactionManager
        | Error::RollbackErrorOnCommit { .. } => Fate::Unknown,
        Error::DatabaseError(_, info) if PASSING.iter().any(|text| info.message().contains(text)) => Fate::Unknown,
        _ => Fate::Broken,
    }
}
