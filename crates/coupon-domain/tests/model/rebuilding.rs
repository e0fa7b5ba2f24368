//! What the journal tells is all there is to know: a model loaded from it is the model that wrote it.

use std::collections::{BTreeMap, HashMap};

use coupon_domain::answer::{Issued, Place};
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignHead, CampaignModel, LoadChunk, LoadError, RoundHead, RoundView, Seat};
use coupon_domain::recording::{Cursor, Recording};
use coupon_domain::round::Phase;
use proptest::prelude::*;

use crate::history::histories;
use crate::observer::observe;

type Rounds = BTreeMap<RoundId, (RoundHead, BTreeMap<UserId, Seat>)>;

/// Rounds and seats by the rows of a recording.
fn rounds(recording: &Recording) -> Rounds {
    let mut rounds = Rounds::new();
    for row in &recording.rounds {
        let (spec, supply) = (row.spec.clone(), row.spec.supply.known_at_start());
        let view = RoundView { spec, phase: Phase::Planned, supply, places: 0, issued: 0 };
        rounds.insert(row.spec.id, (RoundHead { view, last_n: row.n }, BTreeMap::new()));
    }
    let mut touch = |id: &RoundId, n: u64, change: &mut dyn FnMut(&mut RoundView, &mut BTreeMap<UserId, Seat>)| {
        let (head, seats) = rounds.get_mut(id).expect("it was opened");
        head.last_n = head.last_n.max(n);
        change(&mut head.view, seats);
    };
    for row in &recording.places {
        touch(&row.round, row.n, &mut |view, seats| {
            view.places += 1;
            let place = Place { ticket: row.ticket, reserved_at: row.reserved_at };
            seats.entry(row.user.clone()).or_default().place = Some(place);
        });
    }
    for row in &recording.coupons {
        touch(&row.round, row.n, &mut |view, seats| {
            view.issued += 1;
            let coupon = Issued { serial: row.serial, claimed_at: row.claimed_at };
            seats.entry(row.user.clone()).or_default().coupon = Some(coupon);
        });
    }
    for row in &recording.phases {
        touch(&row.round, row.n, &mut |view, _| (view.phase, view.supply) = (row.phase, row.supply));
    }
    for row in &recording.retired {
        rounds.remove(&row.round);
    }
    rounds
}

/// What loads a gate, a few seats at a time.
fn chunks(like: &CampaignHead, entries: &[Entry]) -> Vec<LoadChunk> {
    let recording = Recording::of(Cursor::default(), entries, &HashMap::new()).expect("it can be recorded");
    let mut counts: BTreeMap<UserId, u32> = BTreeMap::new();
    recording.coupons.iter().for_each(|row| *counts.entry(row.user.clone()).or_default() += 1);
    let mut chunks = vec![LoadChunk::Head(CampaignHead {
        position: recording.to.position,
        last_at: recording.to.last_at.unwrap_or(like.last_at),
        chain: recording.to.chain,
        state: recording.states.last().map_or(like.state, |row| row.state),
        issued: recording.coupons.len() as u64,
        ..like.clone()
    })];
    for (id, (head, seats)) in rounds(&recording) {
        chunks.push(LoadChunk::Round(head));
        let seats: Vec<_> = seats.into_iter().collect();
        chunks.extend(seats.chunks(4).map(|some| LoadChunk::Seats(id, some.to_vec())));
    }
    chunks.push(LoadChunk::Counts(counts.into_iter().collect()));
    chunks.push(LoadChunk::Open);
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_model_loaded_from_its_journal_is_itself(history in histories()) {
        let (model, seen) = observe(&history);
        let mut loaded = CampaignModel::begin(&history.head);
        for chunk in chunks(&history.head, &seen.entries) {
            prop_assert_eq!(loaded.load(chunk), Ok(()));
        }
        prop_assert_eq!(loaded, model);
    }

    #[test]
    fn a_model_with_seats_missing_is_not_opened(history in histories(), lost in any::<prop::sample::Index>()) {
        let (_, seen) = observe(&history);
        let all = chunks(&history.head, &seen.entries);
        let seats: Vec<_> = (0..all.len()).filter(|i| matches!(all[*i], LoadChunk::Seats(..))).collect();
        prop_assume!(!seats.is_empty());
        let lost = seats[lost.index(seats.len())];
        let mut loaded = CampaignModel::begin(&history.head);
        let outcomes: Vec<_> =
            all.into_iter().enumerate().filter(|(i, _)| *i != lost).map(|(_, chunk)| loaded.load(chunk)).collect();
        let (opened, before) = outcomes.split_last().expect("a head and an end");
        prop_assert!(matches!(opened, Err(LoadError::RoundNotWhole(_))));
        prop_assert!(before.iter().all(Result::is_ok));
    }
}
