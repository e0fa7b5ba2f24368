//! What a contract suite is given: an adapter, the clock of its store, and whatever must live as long as they do.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use coupon_domain::ports::{
    AuditRepository, CampaignRepository, Clock, CouponRepository, DeliveryRepository, DrawRepository, FeedRepository,
    Gate, Journal, RecordRepository, StatisticsRepository, UserRepository,
};
use coupon_domain::time::Timestamp;

/// The clock of a store, replaced through the store's one seam.
#[async_trait]
pub trait TestClock: Send + Sync {
    /// From now on it is this instant, until it is set again.
    async fn set(&self, at: Timestamp);
}

/// A gate with its journal.
pub struct GateUnderTest {
    /// The adapter.
    pub gate: Arc<dyn Gate>,
    /// Its journal.
    pub journal: Arc<dyn Journal>,
    /// The gate's clock.
    pub clock: Arc<dyn TestClock>,
    /// Servers, folders and the like.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A ledger.
pub struct LedgerUnderTest {
    /// Campaigns.
    pub campaigns: Arc<dyn CampaignRepository>,
    /// The recorder's side.
    pub records: Arc<dyn RecordRepository>,
    /// Coupons.
    pub coupons: Arc<dyn CouponRepository>,
    /// Draws.
    pub draws: Arc<dyn DrawRepository>,
    /// The registry of users.
    pub users: Arc<dyn UserRepository>,
    /// Counts for people.
    pub statistics: Arc<dyn StatisticsRepository>,
    /// The feed of events.
    pub feed: Arc<dyn FeedRepository>,
    /// What is parked for outlets.
    pub deliveries: Arc<dyn DeliveryRepository>,
    /// Who changed what.
    pub audit: Arc<dyn AuditRepository>,
    /// The ledger's clock.
    pub clock: Arc<dyn TestClock>,
    /// Servers, folders and the like.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl LedgerUnderTest {
    /// An adapter that is all of a ledger, with its clock.
    pub fn new<L, C>(ledger: Arc<L>, clock: Arc<C>, keep: impl Any + Send + Sync) -> Self
    where
        L: CampaignRepository
            + RecordRepository
            + CouponRepository
            + DrawRepository
            + UserRepository
            + StatisticsRepository
            + FeedRepository
            + DeliveryRepository
            + AuditRepository
            + 'static,
        C: TestClock + 'static,
    {
        Self {
            campaigns: Arc::clone(&ledger) as _,
            records: Arc::clone(&ledger) as _,
            coupons: Arc::clone(&ledger) as _,
            draws: Arc::clone(&ledger) as _,
            users: Arc::clone(&ledger) as _,
            statistics: Arc::clone(&ledger) as _,
            feed: Arc::clone(&ledger) as _,
            deliveries: Arc::clone(&ledger) as _,
            audit: ledger,
            clock,
            keep: Box::new(keep),
        }
    }
}

/// A clock for stores in this process: stands still until it is set.
#[derive(Debug, Default)]
pub struct StandingClock(AtomicI64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl TestClock for StandingClock {
    async fn set(&self, at: Timestamp) {
        self.0.store(at.micros(), Ordering::SeqCst);
    }
}
