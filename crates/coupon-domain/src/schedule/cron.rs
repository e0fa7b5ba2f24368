//! Cron expressions: which readings of a clock on the wall are starts. Zones and their changes of clocks are not known here.
//!
//! croner reads the fields. What only some crons know (seconds, years, `L`, `W`, `#`, `?`, `@daily`) is refused before, because the others
//! give it another meaning or none, and so are spellings that croner takes and no other cron does (`1,,2`, `JANFEB`, `*/90`).

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime};
use croner::CronComponent;
use croner::parser::{CronParser, Seconds, Year};

/// Why a text is not a cron expression of five fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCron {
    /// Longer than any that is needed.
    #[error("must have at most {} characters", Expression::MAX_LEN)]
    TooLong,
    /// Seconds, a year, a nickname such as `@daily`, or too little.
    #[error("must have five fields (minute, hour, day of month, month, day of week), not {0}")]
    Fields(usize),
    /// Something other than `*`, a number, a range, a step or the name of a month or day.
    #[error("the {field} must be {range}, not {word:?}")]
    Value {
        /// The field's name.
        field: &'static str,
        /// What it may be.
        range: &'static str,
        /// What was found.
        word: String,
    },
    /// A range that runs backwards, a step that steps through nothing and the like.
    #[error("must be a cron expression: {0}")]
    Unreadable(String),
    /// Such as 30 February.
    #[error("must name a day that exists: this has no start")]
    Never,
}

/// Days and times of day; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expression {
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
    /// Where both kinds of day are given, a day of either kind is meant.
    either_day: bool,
    /// Whether the hours are `*` or `*/n`, so that starts go on around the clock instead of belonging to times of day.
    pub(super) around_the_clock: bool,
}

impl Expression {
    /// All minutes, hours, days, months and weekdays, each written out, are fewer.
    const MAX_LEN: usize = 512;

    /// Reads five fields with spaces or tabs between them.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidCron> {
        if text.len() > Self::MAX_LEN {
            return Err(InvalidCron::TooLong);
        }
        let fields: Vec<_> = text.split([' ', '\t']).filter(|field| !field.is_empty()).collect();
        let &[_, hour, day, _, weekday] = fields.as_slice() else {
            return Err(InvalidCron::Fields(fields.len()));
        };
        FIELDS.iter().zip(&fields).try_for_each(|(field, list)| field.check(list))?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(&fields.join(" ")).map_err(|e| InvalidCron::Unreadable(e.to_string()))?;
        let expression = Self {
            minutes: Values::of(&cron.pattern.minutes),
            hours: Values::of(&cron.pattern.hours),
            days: Values::of(&cron.pattern.days),
            months: Values::of(&cron.pattern.months),
            weekdays: Values::of(&cron.pattern.days_of_week),
            either_day: day != "*" && weekday != "*",
            around_the_clock: hour.contains('*'),
        };
        // Any leap year has every date that exists, and every weekday in each month.
        let mut leap_year = NaiveDate::from_ymd_opt(2000, 1, 1).into_iter().flat_map(|day| day.iter_days().take(366));
        if leap_year.any(|day| expression.falls_on(day)) { Ok(expression) } else { Err(InvalidCron::Never) }
    }

    fn falls_on(&self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_sunday();
        let by_date = self.days.has(day.day());
        let by_weekday = self.weekdays.has(weekday) || (weekday == 0 && self.weekdays.has(7));
        self.months.has(day.month()) && if self.either_day { by_date || by_weekday } else { by_date && by_weekday }
    }

    /// Its days from this one on: without end, and never more than eight years apart (29 February around 2100).
    pub(super) fn days(self, from: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        from.iter_days().filter(move |day| self.falls_on(*day))
    }

    /// Its times of any of its days, ascending; at least one.
    pub(super) fn times(self) -> impl Iterator<Item = NaiveTime> {
        let minutes =
            move |hour| self.minutes.iter().filter_map(move |minute| NaiveTime::from_hms_opt(hour, minute, 0));
        self.hours.iter().flat_map(minutes)
    }

    /// Its readings from this one on, ascending, without end.
    pub(super) fn readings(self, from: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let of_day = move |day: NaiveDate| self.times().map(move |time| day.and_time(time));
        self.days(from.date()).flat_map(of_day).skip_while(move |reading| *reading < from)
    }
}

/// A set of numbers below 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Values(u64);

impl Values {
    fn of(component: &CronComponent) -> Self {
        Self(component.values().into_iter().filter(|value| *value < 64).fold(0, |values, value| values | 1 << value))
    }

    fn has(self, value: u32) -> bool {
        self.0 >> value & 1 == 1
    }

    fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |value| self.has(*value))
    }
}

