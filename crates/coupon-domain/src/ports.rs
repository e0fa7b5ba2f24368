//! Promises to the domain that adapters keep. Each port has a contract suite in coupon-testkit, run against every adapter.

mod cache;
mod clock;
mod messaging;
mod repository;

pub use self::cache::{Frozen, Gate, GateError, MAX_BATCH};
pub use self::clock::Clock;
pub use self::messaging::{Event, EventKind, EventPublisher, Journal, JournalError};
pub use self::repository::{
    BeaconOutcome, CampaignRepository, Conclusion, CouponFilter, CouponPage, CouponRepository, CouponTotals,
    CreateOutcome, DrawRecord, DrawRepository, DrawResult, DrawRoot, LedgerError, NewCampaign, NewUser, RecordError,
    RecordRepository, RequestRecord, RoundRecord, Snapshot, Standing, StatisticsRepository, Tally, User, UserCreation,
    UserRepository,
};

/// What went wrong inside an adapter. For logs; never sent to a caller.
pub type Source = Box<dyn std::error::Error + Send + Sync>;
