//! Recordings: every decision is in one of them once, however the journal is cut.

use std::collections::HashMap;
use std::time::Duration;

use coupon_domain::campaign::CampaignState;
use coupon_domain::ids::RoundId;
use coupon_domain::journal::{Entry, Row};
use coupon_domain::ports::EventKind;
use coupon_domain::position::Chain;
use coupon_domain::recording::{Cursor, NotRecordable, Recording};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::supply::Supply;
use proptest::prelude::*;

use crate::build::{campaign, drawn, keys, request, round, round_id, rules, second, user};
use crate::history::{History, histories};
use crate::ledger::Ledger;
use crate::play::observe;

fn record(history: &History, entries: &[Entry]) -> Recording {
    Ledger::new(history).read(entries).expect("it can be recorded")
}

/// One entry of these rows, the first of its campaign.
fn entry(rows: &[Row]) -> Entry {
    let last = rows.iter().map(Row::decisions).sum();
    let lines: Vec<_> = rows.iter().map(Row::to_line).collect();
    Entry { epoch: 1, first: 1, last, at: second(7), prev: Chain::default(), rows: lines.join("\n") }
}

fn recording(rows: &[Row]) -> Result<Recording, NotRecordable> {
    Recording::of(Cursor::default(), &[entry(rows)], &HashMap::new(), &keys())
}

