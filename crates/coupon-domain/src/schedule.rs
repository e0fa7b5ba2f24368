//! When the rounds of a campaign happen. A start is the instant at which claims open.

use std::time::Duration;

use chrono::{DateTime, TimeZone as _};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use serde::{Deserialize, Serialize};

use crate::time::{Timestamp, Window};

/// One start, or many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "one per campaign")]
pub enum Start {
    /// One round, at this instant.
    Once(Timestamp),
    /// Many rounds.
    Recurring(Recurrence),
}

/// Starts that repeat by a cron expression of five fields in an IANA time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRecurrence", into = "RawRecurrence")]
pub struct Recurrence {
    raw: RawRecurrence,
    cron: Cron,
    zone: Tz,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RawRecurrence {
    cron: String,
    time_zone: String,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

/// Why something is not a recurrence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecurrence {
    /// Not a cron expression of five fields.
    #[error("is not a cron expression of five fields: {0}")]
    Cron(String),
    /// Not a time zone of the IANA database.
    #[error("is not a time zone of the IANA database")]
    TimeZone,
}

impl Recurrence {
    /// Starts by `cron` in `time_zone`, none before `first`, none after `last`.
    ///
    /// # Errors
    /// If the expression or the zone is unknown.
    pub fn parse(
        cron: &str,
        time_zone: &str,
        first: Option<Timestamp>,
        last: Option<Timestamp>,
    ) -> Result<Self, InvalidRecurrence> {
        RawRecurrence { cron: cron.to_owned(), time_zone: time_zone.to_owned(), first, last }.try_into()
    }

    /// The expression.
    #[must_use]
    pub fn cron(&self) -> &str {
        &self.raw.cron
    }

    /// The zone's name.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.raw.time_zone
    }

    /// No start before this instant.
    #[must_use]
    pub fn first(&self) -> Option<Timestamp> {
        self.raw.first
    }

    /// No start after this instant.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.raw.last
    }

    fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let from = self.raw.first.map_or(after, |first| after.max(first.minus(Duration::from_micros(1))));
        let last = self.raw.last.unwrap_or(Timestamp::MAX);
        let from = DateTime::from_timestamp_micros(from.micros()).unwrap_or_default();
        self.cron
            .iter_after(self.zone.from_utc_datetime(&from.naive_utc()))
            .map(|start| Timestamp::from_micros(start.timestamp_micros()))
            .take_while(move |start| *start <= last)
    }
}

impl TryFrom<RawRecurrence> for Recurrence {
    type Error = InvalidRecurrence;
    fn try_from(raw: RawRecurrence) -> Result<Self, InvalidRecurrence> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(&raw.cron).map_err(|e| InvalidRecurrence::Cron(e.to_string()))?;
        let zone = raw.time_zone.parse().map_err(|_| InvalidRecurrence::TimeZone)?;
        Ok(Self { raw, cron, zone })
    }
}

impl From<Recurrence> for RawRecurrence {
    fn from(recurrence: Recurrence) -> Self {
        recurrence.raw
    }
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

    /// The first `limit` starts after an instant.
    #[must_use]
    pub fn starts_after(&self, after: Timestamp, limit: usize) -> Vec<Timestamp> {
        match &self.start {
            Start::Once(at) => Some(*at).into_iter().filter(|at| *at > after).take(limit).collect(),
            Start::Recurring(recurrence) => recurrence.after(after).take(limit).collect(),
        }
    }

    /// Starts whose rounds should exist now: the one that claims now, and of those to come the next three, or all of the next hour
    /// if those are more, at most twenty.
    #[must_use]
    pub fn starts_to_plan(&self, now: Timestamp) -> Vec<Timestamp> {
        let running_from = now.minus(self.claim_duration);
        let horizon = now.plus(Self::AHEAD_SPAN);
        let mut ahead = 0;
        self.starts_after(running_from, Self::AHEAD_MAX + 1)
            .into_iter()
            .take_while(|start| {
                ahead += usize::from(*start > now);
                ahead <= Self::AHEAD || (*start <= horizon && ahead <= Self::AHEAD_MAX)
            })
            .collect()
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
        Timestamp::from_micros(DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros())
    }

    fn every(cron: &str, zone: &str) -> Schedule {
        Schedule {
            start: Start::Recurring(Recurrence::parse(cron, zone, None, None).expect("a recurrence")),
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }
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
    fn three_rounds_ahead_or_those_of_an_hour_but_at_most_twenty() {
        let now = at("2024-04-24T12:00:30Z");
        assert_eq!(every("0 23 * * *", "UTC").starts_to_plan(now).len(), 3);
        assert_eq!(every("*/10 * * * *", "UTC").starts_to_plan(now).len(), 1 + 6);
        assert_eq!(every("* * * * *", "UTC").starts_to_plan(now).len(), 1 + 20);
    }

    #[test]
    fn the_start_before_first_and_after_last_do_not_happen() {
        let (first, last) = (at("2024-04-24T12:00:00Z"), at("2024-04-24T12:02:00Z"));
        let r = Recurrence::parse("* * * * *", "UTC", Some(first), Some(last)).expect("a recurrence");
        assert_eq!(r.after(at("2024-01-01T00:00:00Z")).count(), 3);
    }

    #[test]
    fn what_is_no_cron_or_no_zone_is_refused() {
        let refused = |cron, zone| Recurrence::parse(cron, zone, None, None).expect_err("not a recurrence");
        assert!(matches!(refused("0 23 * *", "UTC"), InvalidRecurrence::Cron(_)));
        assert!(matches!(refused("0 0 23 * * *", "UTC"), InvalidRecurrence::Cron(_)));
        assert_eq!(refused("0 23 * * *", "Asia/Atlantis"), InvalidRecurrence::TimeZone);
    }
}
