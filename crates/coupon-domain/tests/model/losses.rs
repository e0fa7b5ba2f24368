//! Decisions that are in no store any more: what is declared lost keeps the rules, and nothing of it is given again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use coupon_domain::answer::Outcome;
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::ids::UserId;
use coupon_domain::journal::{Entry, Row};
use coupon_domain::loss::Loss;
use coupon_domain::model::{CampaignModel, DrawConclusion, RoundView};
use coupon_domain::position::{Chain, Position};
use coupon_domain::recording::{Cursor, Recording};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::supply::Supply;
use coupon_domain::time::Timestamp;
use proptest::prelude::*;

use crate::build::{a_fifth, drawn, keys, round, round_id, second, user, window};
use crate::history::{History, histories};
use crate::ledger::Ledger;
use crate::observer::Observer;
use crate::play::{head_of, observe};

/// The ledger has the first entries of a history, and a recovery declares the rest lost.
fn lose(history: &History, seen: &Observer, kept: usize) -> (Ledger, Timestamp) {
    let mut ledger = Ledger::new(history);
    let recording = ledger.read(&seen.entries[..kept]).expect("it can be recorded");
    ledger.record(&recording);
    let last = seen.entries.last().expect("there are entries");
    let rounds: Vec<RoundView> = ledger.in_gate().map(|(_, round)| round.head.view.clone()).collect();
    let loss = Loss {
        cursor: ledger.cursor,
        acknowledged: last.last,
        epoch: 2,
        at: last.at,
        state: ledger.state,
        left_in_total: ledger.rules.total_limit.map(|limit| u64::from(limit) - ledger.issued()),
        rounds: &rounds,
    };
    let entry = loss.entry();
    let recording = ledger.read(entry.as_slice()).expect("it can be recorded");
    ledger.record(&recording);
    assert!(ledger.cursor.position.n >= last.last, "numbers go on behind what was told");
    (ledger, last.at)
}

/// A draw of round 7 with ten places, reserved from 0 to 100, claims from 200 to 300; by what the ledger knows of it.
fn drawn_round(supply: Supply, phase: Phase) -> RoundView {
    let reserve = Some(window(0, 100));
    let spec = drawn(RoundSpec { reserve, claim: window(200, 300), ..round(7, 200, true, supply, 40) }, None);
    let supply = if phase > Phase::Reserving { spec.supply_for(10, 0, None) } else { supply.known_at_start() };
    RoundView { phase, supply, places: 10, ..RoundView::planned(spec) }
}

/// The rows that declare five decisions lost at this second.
fn declared(round: RoundView, at: i64) -> Vec<Row> {
    let cursor = Cursor { position: Position { epoch: 1, n: 20 }, ..Cursor::default() };
    let (state, left_in_total, rounds) = (CampaignState::Paused, None, [round]);
    let loss = Loss { cursor, acknowledged: 25, epoch: 2, at: second(at), state, left_in_total, rounds: &rounds };
    loss.entry().expect("a loss").parse().expect("it can be read")
}

fn lost(from: u32, to: u32) -> Vec<UserId> {
    (from..=to).map(|n| user(&format!("lost:{n}"))).collect()
}

#[test]
fn tickets_that_were_lost_take_part_in_the_draw_and_belong_to_nobody() {
    let view = drawn_round(a_fifth(), Phase::Reserving);
    let rows = declared(view.clone(), 50);
    assert_eq!(rows, [Row::Places { round: round_id(7), first_ticket: 10, users: lost(21, 25) }]);

    let lines: Vec<_> = rows.iter().map(Row::to_line).collect();
    let (prev, rows) = (Chain::default(), lines.join("\n"));
    let entry = Entry { epoch: 1, first: 1, last: 5, at: second(50), prev, rows };
    let known = HashMap::from([(round_id(7), view.spec)]);
    let recording = Recording::of(Cursor::default(), &[entry], &known, &keys()).expect("it can be recorded");
    assert!(recording.places.iter().all(|row| row.leaf.is_some()));
}

