use std::collections::BTreeMap;

use super::page;
use crate::report::{Exactness, Latency, Machine, Measurement, Report, Second};

fn latency(p50: u64) -> Option<Latency> {
    Some(Latency { p50, p90: p50 * 2, p99: p50 * 5, p999: p50 * 9, max: p50 * 20 })
}

fn course(successes: &[u64]) -> Vec<Second> {
    let second = |(at, successes): (u64, &u64)| Second {
        at,
        successes: *successes,
        p50: if *successes > 0 { 1_800 + 100 * at } else { 0 },
        p99: if *successes > 0 { 9_000 } else { 0 },
        ..Second::default()
    };
    (0..).zip(successes).map(second).collect()
}

fn claim() -> Measurement {
    let mut course = course(&[9_000, 11_000, 0, 4_000]);
    (course[2].refusals, course[3].refusals, course[3].faults) = (6_000, 5_800, 3);
    Measurement {
        load: "claim".to_owned(),
        target: "embedded".to_owned(),
        drive: "closed, 256 callers".to_owned(),
        seconds: 3.52,
        rate: 6_818.2,
        successes: 24_000,
        refusals: BTreeMap::from([("SOLD_OUT".to_owned(), 11_000), ("CLOSED".to_owned(), 800)]),
        faults: BTreeMap::from([("UNAVAILABLE".to_owned(), 3)]),
        success_latency: latency(1_800),
        refusal_latency: latency(900),
        fault_latency: latency(5_000_000),
        course,
        exactness: Some(Exactness { answers: 24_000, gate: 24_000, ledger: 23_999, expected: Some(24_000) }),
        ledger_seconds: Some(4.1),
        sustained_rate: Some(5_853.7),
        differences: vec!["the ledger lacks 1 coupon".to_owned()],
    }
}

fn empty() -> Measurement {
    Measurement {
        load: "empty".to_owned(),
        rate: 21_500.0,
        successes: 43_000,
        refusals: BTreeMap::new(),
        faults: BTreeMap::new(),
        success_latency: latency(450),
        refusal_latency: None,
        fault_latency: None,
        course: course(&[21_000, 22_000]),
        exactness: None,
        ledger_seconds: None,
        sustained_rate: None,
        differences: Vec::new(),
        ..claim()
    }
}

fn report(measurements: Vec<Measurement>) -> Report {
    Report {
        machine: Machine {
            processors: 2,
            processor: "Example 3000".to_owned(),
            memory: 24 << 30,
            system: "Linux 6.1".to_owned(),
        },
        command: "coupon bench claim --callers 256".to_owned(),
        measurements,
        ratios: BTreeMap::from([("claim : empty".to_owned(), 0.317)]),
        rates: BTreeMap::new(),
        latency: BTreeMap::new(),
    }
}

#[test]
fn the_page_of_a_small_report() {
    insta::assert_snapshot!(page(&report(vec![empty(), claim()])));
}

#[test]
fn a_good_run_says_so() {
    let page = page(&report(vec![empty()]));
    assert!(page.contains("<p class=\"verdict good\">No faults.</p>") && !page.contains("Counted by everyone"));
}

#[test]
fn texts_from_outside_are_escaped() {
    let hostile = "</text><script>alert(\"1\")</script>'&{{loads}}\u{1b}";
    let mut claim = claim();
    for text in [&mut claim.load, &mut claim.target, &mut claim.drive] {
        hostile.clone_into(text);
    }
    claim.refusals = BTreeMap::from([(hostile.to_owned(), 1)]);
    claim.faults = BTreeMap::from([(hostile.to_owned(), 1)]);
    claim.differences = vec![hostile.to_owned()];
    let mut report = report(vec![claim]);
    hostile.clone_into(&mut report.command);
    hostile.clone_into(&mut report.machine.processor);
    hostile.clone_into(&mut report.machine.system);
    report.ratios = BTreeMap::from([(hostile.to_owned(), 1.0)]);

    let page = page(&report);

    for forbidden in ["<script", "alert(\"", "{{", "}}", "\u{1b}"] {
        assert!(!page.contains(forbidden), "{forbidden} is in the page");
    }
    assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;&#123;&#123;loads"));
}

#[test]
fn a_report_of_nothing_and_one_of_hours_are_drawn() {
    let mut nothing = empty();
    (nothing.rate, nothing.successes, nothing.success_latency) = (f64::NAN, 0, None);
    nothing.course = Vec::new();
    for measurements in [vec![], vec![nothing]] {
        let page = page(&report(measurements));
        assert!(!page.contains("\"NaN") && !page.contains("inf"), "{page}");
    }
    let long = Measurement { course: course(&[20_000; 7_200]), ..empty() };

    let page = page(&report(vec![long]));

    assert!(page.contains("steps of 30 s") && page.len() < 200_000, "{}", page.len());
}
