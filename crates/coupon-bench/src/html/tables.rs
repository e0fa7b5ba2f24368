//! The tables of the page.

use std::collections::BTreeMap;

use super::text::{count, escape, rate, time};
use crate::report::{Exactness, Latency, Measurement};

/// Nothing without any.
pub(super) fn ratios(ratios: &BTreeMap<String, f64>) -> String {
    if ratios.is_empty() {
        return String::new();
    }
    let rows: String = ratios.iter().map(|(name, ratio)| row(&[escape(name), format!("{ratio:.2}")])).collect();
    format!("<h2>Ratios within this run</h2><div class=\"wide narrow\"><table>{rows}</table></div>")
}

/// A row for the successes of each load, and one for its refusals and its faults where there are any.
pub(super) fn loads(measurements: &[Measurement]) -> String {
    let heads = ["load", "answers", "count", "a second", "p50", "p90", "p99", "p99.9", "max"];
    let rows: String = measurements.iter().map(load).collect();
    format!("<table>{}{rows}</table>", heading(&heads))
}

fn load(measurement: &Measurement) -> String {
    let Measurement { success_latency, refusal_latency, fault_latency, .. } = measurement;
    let mut rows =
        line(&name(measurement), "successes", measurement.successes, Some(measurement.rate), *success_latency);
    for (kind, counts, latency) in
        [("refused", &measurement.refusals, refusal_latency), ("faults", &measurement.faults, fault_latency)]
    {
        if !counts.is_empty() {
            rows += &line("", &format!("{kind}: {}", by_name(counts)), counts.values().sum(), None, *latency);
        }
    }
    rows
}

fn name(measurement: &Measurement) -> String {
    let Measurement { load, target, drive, seconds, .. } = measurement;
    let how = format!("{}, {}, {seconds:.1} s", escape(target), escape(drive));
    format!("<b>{}</b><br><small>{how}</small>", escape(load))
}

fn line(name: &str, kind: &str, answers: u64, a_second: Option<f64>, latency: Option<Latency>) -> String {
    let times = latency.map(|Latency { p50, p90, p99, p999, max }| [p50, p90, p99, p999, max].map(time));
    let mut cells = vec![name.to_owned(), kind.to_owned(), count(answers), a_second.map_or_else(String::new, rate)];
    cells.extend(times.unwrap_or_default());
    row(&cells)
}

fn by_name(counts: &BTreeMap<String, u64>) -> String {
    let one = |(name, number): (&String, &u64)| format!("{} {}", escape(name), count(*number));
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Nothing if nothing was counted.
pub(super) fn exactness(measurements: &[Measurement]) -> String {
    let counted = measurements.iter().filter_map(|measurement| Some((measurement, measurement.exactness?)));
    let rows: String = counted.map(|(measurement, exactness)| counts(measurement, exactness)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["load", "answers", "gate", "ledger", "expected", "exact", "ledger caught up", "sustained, a second"];
    format!("<h2>Counted by everyone</h2><div class=\"wide\"><table>{}{rows}</table></div>", heading(&heads))
}

fn counts(measurement: &Measurement, exactness: Exactness) -> String {
    let Exactness { answers, gate, ledger, expected } = exactness;
    let verdict = if exactness.is_exact() { "yes" } else { "<b class=\"wrong\">no</b>" };
    row(&[
        format!("{}<br><small>{}</small>", escape(&measurement.load), escape(&measurement.target)),
        count(answers),
        count(gate),
        count(ledger),
        expected.map_or_else(String::new, count),
        verdict.to_owned(),
        measurement.ledger_seconds.map_or_else(String::new, |seconds| format!("after {seconds:.1} s")),
        measurement.sustained_rate.map_or_else(String::new, rate),
    ])
}

fn heading(names: &[&str]) -> String {
    let cells: String = names.iter().map(|name| format!("<th>{name}</th>")).collect();
    format!("<tr>{cells}</tr>")
}

fn row(cells: &[String]) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    format!("<tr>{cells}</tr>")
}
