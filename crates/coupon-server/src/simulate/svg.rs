//! The report's two charts, as SVG without scripts: for light and dark screens and for paper.

use std::time::Duration;

use coupon_domain::campaign::Allocation;
use indicatif::HumanCount;

use super::Report;
use super::figures::{Figures, Share, name};
use super::text::share;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 704.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 264.0;

/// Colours that people who confuse red and green can tell apart (Okabe and Ito).
const STYLE: &str = "<style>\
    .chart{font:13px system-ui,sans-serif;fill:#1d2330}\
    .chart .title{font-weight:600;font-size:15px}.chart .minor{fill:#5b6472}\
    .chart .grid{stroke:#d9dee7}.chart .mark{stroke:#1d2330;stroke-width:1.5;stroke-dasharray:5 4}\
    .chart .first-come{fill:#d55e00}.chart .draw{fill:#0072b2}.chart .fast{fill:#009e73}.chart .slow{fill:#e69f00}\
    @media screen and (prefers-color-scheme:dark){.chart{fill:#e8ebf2}.chart .minor{fill:#9aa4b5}.chart .grid{stroke:#39414f}\
    .chart .mark{stroke:#e8ebf2}.chart .first-come{fill:#f08a4b}.chart .draw{fill:#56b4e9}.chart .fast{fill:#3cc79d}.chart .slow{fill:#f0c04a}}\
    </style>";

/// Both charts, one below the other, as a file of its own.
pub(super) fn charts(report: &Report) -> String {
    let second = arrivals(report).replacen("<svg ", &format!("<svg y=\"{HEIGHT}\" "), 1);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {}\" width=\"{WIDTH}\" height=\"{}\">{}{second}</svg>\n",
        2.0 * HEIGHT,
        2.0 * HEIGHT,
        win_rates(report),
    )
}

/// The win rate of each tenth of the claims, a bar for each allocation, and the chance that every place has.
pub(super) fn win_rates(report: &Report) -> String {
    let ratio = report.plan.ratio;
    let chance = f64::from(ratio.numerator()) / f64::from(ratio.denominator());
    let highest = report.rushes.iter().flat_map(|rush| &rush.deciles).map(|part| part.win_rate).fold(chance, f64::max);
    let (top, step) = if highest > 0.5 { (1.0, 0.25) } else { (0.5, 0.1) };
    let y = |rate: f64| BOTTOM - rate / top * (BOTTOM - TOP);
    let group = (RIGHT - LEFT) / 10.0;
    let width = group * 0.8 / report.rushes.len().max(1) as f64;

    let mut shapes = String::new();
    for line in 0..=(top / step).round() as u32 {
        let rate = f64::from(line) * step;
        shapes += &grid_line(y(rate), &format!("{:.0} %", rate * 100.0));
    }
    for (number, rush) in report.rushes.iter().enumerate() {
        for (tenth, part) in rush.deciles.iter().enumerate() {
            let x = LEFT + group * (tenth as f64 + 0.1) + width * number as f64;
            shapes += &bar(class(rush.allocation), (x, y(part.win_rate)), (width, BOTTOM), &tip(rush, tenth, part));
        }
    }
    for (tenth, label) in ["first", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th", "last"].iter().enumerate() {
        shapes += &text(LEFT + group * (tenth as f64 + 0.5), BOTTOM + 18.0, "minor", "middle", label);
    }
    let axis = format!("tenths of the claims, in order of arrival; dashed: an equal chance, {}", share(&report.plan));
    shapes += &text((LEFT + RIGHT) / 2.0, BOTTOM + 40.0, "minor", "middle", &axis);
    shapes += &format!("<path class=\"mark\" d=\"M{LEFT} {:.1}H{RIGHT}\"/>", y(chance));
    let legend: Vec<_> = report.rushes.iter().map(|rush| (class(rush.allocation), name(rush.allocation))).collect();
    chart("Who gets a coupon", &legend, &shapes)
}

