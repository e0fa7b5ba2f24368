//! Whether two starts ever come too close, looked for where starts can come closest instead of among all of them: an expression of
//! every minute has half a million a year.

use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::recurrence::Recurrence;
use crate::time::Timestamp;

/// A year has one of 14 calendars, and within 28 years each follows each that it can follow. With rules that go by the calendar, as
/// changes of clocks do, later years have nothing new. One more year takes the pairs across the seam.
const HORIZON: Duration = Duration::from_secs(29 * 366 * 86_400);

impl Recurrence {
    /// Two starts that are less than `span` apart, the second after an instant and within 28 years of it.
    pub(super) fn closer_than(&self, span: Duration, after: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let (from, last) = self.bounds(after);
        let until = from.plus(HORIZON).min(last);
        self.across(after, span).or_else(|| {
            let close = self.by_close_readings(span, from, until);
            // On the day of a change, close readings may be starts that are one, far apart or out of range.
            close
                .chain(self.around_changes(span, from, until))
                .find(|&(one, two)| from < one && one < two && two <= last && two.since(one) < span)
        })
    }

    /// The next start, and one before the instant whose span lasts until then.
    fn across(&self, instant: Timestamp, span: Duration) -> Option<(Timestamp, Timestamp)> {
        let next = self.after(instant).next()?;
        self.after(next.minus(span)).next().filter(|start| *start <= instant).map(|start| (start, next))
    }

    /// Starts whose readings are close: two times of a day, the same on each day, or the last of a day and the first of the next.
    fn by_close_readings(
        &self,
        span: Duration,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let is_close = move |apart: TimeDelta| apart.to_std().is_ok_and(|apart| apart < span);
        let times: Vec<NaiveTime> = self.expression.times().collect();
        let within_day: Vec<_> =
            times.windows(2).map(|pair| (pair[0], pair[1])).filter(|&(one, two)| is_close(two - one)).collect();
        let mut eve = None;
        let pairs_of_day = move |day: NaiveDate| {
            let morning = times.first().map(|time| day.and_time(*time));
            let over_night = eve.zip(morning).filter(|&(eve, morning): &(NaiveDateTime, _)| is_close(morning - eve));
            eve = times.last().map(|time| day.and_time(*time));
            let within_day =
                within_day.clone().into_iter().map(move |(one, two)| (day.and_time(one), day.and_time(two)));
            over_night.into_iter().chain(within_day)
        };
        let (from, until) = (self.clock.reading(from).date(), self.clock.reading(until).date());
        let pairs = self.expression.days(from).take_while(move |day| *day <= until).flat_map(pairs_of_day);
        pairs.filter_map(|(one, two)| self.starts_at(one).0.zip(self.starts_at(two).0))
    }

