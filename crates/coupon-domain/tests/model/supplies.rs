//! Coupons that an operator adds.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::{Rules, Transition};
use coupon_domain::journal::Row;
use coupon_domain::model::SupplyAdded;
use coupon_domain::supply::Supply;

use crate::build::{a_fifth, drawn, request, round, round_id, rules};
use crate::gate::Gate;

/// Round 7, reserved from 50 to 90, claims from 100 to 120; ten users have a place.
fn ten_places(supply: Supply) -> Gate {
    let mut gate = Gate::with(rules(), [round(7, 100, true, supply, 100)]);
    gate.at(50).reserve_many(7, 10);
    gate
}

#[test]
fn coupons_added_before_the_share_of_the_places_is_known_come_on_top_of_it() {
    let mut gate = ten_places(a_fifth());
    assert_eq!(gate.add(Some(7), 3, None), SupplyAdded::Done);
    assert_eq!(gate.rows(), [Row::Supply { round: round_id(7), amount: 3, added: 3, supply: None, request: None }]);
    assert_eq!(gate.supply(7), None);
    assert_eq!(gate.at(90).supply(7), Some(5));
    assert_eq!(gate.at(100).coupons_for(7, 10), 5);
}

#[test]
fn coupons_added_after_it_is_known_come_on_top_of_it_at_once() {
    let mut gate = ten_places(a_fifth());
    assert_eq!(gate.at(90).add(Some(7), 3, None), SupplyAdded::Done);
    assert_eq!((gate.supply(7), gate.view(7).added), (Some(5), 3));
}

#[test]
fn as_many_coupons_are_given_after_the_round_was_sold_out_as_are_added() {
    let mut gate = ten_places(a_fifth());
    assert_eq!(gate.at(100).coupons_for(7, 10), 2);
    assert_eq!(gate.claim(7, "u-9"), Outcome::Refused(Refusal::SoldOut));
    gate.add(Some(7), 3, None);
    assert_eq!(gate.coupons_for(7, 10), 3);
    gate.add(Some(7), 1, None);
    assert_eq!((gate.coupons_for(7, 10), gate.supply(7), gate.view(7).added), (1, Some(6), 4));
}

#[test]
fn a_fixed_supply_grows_before_and_after_reservation_closes() {
    let mut gate = ten_places(Supply::Fixed(2));
    gate.add(Some(7), 1, None);
    assert_eq!(gate.supply(7), Some(3));
    assert_eq!(gate.at(90).supply(7), Some(3), "it is not counted twice");
    gate.add(Some(7), 1, None);
    assert_eq!((gate.supply(7), gate.at(100).coupons_for(7, 10)), (Some(4), 4));
}

#[test]
fn a_drawn_round_gets_more_winners_only_until_reservation_closes() {
    let mut gate = Gate::with(rules(), [drawn(round(7, 100, true, a_fifth(), 100), None)]);
    gate.at(50).reserve_many(7, 10);
    assert_eq!(gate.at(89).add(Some(7), 3, None), SupplyAdded::Done);
    assert_eq!(gate.at(90).add(Some(7), 3, None), SupplyAdded::WinnersFixed);
    assert_eq!(gate.rows().len(), 1, "only the boundary is told");
    assert_eq!((gate.supply(7), gate.view(7).added), (Some(5), 3));
}

#[test]
fn a_round_of_a_shared_pool_has_no_supply_of_its_own() {
    let pool = Rules { supply: Supply::SharedPool, total_limit: Some(2), ..rules() };
    let mut gate = Gate::with(pool, [round(7, 100, false, Supply::SharedPool, 100)]);
    assert_eq!(gate.add(Some(7), 3, None), SupplyAdded::NoOwnSupply);
    assert_eq!(gate.at(100).coupons_for(7, 10), 2);
    assert_eq!(gate.add(None, 3, None), SupplyAdded::Done);
    assert_eq!(gate.rows(), [Row::Total { amount: 3, limit: 5, request: None }]);
    assert_eq!((gate.coupons_for(7, 10), gate.campaign().total_limit), (3, Some(5)));
}

#[test]
fn the_total_limit_bounds_what_is_added_to_a_round() {
    let mut gate = Gate::with(Rules { total_limit: Some(3), ..rules() }, [round(7, 100, false, Supply::Fixed(2), 9)]);
    gate.add(Some(7), 100, None);
    assert_eq!((gate.at(100).coupons_for(7, 10), gate.supply(7)), (3, Some(102)));
}

