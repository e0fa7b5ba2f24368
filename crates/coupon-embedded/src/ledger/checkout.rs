//! What checkouts, operators and time do to coupons and orders: the rows go into a book, the book decides, and what changed is written.
//! Nobody else writes meanwhile, so that the rows stay as they were read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use coupon_domain::checkout::{Book, Call, Changes, Outcome};
use coupon_domain::ids::{CampaignId, CouponId, OrderId};
use coupon_domain::ports::LedgerError;
use coupon_domain::redemption::{CouponRecord, OrderRecord};
use diesel::prelude::*;

use super::{SqliteLedger, Stamp, audit, coupons, events, orders, requests};
use crate::failed::Failed;

impl SqliteLedger {
    pub(super) async fn carry_out_calls(&self, calls: Vec<Call>) -> Result<Vec<Outcome>, LedgerError> {
        Ok(self.write(move |conn, stamp| carry_out(conn, stamp, &calls)).await?)
    }

    pub(super) async fn foresee_call(&self, call: Call) -> Result<Outcome, LedgerError> {
        let at = self.clock.now();
        let outcome = self.read_at_one_instant(move |conn| {
            let rows = Rows::of_calls(conn, std::slice::from_ref(&call))?;
            Ok(rows.into_book().decide(&call, at))
        });
        Ok(outcome.await?)
    }

    pub(super) async fn sweep_coupons(&self, limit: u32) -> Result<u32, LedgerError> {
        Ok(self.write(move |conn, stamp| sweep(conn, stamp, limit)).await?)
    }
}

fn carry_out(conn: &mut SqliteConnection, stamp: &Stamp<'_>, calls: &[Call]) -> Result<Vec<Outcome>, Failed> {
    let rows = Rows::of_calls(conn, calls)?;
    let taken = rows.taken();
    let mut book = rows.into_book();
    let outcomes = calls.iter().map(|call| book.decide(call, stamp.at)).collect();
    write(conn, &book.into_changes(|| stamp.next_id()), &taken)?;
    Ok(outcomes)
}

fn sweep(conn: &mut SqliteConnection, stamp: &Stamp<'_>, limit: u32) -> Result<u32, Failed> {
    let overdue = coupons::overdue(conn, stamp.at, limit)?;
    let rows = Rows::of_coupons(conn, overdue)?;
    let taken = rows.taken();
    let mut book = rows.into_book();
    book.sweep(stamp.at);
    let changes = book.into_changes(|| stamp.next_id());
    write(conn, &changes, &taken)?;
    Ok(u32::try_from(changes.coupons.len()).unwrap_or(u32::MAX))
}

type OrderKey = (CampaignId, OrderId);

/// What a book is made of.
#[derive(Default)]
struct Rows {
    coupons: BTreeMap<CouponId, CouponRecord>,
    orders: BTreeMap<OrderKey, OrderRecord>,
}

impl Rows {
    /// All that some calls can be about: what they name, and what is tied to it.
    fn of_calls(conn: &mut SqliteConnection, calls: &[Call]) -> Result<Self, Failed> {
        let mut rows = Self::default();
        for call in calls {
            if let Some(id) = call.coupon() {
                rows.add_coupon(conn, id)?;
            }
            if let Some((campaign, id)) = call.order() {
                rows.add_order(conn, campaign, id)?;
            }
        }
        let tied: Vec<_> = rows.orders.values().filter_map(|order| order.coupon).collect();
        tied.into_iter().try_for_each(|id| rows.add_coupon(conn, id))?;
        rows.add_orders_of_coupons(conn)?;
        Ok(rows)
    }

    /// Coupons, and the orders that they are held or redeemed for.
    fn of_coupons(conn: &mut SqliteConnection, coupons: Vec<CouponRecord>) -> Result<Self, Failed> {
        let coupons = coupons.into_iter().map(|coupon| (coupon.id, coupon)).collect();
        let mut rows = Self { coupons, ..Self::default() };
        rows.add_orders_of_coupons(conn)?;
        Ok(rows)
    }

    fn add_orders_of_coupons(&mut self, conn: &mut SqliteConnection) -> Result<(), Failed> {
        let coupons = self.coupons.values();
        let tied = coupons.filter_map(|coupon| Some((coupon.campaign.clone(), coupon.order.clone()?)));
        let tied: Vec<_> = tied.collect();
        tied.iter().try_for_each(|(campaign, order)| self.add_order(conn, campaign, order))
    }

    fn add_coupon(&mut self, conn: &mut SqliteConnection, id: CouponId) -> Result<(), Failed> {
        if let Entry::Vacant(free) = self.coupons.entry(id)
            && let Some(coupon) = coupons::find(conn, id)?
        {
            free.insert(coupon);
        }
        Ok(())
    }

    fn add_order(&mut self, conn: &mut SqliteConnection, campaign: &CampaignId, id: &OrderId) -> Result<(), Failed> {
        if let Entry::Vacant(free) = self.orders.entry((campaign.clone(), id.clone()))
            && let Some(order) = orders::find(conn, campaign, id)?
        {
            free.insert(order);
        }
        Ok(())
    }

    /// The coupons that orders have to themselves.
    fn taken(&self) -> BTreeMap<OrderKey, CouponId> {
        let live = self.orders.iter().filter(|(_, order)| orders::is_live(order.state));
        live.filter_map(|(key, order)| Some((key.clone(), order.coupon?))).collect()
    }

    fn into_book(self) -> Book {
        Book::of(self.coupons.into_values(), self.orders.into_values())
    }
}

/// Writes what calls came to. A key of the table sees to it that a coupon has one live order at each step; so what orders give back goes
/// before what others take, `taken` telling what each had.
fn write(conn: &mut SqliteConnection, changes: &Changes, taken: &BTreeMap<OrderKey, CouponId>) -> Result<(), Failed> {
    let (taking, giving): (Vec<_>, Vec<_>) = changes.orders.iter().partition(|order| orders::is_live(order.state));
    for order in &taking {
        let before = taken.get(&(order.campaign.clone(), order.id.clone()));
        if before.is_some_and(|before| order.coupon != Some(*before)) {
            orders::detach(conn, &order.campaign, &order.id)?;
        }
    }
    giving.into_iter().chain(taking).try_for_each(|order| orders::put(conn, order))?;
    changes.coupons.iter().try_for_each(|coupon| coupons::update(conn, coupon))?;
    changes.events.iter().try_for_each(|event| events::append(conn, event))?;
    for record in &changes.audits {
        audit::append(conn, record)?;
        if let (Some(id), Some(campaign)) = (record.by.request, &record.campaign) {
            requests::note(conn, id, campaign, &record.action)?;
        }
    }
    Ok(())
}
