//! The rates of all loads, side by side.

use super::svg::{RIGHT, bar, chart, line, round_up, text};
use super::text::{rate, shorten};
use crate::report::Measurement;

/// Where the bars begin.
pub(super) const LEFT: f64 = 200.0;
const TOP: f64 = 34.0;
pub(super) const ROW: f64 = 40.0;
/// Characters that fit in front of the bars.
const NAME: usize = 28;
const DETAILS: usize = 36;

pub(super) fn figure(measurements: &[Measurement]) -> String {
    let rates = measurements.iter().flat_map(|one| [Some(one.rate), one.sustained_rate]).flatten();
    let end = round_up(rates.fold(0.0, f64::max));
    let x = |rate: f64| LEFT + if rate.is_finite() { rate / end } else { 0.0 } * (RIGHT - LEFT);
    let bottom = TOP + ROW * measurements.len() as f64;
    let mut shapes = String::new();
    for fifth in 0..=5 {
        let value = end * f64::from(fifth) / 5.0;
        shapes += &line("grid", (x(value), TOP), (x(value), bottom));
        shapes += &text((x(value), bottom + 16.0), "minor", "middle", &rate(value));
    }
    for (number, one) in measurements.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        let shown = rate(one.rate);
        shapes += &name(one, y);
        shapes +=
            &bar("success", (LEFT, y + 8.0), (x(one.rate) - LEFT, 22.0), &format!("{}: {shown} a second", one.load));
        shapes += &text((x(one.rate) + 6.0, y + 24.0), "", "start", &shown);
        if let Some(sustained) = one.sustained_rate {
            shapes += &line("mark", (x(sustained), y + 5.0), (x(sustained), y + 33.0));
        }
    }
    let sustained = measurements.iter().any(|one| one.sustained_rate.is_some());
    let keys: &[_] =
        if sustained { &[("success", "answered"), ("key-mark", "sustained, ledger included")] } else { &[] };
    chart("Successes a second", bottom + 26.0, keys, &shapes)
}

/// What a row of a chart is about, in front of it.
pub(super) fn name(measurement: &Measurement, y: f64) -> String {
    let details = format!("{}, {}", measurement.target, measurement.drive);
    let x = LEFT - 10.0;
    text((x, y + 17.0), "", "end", &shorten(&measurement.load, NAME))
        + &text((x, y + 31.0), "minor small", "end", &shorten(&details, DETAILS))
}