#[test]
fn before_claims_open_a_draw_has_lost_no_coupon() {
    for phase in [Phase::Reserving, Phase::Waiting] {
        let rows = declared(drawn_round(Supply::Fixed(9), phase), 199);
        assert!(!rows.iter().any(|row| matches!(row, Row::Coupons { .. })), "{rows:?}");
    }
}

#[test]
fn no_more_coupons_of_a_draw_are_burnt_than_winners_are_left() {
    let claiming = |issued| RoundView { issued, drawn: true, ..drawn_round(Supply::Fixed(4), Phase::Claiming) };
    let burnt = |issued, users| Row::Coupons { round: round_id(7), first_serial: issued, users };
    assert_eq!(declared(claiming(0), 250), [burnt(0, lost(21, 24)), Row::Lost { count: 1 }]);
    assert_eq!(declared(claiming(3), 250), [burnt(3, lost(21, 21)), Row::Lost { count: 4 }]);
    assert_eq!(declared(claiming(4), 250), [Row::Lost { count: 5 }]);
    // Whether the winners were known is among what was lost.
    let awaiting = RoundView { drawn: false, ..claiming(0) };
    assert_eq!(declared(awaiting, 250), [burnt(0, lost(21, 24)), Row::Lost { count: 1 }]);
}

#[test]
fn a_draw_that_was_late_has_lost_no_coupon_before_its_claims_opened() {
    let late =
        RoundView { drawn: true, delay: Duration::from_secs(60), ..drawn_round(Supply::Fixed(4), Phase::Waiting) };
    assert_eq!(declared(late, 259), [Row::Lost { count: 5 }]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn nothing_that_was_lost_is_given_again(history in histories(), kept in any::<prop::sample::Index>()) {
        let (_, seen) = observe(&history);
        let (mut ledger, at) = lose(&history, &seen, kept.index(seen.entries.len()));
        let given: HashSet<_> = seen.facts.coupons.iter().map(|((round, _), coupon)| (*round, coupon.serial)).collect();
        let taken: HashSet<_> = seen.facts.places.iter().map(|((round, _), place)| (*round, place.ticket)).collect();

        let mut model = CampaignModel::begin(&head_of(&history));
        let winners: BTreeMap<_, _> =
            seen.facts.rounds.iter().filter_map(|(id, round)| Some((*id, round.winners.clone()?))).collect();
        for chunk in ledger.chunks(&winners) {
            prop_assert_eq!(model.load(chunk), Ok(()));
        }
        let mut entries = vec![model.transition(Transition::Resume, None, at).entry];
        let users: Vec<UserId> = (0..30).map(|number| user(&format!("new-{number}"))).collect();
        let users: Vec<_> = (0..12).map(|number| user(&format!("u-{number}"))).chain(users).collect();
        let rounds: Vec<_> = ledger.in_gate().map(|(id, round)| (*id, round.head.view.clone())).collect();
        for (round, view) in rounds {
            // A draw whose conclusion was lost is concluded again: it follows from places that the ledger has.
            let fixed = view.phase > Phase::Reserving && !view.drawn;
            if let Some(winners) = winners.get(&round).filter(|_| fixed) {
                let concluded = model.conclude_draw(round, winners, at).expect("it is here");
                prop_assert!(matches!(concluded.answers, DrawConclusion::Drawn(_)));
                entries.push(concluded.entry);
            }
            let places = model.reserve(round, &users, true, at).expect("it is here");
            for answer in &places.answers {
                if let Outcome::Granted(place) = answer.outcome {
                    prop_assert!(!taken.contains(&(round, place.ticket)), "{} {}", round, place.ticket);
                }
            }
            let coupons = model.claim(round, &users, true, at).expect("it is here");
            for answer in &coupons.answers {
                if let Outcome::Granted(coupon) = answer.outcome {
                    prop_assert!(!given.contains(&(round, coupon.serial)), "{} {}", round, coupon.serial);
                }
            }
            entries.extend([places.entry, coupons.entry]);
        }
        let entries: Vec<_> = entries.into_iter().flatten().collect();
        let recording = ledger.read(&entries).expect("it can be recorded");
        ledger.record(&recording);
    }
}
