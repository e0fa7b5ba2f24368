//! Orders.

use coupon_domain::ids::{CampaignId, OrderId};
use coupon_domain::redemption::{OrderRecord, OrderState, Price};
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::schema::orders;
use super::value;
use crate::failed::Failed;
use crate::statement::Statement;

/// Whether an order in this state has its coupon to itself.
pub(super) fn is_live(state: OrderState) -> bool {
    matches!(state, OrderState::Held | OrderState::Redeemed)
}

const PUT: &str = "INSERT INTO orders \
    (campaign_id, id, round_no, serial, user_id, currency, amount, discount, state, redeemed_at) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
    ON CONFLICT (campaign_id, id) DO UPDATE SET round_no = excluded.round_no, serial = excluded.serial, \
    user_id = excluded.user_id, currency = excluded.currency, amount = excluded.amount, discount = excluded.discount, \
    state = excluded.state, redeemed_at = excluded.redeemed_at";

/// Makes an order, or makes it what it is now.
pub(super) fn put(conn: &mut SqliteConnection, order: &OrderRecord) -> QueryResult<()> {
    let binds = [
        order.campaign.as_str().into(),
        order.id.as_str().into(),
        order.coupon.map(|coupon| value::number(coupon.round)).into(),
        order.coupon.map(|coupon| i64::from(coupon.serial)).into(),
        order.user.as_str().into(),
        order.price.map(|price| price.amount.currency.code()).into(),
        order.price.map(|price| price.amount.minor).into(),
        order.price.map(|price| price.discount.minor).into(),
        order.state.as_str().into(),
        order.redeemed_at.map(Timestamp::micros).into(),
    ];
    Statement::new(PUT, binds).execute(conn)?;
    Ok(())
}

/// Has an order give its coupon back, whatever it is about to get.
pub(super) fn detach(conn: &mut SqliteConnection, campaign: &CampaignId, id: &OrderId) -> QueryResult<()> {
    diesel::update(orders::table.find((campaign.as_str(), id.as_str())))
        .set(orders::state.eq(OrderState::Cancelled.as_str()))
        .execute(conn)?;
    Ok(())
}

#[derive(Queryable)]
struct Line {
    campaign_id: String,
    id: String,
    round_no: Option<i64>,
    serial: Option<i64>,
    user_id: String,
    currency: Option<String>,
    amount: Option<i64>,
    discount: Option<i64>,
    state: String,
    redeemed_at: Option<i64>,
}

impl Line {
    fn record(self) -> Result<OrderRecord, Failed> {
        let price = match (self.currency, self.amount, self.discount) {
            (Some(currency), Some(amount), Some(discount)) => {
                Some(Price { amount: value::money(&currency, amount)?, discount: value::money(&currency, discount)? })
            }
            _ => None,
        };
        Ok(OrderRecord {
            campaign: value::campaign(&self.campaign_id)?,
            id: value::order(&self.id)?,
            coupon: self.round_no.zip(self.serial).map(|(no, serial)| value::coupon(no, serial)).transpose()?,
            user: value::user(&self.user_id)?,
            price,
            state: value::expect(OrderState::from_word(&self.state), "an order's state")?,
            redeemed_at: self.redeemed_at.map(Timestamp::from_micros),
        })
    }
}

/// One order.
pub(super) fn find(
    conn: &mut SqliteConnection,
    campaign: &CampaignId,
    id: &OrderId,
) -> Result<Option<OrderRecord>, Failed> {
    let line = orders::table.find((campaign.as_str(), id.as_str())).get_result::<Line>(conn).optional()?;
    line.map(Line::record).transpose()
}
