//! Notices of coupons that expire: when the next one may be due, and which went out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use coupon_domain::ids::{CampaignId, CouponId, UserId};
use coupon_domain::loss::NOBODY;
use coupon_domain::notice::{self, Due, Lifetime, Notice};
use coupon_domain::ports::{Event, EventDetails, EventKind};
use coupon_domain::redemption::{CouponRecord, CouponState};
use coupon_domain::time::Timestamp;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::coupons::{COLUMNS, Line, key};
use super::schema::{coupons, notices};
use super::{Stamp, campaigns, events, value};
use crate::failed::Failed;
use crate::statement::Statement;

/// When a coupon is first looked at, as a column holds it; never, if it was burnt.
pub(super) fn first_look(user: &UserId, expires_at: Timestamp, leads: &[Duration]) -> Option<i64> {
    (!user.as_str().starts_with(NOBODY)).then(|| notice::first_due(expires_at, leads).micros())
}

/// Has all of a campaign's coupons looked at anew that can be used, or can be given back: their campaign has other leads by now.
pub(super) fn look_anew(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    leads: &[Duration],
    at: Timestamp,
) -> QueryResult<()> {
    let before_expiry = notice::first_due(Timestamp::EPOCH, leads).micros();
    let states = [CouponState::Issued, CouponState::Held, CouponState::Redeemed].map(CouponState::as_str);
    diesel::update(coupons::table)
        .filter(coupons::campaign_id.eq(campaign.as_str()).and(coupons::state.eq_any(states)))
        .filter(coupons::expires_at.gt(at.micros()))
        .filter(sql::<Bool>("user_id NOT GLOB 'lost:*'"))
        .set(coupons::notice_at.eq((coupons::expires_at + before_expiry).nullable()))
        .execute(conn)?;
    Ok(())
}

/// Looks at coupons whose time has come and gives the notices that are due, each with its event; how many it looked at.
pub(super) fn give(conn: &mut SqliteConnection, stamp: &Stamp<'_>, limit: u32) -> Result<u32, Failed> {
    let mut leads = HashMap::new();
    let looked_at = to_look_at(conn, stamp.at, limit)?;
    for coupon in &looked_at {
        let leads = match leads.entry(coupon.campaign.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(leads_of(conn, &coupon.campaign)?),
        };
        let lifetime = Lifetime { claimed_at: coupon.claimed_at, expires_at: coupon.expires_at };
        let Due { notice, next } = notice::due(lifetime, leads, &sent(conn, coupon.id)?, stamp.at);
        if let Some(notice) = notice {
            insert(conn, coupon.id, notice)?;
            events::append(conn, &expiring(coupon, notice, stamp))?;
        }
        look_again(conn, coupon.id, next)?;
    }
    Ok(u32::try_from(looked_at.len()).unwrap_or(u32::MAX))
}

/// The state is spelled out, so that SQLite sees that the partial index fits.
fn to_look_at(conn: &mut SqliteConnection, at: Timestamp, limit: u32) -> Result<Vec<CouponRecord>, Failed> {
    let lines: Vec<Line> = coupons::table
        .filter(sql::<Bool>("state = 'ISSUED'"))
        .filter(coupons::notice_at.le(at.micros()))
        .order(coupons::notice_at)
        .limit(i64::from(limit))
        .select(COLUMNS)
        .load(conn)?;
    lines.into_iter().map(Line::record).collect()
}

fn leads_of(conn: &mut SqliteConnection, campaign: &CampaignId) -> Result<Vec<Duration>, Failed> {
    Ok(campaigns::expect(conn, campaign)?.rules.notice_leads)
}

fn sent(conn: &mut SqliteConnection, id: CouponId) -> Result<Vec<Duration>, Failed> {
    let (no, serial) = key(id);
    let leads: Vec<i64> = notices::table
        .filter(notices::round_no.eq(no).and(notices::serial.eq(serial)))
        .select(notices::lead)
        .load(conn)?;
    leads.into_iter().map(|lead| Ok(Duration::from_micros(value::count(lead, "a notice's lead")?))).collect()
}

fn insert(conn: &mut SqliteConnection, id: CouponId, notice: Notice) -> QueryResult<()> {
    let (no, serial) = key(id);
    diesel::insert_into(notices::table)
        .values((notices::round_no.eq(no), notices::serial.eq(serial), notices::lead.eq(value::micros(notice.lead))))
        .execute(conn)?;
    Ok(())
}

fn look_again(conn: &mut SqliteConnection, id: CouponId, next: Option<Timestamp>) -> QueryResult<()> {
    const UPDATE: &str = "UPDATE coupons SET notice_at = ? WHERE round_no = ? AND serial = ?";
    let (no, serial) = key(id);
    let next = next.map(Timestamp::micros);
    Statement::new(UPDATE, [next.into(), no.into(), serial.into()]).execute(conn)?;
    Ok(())
}

fn expiring(coupon: &CouponRecord, notice: Notice, stamp: &Stamp<'_>) -> Event {
    let expires_at = Some(coupon.expires_at);
    Event {
        id: stamp.event_id(),
        round: Some(coupon.id.round),
        coupon: Some(coupon.id),
        user: Some(coupon.user.clone()),
        details: EventDetails { notice: Some(notice), expires_at, ..EventDetails::default() },
        ..Event::new(EventKind::CouponExpiring, coupon.campaign.clone(), stamp.at)
    }
}
