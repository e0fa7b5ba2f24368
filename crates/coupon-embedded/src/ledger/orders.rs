//! Coupons used for orders.

use coupon_domain::ids::{CampaignId, OrderId};
use coupon_domain::ports::{Event, EventKind};
use coupon_domain::redemption::{CouponState, OrderRecord, OrderState, Redeem, RedeemFacts, RedeemOutcome, Redemption};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::{coupons as coupon_table, orders};
use super::{Stamp, coupons, events, value};
use crate::failed::Failed;

/// Decides one call and writes what it comes to. Nobody else writes meanwhile, so the facts hold until then; behind a savepoint, so that
/// a call that fails leaves nothing and takes no other with it.
pub(super) fn redeem(conn: &mut SqliteConnection, stamp: &Stamp<'_>, call: &Redeem) -> Result<RedeemOutcome, Failed> {
    let outcome = call.decide(&facts(conn, call)?, stamp.at);
    if let RedeemOutcome::Redeemed(redemption) = &outcome {
        conn.transaction(|conn| write(conn, stamp, call, redemption))?;
    }
    Ok(outcome)
}

/// What the decision rests on.
pub(super) fn facts(conn: &mut SqliteConnection, call: &Redeem) -> Result<RedeemFacts, Failed> {
    Ok(RedeemFacts { coupon: coupons::find(conn, call.coupon)?, order: find(conn, &call.campaign, &call.order)? })
}

fn write(conn: &mut SqliteConnection, stamp: &Stamp<'_>, call: &Redeem, redemption: &Redemption) -> Result<(), Failed> {
    upsert_order(conn, call, redemption)?;
    use_coupon(conn, redemption)?;
    events::append(conn, &redeemed(redemption, stamp))?;
    Ok(())
}

/// The order may be there: it holds this coupon, or gave one back.
fn upsert_order(conn: &mut SqliteConnection, call: &Redeem, redemption: &Redemption) -> QueryResult<()> {
    let facts = (
        orders::round_no.eq(value::number(call.coupon.round)),
        orders::serial.eq(i64::from(call.coupon.serial)),
        orders::user_id.eq(call.user.as_str()),
        orders::currency.eq(call.amount.currency.code()),
        orders::amount.eq(call.amount.minor),
        orders::discount.eq(redemption.discount.minor),
        orders::state.eq(OrderState::Redeemed.as_str()),
        orders::redeemed_at.eq(Some(redemption.redeemed_at.micros())),
    );
    diesel::insert_into(orders::table)
        .values((orders::campaign_id.eq(call.campaign.as_str()), orders::id.eq(call.order.as_str()), facts))
        .on_conflict((orders::campaign_id, orders::id))
        .do_update()
        .set(facts)
        .execute(conn)?;
    Ok(())
}

fn use_coupon(conn: &mut SqliteConnection, redemption: &Redemption) -> QueryResult<()> {
    let id = (value::number(redemption.coupon.round), i64::from(redemption.coupon.serial));
    diesel::update(coupon_table::table.find(id))
        .set((
            coupon_table::state.eq(CouponState::Redeemed.as_str()),
            coupon_table::order_id.eq(Some(redemption.order.as_str())),
            coupon_table::redeemed_at.eq(Some(redemption.redeemed_at.micros())),
        ))
        .execute(conn)?;
    Ok(())
}

fn redeemed(redemption: &Redemption, stamp: &Stamp<'_>) -> Event {
    Event {
        id: stamp.event_id(),
        kind: EventKind::CouponRedeemed,
        campaign: redemption.campaign.clone(),
        round: Some(redemption.coupon.round),
        coupon: Some(redemption.coupon),
        user: Some(redemption.user.clone()),
        order: Some(redemption.order.clone()),
        state: None,
        at: redemption.redeemed_at,
    }
}

#[derive(Queryable)]
struct Line {
    id: String,
    round_no: i64,
    serial: i64,
    user_id: String,
    currency: String,
    amount: i64,
    discount: i64,
    state: String,
    redeemed_at: Option<i64>,
}

impl Line {
    fn record(self) -> Result<OrderRecord, Failed> {
        Ok(OrderRecord {
            id: value::order(&self.id)?,
            coupon: value::coupon(self.round_no, self.serial)?,
            user: value::user(&self.user_id)?,
            amount: value::money(&self.currency, self.amount)?,
            discount: value::money(&self.currency, self.discount)?,
            state: value::expect(OrderState::from_word(&self.state), "an order's state")?,
            redeemed_at: self.redeemed_at.map(Timestamp::from_micros),
        })
    }
}

fn find(conn: &mut SqliteConnection, campaign: &CampaignId, order: &OrderId) -> Result<Option<OrderRecord>, Failed> {
    let line = orders::table
        .find((campaign.as_str(), order.as_str()))
        .select((
            orders::id,
            orders::round_no,
            orders::serial,
            orders::user_id,
            orders::currency,
            orders::amount,
            orders::discount,
            orders::state,
            orders::redeemed_at,
        ))
        .get_result::<Line>(conn)
        .optional()?;
    line.map(Line::record).transpose()
}
