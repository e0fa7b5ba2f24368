//! What is there once in an installation: its id, its master keys' check values, and the numbers of its rounds.

use coupon_domain::ids::RoundId;
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::{installation, master_keys};
use super::value;
use crate::failed::Failed;

/// The installation's row, once.
pub(super) fn make(conn: &mut SqliteConnection) -> QueryResult<()> {
    diesel::insert_or_ignore_into(installation::table)
        .values((installation::one.eq(1), installation::id.eq(Uuid::new_v4().to_string())))
        .execute(conn)?;
    Ok(())
}

/// The check value of this master key: the one of whoever named the key first.
pub(super) fn remember_key(conn: &mut SqliteConnection, key_id: u8, check: &str) -> Result<String, Failed> {
    let id = i64::from(key_id);
    diesel::insert_or_ignore_into(master_keys::table)
        .values((master_keys::id.eq(id), master_keys::check_value.eq(check)))
        .execute(conn)?;
    Ok(master_keys::table.find(id).select(master_keys::check_value).get_result(conn)?)
}

/// Its id.
pub(super) fn id(conn: &mut SqliteConnection) -> Result<Uuid, Failed> {
    let id: String = installation::table.select(installation::id).get_result(conn)?;
    value::expect(id.parse().ok(), "the installation's id")
}

/// Round numbers never given before.
pub(super) fn new_round_ids(conn: &mut SqliteConnection, count: u32) -> Result<Vec<RoundId>, Failed> {
    let last: i64 = diesel::update(installation::table)
        .set(installation::last_round.eq(installation::last_round + i64::from(count)))
        .returning(installation::last_round)
        .get_result(conn)?;
    (last - i64::from(count) + 1..=last).map(value::round).collect()
}
