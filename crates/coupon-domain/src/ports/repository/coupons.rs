//! Coupons after their claim, in the ledger.

use async_trait::async_trait;

use super::LedgerError;
use crate::checkout::{Call, Outcome};
use crate::ids::{CampaignId, CouponId, UserId};
use crate::redemption::{CouponRecord, CouponState};
use crate::time::Timestamp;

/// Which coupons are asked for.
#[derive(Debug, Clone, Default)]
pub struct CouponFilter {
    /// Whose; none means everybody's.
    pub user: Option<UserId>,
    /// Of which campaign.
    pub campaign: Option<CampaignId>,
    /// In which state, by the ledger's clock.
    pub state: Option<CouponState>,
    /// Those after this one in the order of the answer.
    pub after: Option<CouponId>,
    /// At most so many.
    pub limit: u32,
}

/// How many coupons are in each state, by the ledger's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CouponTotals {
    /// Can be redeemed.
    pub issued: u64,
    /// Locked for an order.
    pub held: u64,
    /// Used.
    pub redeemed: u64,
    /// Past their validity.
    pub expired: u64,
    /// Withdrawn.
    pub void: u64,
}

/// Some coupons.
#[derive(Debug, Clone)]
pub struct CouponPage {
    /// In order of round and serial, so that what is issued meanwhile shifts no page.
    pub coupons: Vec<CouponRecord>,
    /// Over all pages of this user and campaign, whatever the state asked for; none if everybody's were asked for.
    pub totals: Option<CouponTotals>,
    /// The ledger's time, which decides what has expired.
    pub at: Timestamp,
}

/// Coupons after their claim.
#[async_trait]
pub trait CouponRepository: Send + Sync {
    /// A coupon as stored, and the ledger's time.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn coupon(&self, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, LedgerError>;

    /// Coupons, page by page.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, LedgerError>;

    /// Carries out calls of checkouts and operators, with their events and audit records, in one transaction; answers exactly like
    /// [`Book::decide`](crate::checkout::Book::decide), as if the calls had come one after the other.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn carry_out(&self, calls: &[Call]) -> Result<Vec<Outcome>, LedgerError>;

    /// What this call would come to now; writes nothing.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn foresee(&self, call: &Call) -> Result<Outcome, LedgerError>;

    /// Stores with their events, as [`Book::sweep`](crate::checkout::Book::sweep) does, holds that are over and coupons past their
    /// validity: at most `limit` coupons, and none that another instance is at. Answers how many were stored.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn sweep(&self, limit: u32) -> Result<u32, LedgerError>;

    /// Gives notice of unused coupons that expire, each by its campaign's leads and [`notice::due`](crate::notice::due), with an event:
    /// looks at no more than `limit` coupons whose time has come, and at none that another instance is at. Answers how many it looked at.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn give_notice(&self, limit: u32) -> Result<u32, LedgerError>;
}
