//! Changes of a campaign's rules: refused where somebody has relied on them.

use coupon_domain::campaign::{Rules, Transition};
use coupon_domain::journal::Row;
use coupon_domain::model::{Retirement, Revised, RoundOpening};
use coupon_domain::round::RoundSpec;
use coupon_domain::schedule::Start;
use coupon_domain::supply::Supply;

use crate::build::{request, round, round_id, rules, second};
use crate::gate::Gate;

const HOUR: i64 = 3600;

/// Rounds 1, 2 and 3, reserved from fifty to ten seconds before 100, 200 and 300, and claims for twenty from then on.
fn three_rounds() -> Gate {
    Gate::with(rules(), [1, 2, 3].map(|n| round(n, i64::from(n) * 100, true, Supply::Fixed(5), 9)))
}

fn title(rules: &mut Rules) {
    "Autumn sale".clone_into(&mut rules.title);
}

/// Reaches rounds.
fn supply(rules: &mut Rules) {
    rules.supply = Supply::Fixed(7);
}

/// Reaches all of the campaign.
fn limit(rules: &mut Rules) {
    rules.max_per_user = Some(2);
}

fn gone(round: u32) -> Row {
    Row::Retired { round: round_id(round), used: false }
}

#[test]
fn labels_change_whatever_is_going_on_and_leave_all_rounds() {
    let mut gate = three_rounds();
    gate.at(50).reserve_many(1, 5);
    assert_eq!(gate.at(100).coupons_for(1, 5), 5);
    assert_eq!(gate.revise(title, None), Revised::Done(2));
    let changed = Rules { title: "Autumn sale".to_owned(), ..rules() };
    assert_eq!(gate.rows(), [Row::Rules { rules: Box::new(changed), request: None }]);
    assert_eq!(gate.rounds(), [1, 2, 3]);
}

#[test]
fn rules_of_rounds_do_not_change_while_one_that_has_not_closed_is_used() {
    let mut gate = three_rounds();
    gate.at(50).reserve_many(1, 1);
    for second in [50, 90, 100, 119] {
        assert_eq!(gate.at(second).revise(supply, None), Revised::RoundInUse(round_id(1)));
        assert_eq!(gate.rounds(), [1, 2, 3]);
    }
    assert_eq!(gate.campaign().revision, 1);
}

#[test]
fn rules_of_rounds_change_when_only_closed_ones_are_used_and_those_ahead_are_dropped() {
    let mut gate = three_rounds();
    gate.at(50).reserve_many(1, 1);
    assert_eq!(gate.at(120).revise(supply, None), Revised::Done(2), "the boundary that was passed counts");
    let rows = gate.rows();
    assert!(matches!(rows[0], Row::Phase { .. }), "{rows:?}");
    let changed = Rules { supply: Supply::Fixed(7), ..rules() };
    assert_eq!(rows[1..], [gone(2), gone(3), Row::Rules { rules: Box::new(changed), request: None }]);
    assert_eq!(gate.rounds(), [1]);
}

#[test]
fn a_round_that_closed_unused_stays_when_those_ahead_are_dropped() {
    let mut gate = three_rounds();
    assert_eq!(gate.at(120).revise(supply, None), Revised::Done(2));
    assert_eq!(gate.rounds(), [1]);
}

#[test]
fn rounds_that_were_dropped_are_planned_anew_by_the_rules_of_now_alone() {
    let mut gate = three_rounds();
    gate.revise(supply, None);
    let spec = round(4, 100, true, Supply::Fixed(7), 9);
    assert_eq!(gate.open(&spec), RoundOpening::Outdated(2));
    assert_eq!(gate.open(&RoundSpec { revision: 3, ..spec.clone() }), RoundOpening::Outdated(2));
    assert_eq!(gate.open(&RoundSpec { revision: 2, ..spec }), RoundOpening::Opened);
    assert_eq!(gate.rounds(), [4]);
}

#[test]
fn what_counts_over_all_rounds_does_not_change_once_there_is_a_place() {
    let mut gate = three_rounds();
    gate.at(50).reserve_many(1, 1);
    for second in [50, 100, 120, 1000] {
        assert_eq!(gate.at(second).revise(limit, None), Revised::RoundInUse(round_id(1)), "closed or not");
    }
}

