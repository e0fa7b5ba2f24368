//! Private Postgres servers and the clock of a database.

use async_trait::async_trait;
use coupon_domain::time::Timestamp;
pub use coupon_local::postgres::*;

use crate::under_test::TestClock;

#[async_trait]
impl TestClock for PostgresClock {
    async fn set(&self, at: Timestamp) {
        self.set_micros(at.micros()).await.expect("the test's database answers");
    }
}
