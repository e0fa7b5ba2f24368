//! Connections to SQLite files, set up so that a commit survives a crash.

use std::path::Path;

use coupon_domain::ports::Source;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _};

use crate::OpenError;

/// `foreign_keys` has no effect where no table has any. A minute of patience: nobody but a person with a shell holds a lock for long.
const WRITER: &str = "PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -32768;";
const READER: &str =
    "PRAGMA busy_timeout = 60000; PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = -16384;";

/// The one connection that writes to this file, with its schema up to date.
pub(crate) fn open_writer(file: &Path, migrations: EmbeddedMigrations) -> Result<SqliteConnection, OpenError> {
    let open = || {
        let mut conn = connect(file)?;
        conn.batch_execute(WRITER)?;
        expect_wal(&mut conn)?;
        conn.run_pending_migrations(migrations)?;
        Ok(conn)
    };
    open().map_err(|source| OpenError::Database { file: file.to_owned(), source })
}

/// A connection that can only read.
pub(crate) fn open_reader(file: &Path) -> Result<SqliteConnection, Source> {
    let mut conn = connect(file)?;
    conn.batch_execute(READER)?;
    Ok(conn)
}

fn connect(file: &Path) -> Result<SqliteConnection, Source> {
    let path = file.to_str().ok_or("its path is not UTF-8")?;
    Ok(SqliteConnection::establish(path)?)
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// Where the file system has no shared memory, SQLite stays in another mode without saying so.
fn expect_wal(conn: &mut SqliteConnection) -> Result<(), Source> {
    let JournalMode { journal_mode } = diesel::sql_query("PRAGMA journal_mode").get_result(conn)?;
    if journal_mode == "wal" { Ok(()) } else { Err(format!("its journal mode is {journal_mode}, not WAL").into()) }
}

/// A count as SQLite's integer. None of ours comes near 2^63.
pub(crate) fn to_integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that [`to_integer`] wrote; `None` if it is out of range.
pub(crate) fn from_integer<T: TryFrom<i64>>(integer: i64) -> Option<T> {
    T::try_from(integer).ok()
}