#[test]
fn what_counts_over_all_rounds_does_not_change_once_there_was_a_coupon() {
    let mut gate = three_rounds();
    gate.at(50).reserve_many(1, 1);
    assert_eq!(gate.at(100).coupons_for(1, 1), 1);
    gate.at(120).tick();
    assert_eq!(gate.at(120 + HOUR).retire(1), Retirement::Retired);
    assert_eq!(gate.revise(limit, None), Revised::CampaignInUse);
    assert_eq!(gate.revise(supply, None), Revised::Done(2), "what concerns rounds to come does");
}

#[test]
fn what_counts_over_all_rounds_changes_while_nobody_has_anything() {
    let mut gate = three_rounds();
    assert_eq!(gate.revise(limit, None), Revised::Done(2));
    assert_eq!(gate.rows()[..3], [gone(1), gone(2), gone(3)]);
    for (number, opens, coupons) in [(4, 100, 1), (5, 200, 1), (6, 300, 0)] {
        gate.open(&RoundSpec { revision: 2, ..round(number, opens, false, Supply::Fixed(5), 9) });
        assert_eq!(gate.at(opens).coupons_for(number, 1), coupons, "a user may have two now");
    }
}

#[test]
fn a_total_limit_that_was_changed_holds() {
    let mut gate = three_rounds();
    assert_eq!(gate.revise(|rules| rules.total_limit = Some(3), None), Revised::Done(2));
    gate.open(&RoundSpec { revision: 2, ..round(4, 100, false, Supply::Fixed(5), 9) });
    assert_eq!((gate.at(100).coupons_for(4, 5), gate.campaign().total_limit), (3, Some(3)));
}

#[test]
fn coupons_are_counted_by_user_as_soon_as_there_may_be_several_rounds() {
    let once = |rules: &mut Rules| rules.schedule.start = Start::Once(second(100));
    let mut one_start = rules();
    once(&mut one_start);
    let mut gate = Gate::with(one_start, []);
    assert_eq!(gate.revise(|changed| changed.schedule = rules().schedule, None), Revised::Done(2));
    for (number, coupons) in [(4, 1), (5, 0)] {
        let opens = i64::from(number) * 100;
        gate.open(&RoundSpec { revision: 2, ..round(number, opens, false, Supply::Fixed(5), 9) });
        assert_eq!(gate.at(opens).coupons_for(number, 1), coupons);
    }
    // The other way round nothing is counted: there will be one round, and one coupon in it.
    let mut gate = three_rounds();
    assert_eq!(gate.revise(once, None), Revised::Done(2));
    for number in [4, 5] {
        let opens = i64::from(number) * 100;
        gate.open(&RoundSpec { revision: 2, ..round(number, opens, false, Supply::Fixed(5), 9) });
        assert_eq!(gate.at(opens).coupons_for(number, 1), 1);
    }
}

#[test]
fn a_change_that_was_made_for_another_revision_is_refused() {
    let mut gate = three_rounds();
    assert_eq!(gate.revise_from(1, title, None), Revised::Done(2));
    for of in [0, 1, 3] {
        for change in [title, supply, limit] {
            assert_eq!(gate.revise_from(of, change, None), Revised::Outdated(2));
        }
    }
    // A change of state counts too: whoever paused it may have had a reason to change it.
    gate.transition(Transition::Pause, None);
    assert_eq!(gate.revise_from(2, title, None), Revised::Outdated(3));
    assert_eq!(gate.revise_from(3, title, None), Revised::Done(4));
}

#[test]
fn a_request_that_is_repeated_changes_once() {
    let mut gate = three_rounds();
    let (one, two) = (Some(request(1)), Some(request(2)));
    assert_eq!(gate.revise_from(1, supply, one), Revised::Done(2));
    assert_eq!(gate.revise_from(1, supply, one), Revised::Repeated, "though it is outdated by now");
    assert_eq!((gate.rows(), gate.campaign().revision), (vec![], 2));
    gate.transition(Transition::Pause, two);
    assert_eq!(gate.revise(title, two), Revised::RequestUsed);
}

#[test]
fn a_campaign_that_has_ended_does_not_change() {
    let mut gate = three_rounds();
    gate.transition(Transition::End, None);
    for change in [title, supply, limit] {
        assert_eq!(gate.revise(change, None), Revised::Ended);
    }
}
