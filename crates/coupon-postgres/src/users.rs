//! The registry of users.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use coupon_domain::audit as audits;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::UserId;
use coupon_domain::ports::{LedgerError, NewUser, User, UserCreation, UserRepository};
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, Text, Timestamptz};
use diesel::{OptionalExtension as _, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::audit;
use crate::connection::{End, PostgresLedger};
use crate::failure::Failure;
use crate::rows::{NowRow, behind, readable, timestamp, user_id};
use crate::statement::sql;

const USER: &str = "SELECT id, name, metadata, created_at FROM users WHERE id = $1";

const DELETE: &str = "DELETE FROM users WHERE id = $1 RETURNING coupon_now() AS at";

const USERS: &str = "SELECT id, name, metadata, created_at FROM users WHERE id > $1 ORDER BY id LIMIT $2";

#[derive(QueryableByName)]
struct UserRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Jsonb)]
    metadata: serde_json::Value,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

impl UserRow {
    fn read(self) -> Result<User, Failure> {
        let metadata = readable(serde_json::from_value(self.metadata).ok(), "users.metadata")?;
        let given = NewUser { id: user_id(&self.id)?, name: self.name, metadata };
        Ok(User { given, created_at: timestamp(self.created_at) })
    }
}

#[derive(QueryableByName)]
struct CreationRow {
    #[diesel(embed)]
    user: UserRow,
    #[diesel(sql_type = Bool)]
    made: bool,
}

#[derive(QueryableByName)]
struct IdRow {
    #[diesel(sql_type = Text)]
    id: String,
}

/// Users as they are afterwards, and which of them this call made.
#[derive(Default)]
struct Registered {
    users: HashMap<UserId, User>,
    made: HashSet<UserId>,
}

/// One statement; more only while others make or delete the same users.
async fn register(conn: &mut AsyncPgConnection, users: &[NewUser]) -> Result<Registered, Failure> {
    let mut open = BTreeMap::new();
    for user in users {
        open.entry(&user.id).or_insert(user);
    }
    let mut registered = Registered::default();
    while !open.is_empty() {
        let metadata = |user: &NewUser| user.metadata.clone().into_iter().collect::<serde_json::Value>();
        let rows = sql(include_str!("queries/create_users.sql"))
            .bind::<Array<Text>, _>(open.keys().map(|id| id.as_str()).collect::<Vec<_>>())
            .bind::<Array<Text>, _>(open.values().map(|user| user.name.as_str()).collect::<Vec<_>>())
            .bind::<Array<Jsonb>, _>(open.values().map(|user| metadata(user)).collect::<Vec<_>>())
            .load::<CreationRow>(conn)
            .await?;
        for CreationRow { user, made } in rows {
            let user = user.read()?;
            open.remove(&user.given.id);
            registered.made.extend(made.then(|| user.given.id.clone()));
            registered.users.insert(user.given.id.clone(), user);
        }
    }
    Ok(registered)
}

/// As if each had come alone: who comes twice finds what the first one made.
fn outcomes(users: &[NewUser], mut registered: Registered) -> Result<Vec<UserCreation>, Failure> {
    let outcome = |new: &NewUser| {
        let user = readable(registered.users.get(&new.id), "a user who was registered")?;
        Ok(if registered.made.remove(&new.id) {
            UserCreation::Created(user.clone())
        } else if user.given == *new {
            UserCreation::Unchanged(user.clone())
        } else {
            UserCreation::Taken
        })
    };
    users.iter().map(outcome).collect()
}

#[async_trait]
impl UserRepository for PostgresLedger {
    async fn create_users(&self, users: &[NewUser], by: &Operator) -> Result<Vec<UserCreation>, LedgerError> {
        let (users, by) = (users.to_vec(), by.clone());
        let created = self.transaction(move |conn| {
            Box::pin(async move {
                let registered = register(conn, &users).await?;
                let outcomes = outcomes(&users, registered)?;
                let at = outcomes.iter().find_map(|outcome| match outcome {
                    UserCreation::Created(user) => Some(user.created_at),
                    UserCreation::Unchanged(_) | UserCreation::Taken => None,
                });
                let record = at.and_then(|at| audits::of_registration(&outcomes, &by, at));
                audit::insert(conn, record.as_slice()).await?;
                Ok(End::Commit(outcomes))
            })
        });
        Ok(created.await?)
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>, LedgerError> {
        let id = id.clone();
        let user = self.run(move |conn| {
            Box::pin(async move {
                let row = sql(USER).bind::<Text, _>(id.as_str()).get_result::<UserRow>(conn).await.optional()?;
                row.map(UserRow::read).transpose()
            })
        });
        Ok(user.await?)
    }

    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, LedgerError> {
        let after = behind(after);
        let users = self.run(move |conn| {
            Box::pin(async move {
                let page = sql(USERS).bind::<Text, _>(after).bind::<BigInt, _>(i64::from(limit));
                page.load::<UserRow>(conn).await?.into_iter().map(UserRow::read).collect()
            })
        });
        Ok(users.await?)
    }

    async fn delete_user(&self, id: &UserId, by: &Operator) -> Result<bool, LedgerError> {
        let (id, by) = (id.clone(), by.clone());
        let deleted = self.transaction(move |conn| {
            Box::pin(async move {
                let deleted = sql(DELETE).bind::<Text, _>(id.as_str()).get_result::<NowRow>(conn).await.optional()?;
                let Some(row) = deleted else { return Ok(End::Rollback(false)) };
                audit::insert(conn, &[audits::of_deletion(&id, &by, timestamp(row.at))]).await?;
                Ok(End::Commit(true))
            })
        });
        Ok(deleted.await?)
    }

    async fn registered(&self, users: &[UserId]) -> Result<Vec<bool>, LedgerError> {
        let asked: Vec<_> = users.iter().map(ToString::to_string).collect();
        let known = self.run(move |conn| {
            Box::pin(async move {
                let known = sql("SELECT id FROM users WHERE id = ANY ($1)").bind::<Array<Text>, _>(asked);
                Ok(known.load::<IdRow>(conn).await?)
            })
        });
        let known: HashSet<_> = known.await?.into_iter().map(|row| row.id).collect();
        Ok(users.iter().map(|user| known.contains(user.as_str())).collect())
    }
}
