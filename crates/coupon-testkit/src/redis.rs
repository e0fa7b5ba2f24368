//! A private Redis server and its test clock.

use async_trait::async_trait;
use coupon_domain::time::Timestamp;
pub use coupon_local::redis::*;

use crate::under_test::TestClock;

/// Of a server whose functions were made by [`library_with_test_clock`].
#[async_trait]
impl TestClock for RedisClock {
    async fn set(&self, at: Timestamp) {
        self.set_micros(at.micros()).await.expect("the private Redis takes the time");
    }
}

/// The same function library with its one clock replaced: a test's instant where one is set, else the server's time.
///
/// # Panics
/// If there is no such clock in it.
#[must_use]
pub fn library_with_test_clock(source: &str) -> String {
    const BEGIN: &str = "local function now()\n";
    const END: &str = "\nend\n";
    let (before, rest) = source.split_once(BEGIN).expect("the library has one clock");
    let (body, after) = rest.split_once(END).expect("the clock's function ends");
    assert!(!after.contains(BEGIN), "the library has one clock");
    let test = format!("    local set = redis.call('GET', '{CLOCK_KEY}')\n    if set then return tonumber(set) end");
    format!("{before}{BEGIN}{test}\n{body}{END}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clock_of_a_library_is_replaced() {
        let source = "a\nlocal function now()\n    return 1\nend\nb\n";
        let test = library_with_test_clock(source);
        assert!(test.starts_with("a\nlocal function now()\n    local set") && test.ends_with("    return 1\nend\nb\n"));
    }
}
