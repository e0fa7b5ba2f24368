//! Whether a receiver takes anything at all, and how much it is asked to take at once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Pace;

/// What is to be done after a wave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What failed did so by itself: it is parked.
    Up,
    /// The receiver is down: nothing is parked, and nothing told for so long.
    Down(Duration),
}

/// Judges a receiver by what it takes.
///
/// A single event that fails, over and over, must not stop the others, so only different ones count. The waves get smaller while most of
/// them fails, and are of one event while the receiver is down.
#[derive(Debug)]
pub(super) struct Health {
    pace: Pace,
    width: usize,
    /// Different events that have failed since one was taken.
    failed: BTreeSet<i64>,
    /// Waves in a row that found the receiver down.
    down_for: u32,
}

impl Health {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, width: pace.wave.max(1), failed: BTreeSet::new(), down_for: 0 }
    }

    /// Events in the next wave, at most.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn is_down(&self) -> bool {
        self.down_for > 0
    }

    /// Takes note of a wave: how many events were taken, and the positions of those that failed.
    pub(super) fn note(&mut self, taken: usize, failed: &[i64]) -> Verdict {
        if taken > 0 {
            self.failed.clear();
            self.down_for = 0;
            self.width = if failed.len() > taken { self.width.div_ceil(2) } else { self.width.saturating_mul(2) };
            self.width = self.width.min(self.pace.wave.max(1));
            return Verdict::Up;
        }
        self.failed.extend(failed);
        if self.down_for == 0 && self.failed.len() < self.pace.down_after {
            return Verdict::Up;
        }
        // While it is down it is asked for one at a time; more need not be remembered.
        self.failed.clear();
        self.width = 1;
        self.down_for = self.down_for.saturating_add(1);
        Verdict::Down(self.pace.down.after(self.down_for))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(Pace { wave: 8, down_after: 3, ..Pace::default() })
    }

    #[test]
    fn one_event_that_fails_for_ever_does_not_make_the_receiver_down() {
        let mut health = health();
        for _ in 0..100 {
            assert_eq!(health.note(0, &[7]), Verdict::Up);
        }
        assert_eq!(health.width(), 8);
    }

    #[test]
    fn different_events_that_fail_in_a_row_do() {
        let mut health = health();
        assert_eq!(health.note(0, &[1, 2]), Verdict::Up);
        assert_eq!(health.note(1, &[3]), Verdict::Up);
        assert_eq!(health.note(0, &[3, 4]), Verdict::Up);
        assert!(matches!(health.note(0, &[5]), Verdict::Down(_)));
        assert_eq!((health.is_down(), health.width()), (true, 1));
    }

    #[test]
    fn one_event_taken_ends_it_and_the_waves_grow_again() {
        let mut health = health();
        assert!(matches!(health.note(0, &[1, 2, 3]), Verdict::Down(_)));
        assert!(matches!(health.note(0, &[1]), Verdict::Down(_)));
        let widths = [(); 4].map(|()| {
            health.note(1, &[]);
            health.width()
        });
        assert_eq!((health.is_down(), widths), (false, [2, 4, 8, 8]));
    }

    #[test]
    fn a_receiver_that_refuses_most_gets_less_at_once() {
        let mut health = health();
        assert_eq!(health.note(1, &[1, 2, 3, 4]), Verdict::Up);
        assert_eq!(health.width(), 4);
    }
}
