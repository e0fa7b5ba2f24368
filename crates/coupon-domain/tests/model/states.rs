//! A campaign's states: what operators do to them, and what stops in each.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::journal::Row;
use coupon_domain::model::{CampaignModel, Retirement, RoundOpening, Transitioned};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::supply::Supply;

use crate::build::{head, request, round, round_id, rules, second, user};
use crate::gate::Gate;

/// Rounds 1 and 2, reserved from fifty to ten seconds before 100 and 200, and claims for twenty from then on.
fn two_rounds() -> Gate {
    Gate::with(rules(), [1, 2].map(|n| round(n, i64::from(n) * 100, true, Supply::Fixed(5), 9)))
}

#[test]
fn each_transition_from_each_state() {
    use CampaignState::{Active, Draft, Ended, Paused};
    use Transitioned::{Done, Refused, Unchanged};
    let from = |state| {
        Transition::ALL.map(|transition| {
            let mut model = CampaignModel::begin(&coupon_domain::model::CampaignHead { state, ..head(&rules()) });
            let decided = model.transition(transition, None, second(0));
            assert_eq!(decided.entry.is_some(), matches!(decided.answers, Done(_)));
            decided.answers
        })
    };
    // Activate, pause, resume, end.
    assert_eq!(from(Draft), [Done(Active), Refused(Draft), Refused(Draft), Done(Ended)]);
    assert_eq!(from(Active), [Unchanged(Active), Done(Paused), Unchanged(Active), Done(Ended)]);
    assert_eq!(from(Paused), [Refused(Paused), Unchanged(Paused), Done(Active), Done(Ended)]);
    assert_eq!(from(Ended), [Refused(Ended), Refused(Ended), Refused(Ended), Unchanged(Ended)]);
}

#[test]
fn a_transition_that_is_repeated_is_done_once() {
    let mut gate = two_rounds();
    let (one, two) = (Some(request(1)), Some(request(2)));
    assert_eq!(gate.transition(Transition::Pause, one), Transitioned::Done(CampaignState::Paused));
    let row = Row::State { state: CampaignState::Paused, verb: "PAUSE".to_owned(), request: one };
    assert_eq!(gate.rows(), [row]);
    assert_eq!(gate.transition(Transition::Resume, two), Transitioned::Done(CampaignState::Active));
    assert_eq!(gate.transition(Transition::Pause, one), Transitioned::Repeated, "a late repeat does not pause again");
    assert_eq!(gate.transition(Transition::Resume, one), Transitioned::RequestUsed);
    assert_eq!((gate.campaign().state, gate.campaign().revision), (CampaignState::Active, 3));
}

#[test]
fn a_paused_campaign_gives_nothing_new_and_repeats_what_it_gave() {
    let mut gate = two_rounds();
    let place = gate.at(50).reserve(1, "ada");
    gate.transition(Transition::Pause, None);
    let Outcome::Granted(place) = place else { panic!("{place:?}") };
    assert_eq!(gate.reserve(1, "ada"), Outcome::Replayed(place));
    assert_eq!(gate.reserve(1, "bob"), Outcome::Refused(Refusal::Paused));
    assert_eq!(gate.reserve(2, "bob"), Outcome::Refused(Refusal::NotOpenYet), "the window is looked at first");
    assert_eq!(gate.at(100).claim(1, "ada"), Outcome::Refused(Refusal::Paused));
    gate.transition(Transition::Resume, None);
    assert!(matches!(gate.claim(1, "ada"), Outcome::Granted(_)));
}

#[test]
fn an_ended_campaign_is_closed_whatever_its_windows_say() {
    let mut gate = two_rounds();
    gate.at(50).reserve_many(1, 2);
    let Outcome::Granted(coupon) = gate.at(100).claim(1, "u-0") else { panic!("claims are open") };
    assert_eq!(gate.transition(Transition::End, None), Transitioned::Done(CampaignState::Ended));

    assert_eq!(gate.claim(1, "u-0"), Outcome::Replayed(coupon));
    assert_eq!(gate.claim(1, "u-1"), Outcome::Refused(Refusal::Closed));
    assert_eq!(gate.reserve(2, "u-1"), Outcome::Refused(Refusal::Closed), "though it has not opened");
    let next = RoundSpec { revision: 2, ..round(3, 300, true, Supply::Fixed(1), 9) };
    assert_eq!(gate.open(&next), RoundOpening::CampaignEnded);
    for transition in [Transition::Activate, Transition::Pause, Transition::Resume] {
        assert_eq!(gate.transition(transition, None), Transitioned::Refused(CampaignState::Ended));
    }
}

