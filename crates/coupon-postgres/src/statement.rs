//! Statements as text that a connection keeps prepared. `diesel::sql_query` would prepare anew each time: a second round trip.
//!
//! Several of them may be sent in one flight, by polling their futures in order (`tokio::try_join!` with `biased`). They arrive in that
//! order: each takes the connection's cache of prepared statements in turn, whose lock is first come, first served, and is sent as soon as
//! it has left it. Therefore whatever begins or ends a transaction in a flight must be such a statement too: `batch_execute` does not
//! queue, and overtakes those that are still being prepared.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{HasSqlType, Untyped};

/// A statement with its values, `$1` first.
///
/// The text is static: there is a bounded number of statements, so a connection may keep them all.
pub(crate) struct Sql<'a> {
    text: &'static str,
    values: Vec<Box<dyn QueryFragment<Pg> + Send + 'a>>,
}

/// A statement without values yet.
pub(crate) fn sql<'a>(text: &'static str) -> Sql<'a> {
    Sql { text, values: Vec::new() }
}

impl<'a> Sql<'a> {
    /// The next value, of the SQL type `St`.
    pub(crate) fn bind<St, V>(mut self, value: V) -> Self
    where
        Pg: HasSqlType<St>,
        V: ToSql<St, Pg> + Send + 'a,
        St: Send + 'a,
    {
        self.values.push(Box::new(Value { value, sql_type: std::marker::PhantomData::<St> }));
        self
    }
}

impl QueryFragment<Pg> for Sql<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(self.text);
        self.values.iter().try_for_each(|value| value.walk_ast(out.reborrow()))
    }
}

impl QueryId for Sql<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql<'_> {
    type SqlType = Untyped;
}

struct Value<St, V> {
    value: V,
    sql_type: std::marker::PhantomData<St>,
}

impl<St, V> QueryFragment<Pg> for Value<St, V>
where
    Pg: HasSqlType<St>,
    V: ToSql<St, Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param_value_only(&self.value)
    }
}
