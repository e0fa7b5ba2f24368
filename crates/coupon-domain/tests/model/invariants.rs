//! Random histories keep the invariants of the rules; [`observe`] holds every answer and every entry against them.

use std::collections::HashMap;

use coupon_domain::recording::{Cursor, NotRecordable, Recording};
use coupon_domain::round::Phase;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::history::histories;
use crate::observer::observe;

#[test]
fn random_histories_come_by_everything() {
    let mut runner = TestRunner::deterministic();
    let (mut places, mut coupons, mut closed, mut retired) = (0, 0, 0, 0);
    for _ in 0..200 {
        let history = histories().new_tree(&mut runner).expect("a history").current();
        let (_, seen) = observe(&history);
        places += seen.places.len();
        coupons += seen.coupons.len();
        closed += seen.phases.values().filter(|(phase, _)| *phase == Phase::Closed).count();
        retired += seen.entries.iter().filter(|entry| entry.rows.starts_with("retired")).count();
    }
    assert!(places > 500 && coupons > 200 && closed > 100 && retired > 20, "{places} {coupons} {closed} {retired}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn every_answer_and_every_entry_keeps_the_rules(history in histories()) {
        observe(&history);
    }

    #[test]
    fn the_journal_has_a_row_for_every_yes_and_for_nothing_else(history in histories()) {
        let (_, seen) = observe(&history);
        let recording = Recording::of(Cursor::default(), &seen.entries, &HashMap::new()).expect("it can be recorded");

        prop_assert_eq!(recording.places.len(), seen.places.len());
        for row in &recording.places {
            let place = seen.places.get(&(row.round, row.user.clone()));
            prop_assert_eq!(place.map(|p| (p.ticket, p.reserved_at)), Some((row.ticket, row.reserved_at)));
        }
        prop_assert_eq!(recording.coupons.len(), seen.coupons.len());
        for row in &recording.coupons {
            let coupon = seen.coupons.get(&(row.round, row.user.clone()));
            prop_assert_eq!(coupon.map(|c| (c.serial, c.claimed_at)), Some((row.serial, row.claimed_at)));
            let validity = history.rounds.iter().find(|spec| spec.id == row.round).map(|spec| spec.validity);
            prop_assert_eq!(validity.map(|v| v.expires_at(row.claimed_at)), Some(row.expires_at));
        }
    }

    #[test]
    fn a_recording_in_pieces_is_the_recording_of_the_whole(history in histories(), size in 1usize..6) {
        let (_, seen) = observe(&history);
        let known = history.rounds.iter().map(|spec| (spec.id, spec.clone())).collect();
        let whole = Recording::of(Cursor::default(), &seen.entries, &known).expect("it can be recorded");

        let mut joined = Recording { epoch: whole.epoch, ..Recording::default() };
        for piece in seen.entries.chunks(size) {
            let part = Recording::of(joined.to, piece, &known).expect("it follows");
            prop_assert_eq!(part.from, joined.to);
            joined.to = part.to;
            joined.rounds.extend(part.rounds);
            joined.places.extend(part.places);
            joined.coupons.extend(part.coupons);
            joined.phases.extend(part.phases);
            joined.states.extend(part.states);
            joined.retired.extend(part.retired);
        }
        prop_assert_eq!(joined, whole);
    }

    #[test]
    fn a_journal_with_an_entry_missing_doubled_or_changed_is_not_recorded(history in histories(), at in any::<prop::sample::Index>()) {
        let (_, seen) = observe(&history);
        let at = at.index(seen.entries.len());
        let of = |entries: &[_]| Recording::of(Cursor::default(), entries, &HashMap::new());

        let mut missing = seen.entries.clone();
        missing.remove(at);
        if at < missing.len() {
            prop_assert!(matches!(of(&missing), Err(NotRecordable::NotNext { .. })), "a gap or a repeat");
        }
        let mut doubled = seen.entries.clone();
        doubled.insert(at, seen.entries[at].clone());
        prop_assert!(matches!(of(&doubled), Err(NotRecordable::NotNext { .. })), "a gap or a repeat");

        let mut changed = seen.entries.clone();
        changed[at].at = changed[at].at.plus(std::time::Duration::from_micros(1));
        if at + 1 < changed.len() {
            prop_assert!(matches!(of(&changed), Err(NotRecordable::Fork(_))));
        }
        let mut damaged = seen.entries;
        damaged[at].rows.push_str(" ,");
        prop_assert!(matches!(of(&damaged), Err(NotRecordable::Unreadable(_))), "{}", damaged[at].rows);
    }
}
