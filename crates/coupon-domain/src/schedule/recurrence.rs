//! Starts that repeat, and what becomes of them when people change their clocks.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::cron::{Expression, InvalidCron};
use super::wall::{Shown, WallClock};
use crate::time::Timestamp;

/// Starts that repeat by a cron expression of five fields in an IANA time zone.
///
/// Where the expression names its hours (`30 2 * * *`, `0 9-17 * * *`), each of its readings is one start: the instant at which the
/// clock on the wall first reaches or passes it. So a reading that is skipped starts at the first instant after the gap, one that is
/// repeated starts the first time, and readings that are skipped together are one start.
///
/// Where the hours are `*` or `*/n`, a start is each instant at which the clock shows one of the readings: none while it skips them,
/// and both times when it repeats them. So what happens each hour goes on each hour, where clocks change by whole hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRecurrence", into = "RawRecurrence")]
pub struct Recurrence {
    raw: RawRecurrence,
    pub(super) expression: Expression,
    pub(super) clock: WallClock,
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
    #[error(transparent)]
    Cron(#[from] InvalidCron),
    /// Not a time zone of the IANA database.
    #[error("is not a time zone of the IANA database")]
    TimeZone,
}

impl Recurrence {
    /// Starts by `cron` in `time_zone`, none before `first`, none after `last`.
    ///
    /// # Errors
    /// If the expression is none or never has a start, or the zone is unknown.
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

    /// Its starts after an instant, each later than the one before. None lies before 1970 or after the year 9999.
    pub(super) fn after(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let (mut latest, last) = self.bounds(after);
        // Readings that are repeated within a day from here may lie before what the clock shows now.
        let tomorrow = self.clock.reading(latest.plus(DAY)) - DAY;
        let from = self.clock.reading(latest).min(tomorrow);
        let readings = self.expression.readings(from);
        let starts = Starts { readings, recurrence: self, ahead: None, again: VecDeque::new() };
        starts.take_while(move |start| *start <= last).filter(move |start| {
            let is_later = *start > latest;
            latest = latest.max(*start);
            is_later
        })
    }

    /// Starts lie after the first of these and not after the second.
    pub(super) fn bounds(&self, after: Timestamp) -> (Timestamp, Timestamp) {
        let from = self.raw.first.map_or(after, |first| after.max(first.minus(Duration::from_micros(1))));
        (from, self.raw.last.unwrap_or(Timestamp::MAX))
    }

    /// The start that a reading is, and the second one.
    pub(super) fn starts_at(&self, reading: NaiveDateTime) -> (Option<Timestamp>, Option<Timestamp>) {
        match (self.clock.shows(reading), self.expression.around_the_clock) {
            (Some(Shown::Twice(first, again)), true) => (Some(first), Some(again)),
            (Some(Shown::Skipped(_)), true) | (None, _) => (None, None),
            (Some(Shown::Once(at) | Shown::Twice(at, _) | Shown::Skipped(at)), _) => (Some(at), None),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// The starts of ascending readings, in ascending order; readings that are skipped together yield the same start.
struct Starts<'a, I> {
    readings: I,
    recurrence: &'a Recurrence,
    /// The start of the next reading.
    ahead: Option<Timestamp>,
    /// Starts of readings that are repeated: due when the clock has shown them all once.
    again: VecDeque<Timestamp>,
}

impl<I: Iterator<Item = NaiveDateTime>> Iterator for Starts<'_, I> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        while self.ahead.is_none() {
            let (start, again) = self.recurrence.starts_at(self.readings.next()?);
            self.again.extend(again);
            self.ahead = start;
        }
        match self.again.front() {
            Some(again) if Some(*again) < self.ahead => self.again.pop_front(),
            Some(_) | None => self.ahead.take(),
        }
    }
}

impl TryFrom<RawRecurrence> for Recurrence {
    type Error = InvalidRecurrence;
    fn try_from(raw: RawRecurrence) -> Result<Self, InvalidRecurrence> {
        let expression = Expression::parse(&raw.cron)?;
        let zone: Tz = raw.time_zone.parse().map_err(|_| InvalidRecurrence::TimeZone)?;
        Ok(Self { raw, expression, clock: WallClock(zone) })
    }
}

impl From<Recurrence> for RawRecurrence {
    fn from(recurrence: Recurrence) -> Self {
        recurrence.raw
    }
}
