//! Starts in zones that change their clocks.

use chrono::{DateTime, TimeDelta, Timelike as _};
use proptest::prelude::*;

use super::*;

const NEW_YORK: &str = "America/New_York";
const BERLIN: &str = "Europe/Berlin";
const LORD_HOWE: &str = "Australia/Lord_Howe";

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(DateTime::parse_from_rfc3339(text).expect("a time").timestamp_micros())
}

fn every(cron: &str, zone: &str) -> Recurrence {
    Recurrence::parse(cron, zone, None, None).expect("a recurrence")
}

/// The starts of a local day and, if there is time, of the days that follow, as its clock shows them and with its offset.
#[track_caller]
fn starts(cron: &str, zone: &str, day: &str, expected: &[&str]) {
    let recurrence = every(cron, zone);
    let midnight = format!("{day}T00:00:00").parse().expect("a reading");
    let (Shown::Once(from) | Shown::Twice(from, _) | Shown::Skipped(from)) =
        recurrence.clock.shows(midnight).expect("midnight");
    let local = |at: Timestamp| DateTime::from_timestamp_micros(at.micros()).expect("a time");
    let found: Vec<_> = recurrence
        .after(from.minus(Duration::from_micros(1)))
        .take(expected.len())
        .map(|at| local(at).with_timezone(&recurrence.clock.0).format("%d %H:%M %:z").to_string())
        .collect();
    assert_eq!(found, expected, "{cron} in {zone}");
}

#[test]
fn the_start_before_first_and_after_last_do_not_happen() {
    let (first, last) = (at("2024-04-24T12:00:00Z"), at("2024-04-24T12:02:00Z"));
    let r = Recurrence::parse("* * * * *", "UTC", Some(first), Some(last)).expect("a recurrence");
    assert_eq!(r.after(at("2024-01-01T00:00:00Z")).count(), 3);
    assert_eq!(r.after(first).count(), 2);
    assert_eq!(r.after(last).count(), 0);
}

#[test]
fn there_is_no_start_before_1970_or_after_9999() {
    let yearly = every("0 0 1 1 *", "UTC");
    assert_eq!(yearly.after(Timestamp::from_micros(i64::MIN)).next(), Some(Timestamp::EPOCH));
    assert_eq!(yearly.after(at("9998-06-01T00:00:00Z")).count(), 1);
    assert_eq!(yearly.after(Timestamp::from_micros(i64::MAX)).count(), 0);
}

#[test]
fn what_is_no_cron_or_no_zone_is_refused() {
    let refused = |cron, zone| Recurrence::parse(cron, zone, None, None).expect_err("not a recurrence");
    assert_eq!(refused("0 23 * *", "UTC"), InvalidRecurrence::Cron(InvalidCron::Fields(4)));
    assert_eq!(refused("0 0 30 2 *", "UTC"), InvalidRecurrence::Cron(InvalidCron::Never));
    assert_eq!(refused("0 23 * * *", "Asia/Atlantis"), InvalidRecurrence::TimeZone);
}

#[test]
fn a_skipped_time_of_day_starts_at_the_first_instant_after_the_gap() {
    for cron in ["0 2 * * *", "30 2 * * *"] {
        let minute = &cron[..2].trim_end();
        let usual = |day: u32, offset: &str| format!("{day:02} 02:{minute:0>2} {offset}");
        for (zone, day, gap, offsets) in [
            (NEW_YORK, "2026-03-07", 8, ["-05:00", "-04:00"]),
            (NEW_YORK, "2027-03-13", 14, ["-05:00", "-04:00"]),
            (BERLIN, "2026-03-28", 29, ["+01:00", "+02:00"]),
            (BERLIN, "2027-03-27", 28, ["+01:00", "+02:00"]),
        ] {
            let moved = format!("{gap:02} 03:00 {}", offsets[1]);
            starts(cron, zone, day, &[&usual(gap - 1, offsets[0]), &moved, &usual(gap + 1, offsets[1])]);
        }
    }
}

#[test]
fn a_repeated_time_of_day_starts_the_first_time() {
    for (zone, day, expected) in [
        (NEW_YORK, "2026-11-01", ["01 01:30 -04:00", "02 01:30 -05:00"]),
        (NEW_YORK, "2027-11-07", ["07 01:30 -04:00", "08 01:30 -05:00"]),
    ] {
        starts("30 1 * * *", zone, day, &expected);
    }
    for (day, expected) in
        [("2026-10-25", ["25 02:30 +02:00", "26 02:30 +01:00"]), ("2027-10-31", ["31 02:30 +02:00", "01 02:30 +01:00"])]
    {
        starts("30 2 * * *", BERLIN, day, &expected);
    }
    // New York sets its clocks back at two: that is an hour after it was two for the first time by the old offset.
    starts("0 2 * * *", NEW_YORK, "2026-11-01", &["01 02:00 -05:00", "02 02:00 -05:00"]);
    starts("0 2 * * *", BERLIN, "2026-10-25", &["25 02:00 +02:00", "26 02:00 +01:00"]);
}

