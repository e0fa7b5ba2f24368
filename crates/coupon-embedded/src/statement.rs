//! Statements with a fixed text, which SQLite prepares once.
//!
//! Diesel prepares each of its own updates and upserts anew, since their text depends on what is changed. Where many rows are changed one
//! after the other, preparing would take most of the time: each time SQLite would read all checks of the table again.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

/// What takes the place of a question mark.
pub(crate) enum Bind<'a> {
    /// An integer, or null.
    Integer(Option<i64>),
    /// A text, or null.
    Text(Option<&'a str>),
}

impl From<i64> for Bind<'_> {
    fn from(integer: i64) -> Self {
        Self::Integer(Some(integer))
    }
}

impl From<Option<i64>> for Bind<'_> {
    fn from(integer: Option<i64>) -> Self {
        Self::Integer(integer)
    }
}

impl<'a> From<&'a str> for Bind<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Bind<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

/// A statement with as many question marks as it has binds.
pub(crate) struct Statement<'a, const N: usize> {
    text: &'static str,
    binds: [Bind<'a>; N],
}

impl<'a, const N: usize> Statement<'a, N> {
    pub(crate) fn new(text: &'static str, binds: [Bind<'a>; N]) -> Self {
        debug_assert_eq!(text.matches('?').count(), N, "{text}");
        Self { text, binds }
    }
}

/// It is known by its text.
impl<const N: usize> QueryId for Statement<'_, N> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<const N: usize> RunQueryDsl<SqliteConnection> for Statement<'_, N> {}

impl<const N: usize> QueryFragment<Sqlite> for Statement<'_, N> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let mut parts = self.text.split('?');
        out.push_sql(parts.next().unwrap_or_default());
        for (bind, part) in self.binds.iter().zip(parts) {
            match bind {
                Bind::Integer(integer) => out.push_bind_param::<Nullable<BigInt>, _>(integer)?,
                Bind::Text(text) => out.push_bind_param::<Nullable<Text>, _>(text)?,
            }
            out.push_sql(part);
        }
        Ok(())
    }
}