fn places(round: u32, names: &[&str]) -> Row {
    Row::Places { round: round_id(round), first_ticket: 0, users: names.iter().map(|name| user(name)).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_journal_has_a_row_for_every_yes_and_for_nothing_else(history in histories()) {
        let (_, seen) = observe(&history);
        let (facts, recording) = (&seen.facts, record(&history, &seen.entries));

        prop_assert_eq!(recording.places.len(), facts.places.len());
        for row in &recording.places {
            let place = facts.places.get(&(row.round, row.user.clone()));
            prop_assert_eq!(place.map(|p| (p.ticket, p.reserved_at)), Some((row.ticket, row.reserved_at)));
            prop_assert_eq!(row.leaf.is_some(), facts.rounds[&row.round].spec.draw.is_some());
        }
        prop_assert_eq!(recording.coupons.len(), facts.coupons.len());
        for row in &recording.coupons {
            let coupon = facts.coupons.get(&(row.round, row.user.clone()));
            prop_assert_eq!(coupon.map(|c| (c.serial, c.claimed_at)), Some((row.serial, row.claimed_at)));
            prop_assert_eq!(facts.rounds[&row.round].spec.validity.expires_at(row.claimed_at), row.expires_at);
        }
        let requests: HashMap<_, _> = recording.requests().map(|(id, verb)| (id, verb.to_owned())).collect();
        prop_assert_eq!(&requests, &facts.requests);
    }

    #[test]
    fn a_ledger_has_the_same_of_a_journal_in_pieces_and_whole(history in histories(), size in 1usize..6) {
        let (_, seen) = observe(&history);
        let (mut at_once, mut piecewise) = (Ledger::new(&history), Ledger::new(&history));
        let whole = record(&history, &seen.entries);
        at_once.record(&whole);
        let mut events = Vec::new();
        for piece in seen.entries.chunks(size) {
            let part = piecewise.read(piece).expect("it follows");
            piecewise.record(&part);
            events.extend(part.events(&campaign("c")));
        }
        prop_assert_eq!(&at_once, &piecewise);
        prop_assert_eq!(whole.events(&campaign("c")), events);
        for (id, round) in &piecewise.rounds {
            prop_assert_eq!(round.left_at_close, seen.facts.rounds[id].left_at_close);
        }
    }

    #[test]
    fn each_decision_has_one_event_in_order_but_a_round_that_leaves_has_none(history in histories()) {
        let (_, seen) = observe(&history);
        let mut silent = Vec::new();
        let mut n = 0;
        for row in seen.entries.iter().flat_map(|entry| entry.parse().expect("it can be read")) {
            n += row.decisions();
            silent.extend(matches!(row, Row::Retired { .. }).then_some(n));
        }
        let events = record(&history, &seen.entries).events(&campaign("c"));
        let ids: Vec<_> = events.into_iter().map(|event| event.id).collect();
        let expected: Vec<_> = (1..=n).filter(|n| !silent.contains(n)).map(|n| format!("c-{n}")).collect();
        prop_assert_eq!(ids, expected);
    }

    #[test]
    fn a_journal_with_an_entry_missing_doubled_or_changed_is_not_recorded(history in histories(), at in any::<prop::sample::Index>()) {
        let (_, seen) = observe(&history);
        let at = at.index(seen.entries.len());
        let of = |entries: &[_]| Ledger::new(&history).read(entries);

        let mut missing = seen.entries.clone();
        missing.remove(at);
        if at < missing.len() {
            prop_assert!(matches!(of(&missing), Err(NotRecordable::NotNext { .. })), "a gap or a repeat");
        }
        let mut doubled = seen.entries.clone();
        doubled.insert(at, seen.entries[at].clone());
        prop_assert!(matches!(of(&doubled), Err(NotRecordable::NotNext { .. })), "a gap or a repeat");

        let mut changed = seen.entries.clone();
        changed[at].at = changed[at].at.plus(Duration::from_micros(1));
        if at + 1 < changed.len() {
            prop_assert!(matches!(of(&changed), Err(NotRecordable::Fork(_))));
        }
        let mut damaged = seen.entries;
        damaged[at].rows.push_str(" ,");
        prop_assert!(matches!(of(&damaged), Err(NotRecordable::Unreadable(_))), "{}", damaged[at].rows);
    }
}

#[test]
fn each_kind_of_row_has_its_event() {
    let (seven, nine, id) = (round_id(7), round_id(9), Some(request(0)));
    let rows = [
        Row::Round(round(7, 0, false, Supply::SharedPool, 1)),
        Row::Round(round(9, 100, true, Supply::SharedPool, 1)),
        places(9, &["ada"]),
        Row::Phase { round: seven, phase: Phase::Claiming, places: 0, supply: None, left: Some(5) },
        Row::Coupons { round: seven, first_serial: 0, users: vec![user("ada")] },
        Row::Drawn { round: nine, winners: 1, digest: Chain::default(), delay: Duration::ZERO },
        Row::Supply { round: nine, amount: 2, added: 2, supply: None, request: None },
        Row::Total { amount: 3, limit: 8, request: None },
        Row::Rules { rules: Box::new(rules()), request: id },
        Row::State { state: CampaignState::Paused, verb: "PAUSE".to_owned(), request: None },
        Row::Retired { round: seven, used: true },
    ];
    let events = recording(&rows).expect("it can be recorded").events(&campaign("c"));
    let told: Vec<_> = events.iter().map(|event| (event.kind, event.round, event.state.as_deref())).collect();
    let expected: [(EventKind, Option<RoundId>, Option<&str>); 10] = [
        (EventKind::RoundOpened, Some(seven), None),
        (EventKind::RoundOpened, Some(nine), None),
        (EventKind::PlaceReserved, Some(nine), None),
        (EventKind::RoundPhaseChanged, Some(seven), Some("CLAIMING")),
        (EventKind::CouponIssued, Some(seven), None),
        (EventKind::RoundDrawn, Some(nine), None),
        (EventKind::RoundSupplyAdded, Some(nine), None),
        (EventKind::CampaignUpdated, None, None),
        (EventKind::CampaignUpdated, None, None),
        (EventKind::CampaignStateChanged, None, Some("PAUSED")),
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_total_limit_that_is_recorded_is_the_last_one() {
    let total = |limit| Row::Total { amount: 1, limit, request: None };
    let change = |limit| {
        let rules = coupon_domain::campaign::Rules { total_limit: Some(limit), ..rules() };
        Row::Rules { rules: Box::new(rules), request: None }
    };
    let recorded = |rows: &[Row]| {
        let campaign = recording(rows).expect("it can be recorded").campaign;
        (campaign.rules.map(|rules| rules.total_limit), campaign.total_limit, campaign.revisions)
    };
    assert_eq!(recorded(&[total(5), total(6)]), (None, Some(6), 2));
    assert_eq!(recorded(&[change(5), total(6)]), (Some(Some(6)), None, 2));
    assert_eq!(recorded(&[total(6), change(5)]), (Some(Some(5)), None, 2));
}

#[test]
fn the_leaves_of_a_draw_need_the_key_of_its_round() {
    let spec = |key_id| RoundSpec { key_id, ..round(7, 100, true, Supply::Fixed(1), 9) };
    let record = |spec: RoundSpec| recording(&[Row::Round(spec), places(7, &["ada", "bob"])]);
    let leaves =
        |spec| record(spec).expect("it can be recorded").places.iter().filter(|row| row.leaf.is_some()).count();

    assert_eq!(leaves(drawn(spec(0), None)), 2);
    assert_eq!(record(drawn(spec(3), None)), Err(NotRecordable::MissingKey { id: 3, round: round_id(7) }));
    assert_eq!(leaves(spec(3)), 0, "what is not drawn has none");
}

#[test]
fn a_place_in_a_round_that_nobody_knows_is_not_recorded() {
    let rows = [places(7, &["ada"])];
    assert_eq!(recording(&rows), Err(NotRecordable::UnknownRound(entry(&rows).position())));
}
