//! The rules of coupons and orders, over as many rows as some calls are about.
//!
//! A ledger locks those rows, puts them into a book, has the calls decided, and writes what changed. So every ledger answers alike, and
//! calls that come together are answered as if they had come one after the other.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Call, CheckoutRefusal, Deed, GiveBack, Hold, LAPSED, Outcome, Redeem, VOID_COUPON, Void};
use crate::audit::AuditRecord;
use crate::benefit::Unsuitable;
use crate::ids::{CampaignId, CouponId, OrderId};
use crate::ports::{Event, EventDetails, EventKind};
use crate::redemption::{CouponRecord, CouponState, OrderRecord, OrderState, Price};
use crate::time::Timestamp;

type OrderKey = (CampaignId, OrderId);

/// Coupons and orders, and what becomes of them.
#[derive(Debug, Clone, Default)]
pub struct Book {
    coupons: BTreeMap<CouponId, CouponRecord>,
    orders: BTreeMap<OrderKey, OrderRecord>,
    changed_coupons: BTreeSet<CouponId>,
    changed_orders: BTreeSet<OrderKey>,
    /// Without ids.
    events: Vec<Event>,
    audits: Vec<AuditRecord>,
}

/// What has to be written, all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Coupons as they are now, in order of their ids.
    pub coupons: Vec<CouponRecord>,
    /// Orders as they are now, new ones too, in order of campaign and id.
    pub orders: Vec<OrderRecord>,
    /// One for each change, in order.
    pub events: Vec<Event>,
    /// One for each operator's change, in order.
    pub audits: Vec<AuditRecord>,
}

impl Changes {
    /// Whether there is nothing to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

impl Book {
    /// A book of these rows. It needs the coupons and orders that the calls name, the coupons that those orders hold or have redeemed, and
    /// the orders that those coupons are held or redeemed for.
    #[must_use]
    pub fn of(coupons: impl IntoIterator<Item = CouponRecord>, orders: impl IntoIterator<Item = OrderRecord>) -> Self {
        Self {
            coupons: coupons.into_iter().map(|coupon| (coupon.id, coupon)).collect(),
            orders: orders.into_iter().map(|order| ((order.campaign.clone(), order.id.clone()), order)).collect(),
            ..Self::default()
        }
    }

    /// Decides one call at this instant.
    pub fn decide(&mut self, call: &Call, at: Timestamp) -> Outcome {
        self.let_go(call, at);
        match call {
            Call::Hold(hold) => self.hold(hold, at),
            Call::Redeem(redeem) => self.redeem(redeem, at),
            Call::Release(release) => self.release(release, at),
            Call::Rollback(rollback) => self.rollback(rollback, at),
            Call::Void(void) => self.void(void, at),
        }
    }

    /// Stores what time alone has done to every coupon in the book: holds that are over, and the end of validity.
    pub fn sweep(&mut self, at: Timestamp) {
        let coupons: Vec<_> = self.coupons.keys().copied().collect();
        for id in coupons {
            self.lapse(id, at);
            let Some(coupon) = self.coupons.get(&id) else { continue };
            if coupon.state == CouponState::Issued && coupon.state_at(at) == CouponState::Expired {
                let ended = coupon.expires_at;
                self.set_coupon(id, CouponState::Expired);
                self.tell(EventKind::CouponExpired, id, None, EventDetails::default(), ended);
            }
        }
    }

    /// What has to be written; each event gets an id from `next_id`, which must rise.
    #[must_use]
    pub fn into_changes(self, mut next_id: impl FnMut() -> Uuid) -> Changes {
        let Self { mut coupons, mut orders, changed_coupons, changed_orders, events, audits } = self;
        Changes {
            coupons: changed_coupons.iter().filter_map(|id| coupons.remove(id)).collect(),
            orders: changed_orders.iter().filter_map(|key| orders.remove(key)).collect(),
            events: events.into_iter().map(|event| Event { id: Event::id_of_uuid(next_id()), ..event }).collect(),
            audits,
        }
    }

