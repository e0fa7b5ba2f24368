//! Coupons after their claim, in memory: all of them and all orders in one [`Book`]. What ledgers are compared with.

use std::collections::BTreeMap;

use coupon_domain::checkout::{Book, Call, Changes, Outcome};
use coupon_domain::ids::{CampaignId, CouponId, OrderId};
use coupon_domain::recording::CouponRow;
use coupon_domain::redemption::{CouponRecord, CouponState, OrderRecord};
use coupon_domain::time::Timestamp;
use uuid::Uuid;

/// The coupons and orders of any number of campaigns.
#[derive(Debug, Clone, Default)]
pub struct Till {
    /// By id.
    pub coupons: BTreeMap<CouponId, CouponRecord>,
    /// By campaign and id.
    pub orders: BTreeMap<(CampaignId, OrderId), OrderRecord>,
}

impl Till {
    /// Takes in a coupon that the gate issued.
    pub fn add(&mut self, campaign: &CampaignId, row: &CouponRow) {
        let id = CouponId { round: row.round, serial: row.serial };
        let record = CouponRecord {
            id,
            campaign: campaign.clone(),
            user: row.user.clone(),
            state: CouponState::Issued,
            claimed_at: row.claimed_at,
            expires_at: row.expires_at,
            order: None,
            held_until: None,
            redeemed_at: None,
        };
        self.coupons.insert(id, record);
    }

    /// What a call would come to.
    #[must_use]
    pub fn foresee(&self, call: &Call, at: Timestamp) -> Outcome {
        self.book().decide(call, at)
    }

    /// Decides calls, one after the other, and keeps what they come to.
    pub fn carry_out(&mut self, calls: &[Call], at: Timestamp) -> (Vec<Outcome>, Changes) {
        let mut book = self.book();
        let outcomes = calls.iter().map(|call| book.decide(call, at)).collect();
        (outcomes, self.keep(book))
    }

    /// Stores what time alone has done to these coupons.
    pub fn sweep(&mut self, coupons: &[CouponId], at: Timestamp) -> Changes {
        let of_them = |coupon: &&CouponRecord| coupons.contains(&coupon.id);
        let mut book = Book::of(self.coupons.values().filter(of_them).cloned(), self.orders.values().cloned());
        book.sweep(at);
        self.keep(book)
    }

    fn book(&self) -> Book {
        Book::of(self.coupons.values().cloned(), self.orders.values().cloned())
    }

    fn keep(&mut self, book: Book) -> Changes {
        let changes = book.into_changes(Uuid::now_v7);
        self.put(&changes);
        changes
    }

    /// Takes in coupons and orders as they are now.
    pub fn put(&mut self, changes: &Changes) {
        self.coupons.extend(changes.coupons.iter().map(|coupon| (coupon.id, coupon.clone())));
        self.orders
            .extend(changes.orders.iter().map(|order| ((order.campaign.clone(), order.id.clone()), order.clone())));
    }
}
