//! What is decided about coupons and orders, and what events tell, on its way into the tables. All of it within the caller's transaction.

use coupon_domain::checkout::Changes;
use coupon_domain::ids::{OrderId, UserId};
use coupon_domain::ports::Event;
use coupon_domain::redemption::{CouponRecord, OrderRecord, OrderState};
use diesel::sql_types::{Array, BigInt, Integer, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

use crate::failure::Failure;
use crate::rows::{column, instant, int, number};
use crate::statement::sql;
use crate::{audit, requests};

/// Gives up the coupons that orders hold which take another one now: two of them may have swapped theirs, and no row can be the first.
const LET_GO: &str = "UPDATE orders SET state = 'RELEASED'
    FROM unnest($1::text[], $2::text[]) AS o (campaign_id, id)
    WHERE orders.campaign_id = o.campaign_id AND orders.id = o.id AND orders.state = 'HELD'";

/// What comes behind the changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The caller goes on, or ends its transaction.
    GoOn,
    /// The transaction ends with them, without another round trip. If one of them fails, Postgres takes this for the end of all of them.
    Commit,
}

/// Writes all changes. The rows are locked by the caller, who has read these orders.
pub(crate) async fn changes(
    conn: &mut AsyncPgConnection,
    changes: &Changes,
    orders_before: &[OrderRecord],
    then: Then,
) -> Result<(), Failure> {
    let moved = moved(&changes.orders, orders_before);
    if !moved.is_empty() {
        sql(LET_GO)
            .bind::<Array<Text>, _>(column(&moved, |order| order.campaign.as_str()))
            .bind::<Array<Text>, _>(column(&moved, |order| order.id.as_str()))
            .execute(conn)
            .await?;
    }
    keep_requests(conn, changes).await?;
    audit::insert(conn, &changes.audits).await?;
    // One flight, and nobody waits in between. See `statement.rs` for why they arrive in this order.
    let shared: &AsyncPgConnection = conn;
    tokio::try_join!(
        biased;
        coupons(shared, &changes.coupons),
        orders(shared, &changes.orders),
        events(shared, &changes.events),
        end(shared, then),
    )?;
    Ok(())
}

async fn end(mut conn: &AsyncPgConnection, then: Then) -> Result<(), Failure> {
    match then {
        Then::GoOn => Ok(()),
        Then::Commit => {
            sql("COMMIT").execute(&mut conn).await?;
            Ok(())
        }
    }
}

/// Of operators' changes; in one order for all, so that no two transactions wait for one another.
async fn keep_requests(conn: &mut AsyncPgConnection, changes: &Changes) -> Result<(), Failure> {
    let requests = changes
        .audits
        .iter()
        .filter_map(|record| Some((record.by.request?, record.campaign.as_ref()?, record.action.as_str())));
    let mut requests: Vec<_> = requests.collect();
    requests.sort();
    for (id, campaign, verb) in requests {
        requests::keep(conn, campaign, &[(id, verb)]).await?;
    }
    Ok(())
}

/// Orders that have a coupon now and had another one before.
fn moved<'a>(now: &'a [OrderRecord], before: &[OrderRecord]) -> Vec<&'a OrderRecord> {
    let live = |order: &&OrderRecord| matches!(order.state, OrderState::Held | OrderState::Redeemed);
    let elsewhere = |order: &&OrderRecord| {
        let mut same = before.iter().filter(live).filter(|was| was.campaign == order.campaign && was.id == order.id);
        same.any(|was| was.coupon != order.coupon)
    };
    if before.iter().any(|was| live(&was)) { now.iter().filter(live).filter(elsewhere).collect() } else { Vec::new() }
}

async fn coupons(mut conn: &AsyncPgConnection, rows: &[CouponRecord]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    sql(include_str!("queries/update_coupons.sql"))
        .bind::<Array<Integer>, _>(column(rows, |row| number(row.id.round)))
        .bind::<Array<Integer>, _>(column(rows, |row| int(row.id.serial)))
        .bind::<Array<Text>, _>(column(rows, |row| row.state.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.order.as_ref().map(OrderId::as_str)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |row| row.held_until.map(instant)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |row| row.redeemed_at.map(instant)))
        .execute(&mut conn)
        .await?;
    Ok(())
}

async fn orders(mut conn: &AsyncPgConnection, rows: &[OrderRecord]) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let price = |row: &OrderRecord| row.price;
    sql(include_str!("queries/put_orders.sql"))
        .bind::<Array<Text>, _>(column(rows, |row| row.campaign.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| row.id.as_str()))
        .bind::<Array<Nullable<Integer>>, _>(column(rows, |row| row.coupon.map(|coupon| number(coupon.round))))
        .bind::<Array<Nullable<Integer>>, _>(column(rows, |row| row.coupon.map(|coupon| int(coupon.serial))))
        .bind::<Array<Text>, _>(column(rows, |row| row.user.as_str()))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| price(row).map(|price| price.amount.currency.code())))
        .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| price(row).map(|price| price.amount.minor)))
        .bind::<Array<Nullable<BigInt>>, _>(column(rows, |row| price(row).map(|price| price.discount.minor)))
        .bind::<Array<Text>, _>(column(rows, |row| row.state.as_str()))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(rows, |row| row.redeemed_at.map(instant)))
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// Writes events in this order.
pub(crate) async fn events(mut conn: &AsyncPgConnection, events: &[Event]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let details = events.iter().map(details).collect::<Result<Vec<_>, _>>()?;
    sql(include_str!("queries/insert_events.sql"))
        .bind::<Array<Text>, _>(column(events, |event| event.id.as_str()))
        .bind::<Array<Text>, _>(column(events, |event| event.kind.as_str()))
        .bind::<Array<Text>, _>(column(events, |event| event.campaign.as_str()))
        .bind::<Array<Nullable<Integer>>, _>(column(events, |event| event.round.map(number)))
        .bind::<Array<Nullable<Integer>>, _>(column(events, |event| event.coupon.map(|coupon| int(coupon.serial))))
        .bind::<Array<Nullable<Text>>, _>(column(events, |event| event.user.as_ref().map(UserId::as_str)))
        .bind::<Array<Nullable<Text>>, _>(column(events, |event| event.order.as_ref().map(OrderId::as_str)))
        .bind::<Array<Nullable<Text>>, _>(column(events, |event| event.state.as_deref()))
        .bind::<Array<Nullable<Jsonb>>, _>(details)
        .bind::<Array<Timestamptz>, _>(column(events, |event| instant(event.at)))
        .execute(&mut conn)
        .await?;
    Ok(())
}

fn details(event: &Event) -> Result<Option<serde_json::Value>, Failure> {
    let some = Some(&event.details).filter(|details| !details.is_empty());
    some.map(serde_json::to_value).transpose().map_err(|error| Failure::Damaged(error.to_string()))
}
