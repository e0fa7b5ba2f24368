//! Coupons, orders and calls for the tests of checkouts, and what must hold whatever was called.

use std::collections::BTreeMap;
use std::time::Duration;

use coupon_domain::benefit::Unsuitable;
use coupon_domain::checkout::{Book, Call, Changes, GiveBack, Hold, LAPSED, Operator, Outcome, Redeem, Void};
use coupon_domain::ids::{Actor, CouponId, OrderId};
use coupon_domain::money::Money;
use coupon_domain::ports::{Event, EventKind};
use coupon_domain::redemption::{CouponRecord, CouponState, OrderRecord, OrderState, Price};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::build::{campaign, coupon, money, order, second, user};

/// An unused coupon of round 1, of ada's, valid from second 0 until this one.
pub(crate) fn issued(serial: u32, expires_at: i64) -> CouponRecord {
    CouponRecord {
        id: coupon(1, serial),
        campaign: campaign("c"),
        user: user("ada"),
        state: CouponState::Issued,
        claimed_at: second(0),
        expires_at: second(expires_at),
        order: None,
        held_until: None,
        redeemed_at: None,
    }
}

/// Held for this order until this second.
pub(crate) fn held(coupon: CouponRecord, order_id: &str, until: i64) -> CouponRecord {
    CouponRecord { state: CouponState::Held, order: Some(order(order_id)), held_until: Some(second(until)), ..coupon }
}

/// Used for this order in second 5.
pub(crate) fn redeemed(coupon: CouponRecord, order_id: &str) -> CouponRecord {
    let (state, redeemed_at) = (CouponState::Redeemed, Some(second(5)));
    CouponRecord { state, order: Some(order(order_id)), redeemed_at, ..coupon }
}

/// An order of ada's in this state, with this coupon.
pub(crate) fn an_order(id: &str, state: OrderState, coupon: Option<CouponId>) -> OrderRecord {
    let price = Price { amount: money("EUR", 2000), discount: money("EUR", 399) };
    let was_redeemed = state == OrderState::Redeemed;
    OrderRecord {
        campaign: campaign("c"),
        id: order(id),
        coupon,
        user: user("ada"),
        price: was_redeemed.then_some(price),
        state,
        redeemed_at: was_redeemed.then(|| second(5)),
    }
}

/// For ten minutes.
pub(crate) fn hold(serial: u32, order_id: &str) -> Hold {
    Hold {
        coupon: coupon(1, serial),
        campaign: campaign("c"),
        user: user("ada"),
        order: order(order_id),
        ttl: Duration::from_secs(600),
    }
}

/// For an order of 20.00 EUR, of which 4.00 EUR come off.
pub(crate) fn redeem(serial: u32, order_id: &str) -> Redeem {
    Redeem {
        coupon: coupon(1, serial),
        campaign: campaign("c"),
        user: user("ada"),
        order: order(order_id),
        amount: money("EUR", 2000),
        discount: Ok(money("EUR", 400)),
    }
}

pub(crate) fn back(order_id: &str) -> GiveBack {
    GiveBack { campaign: campaign("c"), order: order(order_id), user: user("ada"), reason: "their words".to_owned() }
}

pub(crate) fn void(serial: u32) -> Void {
    Void { coupon: coupon(1, serial), reason: "a misprint".to_owned(), by: operator("olga") }
}

pub(crate) fn operator(name: &str) -> Operator {
    Operator { actor: Actor::parse(name).expect("a valid name"), request: None }
}

/// All rows that there are.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rows {
    pub(crate) coupons: BTreeMap<CouponId, CouponRecord>,
    pub(crate) orders: BTreeMap<OrderId, OrderRecord>,
}

impl Rows {
    pub(crate) fn of(
        coupons: impl IntoIterator<Item = CouponRecord>,
        orders: impl IntoIterator<Item = OrderRecord>,
    ) -> Self {
        let mut rows = Self::default();
        rows.put(coupons, orders);
        rows
    }

    fn put(&mut self, coupons: impl IntoIterator<Item = CouponRecord>, orders: impl IntoIterator<Item = OrderRecord>) {
        self.coupons.extend(coupons.into_iter().map(|coupon| (coupon.id, coupon)));
        self.orders.extend(orders.into_iter().map(|order| (order.id.clone(), order)));
    }

    pub(crate) fn book(&self) -> Book {
        Book::of(self.coupons.values().cloned(), self.orders.values().cloned())
    }

    /// Decides a call, keeps what it comes to, and looks whether all is as it must be.
    pub(crate) fn decide(&mut self, call: &Call, at: Timestamp) -> (Outcome, Changes) {
        let (mut book, before) = (self.book(), self.clone());
        let outcome = book.decide(call, at);
        let changes = self.keep(book);
        let done = matches!(outcome, Outcome::Done(_));
        let own = changes.events.iter().filter(|event| !has_lapsed(event));
        assert_eq!(own.count(), usize::from(done), "{call:?} came to {outcome:?} and {changes:?}");
        let voids = usize::from(done && matches!(call, Call::Void(_)));
        assert_eq!(changes.audits.len(), voids, "an operator's change leaves a record");
        self.is_what_was_told(before, &changes);
        (outcome, changes)
    }