    /// Starts, each with the next, that a change of clocks can bring close: it lies between them, or at one of them.
    fn around_changes(
        &self,
        span: Duration,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.clock.changes(from, until).flat_map(move |change| {
            let mut before = None;
            let starts = self.after(change.minus(span).max(from)).take_while(move |start| *start < change.plus(span));
            starts.filter_map(move |start| before.replace(start).map(|before| (before, start)))
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros())
    }

    fn text(at: Timestamp) -> String {
        DateTime::from_timestamp_micros(at.micros()).expect("a time").format("%FT%H:%MZ").to_string()
    }

    fn close(cron: &str, zone: &str, span: Duration) -> Option<(String, String)> {
        let recurrence = Recurrence::parse(cron, zone, None, None).expect("a recurrence");
        recurrence.closer_than(span, at("2026-11-21T09:00:30Z")).map(|(one, two)| (text(one), text(two)))
    }

    fn pair(one: &str, two: &str) -> Option<(String, String)> {
        Some((one.to_owned(), two.to_owned()))
    }

    #[test]
    fn starts_that_are_seldom_close_are_found() {
        assert_eq!(
            close("0,1 0 1 1 *", "UTC", 61 * Duration::from_secs(1)),
            pair("2027-01-01T00:00Z", "2027-01-01T00:01Z")
        );
        assert_eq!(close("0,1 0 1 1 *", "UTC", MINUTE), None);
        // From the last hour of a day to the first of the next.
        assert_eq!(close("0 1,23 * * MON,TUE", "UTC", 3 * HOUR), pair("2026-11-23T23:00Z", "2026-11-24T01:00Z"));
        assert_eq!(close("0 1,23 * * MON,WED", "UTC", 22 * HOUR), None);
        // 29 February and 1 March.
        assert_eq!(close("0 0 1,29 2,3 *", "UTC", 2 * DAY), pair("2028-02-29T00:00Z", "2028-03-01T00:00Z"));
        // A Thursday and the 13th of May, in the first year of such a calendar.
        assert_eq!(close("0 0 13 5 THU", "UTC", 2 * DAY), pair("2033-05-12T00:00Z", "2033-05-13T00:00Z"));
    }

    #[test]
    fn starts_that_a_change_of_clocks_brings_close_are_found() {
        assert_eq!(close("30 2 * * *", "Asia/Taipei", DAY), None);
        // At 03:00, for 02:30 is skipped.
        assert_eq!(close("30 2 * * *", "Europe/Berlin", DAY), pair("2027-03-27T01:30Z", "2027-03-28T01:00Z"));
        assert_eq!(close("30 2 * * *", "Europe/Berlin", 23 * HOUR), None);
        // 02:30 is moved to 03:00, half an hour before 03:30.
        assert_eq!(close("30 2,3 * * *", "Europe/Berlin", HOUR), pair("2027-03-28T01:00Z", "2027-03-28T01:30Z"));
        // Both times that the clock shows two.
        assert_eq!(close("0 */2 * * *", "Europe/Berlin", 2 * HOUR), pair("2027-10-31T00:00Z", "2027-10-31T01:00Z"));
        assert_eq!(close("0 * * * *", "Europe/Berlin", HOUR), None);
        assert_eq!(close("0 * * * *", "Australia/Lord_Howe", HOUR), None);
        assert_eq!(close("45 * * * *", "Australia/Lord_Howe", HOUR), pair("2027-04-03T14:45Z", "2027-04-03T15:15Z"));
        // In the first year whose last Sunday of March is the 29th.
        assert_eq!(close("0 12 28,29 3 *", "Europe/Berlin", DAY), pair("2037-03-28T11:00Z", "2037-03-29T10:00Z"));
    }

    #[test]
    fn what_lies_outside_of_first_and_last_is_not_looked_at() {
        let now = at("2026-11-21T09:00:30Z");
        let bounded = |cron: &str, first: &str, last: &str| {
            Recurrence::parse(cron, "Europe/Berlin", Some(at(first)), Some(at(last))).expect("a recurrence")
        };
        let spring = bounded("30 2 * * *", "2027-03-27T01:30:00Z", "2027-03-28T01:00:00Z");
        assert!(spring.closer_than(DAY, now).is_some());
        let (late, early) = (
            bounded("30 2 * * *", "2027-03-28T01:00:01Z", "2027-10-30T12:00:00Z"),
            bounded("30 2 * * *", "2026-03-30T00:00:00Z", "2027-03-28T00:59:59Z"),
        );
        assert_eq!((late.closer_than(DAY, now), early.closer_than(DAY, now)), (None, None));
        let noon = bounded("0,1 12 * * *", "2027-01-01T11:01:00Z", "2027-01-02T11:00:00Z");
        assert_eq!(noon.closer_than(HOUR, now), None);
    }

    #[test]
    fn the_start_whose_span_has_begun_counts() {
        let spring = Recurrence::parse("30 2 * * *", "Europe/Berlin", None, Some(at("2027-03-28T12:00:00Z")));
        let (spring, skipped) = (spring.expect("a recurrence"), at("2027-03-28T01:00:00Z"));
        let before = skipped.minus(Duration::from_micros(1));
        assert_eq!(spring.closer_than(DAY, before), Some((at("2027-03-27T01:30:00Z"), skipped)));
        assert_eq!(spring.closer_than(DAY, skipped), None);
    }

    #[test]
    fn a_span_of_nothing_or_of_all_time_has_its_answer_too() {
        assert_eq!(close("* * * * *", "UTC", Duration::ZERO), None);
        assert_eq!(close("0 0 29 2 *", "UTC", Duration::MAX), pair("1972-02-29T00:00Z", "2028-02-29T00:00Z"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_pair_is_found_if_and_only_if_there_is_one(
            zone in prop::sample::select(
                vec!["UTC", "Europe/Berlin", "America/Nuuk", "Australia/Lord_Howe", "Africa/Cairo"],
            ),
            minute in prop::sample::select(vec!["0", "30", "59", "0,59", "7,37"]),
            hour in prop::sample::select(vec!["0", "2", "23", "0,23", "1-3", "*", "*/2", "*/11", "*/23"]),
            day in prop::sample::select(vec!["* * *", "* * SAT,SUN", "28-31 * *", "*/2 * *", "1 * SUN", "29 2,3 *"]),
            from in 100..20_000_i64,
            length in 0..1_000_u32,
            span in prop::sample::select(vec![MINUTE, 31 * MINUTE, HOUR, 2 * HOUR, 23 * HOUR, DAY, 2 * DAY, 7 * DAY]),
        ) {
            let from = Timestamp::from_micros(from * 86_400_000_000);
            let cron = format!("{minute} {hour} {day}");
            let recurrence = Recurrence::parse(&cron, zone, None, Some(from.plus(length * DAY))).expect("a recurrence");
            let all: Vec<_> = recurrence.after(from.minus(span)).collect();
            let expected = all.windows(2).any(|pair| pair[1] > from && pair[1].since(pair[0]) < span);
            let found = recurrence.closer_than(span, from);
            prop_assert_eq!(found.is_some(), expected, "{:?}", found);
            if let Some((one, two)) = found {
                prop_assert!(one < two && from < two && two.since(one) < span);
                prop_assert!(all.contains(&one) && all.contains(&two));
            }
        }
    }
}