#[test]
fn rounds_that_nobody_used_leave_an_ended_campaign_at_once_and_the_others_when_they_are_over() {
    let mut gate = two_rounds();
    gate.at(50).reserve_many(1, 1);
    gate.transition(Transition::End, None);
    assert_eq!((gate.retire(1), gate.retire(2)), (Retirement::Kept, Retirement::Retired));
    assert_eq!(gate.rows(), [Row::Retired { round: round_id(2), used: false }]);
    gate.at(120).tick();
    assert_eq!(gate.phase(1), Phase::Closed);
    assert_eq!((gate.at(120 + 3599).retire(1), gate.at(120 + 3600).retire(1)), (Retirement::Kept, Retirement::Retired));
}

#[test]
fn a_round_stays_until_the_ledger_has_all_of_it() {
    let mut model = CampaignModel::begin(&head(&rules()));
    model.open_round(&round(1, 100, true, Supply::Fixed(5), 9), second(0));
    model.tick(second(120));
    let mut retire = |recorded| model.retire(round_id(1), recorded, second(10_000)).expect("it is here").answers;
    assert_eq!((retire(1), retire(2)), (Retirement::Kept, Retirement::Retired));
}

#[test]
fn users_of_no_registry_are_refused_where_it_is_asked_for_but_not_what_they_have() {
    let spec = RoundSpec { registered_users_only: true, ..round(1, 100, true, Supply::Fixed(5), 9) };
    let mut gate = Gate::with(rules(), [spec, round(2, 200, true, Supply::Fixed(5), 9)]);
    let unknown = Outcome::Refused(Refusal::UnknownUser);
    assert_eq!(gate.at(49).reserve_as(1, "ada", false), Outcome::Refused(Refusal::NotOpenYet));
    assert_eq!(gate.at(50).reserve_as(1, "ada", false), unknown);
    let Outcome::Granted(place) = gate.reserve_as(1, "ada", true) else { panic!("reservation is open") };
    assert_eq!(gate.reserve_as(1, "ada", false), Outcome::Replayed(place));
    assert_eq!(gate.at(100).claim_as(1, "ada", false), Outcome::Refused(Refusal::UnknownUser));
    assert!(matches!(gate.claim_as(1, "ada", true), Outcome::Granted(_)));
    assert!(matches!(gate.at(150).reserve_as(2, "eve", false), Outcome::Granted(_)), "others take anybody");
}

#[test]
fn a_round_is_opened_once_and_shares_no_instant_with_another() {
    let mut gate = two_rounds();
    let at = |number, opens| round(number, opens, true, Supply::Fixed(1), 9);
    assert_eq!(gate.open(&at(3, 200)), RoundOpening::AlreadyThere(round_id(2)));
    assert_eq!(gate.open(&at(2, 900)), RoundOpening::AlreadyThere(round_id(2)));
    assert_eq!(gate.open(&at(3, 181)), RoundOpening::Overlaps(round_id(2)));
    assert_eq!(gate.open(&at(3, 219)), RoundOpening::Overlaps(round_id(2)));
    assert_eq!((gate.open(&at(3, 180)), gate.open(&at(4, 220))), (RoundOpening::Opened, RoundOpening::Opened));
}

#[test]
fn rounds_that_are_not_here_are_told_so() {
    let mut model = CampaignModel::begin(&head(&rules()));
    let nine = round_id(9);
    let addition = |request| coupon_domain::model::SupplyAddition { round: Some(nine), amount: 1, request };
    assert!(model.reserve(nine, &[user("ada")], true, second(0)).is_err());
    assert!(model.claim(nine, &[user("ada")], true, second(0)).is_err());
    assert!(model.conclude_draw(nine, &[], second(0)).is_err());
    assert!(model.retire(nine, 0, second(0)).is_err());
    assert!(model.add_supply(&addition(None), second(0)).is_err());
    assert_eq!(model.position().n, 0);
}