    /// Stores what time has done.
    pub(crate) fn sweep(&mut self, at: Timestamp) -> Changes {
        let (mut book, before) = (self.book(), self.clone());
        book.sweep(at);
        let changes = self.keep(book);
        self.is_what_was_told(before, &changes);
        changes
    }

    fn keep(&mut self, book: Book) -> Changes {
        let mut n = 0;
        let changes = book.into_changes(|| {
            n += 1;
            Uuid::from_u128(n)
        });
        self.put(changes.coupons.clone(), changes.orders.clone());
        assert_eq!(changes.is_empty(), changes.coupons.is_empty() && changes.orders.is_empty());
        changes
    }

    /// Events and changes are the same: those who follow the events know where everything stands.
    fn is_what_was_told(&self, before: Self, changes: &Changes) {
        let mut known = before;
        for event in &changes.events {
            let released = event.kind == EventKind::CouponReleased;
            let state = match event.kind {
                EventKind::CouponHeld => Some(OrderState::Held),
                EventKind::CouponReleased => Some(OrderState::Released),
                EventKind::CouponRedeemed => Some(OrderState::Redeemed),
                EventKind::CouponRolledBack | EventKind::OrderCancelled => Some(OrderState::Cancelled),
                _ => None,
            };
            assert_eq!(state.is_some(), event.order.is_some(), "{event:?}");
            if let Some(id) = event.coupon {
                let coupon = known.coupons.get_mut(&id).expect("it was there");
                coupon.state = event.state.as_deref().and_then(CouponState::from_word).expect("it has a state");
                assert_eq!(event.user.as_ref(), Some(&coupon.user));
            }
            if let (Some(id), Some(state)) = (&event.order, state) {
                let (coupon, old) = (event.coupon, known.orders.get(id).cloned());
                let order = known.orders.entry(id.clone()).or_insert_with(|| an_order(id.as_str(), state, coupon));
                (order.state, order.coupon) = (state, coupon.or_else(|| old.and_then(|old| old.coupon)));
                assert!(!released || order.state == OrderState::Released);
            }
        }
        let coupons = |rows: &Self| rows.coupons.values().map(|c| (c.id, c.state)).collect::<Vec<_>>();
        let orders = |rows: &Self| rows.orders.values().map(|o| (o.id.clone(), o.state, o.coupon)).collect::<Vec<_>>();
        assert_eq!((coupons(&known), orders(&known)), (coupons(self), orders(self)), "{changes:?}");
        let told = |id: &CouponId| changes.events.iter().any(|event| event.coupon == Some(*id));
        assert!(changes.coupons.iter().all(|coupon| told(&coupon.id)), "no change without an event");
        let told = |id: &OrderId| changes.events.iter().any(|event| event.order.as_ref() == Some(id));
        assert!(changes.orders.iter().all(|order| told(&order.id)), "no change without an event");
    }

    /// A coupon is held or redeemed for at most one order, and both say so; nothing else is left over.
    pub(crate) fn agree(&self) {
        for coupon in self.coupons.values() {
            let live = |order: &&OrderRecord| {
                order.coupon == Some(coupon.id) && matches!(order.state, OrderState::Held | OrderState::Redeemed)
            };
            let orders: Vec<_> = self.orders.values().filter(live).map(|order| (order.state, &order.id)).collect();
            let expected: Vec<_> = match coupon.state {
                CouponState::Held => coupon.order.iter().map(|id| (OrderState::Held, id)).collect(),
                CouponState::Redeemed => coupon.order.iter().map(|id| (OrderState::Redeemed, id)).collect(),
                CouponState::Issued | CouponState::Expired | CouponState::Void => Vec::new(),
            };
            assert_eq!(orders, expected, "{coupon:?}");
            assert_eq!(coupon.order.is_some(), !orders.is_empty(), "{coupon:?}");
            assert_eq!(coupon.held_until.is_some(), coupon.state == CouponState::Held, "{coupon:?}");
            assert_eq!(coupon.redeemed_at.is_some(), coupon.state == CouponState::Redeemed, "{coupon:?}");
            assert!(coupon.held_until.is_none_or(|until| until <= coupon.expires_at), "{coupon:?}");
        }
        for order in self.orders.values() {
            let used = order.state == OrderState::Redeemed;
            assert!(!used || (order.price.is_some() && order.redeemed_at.is_some()), "{order:?}");
            let fits = |price: Price| {
                let Price { amount, discount } = price;
                discount.currency == amount.currency && (0..=amount.minor).contains(&discount.minor)
            };
            assert!(order.price.is_none_or(fits), "{order:?}");
        }
    }
}

/// Whether time alone did what this tells.
fn has_lapsed(event: &Event) -> bool {
    event.kind == EventKind::CouponReleased && event.details.reason.as_deref() == Some(LAPSED)
}

/// What comes off orders from 10.00 EUR on: a fifth.
pub(crate) fn discount(amount: Money) -> Result<Money, Unsuitable> {
    if amount.currency != money("EUR", 0).currency {
        return Err(Unsuitable::CurrencyMismatch);
    }
    if amount.minor < 1000 { Err(Unsuitable::MinOrderNotMet) } else { Ok(amount.percent(20)) }
}