/// What one of the five fields may hold.
struct Field {
    name: &'static str,
    low: u32,
    high: u32,
    range: &'static str,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", low: 0, high: 59, range: "0 to 59", names: &[] },
    Field { name: "hour", low: 0, high: 23, range: "0 to 23", names: &[] },
    Field { name: "day of month", low: 1, high: 31, range: "1 to 31", names: &[] },
    Field {
        name: "month",
        low: 1,
        high: 12,
        range: "1 to 12 or JAN to DEC",
        names: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    Field {
        name: "day of week",
        low: 0,
        high: 7,
        range: "0 to 7 or SUN to SAT",
        names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    },
];

impl Field {
    /// Whether it is a list of `*`, values and ranges, each perhaps with a step.
    fn check(&self, list: &str) -> Result<(), InvalidCron> {
        for entry in list.split(',') {
            let (span, step) = entry.split_once('/').map_or((entry, None), |(span, step)| (span, Some(step)));
            if span != "*" {
                span.splitn(2, '-').try_for_each(|word| self.check_word(word))?;
            }
            let fits = |step: &str| number(step).is_some_and(|step| (1..=self.high - self.low).contains(&step));
            if step.is_some_and(|step| !fits(step)) {
                return Err(self.refused(entry));
            }
        }
        Ok(())
    }

    fn check_word(&self, word: &str) -> Result<(), InvalidCron> {
        let named = self.names.iter().any(|name| name.eq_ignore_ascii_case(word));
        let numbered = number(word).is_some_and(|value| (self.low..=self.high).contains(&value));
        if named || numbered { Ok(()) } else { Err(self.refused(word)) }
    }