#[test]
fn nobody_gets_more_than_there_may_be() {
    const MAX: u32 = Supply::MAX;
    let mut gate = ten_places(Supply::Fixed(2));
    assert_eq!(gate.add(Some(7), MAX - 1, None), SupplyAdded::TooMany);
    assert_eq!(gate.add(Some(7), u32::MAX, None), SupplyAdded::TooMany);
    assert_eq!(gate.add(Some(7), MAX - 2, None), SupplyAdded::Done);
    assert_eq!(gate.add(Some(7), 1, None), SupplyAdded::TooMany);

    let mut gate = ten_places(a_fifth());
    assert_eq!(gate.add(Some(7), MAX, None), SupplyAdded::Done, "as long as the share is not known");
    assert_eq!(gate.add(Some(7), 1, None), SupplyAdded::TooMany);
    assert_eq!(gate.at(90).add(Some(7), 1, None), SupplyAdded::TooMany);

    let mut gate = Gate::with(Rules { total_limit: Some(2), ..rules() }, []);
    assert_eq!(gate.add(None, u32::MAX, None), SupplyAdded::TooMany);
    assert_eq!(gate.add(None, MAX - 2, None), SupplyAdded::Done);
    assert_eq!(gate.add(None, 1, None), SupplyAdded::TooMany);
}

#[test]
fn where_there_is_no_total_limit_none_is_raised() {
    assert_eq!(ten_places(a_fifth()).add(None, 1, None), SupplyAdded::NoTotalLimit);
}

#[test]
fn what_is_over_gets_nothing_more() {
    let mut gate = ten_places(a_fifth());
    assert_eq!(gate.at(120).add(Some(7), 1, None), SupplyAdded::Closed);

    let mut gate = Gate::with(Rules { total_limit: Some(2), ..rules() }, [round(7, 100, false, a_fifth(), 9)]);
    gate.transition(Transition::End, None);
    assert_eq!((gate.add(Some(7), 1, None), gate.add(None, 1, None)), (SupplyAdded::Closed, SupplyAdded::Closed));
}

#[test]
fn a_request_that_is_repeated_adds_once() {
    let mut gate = Gate::with(Rules { total_limit: Some(9), ..rules() }, [round(7, 100, false, Supply::Fixed(1), 9)]);
    let (first, second, third) = (Some(request(1)), Some(request(2)), Some(request(3)));
    assert_eq!((gate.add(Some(7), 2, first), gate.add(None, 2, second)), (SupplyAdded::Done, SupplyAdded::Done));
    for repeat in [gate.add(Some(7), 2, first), gate.add(None, 2, second), gate.add(None, 2, first)] {
        assert_eq!(repeat, SupplyAdded::Repeated);
    }
    assert_eq!((gate.supply(7), gate.campaign().total_limit), (Some(3), Some(11)));

    assert_eq!(
        gate.revise(|rules| rules.title = "Other".to_owned(), first),
        coupon_domain::model::Revised::RequestUsed
    );
    assert_eq!(gate.transition(Transition::Pause, second), coupon_domain::model::Transitioned::RequestUsed);
    gate.transition(Transition::Pause, third);
    assert_eq!(gate.add(Some(7), 2, third), SupplyAdded::RequestUsed);
    // Without an id every call counts.
    assert_eq!((gate.add(Some(7), 1, None), gate.add(Some(7), 1, None)), (SupplyAdded::Done, SupplyAdded::Done));
}

#[test]
fn a_refused_request_may_be_made_again() {
    let mut gate = Gate::with(rules(), [round(7, 100, false, Supply::Fixed(1), 9)]);
    assert_eq!(gate.add(None, 2, Some(request(1))), SupplyAdded::NoTotalLimit);
    assert_eq!(gate.add(Some(7), 2, Some(request(1))), SupplyAdded::Done);
}

#[test]
fn adding_to_the_total_limit_changes_the_rules_and_adding_to_a_round_does_not() {
    let mut gate = Gate::with(Rules { total_limit: Some(9), ..rules() }, [round(7, 100, false, Supply::Fixed(1), 9)]);
    gate.add(Some(7), 1, None);
    assert_eq!(gate.campaign().revision, 1);
    gate.add(None, 1, None);
    assert_eq!(gate.campaign().revision, 2);
}