#[test]
fn several_times_of_day_are_each_treated_so_and_those_that_meet_are_one() {
    starts("0 2,14 * * *", BERLIN, "2026-03-29", &["29 03:00 +02:00", "29 14:00 +02:00", "30 02:00 +02:00"]);
    starts("0 2,14 * * *", BERLIN, "2026-10-25", &["25 02:00 +02:00", "25 14:00 +01:00", "26 02:00 +01:00"]);
    starts("0,30 2-3 * * *", BERLIN, "2026-03-29", &["29 03:00 +02:00", "29 03:30 +02:00", "30 02:00 +02:00"]);
    starts("*/20 2 * * *", BERLIN, "2026-03-29", &["29 03:00 +02:00", "30 02:00 +02:00", "30 02:20 +02:00"]);
    starts(
        "*/20 2 * * *",
        BERLIN,
        "2026-10-25",
        &["25 02:00 +02:00", "25 02:20 +02:00", "25 02:40 +02:00", "26 02:00 +01:00"],
    );
}

#[test]
fn an_hourly_start_goes_on_each_hour() {
    starts("0 * * * *", BERLIN, "2026-03-29", &["29 00:00 +01:00", "29 01:00 +01:00", "29 03:00 +02:00"]);
    starts(
        "30 * * * *",
        BERLIN,
        "2026-10-25",
        &["25 00:30 +02:00", "25 01:30 +02:00", "25 02:30 +02:00", "25 02:30 +01:00", "25 03:30 +01:00"],
    );
    let (hour, ten_minutes) = (Duration::from_secs(3600), Duration::from_secs(600));
    for (cron, apart) in [("0 * * * *", hour), ("*/10 * * * *", ten_minutes)] {
        for zone in [NEW_YORK, BERLIN, "America/Havana", "Asia/Beirut", "Africa/Cairo", "America/Santiago"] {
            let recurrence = every(cron, zone);
            let year: Vec<_> = recurrence.after(at("2026-01-01T00:00:00Z")).take(2 * 24 * 366).collect();
            assert!(year.windows(2).all(|pair| pair[1].since(pair[0]) == apart), "{cron} in {zone}");
        }
    }
}

#[test]
fn every_other_hour_goes_by_the_clock_on_the_wall() {
    starts("0 */2 * * *", BERLIN, "2026-03-29", &["29 00:00 +01:00", "29 04:00 +02:00", "29 06:00 +02:00"]);
    starts(
        "0 */2 * * *",
        BERLIN,
        "2026-10-25",
        &["25 00:00 +02:00", "25 02:00 +02:00", "25 02:00 +01:00", "25 04:00 +01:00"],
    );
}

#[test]
fn a_change_of_half_an_hour_is_a_change() {
    starts("15 2 * * *", LORD_HOWE, "2026-10-04", &["04 02:30 +11:00", "05 02:15 +11:00"]);
    starts("45 1 * * *", LORD_HOWE, "2027-04-04", &["04 01:45 +11:00", "05 01:45 +10:30"]);
    starts("0 * * * *", LORD_HOWE, "2026-10-04", &["04 00:00 +10:30", "04 01:00 +10:30", "04 03:00 +11:00"]);
    starts(
        "45 * * * *",
        LORD_HOWE,
        "2027-04-04",
        &["04 00:45 +11:00", "04 01:45 +11:00", "04 01:45 +10:30", "04 02:45 +10:30"],
    );
}

#[test]
fn a_skipped_midnight_starts_when_the_day_does() {
    for (zone, day, expected) in [
        ("America/Santiago", "2026-09-06", ["06 01:00 -03:00", "07 00:00 -03:00"]),
        ("Asia/Beirut", "2026-03-29", ["29 01:00 +03:00", "30 00:00 +03:00"]),
        ("Africa/Cairo", "2026-04-24", ["24 01:00 +03:00", "25 00:00 +03:00"]),
    ] {
        starts("0 0 * * *", zone, day, &expected);
    }
    // Once a year, on just that day.
    starts("0 0 6 9 *", "America/Santiago", "2026-01-01", &["06 01:00 -03:00", "06 00:00 -03:00"]);
}

#[test]
fn a_repeated_midnight_starts_one_day_only() {
    starts("0 0 * * *", "America/Havana", "2026-11-01", &["01 00:00 -04:00", "02 00:00 -05:00"]);
    starts("30 */12 * * *", "America/Havana", "2026-11-01", &["01 00:30 -04:00", "01 00:30 -05:00", "01 12:30 -05:00"]);
}

#[test]
fn a_gap_at_the_end_of_a_day_starts_on_the_next_whatever_day_that_is() {
    // Nuuk's clocks go from Saturday, 23:00 to Sunday, 00:00.
    starts("30 23 * * *", "America/Nuuk", "2026-03-28", &["29 00:00 -01:00", "29 23:30 -01:00"]);
    starts("30 23 * * SAT", "America/Nuuk", "2026-03-28", &["29 00:00 -01:00", "04 23:30 -01:00"]);
    starts("30 23 28 3 *", "America/Nuuk", "2026-01-01", &["29 00:00 -01:00", "28 23:30 -01:00"]);
}