/// Claims over time, by network, and when the coupons were gone.
pub(super) fn arrivals(report: &Report) -> String {
    let arrivals = &report.arrivals;
    let bars = arrivals.fast.iter().zip(&arrivals.slow);
    let most = bars.clone().map(|(fast, slow)| fast + slow).max().unwrap_or(0).max(1);
    let y = |claims: u64| BOTTOM - claims as f64 / most as f64 * (BOTTOM - TOP);
    let width = (RIGHT - LEFT) / arrivals.fast.len().max(1) as f64;

    let mut shapes = grid_line(BOTTOM, "0") + &grid_line(TOP, &HumanCount(most).to_string());
    for (number, (fast, slow)) in (0..).zip(bars) {
        let (x, from) = (LEFT + width * f64::from(number), arrivals.bar * number);
        let tip = format!("from {} to {}: {fast} fast, {slow} slow", time(from), time(from + arrivals.bar));
        shapes += &bar("fast", (x, y(*fast)), (width * 0.9, BOTTOM), &tip);
        shapes += &bar("slow", (x, y(fast + slow)), (width * 0.9, y(*fast)), &tip);
        if number % 10 == 0 {
            shapes += &text(x, BOTTOM + 18.0, "minor", "middle", &time(from));
        }
    }
    let later = if arrivals.later > 0 { format!("; {} later", HumanCount(arrivals.later)) } else { String::new() };
    let axis = format!("since claims opened, in steps of {}{later}", time(arrivals.bar));
    shapes += &text((LEFT + RIGHT) / 2.0, BOTTOM + 40.0, "minor", "middle", &axis);
    let first_come = report.rushes.iter().find(|rush| rush.allocation == Allocation::FirstCome);
    if let Some(at) = first_come.and_then(|rush| rush.sold_out_after) {
        let x = (LEFT + width * at / arrivals.bar.as_secs_f64()).min(RIGHT);
        shapes += &format!("<path class=\"mark\" d=\"M{x:.1} {}V{BOTTOM}\"/>", TOP - 12.0);
        let label = format!("FIRST_COME is sold out after {}", time(Duration::from_secs_f64(at)));
        let (x, anchor) = if x < (LEFT + RIGHT) / 2.0 { (x + 6.0, "start") } else { (x - 6.0, "end") };
        shapes += &text(x, TOP - 6.0, "", anchor, &label);
    }
    chart("When the claims arrive", &[("fast", "fast networks"), ("slow", "slow networks")], &shapes)
}

fn chart(title: &str, legend: &[(&str, &str)], shapes: &str) -> String {
    let mut keys = String::new();
    for (number, (class, label)) in legend.iter().rev().enumerate() {
        let x = RIGHT - 130.0 * (number as f64 + 1.0);
        keys += &format!("<rect class=\"{class}\" x=\"{x}\" y=\"12\" width=\"12\" height=\"12\" rx=\"2\"/>");
        keys += &text(x + 18.0, 23.0, "", "start", label);
    }
    format!(
        "<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-label=\"{title}\">{STYLE}{}{keys}{shapes}</svg>",
        text(4.0, 23.0, "title", "start", title),
    )
}

/// From a corner at the top left to a width and a bottom.
fn bar(class: &str, (x, y): (f64, f64), (width, bottom): (f64, f64), tip: &str) -> String {
    let height = (bottom - y).max(0.0);
    format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{tip}</title></rect>"
    )
}

fn grid_line(y: f64, label: &str) -> String {
    format!("<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>") + &text(LEFT - 8.0, y + 4.0, "minor", "end", label)
}

/// None of the texts here comes from outside, so that nothing has to be escaped.
fn text(x: f64, y: f64, class: &str, anchor: &str, text: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}

fn class(allocation: Allocation) -> &'static str {
    match allocation {
        Allocation::FirstCome => "first-come",
        Allocation::Draw => "draw",
    }
}

fn tip(rush: &Figures, tenth: usize, part: &Share) -> String {
    format!(
        "{}, tenth {}: {} of {} claims won, {:.1} %",
        name(rush.allocation),
        tenth + 1,
        part.won,
        part.claims,
        part.win_rate * 100.0
    )
}

fn time(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        format!("{} ms", span.as_millis())
    } else {
        format!("{:.2} s", span.as_secs_f64())
    }
}
