//! The report for a terminal.

use std::fmt::Display;

use indicatif::HumanCount;

use super::figures::{Figures, Refused, Share, name};
use super::{Plan, Report};

const LABEL: usize = 28;
const COLUMN: usize = 14;
/// Characters of a bar that is full.
const BAR: usize = 20;
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

pub(super) fn of(report: &Report) -> String {
    let Report { plan, rushes, .. } = report;
    let mut lines = vec![introduction(plan), String::new(), row("", rushes, |rush| name(rush.allocation))];
    lines.push(row("places", rushes, |rush| count(rush.places)));
    lines.push(row("coupons", rushes, |rush| count(rush.supply)));
    lines.push(row("claims", rushes, |rush| HumanCount(rush.claims)));
    lines.push(row("coupons issued", rushes, |rush| count(rush.issued)));
    for (call, reason) in kinds_of_refusals(rushes) {
        let label = format!("{} refused, {reason}", call.to_lowercase());
        lines.push(row(&label, rushes, |rush| HumanCount(refused(rush, call, reason))));
    }
    lines.push(row("errors", rushes, |rush| HumanCount(rush.errors)));
    lines.push(row("win rate, fast networks", rushes, |rush| rate(&rush.fast)));
    lines.push(row("win rate, slow networks", rushes, |rush| rate(&rush.slow)));
    lines.push(row("chi-square of the tenths", rushes, |rush| rounded(rush.chi_square)));
    lines.push(row("p (by chance alone)", rushes, |rush| rounded(rush.p_value)));
    if rushes.iter().any(|rush| !rush.deciles.is_empty()) {
        lines.push(String::new());
        lines.extend(tenths(report));
    }
    let first_errors = rushes.iter().filter_map(|rush| rush.first_error.as_ref());
    lines.extend(first_errors.map(|error| format!("\nThe first error: {error}")));
    lines.join("\n")
}

fn introduction(plan: &Plan) -> String {
    format!(
        "{} users reserve, {} of them claim; {} of the places win.\nNetworks: {} fast ({} at the median), {} slow ({}). Seed {}.",
        HumanCount(u64::from(plan.users)),
        percent(plan.show_up),
        share(plan),
        percent(1.0 - plan.slow_share),
        humantime::format_duration(plan.fast_latency),
        percent(plan.slow_share),
        humantime::format_duration(plan.slow_latency),
        plan.seed,
    )
}

/// Win rates by order of arrival, as bars.
fn tenths(report: &Report) -> Vec<String> {
    let mut lines =
        vec![format!("Who won, by order of arrival. The same chance for every place: {}.", share(&report.plan))];
    let cell = |text: &str| format!("{text:<width$}", width = BAR + 12);
    let heads: String = report.rushes.iter().map(|rush| cell(name(rush.allocation))).collect();
    lines.push(format!("{:<14}{}", "", heads.trim_end()));
    for tenth in 0..10 {
        let bars = report.rushes.iter().filter_map(|rush| rush.deciles.get(tenth));
        let bars: String = bars.map(|part| cell(&format!("{:>7} {}", rate(part), bar(part.win_rate)))).collect();
        lines.push(format!("{:<14}{}", ordinal(tenth), bars.trim_end()));
    }
    lines
}

fn row<T: Display>(label: &str, rushes: &[Figures], value: impl Fn(&Figures) -> T) -> String {
    let values: String = rushes.iter().map(|rush| format!("{:>COLUMN$}", value(rush).to_string())).collect();
    format!("{label:<LABEL$}{values}")
}

/// Every kind that occurred in any of them.
fn kinds_of_refusals(rushes: &[Figures]) -> Vec<(&'static str, &'static str)> {
    let mut kinds: Vec<_> =
        rushes.iter().flat_map(|rush| &rush.refusals).map(|Refused { call, reason, .. }| (*call, *reason)).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn refused(rush: &Figures, call: &str, reason: &str) -> u64 {
    let of_kind = rush.refusals.iter().filter(|refused| (refused.call, refused.reason) == (call, reason));
    of_kind.map(|refused| refused.count).sum()
}

fn bar(share: f64) -> String {
    let eighths = (share * (BAR * 8) as f64).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn ordinal(tenth: usize) -> &'static str {
    const ORDINALS: [&str; 10] =
        ["first tenth", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "last tenth"];
    ORDINALS[tenth]
}

fn count(n: u32) -> HumanCount {
    HumanCount(u64::from(n))
}

/// The share of the places that wins.
pub(super) fn share(plan: &Plan) -> String {
    percent(f64::from(plan.ratio.numerator()) / f64::from(plan.ratio.denominator()))
}

pub(super) fn rate(share: &Share) -> String {
    percent(share.win_rate)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Small ones as powers of ten.
fn rounded(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if value < 0.001 => format!("{value:.0e}"),
        Some(value) if value < 1.0 => format!("{value:.3}"),
        Some(value) => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!([bar(0.0), bar(0.2), bar(0.206), bar(1.0)], ["", "████", "████▏", &"█".repeat(20)]);
    }

    #[test]
    fn small_probabilities_are_powers_of_ten() {
        let shown = [None, Some(0.0), Some(3.2e-9), Some(0.5132), Some(29_999.97)].map(rounded);
        assert_eq!(shown, ["-", "0", "3e-9", "0.513", "30000.0"]);
    }
}
