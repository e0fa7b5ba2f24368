//! Random sequences are worth their time only if they come by everything.

use std::collections::BTreeMap;

use coupon_testkit::contract::differential::{gate_equals_model, sequences};
use coupon_testkit::contract::reference::ReferenceGate;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

/// In how many of four hundred sequences at least which answers are given.
const SHARES: [(u32, &[&str]); 4] = [
    (
        100,
        &[
            "reserve granted",
            "reserve replayed",
            "claim granted",
            "claim replayed",
            "claim NOT_RESERVED",
            "open Opened",
            "open AlreadyThere",
            "add to round Done",
            "retire Retired",
            "load",
        ],
    ),
    (
        50,
        &[
            "reserve FULL",
            "claim PAUSED",
            "draw in time",
            "draw AlreadyDrawn",
            "draw NotDue",
            "load with winners",
            "add to total Done",
            "LABELS Done",
            "ROUNDS Done",
            "ROUNDS RoundInUse",
            "CAMPAIGN Done",
            "CAMPAIGN RoundInUse",
            "open Outdated",
        ],
    ),
    (
        20,
        &[
            "reserve UNKNOWN_USER",
            "claim UNKNOWN_USER",
            "claim DRAW_PENDING",
            "claim NOT_DRAWN",
            "claim SOLD_OUT",
            "draw late",
            "add to round Closed",
            "add to round NoOwnSupply",
            "add to round WinnersFixed",
            "add to round Repeated",
            "add to round RequestUsed",
            "add to total NoTotalLimit",
            "LABELS Outdated",
            "ROUNDS Outdated",
            "CAMPAIGN Outdated",
            "PAUSE Done",
            "RESUME Done",
            "END Done",
            "open Overlaps",
        ],
    ),
    (
        2,
        &[
            "reserve LIMIT_REACHED",
            "claim LIMIT_REACHED",
            "draw an hour late",
            "draw NotWhole",
            "add to round TooMany",
            "add to total TooMany",
            "add to total Repeated",
            "add to total RequestUsed",
            "add to total Closed",
            "LABELS Ended",
            "LABELS Repeated",
            "LABELS RequestUsed",
            "ROUNDS Ended",
            "CAMPAIGN Ended",
            "CAMPAIGN CampaignInUse",
            "open CampaignEnded",
        ],
    ),
];

#[tokio::test]
async fn four_hundred_random_sequences_come_by_everything() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for case in 0..400 {
        let under_test = ReferenceGate::under_test().await;
        let sequence = sequences().new_tree(&mut runner).expect("a sequence").current();
        let answers = gate_equals_model(&under_test, case, &sequence).await.expect("the model equals itself");
        for kind in answers.into_keys() {
            *seen.entry(kind).or_default() += 1;
        }
    }
    let share = |kind: &str| seen.get(kind).copied().unwrap_or(0);
    let too_seldom = |(least, kinds): (u32, &[&'static str])| {
        kinds
            .iter()
            .map(|kind| (*kind, share(kind), least))
            .filter(|(_, share, least)| share < least)
            .collect::<Vec<_>>()
    };
    assert_eq!(SHARES.into_iter().flat_map(too_seldom).collect::<Vec<_>>(), [], "{seen:#?}");
}
