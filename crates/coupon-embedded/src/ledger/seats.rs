//! Who has what in a round or a campaign: how a gate is loaded again.

use std::collections::BTreeMap;

use coupon_domain::answer::{Issued, Place};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::Seat;
use coupon_domain::time::Timestamp;
use diesel::dsl::count_star;
use diesel::prelude::*;

use super::schema::{coupons, places};
use super::value;
use crate::failed::Failed;

/// Seats in order of the users' ids. The first `limit` places and the first `limit` coupons hold the first `limit` seats.
pub(super) fn of_round(
    conn: &mut SqliteConnection,
    round: RoundId,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Vec<(UserId, Seat)>, Failed> {
    let after = after.map_or("", UserId::as_str);
    let mut seats: BTreeMap<String, Seat> = BTreeMap::new();
    let in_round = places::round_no.eq(value::number(round)).and(places::user_id.gt(after));
    let lines: Vec<(String, i64, i64)> = places::table
        .filter(in_round)
        .order(places::user_id)
        .limit(i64::from(limit))
        .select((places::user_id, places::ticket, places::reserved_at))
        .load(conn)?;
    for (user, ticket, at) in lines {
        seats.entry(user).or_default().place = Some(place(ticket, at)?);
    }
    let in_round = coupons::round_no.eq(value::number(round)).and(coupons::user_id.gt(after));
    let lines: Vec<(String, i64, i64)> = coupons::table
        .filter(in_round)
        .order(coupons::user_id)
        .limit(i64::from(limit))
        .select((coupons::user_id, coupons::serial, coupons::claimed_at))
        .load(conn)?;
    for (user, serial, at) in lines {
        seats.entry(user).or_default().coupon = Some(issued(serial, at)?);
    }
    seats.into_iter().take(limit as usize).map(|(user, seat)| Ok((value::user(&user)?, seat))).collect()
}

/// One user's seat.
pub(super) fn of_user(conn: &mut SqliteConnection, round: RoundId, user: &UserId) -> Result<Seat, Failed> {
    let line: Option<(i64, i64)> = places::table
        .filter(places::round_no.eq(value::number(round)).and(places::user_id.eq(user.as_str())))
        .select((places::ticket, places::reserved_at))
        .get_result(conn)
        .optional()?;
    let place = line.map(|(ticket, at)| place(ticket, at)).transpose()?;
    let line: Option<(i64, i64)> = coupons::table
        .filter(coupons::round_no.eq(value::number(round)).and(coupons::user_id.eq(user.as_str())))
        .select((coupons::serial, coupons::claimed_at))
        .get_result(conn)
        .optional()?;
    let coupon = line.map(|(serial, at)| issued(serial, at)).transpose()?;
    Ok(Seat { place, coupon })
}

fn place(ticket: i64, at: i64) -> Result<Place, Failed> {
    Ok(Place { ticket: value::count(ticket, "a place's ticket")?, reserved_at: Timestamp::from_micros(at) })
}

fn issued(serial: i64, at: i64) -> Result<Issued, Failed> {
    Ok(Issued { serial: value::count(serial, "a coupon's serial")?, claimed_at: Timestamp::from_micros(at) })
}

/// Coupons of each user over all rounds of a campaign, in order of the users' ids.
pub(super) fn coupon_counts(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    after: Option<&UserId>,
    limit: u32,
) -> Result<Vec<(UserId, u32)>, Failed> {
    let after = after.map_or("", UserId::as_str);
    let lines: Vec<(String, i64)> = coupons::table
        .filter(coupons::campaign_id.eq(campaign.as_str()).and(coupons::user_id.gt(after)))
        .group_by(coupons::user_id)
        .order(coupons::user_id)
        .limit(i64::from(limit))
        .select((coupons::user_id, count_star()))
        .load(conn)?;
    lines.iter().map(|(user, coupons)| Ok((value::user(user)?, value::count(*coupons, "a user's coupons")?))).collect()
}
