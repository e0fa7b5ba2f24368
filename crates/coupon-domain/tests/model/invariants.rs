//! Random histories keep the invariants of the rules; [`observe`] holds every answer and every entry against them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::history::histories;
use crate::play::observe;

/// Each call with all that it can be answered.
const ANSWERS: [(&str, &[&str]); 15] = [
    ("open", &["Opened", "AlreadyThere", "Overlaps", "CampaignEnded", "Outdated"]),
    ("reserve", &["Granted", "Replayed", "NotOpenYet", "Closed", "Paused", "UnknownUser", "LimitReached", "Full"]),
    ("claim", &["Granted", "Replayed", "NotOpenYet", "Closed", "Paused", "UnknownUser", "NotReserved", "LimitReached"]),
    ("claim", &["DrawPending", "NotDrawn", "SoldOut", "Granted to a winner"]),
    ("conclude", &["Drawn in time", "Drawn late", "Drawn too late", "AlreadyDrawn", "NotDue", "NotWhole"]),
    ("ACTIVATE", &["Done", "Unchanged", "Refused", "RequestUsed"]),
    ("PAUSE", &["Done", "Unchanged", "Refused", "Repeated", "RequestUsed"]),
    ("RESUME", &["Done", "Unchanged", "Refused", "RequestUsed"]),
    ("END", &["Done", "Unchanged", "RequestUsed"]),
    ("revise LABELS", &["Done", "Outdated", "Ended", "Repeated", "RequestUsed"]),
    (
        "revise ROUNDS",
        &["Done", "Done with rounds dropped", "Outdated", "RoundInUse", "Ended", "Repeated", "RequestUsed"],
    ),
    (
        "revise CAMPAIGN",
        &["Done", "Done with rounds dropped", "Outdated", "RoundInUse", "CampaignInUse", "Ended", "Repeated"],
    ),
    ("add to round", &["Done", "Closed", "NoOwnSupply", "WinnersFixed", "TooMany", "Repeated", "RequestUsed"]),
    ("add to total", &["Done", "Closed", "NoTotalLimit", "TooMany", "Repeated", "RequestUsed"]),
    ("retire", &["used Retired", "used Kept", "unused Retired", "unused Kept"]),
];

#[test]
fn random_histories_come_by_everything() {
    let mut runner = TestRunner::deterministic();
    let mut answers: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..400 {
        let history = histories().new_tree(&mut runner).expect("a history").current();
        for (answer, count) in observe(&history).1.answers {
            *answers.entry(answer).or_default() += count;
        }
    }
    let names = ANSWERS.iter().flat_map(|(call, names)| names.iter().map(move |name| format!("{call} {name}")));
    let missing: Vec<_> = names.filter(|name| !answers.contains_key(name)).collect();
    assert!(missing.is_empty(), "{missing:?} in {answers:#?}");
    let often = ["reserve Granted", "claim Granted", "claim Granted to a winner", "claim NotDrawn", "claim SoldOut"];
    assert!(often.iter().all(|name| answers[*name] > 100), "{answers:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_answer_and_every_entry_keeps_the_rules(history in histories()) {
        observe(&history);
    }
}
