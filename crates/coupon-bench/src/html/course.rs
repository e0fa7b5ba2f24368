//! How a load went, second by second: answers above, latencies below.

use super::svg::{LogScale, RIGHT, WIDTH, bar, chart, line, round_up, text};
use super::text::{count, escape, rate, round_time, shorten, time};
use crate::report::{Measurement, Second};

const LEFT: f64 = 70.0;
const COUNTS: (f64, f64) = (34.0, 154.0);
const TIMES: (f64, f64) = (178.0, 288.0);
const HEIGHT: f64 = 322.0;
/// A longer course is told in longer steps.
const MOST_STEPS: usize = 240;
const MOST_DOTS: usize = 60;

/// Nothing if nothing was answered.
pub(super) fn figure(measurement: &Measurement) -> String {
    let (steps, span) = steps(&measurement.course);
    let Some(end) = steps.last().map(|last| last.at + span) else { return String::new() };
    let x = |seconds: f64| LEFT + seconds / end as f64 * (RIGHT - LEFT);
    let mut shapes = counts(&steps, span, &x) + &times(&steps, span, &x);
    for quarter in 0..=4 {
        let seconds = end as f64 * f64::from(quarter) / 4.0;
        let shown = if end >= 8 { format!("{seconds:.0} s") } else { format!("{seconds:.1} s") };
        shapes += &text((x(seconds), TIMES.1 + 18.0), "minor", "middle", &shown);
    }
    let keys = [("success", "successes"), ("refusal", "refusals"), ("fault", "faults"), ("p50", "p50"), ("p99", "p99")];
    let title = format!("{} over time", shorten(&measurement.load, 30));
    let details = format!("{}, {}", measurement.target, measurement.drive);
    let caption = if span == 1 {
        escape(&details)
    } else {
        format!("{}; steps of {span} s, of latencies the worst second", escape(&details))
    };
    format!("<figure>{}<figcaption>{caption}</figcaption></figure>", chart(&title, HEIGHT, &keys, &shapes))
}

/// At most [`MOST_STEPS`] of some seconds each: counts a second, and the worst latencies.
fn steps(course: &[Second]) -> (Vec<Second>, u64) {
    let span = course.len().div_ceil(MOST_STEPS).max(1);
    let of = |seconds: &[Second]| {
        let mean = |of: fn(&Second) -> u64| seconds.iter().map(of).sum::<u64>().div_ceil(seconds.len() as u64);
        let worst = |of: fn(&Second) -> u64| seconds.iter().map(of).max().unwrap_or(0);
        Second {
            at: seconds[0].at,
            successes: mean(|second| second.successes),
            refusals: mean(|second| second.refusals),
            faults: mean(|second| second.faults),
            p50: worst(|second| second.p50),
            p99: worst(|second| second.p99),
        }
    };
    (course.chunks(span).map(of).collect(), span as u64)
}

/// Bars, faults at the bottom, where a few of them are seen.
fn counts(steps: &[Second], span: u64, x: &impl Fn(f64) -> f64) -> String {
    let total = |step: &Second| step.successes + step.refusals + step.faults;
    let end = round_up(steps.iter().map(total).max().unwrap_or(0) as f64);
    let (top, bottom) = COUNTS;
    let mut shapes = String::new();
    for half in 0..=2 {
        let value = end * f64::from(half) / 2.0;
        let y = bottom - f64::from(half) / 2.0 * (bottom - top);
        shapes += &line("grid", (LEFT, y), (RIGHT, y));
        shapes += &text((LEFT - 8.0, y + 4.0), "minor", "end", &rate(value));
    }
    for step in steps {
        let (left, right) = (x(step.at as f64), x((step.at + span) as f64));
        let width = (right - left) * if steps.len() > 100 { 1.0 } else { 0.9 };
        let mut y = bottom;
        for (class, number) in [("fault", step.faults), ("refusal", step.refusals), ("success", step.successes)] {
            if number > 0 {
                // A single fault among thousands is seen, too.
                let height = (number as f64 / end * (bottom - top)).max(2.0);
                y -= height;
                shapes +=
                    &bar(class, (left, y), (width, height), &format!("second {}: {} {class}", step.at, count(number)));
            }
        }
    }
    shapes + &text((WIDTH, COUNTS.0 + 4.0), "minor small", "end", "a second")
}

/// A line each; a second without successes interrupts it.
fn times(steps: &[Second], span: u64, x: &impl Fn(f64) -> f64) -> String {
    let values = steps.iter().flat_map(|step| [step.p50, step.p99]).filter(|micros| *micros > 0);
    let Some(scale) = LogScale::of(values, TIMES.1, TIMES.0) else { return String::new() };
    let mut shapes = String::new();
    for power in scale.powers() {
        let y = scale.at(power);
        shapes += &line("grid", (LEFT, y), (RIGHT, y));
        shapes += &text((LEFT - 8.0, y + 4.0), "minor", "end", &round_time(power));
    }
    let points = |of: fn(&Second) -> u64| {
        let point = |step: &Second| (step.at, x(step.at as f64 + span as f64 / 2.0), of(step));
        steps.iter().map(point).collect()
    };
    shapes += &curve("p99", points(|step| step.p99), &scale);
    shapes += &curve("p50", points(|step| step.p50), &scale);
    shapes + &text((WIDTH, TIMES.0 + 4.0), "minor small", "end", "latency")
}

/// Through points of a second, its position and a latency; those of few can be pointed at.
fn curve(class: &str, points: Vec<(u64, f64, u64)>, scale: &LogScale) -> String {
    let (mut path, mut dots, mut pen) = (String::new(), String::new(), 'M');
    for &(second, x, micros) in &points {
        if micros == 0 {
            pen = 'M';
            continue;
        }
        let y = scale.at(micros);
        path += &format!("{pen}{x:.1} {y:.1}");
        pen = 'L';
        if points.len() <= MOST_DOTS {
            let tip = format!("<title>second {second}: {class} {}</title>", time(micros));
            dots += &format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\">{tip}</circle>");
        }
    }
    format!("{dots}<path class=\"line {class}\" d=\"{path}\"/>")
}