    /// Holds that are over are ended before anything is decided about their coupon or their order.
    fn let_go(&mut self, call: &Call, at: Timestamp) {
        let of_order = call.order().and_then(|(campaign, id)| self.order(campaign, id)).and_then(|order| order.coupon);
        for id in call.coupon().into_iter().chain(of_order) {
            self.lapse(id, at);
        }
    }

    fn lapse(&mut self, id: CouponId, at: Timestamp) {
        let Some(coupon) = self.coupons.get(&id).filter(|coupon| coupon.has_lapsed(at)) else { return };
        let (order, until) = (coupon.order.clone(), coupon.held_until.unwrap_or(at));
        if let Some(order) = &order {
            self.set_order(&(coupon.campaign.clone(), order.clone()), OrderState::Released);
        }
        self.set_coupon(id, CouponState::Issued);
        let details = EventDetails { reason: Some(LAPSED.to_owned()), ..EventDetails::default() };
        self.tell(EventKind::CouponReleased, id, order, details, until);
    }

    fn hold(&mut self, call: &Hold, at: Timestamp) -> Outcome {
        let Some(coupon) = self.coupons.get(&call.coupon) else { return Outcome::NotRecorded };
        if coupon.user != call.user {
            return Outcome::Refused(CheckoutRefusal::UnknownCoupon);
        }
        let order = self.order(&call.campaign, &call.order);
        match order {
            Some(order) if order.state == OrderState::Cancelled => {
                return Outcome::Refused(CheckoutRefusal::OrderCancelled);
            }
            Some(order) if order.state == OrderState::Held && order.coupon == Some(call.coupon) => {
                if let Some(until) = coupon.held_until {
                    return Outcome::Replayed(Deed::Held(call.held(until)));
                }
            }
            Some(_) | None => {}
        }
        if let Some(refusal) = taken(coupon, order, &call.order, at) {
            return Outcome::Refused(refusal);
        }
        if coupon.state == CouponState::Redeemed {
            return Outcome::Refused(CheckoutRefusal::AlreadyRedeemed(call.order.clone()));
        }
        // From here on it must succeed.
        let until = at.plus(call.ttl).min(coupon.expires_at);
        self.put_order(OrderRecord {
            campaign: call.campaign.clone(),
            id: call.order.clone(),
            coupon: Some(call.coupon),
            user: call.user.clone(),
            price: None,
            state: OrderState::Held,
            redeemed_at: None,
        });
        if let Some(coupon) = self.set_coupon(call.coupon, CouponState::Held) {
            (coupon.order, coupon.held_until) = (Some(call.order.clone()), Some(until));
        }
        let details = EventDetails { expires_at: Some(until), ..EventDetails::default() };
        self.tell(EventKind::CouponHeld, call.coupon, Some(call.order.clone()), details, at);
        Outcome::Done(Deed::Held(call.held(until)))
    }

    fn redeem(&mut self, call: &Redeem, at: Timestamp) -> Outcome {
        let Some(coupon) = self.coupons.get(&call.coupon) else { return Outcome::NotRecorded };
        if coupon.user != call.user {
            return Outcome::Refused(CheckoutRefusal::UnknownCoupon);
        }
        let order = self.order(&call.campaign, &call.order);
        if let Some(first) = order.and_then(|order| first_answer(call, order)) {
            return first;
        }
        if let Some(refusal) = taken(coupon, order, &call.order, at) {
            return Outcome::Refused(refusal);
        }
        let discount = match call.discount {
            Ok(discount) => discount,
            Err(Unsuitable::CurrencyMismatch) => return Outcome::Refused(CheckoutRefusal::CurrencyMismatch),
            Err(Unsuitable::MinOrderNotMet) => return Outcome::Refused(CheckoutRefusal::MinOrderNotMet),
        };
        // From here on it must succeed.
        let price = Price { amount: call.amount, discount };
        self.put_order(OrderRecord {
            campaign: call.campaign.clone(),
            id: call.order.clone(),
            coupon: Some(call.coupon),
            user: call.user.clone(),
            price: Some(price),
            state: OrderState::Redeemed,
            redeemed_at: Some(at),
        });
        if let Some(coupon) = self.set_coupon(call.coupon, CouponState::Redeemed) {
            (coupon.order, coupon.redeemed_at) = (Some(call.order.clone()), Some(at));
        }
        let details = EventDetails { price: Some(price), ..EventDetails::default() };
        self.tell(EventKind::CouponRedeemed, call.coupon, Some(call.order.clone()), details, at);
        Outcome::Done(Deed::Redeemed(call.redemption(discount, at)))
    }

