//! The registry of users.

use std::collections::HashSet;

use async_trait::async_trait;
use coupon_domain::audit::{of_deletion, of_registration};
use coupon_domain::checkout::Operator;
use coupon_domain::ids::UserId;
use coupon_domain::ports::{LedgerError, MAX_BATCH, NewUser, User, UserCreation, UserRepository};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::users;
use super::{SqliteLedger, audit, value};
use crate::failed::Failed;

#[async_trait]
impl UserRepository for SqliteLedger {
    async fn create_users(&self, users: &[NewUser], by: &Operator) -> Result<Vec<UserCreation>, LedgerError> {
        let (users, by) = (users.to_vec(), by.clone());
        Ok(self.write(move |conn, stamp| create_all(conn, users, &by, stamp.at)).await?)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, LedgerError> {
        let id = id.clone();
        Ok(self.read(move |conn| find(conn, &id)).await?)
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, LedgerError> {
        let after = after.cloned();
        Ok(self.read(move |conn| list(conn, after.as_ref(), limit)).await?)
    }

    async fn delete_user(&self, id: &UserId, by: &Operator) -> Result<bool, LedgerError> {
        let (id, by) = (id.clone(), by.clone());
        Ok(self.write(move |conn, stamp| Ok(delete(conn, &id, &by, stamp.at)?)).await?)
    }

    async fn registered(&self, users: &[UserId]) -> Result<Vec<bool>, LedgerError> {
        let users = users.to_vec();
        Ok(self.read_at_one_instant(move |conn| registered(conn, &users)).await?)
    }
}

fn create_all(
    conn: &mut SqliteConnection,
    users: Vec<NewUser>,
    by: &Operator,
    at: Timestamp,
) -> Result<Vec<UserCreation>, Failed> {
    let outcomes = users.into_iter().map(|user| create(conn, user, at)).collect::<Result<Vec<_>, _>>()?;
    if let Some(record) = of_registration(&outcomes, by, at) {
        audit::append(conn, &record)?;
    }
    Ok(outcomes)
}

fn create(conn: &mut SqliteConnection, new: NewUser, at: Timestamp) -> Result<UserCreation, Failed> {
    let created = diesel::insert_into(users::table)
        .values((
            users::id.eq(new.id.as_str()),
            users::name.eq(&new.name),
            users::metadata.eq(value::to_json(&new.metadata)?),
            users::created_at.eq(at.micros()),
        ))
        .on_conflict(users::id)
        .do_nothing()
        .execute(conn)?;
    if created == 1 {
        return Ok(UserCreation::Created(User { given: new, created_at: at }));
    }
    let there = find(conn, &new.id)?.filter(|there| there.given == new);
    Ok(there.map_or(UserCreation::Taken, UserCreation::Unchanged))
}

fn delete(conn: &mut SqliteConnection, id: &UserId, by: &Operator, at: Timestamp) -> QueryResult<bool> {
    let deleted = diesel::delete(users::table.find(id.as_str())).execute(conn)? == 1;
    if deleted {
        audit::append(conn, &of_deletion(id, by, at))?;
    }
    Ok(deleted)
}

#[derive(Queryable)]
struct Line {
    id: String,
    name: String,
    metadata: String,
    created_at: i64,
}

impl Line {
    fn user(self) -> Result<User, Failed> {
        let metadata = value::expect(serde_json::from_str(&self.metadata).ok(), "a user's labels")?;
        let given = NewUser { id: value::user(&self.id)?, name: self.name, metadata };
        Ok(User { given, created_at: Timestamp::from_micros(self.created_at) })
    }
}

fn find(conn: &mut SqliteConnection, id: &UserId) -> Result<Option<User>, Failed> {
    users::table.find(id.as_str()).get_result::<Line>(conn).optional()?.map(Line::user).transpose()
}

fn list(conn: &mut SqliteConnection, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, Failed> {
    let after = after.map_or("", UserId::as_str);
    let later = users::table.filter(users::id.gt(after)).order(users::id).limit(i64::from(limit));
    later.load::<Line>(conn)?.into_iter().map(Line::user).collect()
}

fn registered(conn: &mut SqliteConnection, asked: &[UserId]) -> Result<Vec<bool>, Failed> {
    let mut there = HashSet::new();
    for some in asked.chunks(MAX_BATCH) {
        let ids = some.iter().map(UserId::as_str);
        there.extend(users::table.filter(users::id.eq_any(ids)).select(users::id).load::<String>(conn)?);
    }
    Ok(asked.iter().map(|user| there.contains(user.as_str())).collect())
}
