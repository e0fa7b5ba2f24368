//! How long to wait after failures.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// So many doublings pass any cap.
const ENOUGH: u32 = 64;

/// Waits that double with each failure and are spread by chance, so that what failed together is not tried together again.
///
/// This is "equal jitter": `d / 2` and a random part of `d / 2`, where `d = min(cap, base * 2^(failures - 1))` (M. Brooker, "Exponential
/// Backoff And Jitter", AWS Architecture Blog, 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure, at most.
    pub base: Duration,
    /// The longest.
    pub cap: Duration,
}

impl Backoff {
    /// How long to wait after so many failures in a row.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        // The builder's jitter adds up to as much as there is: half and half.
        let mut waits = ExponentialBuilder::new()
            .with_factor(2.0)
            .with_min_delay(self.base.min(self.cap) / 2)
            .with_max_delay(self.cap / 2)
            .without_max_times()
            .with_jitter()
            // Without one each wait would be spread alike: the builder has no chance of its own in this build.
            .with_jitter_seed(rand::random())
            .build();
        let earlier = failures.clamp(1, ENOUGH) - 1;
        waits.nth(earlier as usize).unwrap_or(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_never_leave_their_half() {
        let backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(60) };
        for (failures, longest) in [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (u32::MAX, 60)] {
            for _ in 0..100 {
                let wait = backoff.after(failures);
                let longest = Duration::from_secs(longest);
                assert!(longest / 2 <= wait && wait <= longest, "{wait:?} after {failures}");
            }
        }
    }

    #[test]
    fn waits_differ() {
        let backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(60) };
        let first = backoff.after(3);
        assert!((0..100).any(|_| backoff.after(3) != first));
    }
}
