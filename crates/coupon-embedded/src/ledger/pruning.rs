//! Old events go.

use coupon_domain::ports::{Pruned, Retention};
use coupon_domain::time::Timestamp;
use diesel::dsl::{exists, min, not};
use diesel::prelude::*;

use super::schema::{deliveries, events, subscribers};
use crate::failed::Failed;

/// Looks at the oldest events, at most `limit`, so that it costs no more where most of them stay; what an outlet has parked is passed over
/// until it is too old in any case. Nobody's number is given again: the table sees to it.
pub(super) fn prune(
    conn: &mut SqliteConnection,
    retention: Retention,
    limit: u32,
    at: Timestamp,
) -> Result<Pruned, Failed> {
    let (old, too_old) = (at.minus(retention.min).micros(), at.minus(retention.max).micros());
    let slowest: Option<i64> = subscribers::table.select(min(subscribers::position)).get_result(conn)?;
    let is_read = |seq: i64| slowest.is_none_or(|slowest| seq <= slowest);
    let is_parked = exists(deliveries::table.filter(deliveries::seq.eq(events::seq)));
    let oldest: Vec<(i64, i64, bool)> = events::table
        .filter(events::at.lt(too_old).or(not(is_parked)))
        .order(events::seq)
        .limit(i64::from(limit))
        .select((events::seq, events::at, is_parked))
        .load(conn)?;
    let mut pruned = Pruned::default();
    for (seq, at, parked) in oldest {
        let unread = parked || !is_read(seq);
        if at < too_old || (at < old && !unread) {
            diesel::delete(events::table.find(seq)).execute(conn)?;
            pruned.events += 1;
            pruned.unread += u64::from(unread);
        }
    }
    Ok(pruned)
}
