//! When the rounds of a campaign happen. A start is the instant at which claims open.

mod cron;
mod overlap;
mod recurrence;
mod wall;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::cron::InvalidCron;
pub use self::recurrence::{InvalidRecurrence, Recurrence};
use crate::time::{Timestamp, Window};

/// One start, or many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// One round, at this instant.
    Once(Timestamp),
    /// Many rounds.
    Recurring(Recurrence),
}

/// The starts and the windows around each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// When claims open.
    pub start: Start,
    /// How long before a start reservation opens.
    pub reserve_lead: Duration,
    /// How long before a start reservation closes.
    pub reserve_close_lead: Duration,
    /// How long claims last.
    pub claim_duration: Duration,
}

impl Schedule {
    /// `reserve_lead` where none is given.
    pub const RESERVE_LEAD: Duration = Duration::from_secs(300);
    /// `reserve_close_lead` where none is given.
    pub const RESERVE_CLOSE_LEAD: Duration = Duration::from_secs(60);
    /// `claim_duration` where none is given.
    pub const CLAIM_DURATION: Duration = Duration::from_secs(60);

    const AHEAD: usize = 3;
    const AHEAD_SPAN: Duration = Duration::from_secs(3600);
    const AHEAD_MAX: usize = 20;

    /// Whether it has more than one start.
    #[must_use]
    pub fn recurs(&self) -> bool {
        matches!(self.start, Start::Recurring(_))
    }

    /// The first `limit` starts after an instant, each later than the one before.
    #[must_use]
    pub fn starts_after(&self, after: Timestamp, limit: usize) -> Vec<Timestamp> {
        self.starts(after).take(limit).collect()
    }

    fn starts(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let (once, recurring) = match &self.start {
            Start::Once(at) => (Some(*at).filter(|at| *at > after), None),
            Start::Recurring(recurrence) => (None, Some(recurrence.after(after))),
        };
        once.into_iter().chain(recurring.into_iter().flatten())
    }

    /// Starts whose rounds should exist now: the one that claims now, and of those to come the next three, or all of the next hour
    /// if those are more, at most twenty.
    #[must_use]
    pub fn starts_to_plan(&self, now: Timestamp) -> Vec<Timestamp> {
        let running_from = now.minus(self.claim_duration);
        let horizon = now.plus(Self::AHEAD_SPAN);
        let mut ahead = 0;
        self.starts(running_from)
            .take(Self::AHEAD_MAX + 1)
            .take_while(|start| {
                ahead += usize::from(*start > now);
                ahead <= Self::AHEAD || (*start <= horizon && ahead <= Self::AHEAD_MAX)
            })
            .collect()
    }

    /// Two starts of which the first still claims when the second comes, after an instant and within 28 years of it. Later the calendar
    /// has nothing new, nor have changes of clocks that go by it.
    #[must_use]
    pub fn overlapping_pair(&self, after: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.start {
            Start::Once(_) => None,
            Start::Recurring(recurrence) => recurrence.closer_than(self.claim_duration, after),
        }
    }

    /// The reservation window before a start.
    #[must_use]
    pub fn reserve_window(&self, start: Timestamp) -> Window {
        Window { opens: start.minus(self.reserve_lead), closes: start.minus(self.reserve_close_lead) }
    }

    /// The claim window from a start on.
    #[must_use]
    pub fn claim_window(&self, start: Timestamp) -> Window {
        Window { opens: start, closes: start.plus(self.claim_duration) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros())
    }

    fn starting(start: Start) -> Schedule {
        Schedule {
            start,
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }
    }

    fn every(cron: &str, zone: &str) -> Schedule {
        starting(Start::Recurring(Recurrence::parse(cron, zone, None, None).expect("a recurrence")))
    }

    #[test]
    fn eleven_at_night_in_taipei_is_three_in_the_afternoon_in_utc() {
        let daily = every("0 23 * * *", "Asia/Taipei");
        assert_eq!(
            daily.starts_after(at("2024-04-24T14:59:59Z"), 2),
            [at("2024-04-24T15:00:00Z"), at("2024-04-25T15:00:00Z")]
        );
    }

    #[test]
    fn a_single_start_happens_once_and_overlaps_nothing() {
        let once = starting(Start::Once(at("2024-04-24T15:00:00Z")));
        assert_eq!(once.starts_after(at("2024-04-24T14:59:59Z"), 2), [at("2024-04-24T15:00:00Z")]);
        assert_eq!(once.starts_after(at("2024-04-24T15:00:00Z"), 2), []);
        assert_eq!(once.overlapping_pair(at("2024-04-24T14:59:59Z")), None);
    }

    #[test]
    fn three_rounds_ahead_or_those_of_an_hour_but_at_most_twenty() {
        let now = at("2024-04-24T12:00:30Z");
        assert_eq!(every("0 23 * * *", "UTC").starts_to_plan(now).len(), 3);
        assert_eq!(every("*/10 * * * *", "UTC").starts_to_plan(now).len(), 1 + 6);
        assert_eq!(every("* * * * *", "UTC").starts_to_plan(now).len(), 1 + 20);
    }

    #[test]
    fn windows_that_touch_do_not_overlap_and_those_that_share_a_moment_do() {
        let now = at("2024-04-24T12:00:30Z");
        let mut often = every("* * * * *", "UTC");
        assert_eq!(often.overlapping_pair(now), None);
        often.claim_duration += Duration::from_micros(1);
        assert_eq!(often.overlapping_pair(now), Some((at("2024-04-24T12:00:00Z"), at("2024-04-24T12:01:00Z"))));
    }
}
