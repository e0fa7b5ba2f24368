//! The arrival times of an open loop. They do not depend on any answer: whoever is late is late for all to see.

use std::time::{Duration, Instant};

use crate::plan::Share;

/// At which instants one of several that share a rate sends its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    start: Instant,
    per_second: f64,
    share: Share,
}

impl Schedule {
    /// The common rate of all, from this common start on.
    #[must_use]
    pub(crate) fn new(start: Instant, per_second: f64, share: Share) -> Self {
        Self { start, per_second, share }
    }

    /// When the `n`th request of this share is to be sent.
    #[must_use]
    pub(crate) fn at(&self, n: u64) -> Instant {
        self.start + Duration::from_secs_f64(self.share.number(n) as f64 / self.per_second)
    }

    /// How many of this share were to be sent by then.
    #[must_use]
    pub(crate) fn due(&self, now: Instant) -> u64 {
        let Some(since) = now.checked_duration_since(self.start) else { return 0 };
        let of_all = (since.as_secs_f64() * self.per_second) as u64 + 1;
        let mut due = self.share.part(of_all);
        // Either way by one at most: a rounded time may fall behind `now`.
        while self.at(due) <= now {
            due += 1;
        }
        while due > 0 && self.at(due - 1) > now {
            due -= 1;
        }
        due
    }

    /// How many of this share are sent within so long.
    #[must_use]
    pub(crate) fn within(&self, span: Duration) -> u64 {
        self.share.part((span.as_secs_f64() * self.per_second).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_rate_take_turns() {
        let start = Instant::now();
        let shares = [0, 1].map(|index| Schedule::new(start, 1000.0, Share { index, of: 2 }));
        let at = |share: usize, n| shares[share].at(n).duration_since(start).as_micros();
        assert_eq!([at(0, 0), at(1, 0), at(0, 1), at(1, 1), at(0, 500)], [0, 1000, 2000, 3000, 1_000_000]);
        assert_eq!(shares.map(|share| share.within(Duration::from_secs(3))), [1500, 1500]);
    }

    #[test]
    fn due_is_what_was_to_be_sent_by_now() {
        let start = Instant::now();
        let schedule = Schedule::new(start, 3.0, Share { index: 1, of: 3 });
        assert_eq!(schedule.due(start), 0);
        for n in 0..1000 {
            let at = schedule.at(n);
            assert_eq!(schedule.due(at), n + 1, "at {n}");
            assert_eq!(schedule.due(at - Duration::from_nanos(1)), n, "before {n}");
        }
    }
}