    fn release(&mut self, call: &GiveBack, at: Timestamp) -> Outcome {
        let order = self.order(&call.campaign, &call.order).filter(|order| order.user == call.user);
        let Some(order) = order else { return Outcome::Refused(CheckoutRefusal::UnknownOrder) };
        match order.state {
            OrderState::Released => Outcome::Replayed(Deed::Released),
            state @ (OrderState::Redeemed | OrderState::Cancelled) => Outcome::Refused(CheckoutRefusal::OrderIs(state)),
            OrderState::Held => {
                let coupon = order.coupon;
                self.set_order(&(call.campaign.clone(), call.order.clone()), OrderState::Released);
                if let Some(id) = coupon {
                    self.set_coupon(id, CouponState::Issued);
                    self.tell(EventKind::CouponReleased, id, Some(call.order.clone()), details_of(call), at);
                }
                Outcome::Done(Deed::Released)
            }
        }
    }

    fn rollback(&mut self, call: &GiveBack, at: Timestamp) -> Outcome {
        let order = self.order(&call.campaign, &call.order);
        let live = match order {
            Some(order) if order.user != call.user => return Outcome::Refused(CheckoutRefusal::UnknownOrder),
            Some(order) => match order.state {
                OrderState::Cancelled => return Outcome::Replayed(Deed::RolledBack),
                OrderState::Held | OrderState::Redeemed => order.coupon,
                OrderState::Released => None,
            },
            None => None,
        };
        // From here on it must succeed.
        match order.cloned() {
            Some(order) => self.put_order(OrderRecord { state: OrderState::Cancelled, ..order }),
            None => self.put_order(OrderRecord {
                campaign: call.campaign.clone(),
                id: call.order.clone(),
                coupon: None,
                user: call.user.clone(),
                price: None,
                state: OrderState::Cancelled,
                redeemed_at: None,
            }),
        }
        match live.and_then(|id| self.coupons.get(&id)).map(|coupon| (coupon.id, coupon.expires_at)) {
            Some((id, expires_at)) => {
                let state = if at >= expires_at { CouponState::Expired } else { CouponState::Issued };
                self.set_coupon(id, state);
                self.tell(EventKind::CouponRolledBack, id, Some(call.order.clone()), details_of(call), at);
            }
            None => self.events.push(Event {
                user: Some(call.user.clone()),
                order: Some(call.order.clone()),
                state: Some(OrderState::Cancelled.as_str().to_owned()),
                details: details_of(call),
                ..Event::new(EventKind::OrderCancelled, call.campaign.clone(), at)
            }),
        }
        Outcome::Done(Deed::RolledBack)
    }

    fn void(&mut self, call: &Void, at: Timestamp) -> Outcome {
        let Some(coupon) = self.coupons.get(&call.coupon) else { return Outcome::NotRecorded };
        match coupon.state_at(at) {
            CouponState::Issued => {}
            CouponState::Void => return Outcome::Replayed(Deed::Voided),
            state @ (CouponState::Held | CouponState::Redeemed | CouponState::Expired) => {
                return Outcome::Refused(CheckoutRefusal::CouponIs(state));
            }
        }
        // From here on it must succeed.
        self.audits.push(AuditRecord {
            campaign: Some(coupon.campaign.clone()),
            round: Some(coupon.id.round),
            coupon: Some(coupon.id),
            user: Some(coupon.user.clone()),
            before: Some(serde_json::json!({ "state": CouponState::Issued.as_str() })),
            after: Some(serde_json::json!({ "state": CouponState::Void.as_str(), "reason": call.reason })),
            ..AuditRecord::new(VOID_COUPON, call.by.clone(), at)
        });
        self.set_coupon(call.coupon, CouponState::Void);
        let details = EventDetails { reason: reason(&call.reason), ..EventDetails::default() };
        self.tell(EventKind::CouponVoided, call.coupon, None, details, at);
        Outcome::Done(Deed::Voided)
    }

