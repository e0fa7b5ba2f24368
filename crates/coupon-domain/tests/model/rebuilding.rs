//! What the journal tells, and the draws beside it, are all there is to know: a model loaded from them is the model that wrote it.

use std::collections::BTreeMap;

use coupon_domain::ids::RoundId;
use coupon_domain::model::{CampaignModel, LoadChunk, LoadError};
use proptest::prelude::*;

use crate::build::head;
use crate::facts::Facts;
use crate::history::{History, histories};
use crate::ledger::Ledger;
use crate::observer::Observer;
use crate::play::{head_of, observe};

fn winners(facts: &Facts) -> BTreeMap<RoundId, Vec<u8>> {
    facts.rounds.iter().filter_map(|(id, round)| Some((*id, round.winners.clone()?))).collect()
}

fn chunks(history: &History, seen: &Observer) -> Vec<LoadChunk> {
    let mut ledger = Ledger::new(history);
    let recording = ledger.read(&seen.entries).expect("it can be recorded");
    ledger.record(&recording);
    ledger.chunks(&winners(&seen.facts))
}

/// The outcomes of loading all but one chunk.
fn load_without(history: &History, chunks: Vec<LoadChunk>, lost: usize) -> Vec<Result<(), LoadError>> {
    let mut loaded = CampaignModel::begin(&head_of(history));
    let kept = chunks.into_iter().enumerate().filter(|(index, _)| *index != lost);
    kept.map(|(_, chunk)| loaded.load(chunk)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_model_loaded_from_its_journal_is_itself(history in histories()) {
        let (model, seen) = observe(&history);
        // What was there before does not matter.
        let mut loaded = CampaignModel::begin(&head(&crate::build::rules()));
        for chunk in chunks(&history, &seen) {
            prop_assert_eq!(loaded.load(chunk), Ok(()));
        }
        prop_assert_eq!(loaded, model);
    }

    #[test]
    fn a_model_with_seats_or_winners_missing_is_not_opened(history in histories(), lost in any::<prop::sample::Index>()) {
        let (_, seen) = observe(&history);
        let all = chunks(&history, &seen);
        let counted = |chunk: &LoadChunk| match chunk {
            LoadChunk::Seats(..) => true,
            // A byte without winners is not missed.
            LoadChunk::Winners(_, _, part) => part.iter().any(|byte| *byte != 0),
            LoadChunk::Head(_) | LoadChunk::Round(_) | LoadChunk::Requests(_) | LoadChunk::Counts(_) | LoadChunk::Open => false,
        };
        let parts: Vec<_> = (0..all.len()).filter(|index| counted(&all[*index])).collect();
        prop_assume!(!parts.is_empty());
        let outcomes = load_without(&history, all, parts[lost.index(parts.len())]);
        let (opened, before) = outcomes.split_last().expect("a head and an end");
        prop_assert!(matches!(opened, Err(LoadError::RoundNotWhole(_))));
        prop_assert!(before.iter().all(Result::is_ok));
    }

    #[test]
    fn seats_and_winners_of_a_round_that_was_not_loaded_are_refused(history in histories(), lost in any::<prop::sample::Index>()) {
        let (_, seen) = observe(&history);
        let all = chunks(&history, &seen);
        let used = |id: &RoundId| all.iter().any(|chunk| matches!(chunk, LoadChunk::Seats(of, _) if of == id));
        let rounds: Vec<_> = (0..all.len())
            .filter(|index| matches!(&all[*index], LoadChunk::Round(head) if used(&head.view.spec.id)))
            .collect();
        prop_assume!(!rounds.is_empty());
        let outcomes = load_without(&history, all.clone(), rounds[lost.index(rounds.len())]);
        prop_assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(LoadError::RoundNotWhole(_)))));
    }
}
