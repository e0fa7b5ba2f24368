//! A report as lines for people.

use std::time::Duration;

use crate::report::{Latency, Measurement};

const HEAD: [&str; 11] =
    ["load", "target", "drive", "per second", "p50", "p99", "p99.9", "max", "refusals", "faults", "exact"];
/// Columns of text; the others are numbers.
const TEXTS: usize = 3;

/// A line for each load, and behind them what is to be told beside the figures.
#[must_use]
pub fn text(measurements: &[Measurement]) -> String {
    let head = HEAD.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(measurements.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    let mut lines: Vec<_> = rows.iter().map(|row| line(row, &widths)).collect();
    lines.extend(measurements.iter().flat_map(notes));
    lines.join("\n")
}

fn line(row: &[String; HEAD.len()], widths: &[usize; HEAD.len()]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
        if column < TEXTS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn row(measured: &Measurement) -> [String; HEAD.len()] {
    // Where all that was asked for are refusals, they are in both.
    let latency = measured.success_latency.or(measured.refusal_latency);
    let time = |of: fn(&Latency) -> u64| latency.as_ref().map_or_else(|| "-".to_owned(), |latency| micros(of(latency)));
    let exact = match (measured.differences.is_empty(), &measured.exactness) {
        (false, _) => "NO",
        (true, Some(_)) => "yes",
        (true, None) => "-",
    };
    [
        measured.load.clone(),
        measured.target.clone(),
        measured.drive.clone(),
        format!("{:.0}", measured.rate),
        time(|latency| latency.p50),
        time(|latency| latency.p99),
        time(|latency| latency.p999),
        time(|latency| latency.max),
        measured.refusals.values().sum::<u64>().to_string(),
        measured.faults.values().sum::<u64>().to_string(),
        exact.to_owned(),
    ]
}

fn notes(measured: &Measurement) -> Vec<String> {
    let of = format!("{} on {}", measured.load, measured.target);
    let mut notes = Vec::new();
    if let (Some(rate), Some(seconds)) = (measured.sustained_rate, measured.ledger_seconds) {
        notes.push(format!("{of}: the ledger had all after {seconds:.2} s, {rate:.0} per second sustained"));
    }
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    if !measured.refusals.is_empty() {
        notes.push(format!("{of}: refused {}", counts(&measured.refusals)));
    }
    if !measured.faults.is_empty() {
        notes.push(format!("{of}: faults {}", counts(&measured.faults)));
    }
    notes.extend(measured.differences.iter().map(|difference| format!("{of}: NOT EXACT: {difference}")));
    notes
}

fn micros(micros: u64) -> String {
    match Duration::from_micros(micros) {
        time if time >= Duration::from_secs(1) => format!("{:.2} s", time.as_secs_f64()),
        time if time >= Duration::from_millis(1) => format!("{:.2} ms", time.as_secs_f64() * 1e3),
        _ => format!("{micros} us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Exactness;

    fn measured() -> Measurement {
        Measurement {
            load: "claim".to_owned(),
            target: "embedded".to_owned(),
            drive: "closed, 256 callers".to_owned(),
            seconds: 2.0,
            rate: 50_000.4,
            successes: 100_001,
            refusals: [("SOLD_OUT".to_owned(), 3)].into(),
            faults: [("UNAVAILABLE".to_owned(), 1), ("not sent".to_owned(), 2)].into(),
            success_latency: Some(Latency { p50: 950, p90: 2000, p99: 3456, p999: 20_000, max: 1_234_567 }),
            refusal_latency: None,
            fault_latency: None,
            course: Vec::new(),
            exactness: Some(Exactness { answers: 100_001, gate: 100_001, ledger: 100_001, expected: None }),
            ledger_seconds: Some(2.5),
            sustained_rate: Some(40_000.4),
            differences: Vec::new(),
        }
    }

    #[test]
    fn a_report_is_a_table_and_what_is_beside_the_figures() {
        let exactness = Some(Exactness { answers: 10, gate: 11, ledger: 11, expected: None });
        let differences = vec!["the gate has issued 11 coupons, 10 were answered".to_owned()];
        let wrong = Measurement { load: "claim-stream".to_owned(), exactness, differences, ..measured() };
        insta::assert_snapshot!(text(&[measured(), wrong]));
    }
}