#[test]
fn a_lost_day_starts_with_the_next() {
    // In Samoa, 29 December 2011 was followed by the 31st.
    starts(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29",
        &["29 12:00 -10:00", "31 00:00 +14:00", "31 12:00 +14:00", "01 12:00 +14:00"],
    );
    starts("0 0 * * *", "Pacific/Apia", "2011-12-29", &["29 00:00 -10:00", "31 00:00 +14:00", "01 00:00 +14:00"]);
    starts("0 */12 * * *", "Pacific/Apia", "2011-12-29", &["29 00:00 -10:00", "29 12:00 -10:00", "31 00:00 +14:00"]);
    starts("0 12 30 12 *", "Pacific/Apia", "2011-01-01", &["31 00:00 +14:00", "30 12:00 +14:00"]);
}

#[test]
fn from_the_midst_of_a_change_the_same_starts_follow() {
    for (cron, zone) in
        [("*/20 * * * *", BERLIN), ("*/20 2 * * *", BERLIN), ("*/7 */2 * * *", LORD_HOWE), ("5 0-23 * * *", NEW_YORK)]
    {
        let recurrence = every(cron, zone);
        for change in recurrence.clock.changes(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z")) {
            let (begin, end) = (change.minus(DAY), change.plus(DAY));
            let all: Vec<_> = recurrence.after(begin).take_while(|start| *start < end).collect();
            for minute in (0..2 * 1440).step_by(5) {
                let from = begin.plus(Duration::from_secs(60 * minute));
                let later = all.iter().copied().filter(|start| *start > from);
                assert!(recurrence.after(from).take_while(|start| *start < end).eq(later), "{cron} in {zone}");
            }
        }
    }
}

/// The rule by its letter: a clock is looked at each minute.
fn by_looking_at_the_clock(recurrence: &Recurrence, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    const MINUTE: Duration = Duration::from_secs(60);
    let expression = recurrence.expression;
    let is_named = |reading: NaiveDateTime| expression.readings(reading).next() == Some(reading);
    let minutes = |from: Timestamp| std::iter::successors(Some(from), |at| Some(at.plus(MINUTE)));
    let mut highest = recurrence.clock.reading(from.minus(MINUTE));
    minutes(from)
        .take_while(|at| *at < until)
        .filter(|at| {
            let reading = recurrence.clock.reading(*at);
            let passed = std::iter::successors(Some(highest + MINUTE), |passed| Some(*passed + MINUTE))
                .take_while(|passed| *passed <= reading)
                .any(is_named);
            highest = highest.max(reading);
            if expression.around_the_clock { is_named(reading) } else { passed }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn starts_are_those_that_one_sees_on_the_clock(
        zone in prop::sample::select(chrono_tz::TZ_VARIANTS.as_slice()),
        year in 1975..2100_i64,
        minute in prop::sample::select(vec!["0", "30", "59", "*/7", "1,2,45", "*"]),
        hour in prop::sample::select(vec!["0", "1", "2", "23", "0-3", "*", "*/2", "*/5,1", "1-23/2"]),
        day in prop::sample::select(vec!["* * *", "* * SAT", "* * SUN", "31 * *", "1-15 * FRI"]),
    ) {
        let recurrence = every(&format!("{minute} {hour} {day}"), zone.name());
        let year = Timestamp::from_micros((year - 1970) * 31_556_952_000_000);
        let change = recurrence.clock.changes(year, year.plus(366 * DAY)).next().unwrap_or(year);
        let whole = Timestamp::from_micros(change.micros() / 60_000_000 * 60_000_000);
        prop_assert_eq!(recurrence.clock.reading(whole).second(), 0);
        let (from, until) = (whole.minus(DAY + DAY / 2), whole.plus(DAY + DAY / 2));
        let found: Vec<_> =
            recurrence.after(from.minus(Duration::from_micros(1))).take_while(|start| *start < until).collect();
        prop_assert_eq!(found, by_looking_at_the_clock(&recurrence, from, until));
    }

    #[test]
    fn starts_ascend(
        zone in prop::sample::select(chrono_tz::TZ_VARIANTS.as_slice()),
        days in 0..40_000_i64,
        hour in prop::sample::select(vec!["0-3,20-23", "*", "*/2", "*/5,1"]),
    ) {
        let recurrence = every(&format!("*/29 {hour} * * *"), zone.name());
        let from = Timestamp::from_micros(TimeDelta::days(days).num_microseconds().expect("in range"));
        let found: Vec<_> = recurrence.after(from).take(1000).collect();
        prop_assert!(found.is_sorted_by(|one, two| one < two) && found[0] > from);
    }
}
