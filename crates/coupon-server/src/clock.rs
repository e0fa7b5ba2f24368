//! The clock of the embedded stores: the system's, except while the history of the sample data is made.

use std::sync::Mutex;

use coupon_domain::ports::Clock;
use coupon_domain::time::Timestamp;

/// See the module.
#[derive(Debug, Default)]
pub struct ServiceClock {
    stands_at: Mutex<Option<Timestamp>>,
}

impl ServiceClock {
    /// From now on it stands at this instant; `None` lets it run again.
    pub fn stand_at(&self, at: Option<Timestamp>) {
        *self.stands_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = at;
    }
}

impl Clock for ServiceClock {
    fn now(&self) -> Timestamp {
        let stands_at = *self.stands_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        stands_at.unwrap_or_else(system_now)
    }
}

/// The one place that reads the system's clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.plus(since_epoch)
}
