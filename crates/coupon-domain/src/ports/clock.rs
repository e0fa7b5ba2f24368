//! The time of stores that live in this process.

use crate::time::Timestamp;

/// Tells the time. Tests replace it; Redis and Postgres have their own.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}