    fn refused(&self, word: &str) -> InvalidCron {
        InvalidCron::Value { field: self.name, range: self.range, word: word.to_owned() }
    }
}

/// One or two digits and no sign, as croner takes them.
fn number(word: &str) -> Option<u32> {
    let digits = (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(text: &str) -> NaiveDateTime {
        text.parse().expect("a reading")
    }

    fn first(cron: &str, from: &str) -> String {
        let expression = Expression::parse(cron).expect("an expression");
        expression.readings(reading(from)).next().expect("it has no end").format("%a %F %H:%M").to_string()
    }

    fn refusal(cron: &str) -> String {
        Expression::parse(cron).expect_err("not an expression").to_string()
    }

    #[test]
    fn lists_ranges_steps_and_names_are_read_as_every_cron_reads_them() {
        for (cron, expected) in [
            ("0 23 * * *", "Sat 2026-11-21 23:00"),
            ("  00   07 * * *\t", "Sun 2026-11-22 07:00"),
            ("15,45 9-17/4 * * *", "Sat 2026-11-21 13:15"),
            ("*/7 12 * * *", "Sat 2026-11-21 12:00"),
            ("0 0 * * mon", "Mon 2026-11-23 00:00"),
            ("0 0 * dec *", "Tue 2026-12-01 00:00"),
            ("0 0 29 2 *", "Tue 2028-02-29 00:00"),
            // Sunday has two numbers, and may end a range.
            ("0 0 * * 0", "Sun 2026-11-22 00:00"),
            ("0 0 * * 7", "Sun 2026-11-22 00:00"),
            ("0 0 * * FRI-SUN", "Sun 2026-11-22 00:00"),
            ("0 0 * * SUN-MON", "Sun 2026-11-22 00:00"),
            ("0 0 * * 0-7", "Sun 2026-11-22 00:00"),
            // Where both kinds of day are given, either will do.
            ("0 0 1 * TUE", "Tue 2026-11-24 00:00"),
            ("0 0 23 * TUE", "Mon 2026-11-23 00:00"),
            ("0 0 30 2 TUE", "Tue 2027-02-02 00:00"),
        ] {
            assert_eq!(first(cron, "2026-11-21T11:30:00"), expected, "{cron}");
        }
    }

    #[test]
    fn other_than_five_fields_are_refused() {
        for (cron, fields) in
            [("", 0), ("@daily", 1), ("@reboot", 1), ("0 23 * *", 4), ("0 0 23 * * *", 6), ("0 0 1 1 * 2027", 6)]
        {
            let expected =
                format!("must have five fields (minute, hour, day of month, month, day of week), not {fields}");
            assert_eq!(refusal(cron), expected);
        }
        assert_eq!(refusal(&format!("0 0 * * {}", "1,".repeat(256))), "must have at most 512 characters");
    }

    #[test]
    fn what_only_some_crons_read_is_refused_by_name() {
        for (cron, refused) in [
            ("0 0 L * *", "the day of month must be 1 to 31, not \"L\""),
            ("0 0 LW * *", "the day of month must be 1 to 31, not \"LW\""),
            ("0 0 15W * *", "the day of month must be 1 to 31, not \"15W\""),
            ("0 0 ? * *", "the day of month must be 1 to 31, not \"?\""),
            ("0 0 * * L", "the day of week must be 0 to 7 or SUN to SAT, not \"L\""),
            ("0 0 * * 5L", "the day of week must be 0 to 7 or SUN to SAT, not \"5L\""),
            ("0 0 * * MON#2", "the day of week must be 0 to 7 or SUN to SAT, not \"MON#2\""),
            ("0 0 1 * +1", "the day of week must be 0 to 7 or SUN to SAT, not \"+1\""),
            ("H 0 * * *", "the minute must be 0 to 59, not \"H\""),
            ("/10 * * * *", "the minute must be 0 to 59, not \"\""),
        ] {
            assert_eq!(refusal(cron), refused);
        }
    }

    #[test]
    fn what_no_cron_reads_is_refused_by_name() {
        for (cron, refused) in [
            ("60 * * * *", "the minute must be 0 to 59, not \"60\""),
            ("-1 * * * *", "the minute must be 0 to 59, not \"\""),
            ("99999999999999999999 * * * *", "the minute must be 0 to 59, not \"99999999999999999999\""),
            (", * * * *", "the minute must be 0 to 59, not \"\""),
            ("1,,2 * * * *", "the minute must be 0 to 59, not \"\""),
            ("MON 2 * * *", "the minute must be 0 to 59, not \"MON\""),
            ("0 24 * * *", "the hour must be 0 to 23, not \"24\""),
            ("0 0 0 * *", "the day of month must be 1 to 31, not \"0\""),
            ("0 0 * 13 *", "the month must be 1 to 12 or JAN to DEC, not \"13\""),
            ("0 0 * JANFEB *", "the month must be 1 to 12 or JAN to DEC, not \"JANFEB\""),
            ("0 0 * * 8", "the day of week must be 0 to 7 or SUN to SAT, not \"8\""),
            ("0 0 * * MONDAY", "the day of week must be 0 to 7 or SUN to SAT, not \"MONDAY\""),
            ("0 0 * * *\n", "the day of week must be 0 to 7 or SUN to SAT, not \"*\\n\""),
            ("*/0 * * * *", "the minute must be 0 to 59, not \"*/0\""),
            ("*/90 * * * *", "the minute must be 0 to 59, not \"*/90\""),
            ("* */24 * * *", "the hour must be 0 to 23, not \"*/24\""),
            ("*/ * * * *", "the minute must be 0 to 59, not \"*/\""),
        ] {
            assert_eq!(refusal(cron), refused);
        }
    }

    #[test]
    fn what_steps_or_runs_nowhere_is_refused() {
        for cron in ["5/10 * * * *", "0 0 * * FRI-MON", "0 0 9-5 * *"] {
            assert!(refusal(cron).starts_with("must be a cron expression: "), "{cron}: {}", refusal(cron));
        }
    }

    #[test]
    fn a_day_that_does_not_exist_is_refused() {
        for cron in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * 30-31 FEB *"] {
            assert_eq!(refusal(cron), "must name a day that exists: this has no start");
        }
    }

    fn entry(low: u32, high: u32) -> impl Strategy<Value = String> {
        let range = (low..high).prop_flat_map(move |from| (Just(from), from + 1..=high));
        prop_oneof![
            (low..=high).prop_map(|value| value.to_string()),
            range.clone().prop_map(|(from, to)| format!("{from}-{to}")),
            (range, 1..=high - low).prop_map(|((from, to), step)| format!("{from}-{to}/{step}")),
            (1..=high - low).prop_map(|step| format!("*/{step}")),
        ]
    }

    fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
        let list = prop::collection::vec(entry(low, high), 1..4).prop_map(|entries| entries.join(","));
        prop_oneof![Just("*".to_owned()), list]
    }

    proptest! {
        #[test]
        fn without_changes_of_clocks_the_readings_are_those_of_croner_itself(
            fields in (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7)),
            days in 0..12_000_i64,
        ) {
            let (minute, hour, day, month, weekday) = fields;
            let cron = format!("{minute} {hour} {day} {month} {weekday}");
            let from = reading("2020-01-01T12:34:00") + chrono::TimeDelta::days(days);
            let other = CronParser::builder().seconds(Seconds::Disallowed).build().parse(&cron).expect("an expression");
            let other: Vec<_> = other.iter_from(from, croner::Direction::Forward).take(50).collect();
            let ours: Vec<_> =
                Expression::parse(&cron).into_iter().flat_map(|ours| ours.readings(from)).take(50).collect();
            prop_assert_eq!(ours, other, "{}", cron);
        }
    }
}
