//! The clock on the wall of a time zone: what it shows at an instant, when it shows a reading, and when people change it.

use std::iter;
use std::time::Duration;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::{GapInfo, Tz};

use crate::time::Timestamp;

/// When the clock shows a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// At this instant only.
    Once(Timestamp),
    /// Before it was set back, and again after.
    Twice(Timestamp, Timestamp),
    /// Never: at this instant it was set forward past it.
    Skipped(Timestamp),
}

/// The clock on a zone's wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WallClock(pub(super) Tz);

impl WallClock {
    /// Shorter than the time between any two changes of a zone. The shortest known is a week, between Ramadan and winter in Gaza.
    const BETWEEN_CHANGES: Duration = Duration::from_secs(2 * 86_400);

    /// What it shows at an instant; at an instant before 1970, what it shows when 1970 begins.
    pub(super) fn reading(self, at: Timestamp) -> NaiveDateTime {
        self.local(at).naive_local()
    }

    /// When it shows a reading; nothing where the zone's table does not say.
    pub(super) fn shows(self, reading: NaiveDateTime) -> Option<Shown> {
        let instant = |at: DateTime<Tz>| Timestamp::from_micros(at.timestamp_micros());
        match self.0.from_local_datetime(&reading) {
            MappedLocalTime::Single(at) => Some(Shown::Once(instant(at))),
            MappedLocalTime::Ambiguous(first, again) => Some(Shown::Twice(instant(first), instant(again))),
            MappedLocalTime::None => GapInfo::new(&reading, &self.0)?.end.map(instant).map(Shown::Skipped),
        }
    }

    /// The instants after `from`, up to `until`, at which it is set forward or back.
    pub(super) fn changes(self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        iter::successors(Some(from), |at| Some(at.plus(Self::BETWEEN_CHANGES)))
            .take_while(move |at| *at < until)
            .filter_map(move |at| self.change(at, until.min(at.plus(Self::BETWEEN_CHANGES))))
    }

    /// The first instant with another offset than `before`, if `after` has another.
    fn change(self, mut before: Timestamp, mut after: Timestamp) -> Option<Timestamp> {
        let offset = |at| self.local(at).offset().fix();
        let old = offset(before);
        if offset(after) == old {
            return None;
        }
        while after.since(before) > Duration::from_micros(1) {
            let middle = before.plus(after.since(before) / 2);
            if offset(middle) == old {
                before = middle;
            } else {
                after = middle;
            }
        }
        Some(after)
    }

    fn local(self, at: Timestamp) -> DateTime<Tz> {
        let micros = at.micros().clamp(0, Timestamp::MAX.micros());
        DateTime::from_timestamp_micros(micros).unwrap_or_default().with_timezone(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(zone: &str) -> WallClock {
        WallClock(zone.parse().expect("a zone"))
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros())
    }

    fn reading(text: &str) -> NaiveDateTime {
        text.parse().expect("a reading")
    }

    #[test]
    fn a_reading_is_shown_once_or_twice_or_skipped() {
        let berlin = clock("Europe/Berlin");
        for (text, shown) in [
            ("2026-03-29T01:59:59", Shown::Once(at("2026-03-29T00:59:59Z"))),
            ("2026-03-29T02:00:00", Shown::Skipped(at("2026-03-29T01:00:00Z"))),
            ("2026-03-29T02:59:59", Shown::Skipped(at("2026-03-29T01:00:00Z"))),
            ("2026-03-29T03:00:00", Shown::Once(at("2026-03-29T01:00:00Z"))),
            ("2026-10-25T01:59:59", Shown::Once(at("2026-10-24T23:59:59Z"))),
            ("2026-10-25T02:00:00", Shown::Twice(at("2026-10-25T00:00:00Z"), at("2026-10-25T01:00:00Z"))),
            ("2026-10-25T02:59:59", Shown::Twice(at("2026-10-25T00:59:59Z"), at("2026-10-25T01:59:59Z"))),
            ("2026-10-25T03:00:00", Shown::Once(at("2026-10-25T02:00:00Z"))),
        ] {
            assert_eq!(berlin.shows(reading(text)), Some(shown), "{text}");
        }
    }

    #[test]
    fn it_shows_the_zones_time_and_before_1970_how_1970_began() {
        assert_eq!(clock("Asia/Taipei").reading(at("2026-03-29T16:00:00Z")), reading("2026-03-30T00:00:00"));
        assert_eq!(clock("UTC").reading(Timestamp::from_micros(i64::MIN)), reading("1970-01-01T00:00:00"));
        assert_eq!(clock("UTC").reading(Timestamp::from_micros(i64::MAX)), reading("9999-12-31T23:59:59.999999"));
    }

    #[test]
    fn each_change_is_found_once_wherever_one_begins() {
        for (zone, year, changes) in [
            ("UTC", 2026, vec![]),
            ("Europe/Berlin", 2026, vec!["2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]),
            ("Australia/Lord_Howe", 2026, vec!["2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"]),
            // Summer time, Ramadan, a last week of summer time.
            (
                "Asia/Gaza",
                2040,
                vec!["2040-03-24T00:00:00Z", "2040-08-31T23:00:00Z", "2040-10-20T00:00:00Z", "2040-10-26T23:00:00Z"],
            ),
        ] {
            let changes: Vec<_> = changes.into_iter().map(at).collect();
            for hour in 0..48 {
                let from = at(&format!("{year}-01-01T00:00:00Z")).plus(Duration::from_secs(3600 * hour));
                let until = at(&format!("{year}-12-31T00:00:00Z"));
                assert_eq!(clock(zone).changes(from, until).collect::<Vec<_>>(), changes, "{zone}");
            }
        }
        let berlin = clock("Europe/Berlin");
        let change = at("2026-03-29T01:00:00Z");
        assert_eq!(berlin.changes(change.minus(Duration::from_micros(1)), change).collect::<Vec<_>>(), [change]);
        assert_eq!(berlin.changes(change, change.plus(Duration::from_secs(86_400))).next(), None);
    }
}
