//! Events in the order in which the ledger got them: there is one writer, so that none appears behind one that was read.

use coupon_domain::ids::CouponId;
use coupon_domain::ports::{Event, EventDetails, EventFilter, EventKind, FeedPage};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::{events, sqlite_sequence};
use super::value;
use crate::failed::Failed;

/// Events that a page with a filter looks at, at most: so long does a reader who waits for something rare keep its connection.
const WINDOW: i64 = 20_000;

/// Appends one event.
pub(super) fn append(conn: &mut SqliteConnection, event: &Event) -> Result<(), Failed> {
    let details = Some(&event.details).filter(|details| !details.is_empty());
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
            events::details.eq(details.map(value::to_json).transpose()?),
            events::at.eq(event.at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The position of the last event there ever was.
pub(super) fn end(conn: &mut SqliteConnection) -> QueryResult<i64> {
    let last = sqlite_sequence::table.filter(sqlite_sequence::name.eq("events")).select(sqlite_sequence::seq);
    Ok(last.get_result(conn).optional()?.unwrap_or(0))
}

/// Events behind `after` that the filter takes, at most `limit`.
pub(super) fn page(
    conn: &mut SqliteConnection,
    after: i64,
    filter: &EventFilter,
    limit: u32,
) -> Result<FeedPage, Failed> {
    let first: Option<i64> = events::table.order(events::seq).select(events::seq).first(conn).optional()?;
    let from = first.map_or(after, |first| after.max(first - 1));
    let unfiltered = filter.kinds.is_empty() && filter.campaign.is_none();
    let end = if unfiltered { end(conn)? } else { end(conn)?.min(from.saturating_add(WINDOW)) };
    let mut query = events::table
        .filter(events::seq.gt(from).and(events::seq.le(end)))
        .order(events::seq)
        .limit(i64::from(limit))
        .into_boxed();
    if !filter.kinds.is_empty() {
        query = query.filter(events::kind.eq_any(filter.kinds.iter().map(|kind| kind.as_str())));
    }
    if let Some(campaign) = &filter.campaign {
        query = query.filter(events::campaign_id.eq(campaign.as_str()));
    }
    let events: Vec<_> = query.load::<Line>(conn)?.into_iter().map(Line::event).collect::<Result<_, _>>()?;
    let whole = events.len() < limit as usize;
    let up_to = if whole { end.max(after) } else { events.last().map_or(after, |(position, _)| *position) };
    Ok(FeedPage { events, up_to })
}

#[derive(Queryable)]
pub(super) struct Line {
    seq: i64,
    id: String,
    kind: String,
    campaign_id: String,
    round_no: Option<i64>,
    serial: Option<i64>,
    user_id: Option<String>,
    order_id: Option<String>,
    state: Option<String>,
    details: Option<String>,
    at: i64,
}

impl Line {
    /// The event with its position.
    pub(super) fn event(self) -> Result<(i64, Event), Failed> {
        let round = self.round_no.map(value::round).transpose()?;
        let serial = self.serial.map(|s| value::count(s, "a coupon's serial")).transpose()?;
        let details = self.details.as_deref().map(value::from_json).transpose()?.unwrap_or_else(EventDetails::default);
        let event = Event {
            kind: value::expect(EventKind::from_word(&self.kind), "an event's kind")?,
            campaign: value::campaign(&self.campaign_id)?,
            round,
            coupon: round.zip(serial).map(|(round, serial)| CouponId { round, serial }),
            user: self.user_id.as_deref().map(value::user).transpose()?,
            order: self.order_id.as_deref().map(value::order).transpose()?,
            state: self.state,
            details,
            at: Timestamp::from_micros(self.at),
            id: self.id,
        };
        Ok((self.seq, event))
    }
}
