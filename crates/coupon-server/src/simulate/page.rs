//! The report as one page for people who plan campaigns.

use coupon_domain::campaign::Allocation;
use indicatif::HumanCount;

use super::figures::{Figures, name};
use super::text::{rate, share};
use super::{Report, svg};

const PAGE: &str = include_str!("page.html");

pub(super) fn of(report: &Report) -> String {
    let coupons = report.rushes.first().map_or(0, |rush| rush.supply);
    let users = HumanCount(u64::from(report.plan.users));
    let title = format!("{users} people, {} coupons: who gets one?", HumanCount(u64::from(coupons)));
    let summary: Vec<_> = report.rushes.iter().map(summary).collect();
    let fills = [
        ("{{title}}", title),
        ("{{summary}}", summary.join(" ")),
        ("{{win_rates}}", svg::win_rates(report)),
        ("{{win_rates_say}}", win_rates_say(report)),
        ("{{arrivals}}", svg::arrivals(report)),
        ("{{table}}", table(&report.rushes)),
        ("{{method}}", method(report)),
    ];
    fills.into_iter().fold(PAGE.to_owned(), |page, (place, text)| page.replace(place, &text))
}

/// What a reader should remember of a rush.
fn summary(rush: &Figures) -> String {
    let name = name(rush.allocation);
    let [first, .., last] = &rush.deciles[..] else {
        return format!("With <b>{name}</b>, {} coupons were issued.", rush.issued);
    };
    let gone =
        rush.sold_out_after.map_or_else(String::new, |at| format!(", and all coupons are gone after {at:.2} seconds"));
    match rush.allocation {
        Allocation::FirstCome => format!(
            "With <b>{name}</b> (first come, first served) speed decides: of the tenth that arrives first {} get a coupon, of the tenth that arrives last {}{gone}. On \
             fast networks {} of the claims win, on slow ones {}.",
            rate(first),
            rate(last),
            rate(&rush.fast),
            rate(&rush.slow),
        ),
        Allocation::Draw => format!(
            "With <b>{name}</b> every place has the same chance, fixed before anybody claims: {} of the first tenth get a coupon and {} of \
             the last, {} on fast networks and {} on slow ones.",
            rate(first),
            rate(last),
            rate(&rush.fast),
            rate(&rush.slow),
        ),
    }
}

fn win_rates_say(report: &Report) -> String {
    let even = |rush: &Figures| {
        let p = rush.p_value?;
        let name = name(rush.allocation);
        Some(if p < 0.001 {
            format!("{name}: yes, chance alone does not explain them (p &lt; 0.001).")
        } else {
            format!("{name}: no, chance alone explains them (p = {p:.3}).")
        })
    };
    let verdicts: Vec<_> = report.rushes.iter().filter_map(even).collect();
    format!("Are the differences between the tenths more than chance? {}", verdicts.join(" "))
}

fn table(rushes: &[Figures]) -> String {
    let row = |label: &str, value: &dyn Fn(&Figures) -> String| {
        let cells: String = rushes.iter().map(|rush| format!("<td>{}</td>", value(rush))).collect();
        format!("<tr><td>{label}</td>{cells}</tr>")
    };
    let heads: String = rushes.iter().map(|rush| format!("<th>{}</th>", name(rush.allocation))).collect();
    let refusals = |rush: &Figures| {
        let told = rush.refusals.iter().map(|refused| format!("{} {}", HumanCount(refused.count), refused.reason));
        told.collect::<Vec<_>>().join(", ")
    };
    [
        format!("<tr><td></td>{heads}</tr>"),
        row("Places reserved", &|rush| HumanCount(u64::from(rush.places)).to_string()),
        row("Claims", &|rush| HumanCount(rush.claims).to_string()),
        row("Coupons issued, of the supply", &|rush| {
            format!("{} of {}", HumanCount(u64::from(rush.issued)), HumanCount(u64::from(rush.supply)))
        }),
        row("Refused", &refusals),
        row("Errors", &|rush| HumanCount(rush.errors).to_string()),
    ]
    .concat()
}

fn method(report: &Report) -> String {
    let plan = &report.plan;
    format!(
        "How this was made: every reservation and claim was decided by the service itself, its clock moved by hand. {} of the places win, {:.0} % of \
         those who reserved claim, {:.0} % of the users have a slow network. Reactions ({} at the median) and latencies ({} fast, {} slow) are \
         assumptions: log-normal, one latency for each user. Where fewer claim than reserved, a draw leaves coupons over, and each place keeps \
         its chance. The same again: seed {}.",
        share(plan),
        plan.show_up * 100.0,
        plan.slow_share * 100.0,
        humantime::format_duration(super::crowd::REACTION),
        humantime::format_duration(plan.fast_latency),
        humantime::format_duration(plan.slow_latency),
        plan.seed,
    )
}
