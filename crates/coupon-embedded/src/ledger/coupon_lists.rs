//! Lists of coupons: a user's, a campaign's, or all.

use coupon_domain::ids::{CampaignId, UserId};
use coupon_domain::ports::{CouponFilter, CouponPage, CouponTotals};
use coupon_domain::redemption::CouponState;
use coupon_domain::time::Timestamp;
use diesel::dsl::{count_star, sql};
use diesel::helper_types::{IntoBoxed, Select};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::sqlite::Sqlite;

use super::coupons::{self, COLUMNS, Columns, Line};
use super::schema::{coupons as table, rounds};
use super::value;
use crate::failed::Failed;

/// A page with its totals.
pub(super) fn page(conn: &mut SqliteConnection, filter: &CouponFilter, at: Timestamp) -> Result<CouponPage, Failed> {
    let lines = match (&filter.user, &filter.campaign) {
        (None, Some(campaign)) => of_rounds(conn, campaign, filter, at)?,
        (user, campaign) => of_anywhere(conn, user.as_ref(), campaign.as_ref(), filter, at)?,
    };
    let coupons = lines.into_iter().map(Line::record).collect::<Result<_, _>>()?;
    let totals = filter.user.as_ref().map(|user| totals(conn, user, filter.campaign.as_ref(), at)).transpose()?;
    Ok(CouponPage { coupons, totals, at })
}

fn of_anywhere(
    conn: &mut SqliteConnection,
    user: Option<&UserId>,
    campaign: Option<&CampaignId>,
    filter: &CouponFilter,
    at: Timestamp,
) -> QueryResult<Vec<Line>> {
    let mut query = in_state(filter.state, at).limit(i64::from(filter.limit));
    if let Some(user) = user {
        query = query.filter(table::user_id.eq(user.as_str()));
    }
    if let Some(campaign) = campaign {
        query = query.filter(table::campaign_id.eq(campaign.as_str()));
    }
    if let Some((no, serial)) = filter.after.map(coupons::key) {
        let later = sql::<Bool>("(round_no, serial) > (").bind::<BigInt, _>(no);
        query = query.filter(later.sql(", ").bind::<BigInt, _>(serial).sql(")"));
    }
    query.load(conn)
}

/// A campaign's coupons round by round: within each the key of the table has them in order, so that a page costs what it holds.
fn of_rounds(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    filter: &CouponFilter,
    at: Timestamp,
) -> QueryResult<Vec<Line>> {
    let after = filter.after.map(coupons::key);
    let rounds: Vec<i64> = rounds::table
        .filter(rounds::campaign_id.eq(campaign.as_str()).and(rounds::issued.gt(0)))
        .filter(rounds::no.ge(after.map_or(0, |(no, _)| no)))
        .order(rounds::no)
        .select(rounds::no)
        .load(conn)?;
    let mut lines: Vec<Line> = Vec::new();
    for no in rounds {
        let left = i64::from(filter.limit) - i64::try_from(lines.len()).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
        let mut query = in_state(filter.state, at).filter(table::round_no.eq(no)).limit(left);
        if let Some((_, serial)) = after.filter(|(round, _)| *round == no) {
            query = query.filter(table::serial.gt(serial));
        }
        lines.extend(query.load::<Line>(conn)?);
    }
    Ok(lines)
}

/// Coupons in this state, or in any, in order.
fn in_state<'a>(state: Option<CouponState>, at: Timestamp) -> IntoBoxed<'a, Select<table::table, Columns>, Sqlite> {
    let query = table::table.select(COLUMNS).order((table::round_no, table::serial)).into_boxed();
    match state {
        Some(state) => query.filter(sql::<Text>(&state_at(at)).eq(state.as_str())),
        None => query,
    }
}

/// What `CouponRecord::state_at` says, in SQL.
fn state_at(at: Timestamp) -> String {
    let at = at.micros();
    format!(
        "CASE WHEN state = 'ISSUED' OR (state = 'HELD' AND held_until <= {at}) \
         THEN CASE WHEN expires_at <= {at} THEN 'EXPIRED' ELSE 'ISSUED' END ELSE state END"
    )
}

fn totals(
    conn: &mut SqliteConnection,
    user: &UserId,
    campaign: Option<&CampaignId>,
    at: Timestamp,
) -> Result<CouponTotals, Failed> {
    let state = sql::<Text>(&state_at(at));
    let mut query = table::table
        .filter(table::user_id.eq(user.as_str()))
        .group_by(state.clone())
        .select((state, count_star()))
        .into_boxed();
    if let Some(campaign) = campaign {
        query = query.filter(table::campaign_id.eq(campaign.as_str()));
    }
    let mut totals = CouponTotals::default();
    for (state, coupons) in query.load::<(String, i64)>(conn)? {
        let total = match value::expect(CouponState::from_word(&state), "a coupon's state")? {
            CouponState::Issued => &mut totals.issued,
            CouponState::Held => &mut totals.held,
            CouponState::Redeemed => &mut totals.redeemed,
            CouponState::Expired => &mut totals.expired,
            CouponState::Void => &mut totals.void,
        };
        *total += value::count::<u64>(coupons, "a user's coupons")?;
    }
    Ok(totals)
}
