//! Promises to the domain that adapters keep. Each port has a contract suite in coupon-testkit, run against every adapter.

mod cache;
mod clock;
mod messaging;
mod repository;

pub use self::cache::{Frozen, Gate, GateError, MAX_BATCH};
pub use self::clock::Clock;
pub use self::messaging::{Event, EventDetails, EventKind, EventPublisher, Journal, JournalError, NotTold};
pub use self::repository::{
    AuditRepository, BeaconOutcome, CampaignRepository, Conclusion, CouponFilter, CouponPage, CouponRepository,
    CouponTotals, CreateOutcome, DeadLetter, DeliveryRepository, DrawRecord, DrawRepository, DrawResult, DrawRoot,
    EventFilter, FeedPage, FeedRepository, LedgerError, NewCampaign, NewUser, Parked, Parking, Progress, Pruned,
    RecordError, RecordRepository, RequestRecord, Retention, RoundRecord, Snapshot, Standing, StatisticsRepository,
    Subscriber, Tally, User, UserCreation, UserRepository,
};

/// What went wrong inside an adapter. For logs; never sent to a caller.
pub type Source = Box<dyn std::error::Error + Send + Sync>;