    fn order(&self, campaign: &CampaignId, id: &OrderId) -> Option<&OrderRecord> {
        self.orders.get(&(campaign.clone(), id.clone()))
    }

    fn put_order(&mut self, order: OrderRecord) {
        let key = (order.campaign.clone(), order.id.clone());
        self.changed_orders.insert(key.clone());
        self.orders.insert(key, order);
    }

    fn set_order(&mut self, key: &OrderKey, state: OrderState) {
        if let Some(order) = self.orders.get_mut(key) {
            order.state = state;
            self.changed_orders.insert(key.clone());
        }
    }

    /// The coupon in this state, for no order until somebody says for which.
    fn set_coupon(&mut self, id: CouponId, state: CouponState) -> Option<&mut CouponRecord> {
        self.changed_coupons.insert(id);
        let coupon = self.coupons.get_mut(&id)?;
        (coupon.state, coupon.order, coupon.held_until, coupon.redeemed_at) = (state, None, None, None);
        Some(coupon)
    }

    /// Of the coupon as it is now.
    fn tell(&mut self, kind: EventKind, id: CouponId, order: Option<OrderId>, details: EventDetails, at: Timestamp) {
        let Some(coupon) = self.coupons.get(&id) else { return };
        self.events.push(Event {
            round: Some(id.round),
            coupon: Some(id),
            user: Some(coupon.user.clone()),
            order,
            state: Some(coupon.state.as_str().to_owned()),
            details,
            ..Event::new(kind, coupon.campaign.clone(), at)
        });
    }
}

/// What a redeemed or cancelled order says to any Redeem.
fn first_answer(call: &Redeem, order: &OrderRecord) -> Option<Outcome> {
    match order.state {
        OrderState::Cancelled => Some(Outcome::Refused(CheckoutRefusal::OrderCancelled)),
        OrderState::Redeemed if order.coupon == Some(call.coupon) => {
            let same = order.price.zip(order.redeemed_at);
            let same = same.filter(|(price, _)| price.amount == call.amount && order.user == call.user);
            Some(same.map_or(Outcome::Refused(CheckoutRefusal::OrderMismatch), |(price, at)| {
                Outcome::Replayed(Deed::Redeemed(call.redemption(price.discount, at)))
            }))
        }
        OrderState::Redeemed | OrderState::Held | OrderState::Released => None,
    }
}

/// Why this order cannot have this coupon now.
fn taken(coupon: &CouponRecord, order: Option<&OrderRecord>, mine: &OrderId, at: Timestamp) -> Option<CheckoutRefusal> {
    let live = |o: &&OrderRecord| matches!(o.state, OrderState::Held | OrderState::Redeemed);
    if order.filter(live).is_some_and(|o| o.coupon != Some(coupon.id)) {
        return Some(CheckoutRefusal::OrderHasCoupon);
    }
    let other = coupon.order.clone().filter(|o| o != mine);
    match coupon.state_at(at) {
        CouponState::Void => Some(CheckoutRefusal::Void),
        CouponState::Redeemed => other.map(CheckoutRefusal::AlreadyRedeemed),
        CouponState::Held => other.map(CheckoutRefusal::AlreadyHeld),
        CouponState::Expired => Some(CheckoutRefusal::Expired),
        CouponState::Issued => None,
    }
}

fn details_of(call: &GiveBack) -> EventDetails {
    EventDetails { reason: reason(&call.reason), ..EventDetails::default() }
}

fn reason(words: &str) -> Option<String> {
    Some(words.to_owned()).filter(|words| !words.is_empty())
}
