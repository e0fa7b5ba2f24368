//! Events in the order in which the ledger got them.

use coupon_domain::ids::CouponId;
use coupon_domain::ports::{Event, EventKind};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::events;
use super::value;
use crate::failed::Failed;

/// Appends one event.
pub(super) fn append(conn: &mut SqliteConnection, event: &Event) -> QueryResult<()> {
    let round = event.round.or(event.coupon.map(|c| c.round));
    diesel::insert_into(events::table)
        .values((
            events::id.eq(event.id.as_str()),
            events::kind.eq(event.kind.as_str()),
            events::campaign_id.eq(event.campaign.as_str()),
            events::round_no.eq(round.map(value::number)),
            events::serial.eq(event.coupon.map(|c| i64::from(c.serial))),
            events::user_id.eq(event.user.as_ref().map(|u| u.as_str())),
            events::order_id.eq(event.order.as_ref().map(|o| o.as_str())),
            events::state.eq(event.state.as_deref()),
            events::at.eq(event.at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Those behind `after`, at most `limit`, each with its place.
pub(super) fn behind(conn: &mut SqliteConnection, after: i64, limit: u32) -> Result<Vec<(i64, Event)>, Failed> {
    let lines = events::table
        .filter(events::seq.gt(after))
        .order(events::seq)
        .limit(i64::from(limit))
        .load_iter::<Line, _>(conn)?;
    lines.map(|line| line?.event()).collect()
}

#[derive(Queryable)]
struct Line {
    seq: i64,
    id: String,
    kind: String,
    campaign_id: String,
    round_no: Option<i64>,
    serial: Option<i64>,
    user_id: Option<String>,
    order_id: Option<String>,
    state: Option<String>,
    at: i64,
}

impl Line {
    fn event(self) -> Result<(i64, Event), Failed> {
        let round = self.round_no.map(value::round).transpose()?;
        let serial = self.serial.map(|s| value::count(s, "a coupon's serial")).transpose()?;
        let event = Event {
            kind: value::expect(EventKind::from_word(&self.kind), "an event's kind")?,
            campaign: value::campaign(&self.campaign_id)?,
            round,
            coupon: round.zip(serial).map(|(round, serial)| CouponId { round, serial }),
            user: self.user_id.as_deref().map(value::user).transpose()?,
            order: self.order_id.as_deref().map(value::order).transpose()?,
            state: self.state,
            at: Timestamp::from_micros(self.at),
            id: self.id,
        };
        Ok((self.seq, event))
    }
}
