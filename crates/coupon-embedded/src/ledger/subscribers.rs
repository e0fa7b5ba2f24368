//! Readers of the feed that keep their place. One session reads under each name, by the last subscription or by a lease.

use std::time::Duration;

use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::Subscriber;
use coupon_domain::time::Timestamp;
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::subscribers;
use super::value;
use crate::failed::Failed;

#[derive(Queryable)]
struct Line {
    name: String,
    position: i64,
    session: Option<String>,
    leased_until: Option<i64>,
    created_at: i64,
    seen_at: i64,
}

impl Line {
    fn subscriber(self) -> Result<Subscriber, Failed> {
        Ok(Subscriber {
            name: value::subscriber(&self.name)?,
            position: self.position,
            created_at: Timestamp::from_micros(self.created_at),
            seen_at: Timestamp::from_micros(self.seen_at),
        })
    }

    fn is_read_by(&self, session: Uuid) -> bool {
        self.session.as_deref().and_then(|id| id.parse().ok()) == Some(session)
    }

    fn is_leased(&self, at: Timestamp) -> bool {
        self.leased_until.is_some_and(|until| at.micros() < until)
    }
}

fn find(conn: &mut SqliteConnection, name: &SubscriberName) -> QueryResult<Option<Line>> {
    subscribers::table.find(name.as_str()).get_result(conn).optional()
}

/// Who reads from now on, from where, and until when nobody else takes the name by a lease.
struct Reader {
    session: Uuid,
    position: i64,
    leased_until: Option<Timestamp>,
}

fn put(conn: &mut SqliteConnection, name: &SubscriberName, reader: &Reader, at: Timestamp) -> QueryResult<()> {
    let facts = (
        subscribers::position.eq(reader.position),
        subscribers::session.eq(reader.session.to_string()),
        subscribers::leased_until.eq(reader.leased_until.map(Timestamp::micros)),
        subscribers::seen_at.eq(at.micros()),
    );
    diesel::insert_into(subscribers::table)
        .values((subscribers::name.eq(name.as_str()), subscribers::created_at.eq(at.micros()), facts.clone()))
        .on_conflict(subscribers::name)
        .do_update()
        .set(facts)
        .execute(conn)?;
    Ok(())
}

/// Makes this session the reader, whoever it was.
pub(super) fn subscribe(
    conn: &mut SqliteConnection,
    name: &SubscriberName,
    session: Uuid,
    after: Option<i64>,
    at: Timestamp,
) -> Result<i64, Failed> {
    let there = find(conn, name)?.map_or(0, |line| line.position);
    let position = after.unwrap_or(there).max(0);
    put(conn, name, &Reader { session, position, leased_until: None }, at)?;
    Ok(position)
}

/// Makes this session the reader for so long, unless another one's lease has not run out.
pub(super) fn lease(
    conn: &mut SqliteConnection,
    name: &SubscriberName,
    session: Uuid,
    span: Duration,
    at: Timestamp,
) -> Result<Option<i64>, Failed> {
    let there = find(conn, name)?;
    if there.as_ref().is_some_and(|line| line.is_leased(at) && !line.is_read_by(session)) {
        return Ok(None);
    }
    let position = there.map_or(0, |line| line.position);
    put(conn, name, &Reader { session, position, leased_until: Some(at.plus(span)) }, at)?;
    Ok(Some(position))
}

/// Whether this session has a lease of the name.
pub(super) fn has_lease(
    conn: &mut SqliteConnection,
    name: &SubscriberName,
    session: Uuid,
    at: Timestamp,
) -> Result<bool, Failed> {
    Ok(find(conn, name)?.is_some_and(|line| line.is_leased(at) && line.is_read_by(session)))
}

/// How far this session's reader is.
pub(super) fn position(
    conn: &mut SqliteConnection,
    name: &SubscriberName,
    session: Uuid,
) -> Result<Option<i64>, Failed> {
    Ok(find(conn, name)?.filter(|line| line.is_read_by(session)).map(|line| line.position))
}

/// Moves a reader on, never back; where it is then.
pub(super) fn acknowledge(
    conn: &mut SqliteConnection,
    name: &SubscriberName,
    position: i64,
    at: Timestamp,
) -> Result<Option<i64>, Failed> {
    let Some(there) = find(conn, name)? else { return Ok(None) };
    let position = position.max(there.position);
    diesel::update(subscribers::table.find(name.as_str()))
        .set((subscribers::position.eq(position), subscribers::seen_at.eq(at.micros())))
        .execute(conn)?;
    Ok(Some(position))
}

/// Moves a reader on, never back.
pub(super) fn move_on(conn: &mut SqliteConnection, name: &SubscriberName, position: i64) -> QueryResult<()> {
    let behind = subscribers::table.find(name.as_str()).filter(subscribers::position.lt(position));
    diesel::update(behind).set(subscribers::position.eq(position)).execute(conn)?;
    Ok(())
}

/// Moves a reader back; false if it is not that far, or not there. Whoever reads under this name does so no more: it would go on from where
/// it is, and write that down.
pub(super) fn rewind(conn: &mut SqliteConnection, name: &SubscriberName, position: i64) -> QueryResult<bool> {
    let there = subscribers::table.find(name.as_str()).filter(subscribers::position.ge(position));
    let nobody = (subscribers::session.eq(None::<String>), subscribers::leased_until.eq(None::<i64>));
    Ok(diesel::update(there).set((subscribers::position.eq(position), nobody)).execute(conn)? == 1)
}

/// All, by name.
pub(super) fn all(conn: &mut SqliteConnection) -> Result<Vec<Subscriber>, Failed> {
    let lines: Vec<Line> = subscribers::table.order(subscribers::name).load(conn)?;
    lines.into_iter().map(Line::subscriber).collect()
}

/// Forgets a reader with what is parked for it; whether there was one.
pub(super) fn forget(conn: &mut SqliteConnection, name: &SubscriberName) -> QueryResult<bool> {
    Ok(diesel::delete(subscribers::table.find(name.as_str())).execute(conn)? == 1)
}
