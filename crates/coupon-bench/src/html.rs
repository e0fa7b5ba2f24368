//! A report as one page for people: tables and charts, light and dark, without scripts and without anything from elsewhere.

mod course;
mod latencies;
mod rates;
mod svg;
mod tables;
mod text;

use self::text::{count, escape};
use crate::report::{Machine, Report};

const PAGE: &str = include_str!("html/page.html");

/// The page of a report.
#[must_use]
pub fn page(report: &Report) -> String {
    let courses: String = report.measurements.iter().map(course::figure).collect();
    let fills = [
        ("{{machine}}", machine(&report.machine)),
        ("{{command}}", escape(&report.command)),
        ("{{verdict}}", verdict(report)),
        ("{{ratios}}", tables::ratios(&report.ratios)),
        ("{{loads}}", tables::loads(&report.measurements)),
        ("{{exactness}}", tables::exactness(&report.measurements)),
        ("{{rates}}", rates::figure(&report.measurements)),
        ("{{latencies}}", latencies::figure(&report.measurements)),
        ("{{courses}}", courses),
    ];
    // No text from outside can look like a place to fill: braces are escaped.
    fills.into_iter().fold(PAGE.to_owned(), |page, (place, text)| page.replace(place, &text))
}

fn machine(machine: &Machine) -> String {
    let processors = if machine.processors == 1 { "processor" } else { "processors" };
    let mut parts = vec![format!("{} {processors}", machine.processors)];
    if !machine.processor.is_empty() {
        parts.push(escape(&machine.processor));
    }
    if machine.memory > 0 {
        parts.push(format!("{:.1} GiB", machine.memory as f64 / f64::from(1 << 30)));
    }
    if !machine.system.is_empty() {
        parts.push(escape(&machine.system));
    }
    parts.join(" · ")
}

/// What a reader must know before any figure: whether all was as it must be.
fn verdict(report: &Report) -> String {
    let wrong = report.measurements.iter().flat_map(|measurement| {
        let load = escape(&measurement.load);
        let faults: u64 = measurement.faults.values().sum();
        let faults = (faults > 0).then(|| format!("<li><b>{load}</b>: {} faults</li>", count(faults)));
        let differences = measurement.differences.iter().map(move |difference| {
            let (load, difference) = (escape(&measurement.load), escape(difference));
            format!("<li><b>{load}</b>: {difference}</li>")
        });
        faults.into_iter().chain(differences)
    });
    let wrong: String = wrong.collect();
    if wrong.is_empty() {
        let counted = report.measurements.iter().any(|measurement| measurement.exactness.is_some());
        let exact = if counted { "Answers, gate and ledger agree. " } else { "" };
        format!("<p class=\"verdict good\">{exact}No faults.</p>")
    } else {
        format!("<div class=\"verdict bad\">Not all is as it must be:<ul>{wrong}</ul></div>")
    }
}

#[cfg(test)]
mod tests;
