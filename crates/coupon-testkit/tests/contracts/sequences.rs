//! Random sequences are worth their time only if they come by everything.

use std::collections::BTreeMap;

use coupon_domain::journal::Row;
use coupon_domain::ports::Journal as _;
use coupon_testkit::contract::differential::{gate_equals_model, sequences};
use coupon_testkit::contract::reference::ReferenceGate;
use coupon_testkit::under_test::{GateUnderTest, StandingClock};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::sync::Arc;

#[tokio::test]
async fn two_hundred_random_sequences_decide_all_kinds_of_things() {
    let clock = Arc::new(StandingClock::default());
    let gate = Arc::new(ReferenceGate::with_clock(Arc::clone(&clock)));
    let (journal, port) = (Arc::clone(&gate) as _, Arc::clone(&gate) as _);
    let under_test = GateUnderTest { journal, gate: port, clock, keep: Box::new(()) };
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for case in 0..200 {
        let sequence = sequences().new_tree(&mut runner).expect("a sequence").current();
        gate_equals_model(&under_test, case, &sequence).await.expect("the model equals itself");
        let campaign = coupon_testkit::build::campaign_id(&format!("case-{case}"));
        for entry in gate.read(&campaign, 0, usize::MAX).await.expect("memory answers") {
            for row in entry.parse().expect("an entry can be read") {
                let kind = match row {
                    Row::Places { .. } => "places",
                    Row::Coupons { .. } => "coupons",
                    Row::Phase { supply: None, .. } => "phases without a supply",
                    Row::Phase { .. } => "phases with a supply",
                    Row::State { .. } => "states",
                    Row::Round(_) => "rounds",
                    Row::Retired { used: true, .. } => "used rounds gone",
                    Row::Retired { used: false, .. } => "unused rounds gone",
                    Row::Lost { .. } => panic!("only a recovery declares a loss"),
                };
                *seen.entry(kind).or_default() += 1;
            }
        }
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 10), "{seen:?}");
    assert!(seen["places"] >= 200 && seen["coupons"] >= 100, "{seen:?}");
}
