//! When the owner of an unused coupon is told that it expires.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `notice_leads` where a campaign names none: seven days.
pub const DEFAULT_LEAD: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A notice that goes out so long after it was due is marked as late.
pub const LATE_AFTER: Duration = Duration::from_secs(60 * 60);

/// One notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// How long before the end of validity it was due.
    pub lead: Duration,
    /// Whether it goes out more than [`LATE_AFTER`] after that, or after the claim of a coupon that was issued later than that.
    pub late: bool,
}

/// What is to be done about an unused coupon now, and when to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The notice that goes out now.
    pub notice: Option<Notice>,
    /// The next instant at which one may be due; none if that was the last.
    pub next: Option<Timestamp>,
}

/// A coupon's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was issued.
    pub claimed_at: Timestamp,
    /// The first instant at which it cannot be redeemed.
    pub expires_at: Timestamp,
}

/// Of several leads that are due the shortest goes out and the others never do; none goes out twice, nor behind a shorter one, nor after the
/// end of validity.
#[must_use]
pub fn due(coupon: Lifetime, leads: &[Duration], sent: &[Duration], at: Timestamp) -> Due {
    let leads = effective(leads);
    let instant = |lead: Duration| coupon.expires_at.minus(lead);
    let next = leads.iter().copied().map(instant).filter(|due| *due > at).min();
    let shortest = leads.iter().copied().filter(|lead| instant(*lead) <= at).min();
    let open = shortest.filter(|lead| at < coupon.expires_at && sent.iter().all(|earlier| earlier > lead));
    let notice = open.map(|lead| {
        let due = instant(lead).max(coupon.claimed_at);
        Notice { lead, late: at.since(due) > LATE_AFTER }
    });
    Due { notice, next }
}

/// The first instant at which a notice is due for a coupon with this end of validity.
#[must_use]
pub fn first_due(expires_at: Timestamp, leads: &[Duration]) -> Timestamp {
    effective(leads).iter().map(|lead| expires_at.minus(*lead)).min().unwrap_or(expires_at)
}

fn effective(leads: &[Duration]) -> &[Duration] {
    if leads.is_empty() { &[DEFAULT_LEAD] } else { leads }
}
