//! The latencies of all loads' successes: from the median to the longest, by their logarithm.

use super::rates::{LEFT, ROW, name};
use super::svg::{LogScale, RIGHT, chart, line, text};
use super::text::{escape, round_time, time};
use crate::report::{Latency, Measurement};

const TOP: f64 = 34.0;
const KEYS: [(&str, &str); 5] = [("p50", "p50"), ("p90", "p90"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max")];

/// Nothing if nothing succeeded.
pub(super) fn figure(measurements: &[Measurement]) -> String {
    let rows = measurements.iter().filter_map(|one| Some((one, points(one.success_latency?))));
    let rows: Vec<_> = rows.collect();
    let Some(scale) = LogScale::of(rows.iter().flat_map(|(_, points)| *points), LEFT, RIGHT) else {
        return String::new();
    };
    let bottom = TOP + ROW * rows.len() as f64;
    let mut shapes = String::new();
    for power in scale.powers() {
        let x = scale.at(power);
        shapes += &line("grid", (x, TOP), (x, bottom));
        shapes += &text((x, bottom + 16.0), "minor", "middle", &round_time(power));
    }
    for (number, (one, points)) in rows.iter().enumerate() {
        let y = TOP + ROW * number as f64;
        shapes += &name(one, y);
        shapes += &range(&one.load, *points, &scale, y + 20.0);
    }
    chart("Latency of successes", bottom + 26.0, &KEYS, &shapes)
}

fn points(latency: Latency) -> [u64; 5] {
    let Latency { p50, p90, p99, p999, max } = latency;
    [p50, p90, p99, p999, max]
}

fn range(load: &str, points: [u64; 5], scale: &LogScale, y: f64) -> String {
    let mut shapes = line("range", (scale.at(points[0]), y), (scale.at(points[4]), y));
    // The median last: where all are close it is what has to be seen.
    for ((class, name), value) in KEYS.iter().zip(points).rev() {
        let tip = format!("{}: {name} {}", escape(load), time(value));
        let x = scale.at(value);
        shapes +=
            &format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\"><title>{tip}</title></circle>");
    }
    shapes
}
