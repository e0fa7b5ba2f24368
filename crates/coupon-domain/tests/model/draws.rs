//! Rounds whose places are drawn: who may claim, and when, if the draw is late.

use std::time::Duration;

use coupon_domain::answer::{Issued, Outcome, Refusal};
use coupon_domain::campaign::Rules;
use coupon_domain::choice::{Verb, choose};
use coupon_domain::journal::Row;
use coupon_domain::model::{DrawConclusion, Retirement, RoundView};
use coupon_domain::position::Chain;
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::supply::{Ratio, Rounding, Supply};

use crate::build::{a_fifth, bitmap, drawn, round, round_id, rules, second, window};
use crate::gate::Gate;

const HOUR: i64 = 3600;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Round 7: reserved from -300 to -60, a fifth of the places drawn, claims from 0 to 60. Ten users have a place.
fn ten_places() -> Gate {
    let spec = drawn(RoundSpec { reserve: Some(window(-300, -60)), ..round(7, 0, true, a_fifth(), 100) }, None);
    let spec = RoundSpec { claim: window(0, 60), ..spec };
    let mut gate = Gate::with(rules(), [spec]);
    gate.at(-300).reserve_many(7, 10);
    gate
}

fn issued(serial: u32, second_of: i64) -> Outcome<Issued> {
    Outcome::Granted(Issued { serial, claimed_at: second(second_of) })
}

fn no(refusal: Refusal) -> Outcome<Issued> {
    Outcome::Refused(refusal)
}

#[test]
fn a_draw_before_claims_open_moves_nothing() {
    let mut gate = ten_places();
    assert_eq!(gate.at(-60).conclude(7, &[2, 9]), DrawConclusion::Drawn(Duration::ZERO));
    let digest = Chain::of(&[&bitmap([2, 9], 10)]);
    let phase = Row::Phase { round: round_id(7), phase: Phase::Waiting, places: 10, supply: Some(2), left: None };
    let told = Row::Drawn { round: round_id(7), winners: 2, digest, delay: Duration::ZERO };
    assert_eq!(gate.rows(), [phase, told]);

    assert_eq!(gate.at(-1).claim(7, "u-2"), no(Refusal::NotOpenYet));
    assert_eq!(gate.at(0).claim(7, "u-2"), issued(0, 0));
    assert_eq!(gate.claim(7, "u-3"), no(Refusal::NotDrawn));
    assert_eq!(gate.claim(7, "eve"), no(Refusal::NotReserved));
    assert_eq!(gate.at(59).claim(7, "u-9"), issued(1, 59));
    assert_eq!(gate.at(60).claim(7, "u-3"), no(Refusal::Closed));
}

#[test]
fn a_draw_that_is_late_by_thirty_seconds_moves_claims_by_thirty_seconds() {
    let mut gate = ten_places();
    assert_eq!(gate.at(0).claim(7, "u-2"), no(Refusal::DrawPending));
    assert_eq!(gate.claim(7, "eve"), no(Refusal::NotReserved));
    assert_eq!(gate.at(30).conclude(7, &[2, 9]), DrawConclusion::Drawn(seconds(30)));

    assert_eq!(gate.view(7).claim(), window(30, 90));
    assert_eq!(gate.claim(7, "u-2"), issued(0, 30));
    assert_eq!(gate.at(89).claim(7, "u-9"), issued(1, 89));
    assert_eq!(gate.at(90).claim(7, "u-3"), no(Refusal::Closed));
}

#[test]
fn a_draw_that_is_late_by_two_minutes_gives_all_of_a_window_of_one_minute() {
    let mut gate = ten_places();
    for second in [0, 60, 119] {
        assert_eq!(gate.at(second).claim(7, "u-2"), no(Refusal::DrawPending), "claims wait for the draw");
        assert_eq!(gate.phase(7), Phase::Claiming);
    }
    assert_eq!(gate.at(120).conclude(7, &[2, 9]), DrawConclusion::Drawn(seconds(120)));
    assert_eq!(gate.view(7).claim(), window(120, 180));
    assert_eq!(gate.at(179).claim(7, "u-2"), issued(0, 179));
    assert_eq!(gate.at(180).claim(7, "u-9"), no(Refusal::Closed));
}

#[test]
fn a_claim_that_names_no_round_means_the_one_whose_claims_wait_or_were_moved() {
    let mut gate = ten_places();
    gate.open(&round(8, 100, true, a_fifth(), 100));
    let chosen = |gate: &Gate, second_of| {
        let rounds: Vec<_> = gate.campaign().rounds.iter().map(RoundView::spec_to_choose).collect();
        choose(&rounds, Verb::Claim, second(second_of)).map(|choice| choice.round.number())
    };
    assert_eq!([59, 60, 100].map(|at| chosen(&gate, at)), [Some(7); 3], "claims wait for the draw");
    gate.at(120).conclude(7, &[2, 9]);
    // Round 8 claims from 100 to 120, round 7 from 120 to 180 by now.
    assert_eq!([119, 120, 179].map(|at| chosen(&gate, at)), [Some(8), Some(7), Some(7)]);
    // Who waits in vain is told to go to the next one.
    let mut gate = ten_places();
    gate.open(&round(8, 2 * HOUR, true, a_fifth(), 100));
    gate.at(HOUR + 60).tick();
    assert_eq!(chosen(&gate, HOUR + 60), Some(8));
}

#[test]
fn a_round_whose_draw_never_came_leaves_an_hour_after_claims_stopped_waiting_for_it() {
    let mut gate = ten_places();
    gate.at(HOUR + 60).tick();
    assert_eq!(gate.phase(7), Phase::Closed);
    assert_eq!(gate.at(HOUR + 60 + HOUR - 1).retire(7), Retirement::Kept);
    assert_eq!(gate.at(HOUR + 60 + HOUR).retire(7), Retirement::Retired);
}

#[test]
fn a_draw_that_is_late_by_more_than_an_hour_moves_claims_by_an_hour() {
    let mut gate = ten_places();
    assert_eq!(gate.at(HOUR + 30).conclude(7, &[2, 9]), DrawConclusion::Drawn(seconds(3600)));
    assert_eq!(gate.view(7).claim(), window(HOUR, HOUR + 60));
    assert_eq!(gate.at(HOUR + 59).claim(7, "u-2"), issued(0, HOUR + 59));
    assert_eq!(gate.at(HOUR + 60).claim(7, "u-9"), no(Refusal::Closed));
}

#[test]
fn a_draw_that_comes_when_all_is_over_is_kept_and_opens_nothing() {
    let mut gate = ten_places();
    assert_eq!(gate.at(HOUR + 59).claim(7, "u-2"), no(Refusal::DrawPending));
    assert_eq!(gate.at(HOUR + 60).claim(7, "u-2"), no(Refusal::Closed));
    assert_eq!(gate.conclude(7, &[2, 9]), DrawConclusion::Drawn(seconds(3600)));
    assert_eq!(gate.claim(7, "u-2"), no(Refusal::Closed), "a phase does not go back");
    assert!(gate.view(7).drawn);
}

#[test]
fn a_delay_ends_when_the_round_leaves_an_hour_after_the_window_that_was_moved() {
    let mut gate = ten_places();
    gate.at(120).conclude(7, &[2, 9]);
    gate.at(180).tick();
    assert_eq!(gate.at(180 + HOUR - 1).retire(7), Retirement::Kept);
    assert_eq!(gate.at(180 + HOUR).retire(7), Retirement::Retired);
}

#[test]
fn a_draw_while_places_are_given_or_of_a_round_that_is_not_drawn_is_not_due() {
    let mut gate = ten_places();
    assert_eq!(gate.at(-61).conclude(7, &[2, 9]), DrawConclusion::NotDue);
    assert_eq!(gate.rows(), []);

    let mut gate = Gate::with(rules(), [round(7, 100, true, Supply::Fixed(1), 9)]);
    gate.at(50).reserve_many(7, 1);
    assert_eq!(gate.at(100).conclude(7, &[0]), DrawConclusion::NotDue);
}

#[test]
fn winners_that_are_too_many_too_few_or_of_other_places_are_refused() {
    let mut gate = ten_places();
    gate.at(-60).tick();
    for wrong in [vec![], vec![0x20], vec![0x20, 0x00], vec![0x20, 0xc0], vec![0x20, 0x40, 0x00], vec![0x20, 0x20]] {
        assert_eq!(gate.conclude_with(7, &wrong), DrawConclusion::NotWhole, "{wrong:02x?}");
        assert_eq!(gate.rows(), []);
    }
    assert_eq!(gate.conclude_with(7, &[0x20, 0x40]), DrawConclusion::Drawn(Duration::ZERO));
}

#[test]
fn winners_who_are_told_twice_are_those_of_the_first_time() {
    let mut gate = ten_places();
    gate.at(-60).conclude(7, &[2, 9]);
    for repeat in [&[2, 9][..], &[3, 4], &[]] {
        assert_eq!(gate.at(10).conclude(7, repeat), DrawConclusion::AlreadyDrawn);
    }
    assert_eq!((gate.claim(7, "u-2"), gate.claim(7, "u-3")), (issued(0, 10), no(Refusal::NotDrawn)));
    assert_eq!(gate.view(7).delay, Duration::ZERO);
}

#[test]
fn a_round_that_nobody_came_to_is_drawn_without_winners() {
    let spec = drawn(round(7, 100, true, a_fifth(), 9), None);
    let mut gate = Gate::with(rules(), [spec]);
    assert_eq!(gate.at(90).conclude(7, &[]), DrawConclusion::Drawn(Duration::ZERO));
    assert_eq!((gate.supply(7), gate.at(120).phase(7)), (Some(0), Phase::Closed));
}

#[test]
fn as_many_win_as_the_share_the_cap_the_additions_the_places_and_the_total_limit_let() {
    let half = Supply::RatioOfPlaces(Ratio::new(1, 2, Rounding::Ceil).expect("a ratio"));
    // Supply, the total limit when the round was planned, coupons added, the total limit now, and who wins of nine.
    for (supply, cap, added, total_limit, winners) in [
        (half, None, 0, None, 5),
        (half, Some(3), 0, None, 3),
        (half, Some(3), 2, None, 5),
        (half, None, 100, None, 9),
        (half, None, 100, Some(4), 4),
        (Supply::Fixed(2), None, 0, None, 2),
        (Supply::Fixed(2), Some(1), 0, None, 2),
        (Supply::Fixed(2), None, 3, None, 5),
        (Supply::Fixed(100), None, 0, None, 9),
        (Supply::Fixed(100), None, 0, Some(8), 8),
    ] {
        let rules = Rules { total_limit, ..rules() };
        let mut gate = Gate::with(rules, [drawn(round(7, 100, true, supply, 20), cap)]);
        gate.at(50).reserve_many(7, 9);
        if added > 0 {
            gate.add(Some(7), added, None);
        }
        assert_eq!(gate.at(90).supply(7), Some(winners), "{supply:?} {cap:?} {added} {total_limit:?}");
    }
}

#[test]
fn winners_whose_draw_was_late_get_their_coupons_though_the_next_round_shares_the_total_limit() {
    let rules = Rules { total_limit: Some(5), max_per_user: Some(2), ..rules() };
    let places = |number, opens| drawn(round(number, opens, true, Supply::Fixed(4), 9), Some(5));
    let mut gate = Gate::with(rules, [places(1, 100), places(2, 160)]);
    gate.at(50).reserve_many(1, 4);
    gate.at(110).reserve_many(2, 4);
    assert_eq!(gate.at(145).conclude(1, &[0, 1, 2, 3]), DrawConclusion::Drawn(seconds(45)));
    // Reservation for round 2 closes while round 1 claims from 145 to 165.
    assert_eq!(gate.at(150).conclude(2, &[3]), DrawConclusion::Drawn(Duration::ZERO));
    assert_eq!(gate.at(160).claim(2, "u-3"), issued(0, 160));
    assert_eq!(gate.coupons_for(1, 4), 4);
}

#[test]
fn the_total_limit_counts_as_it_is_when_reservation_closes() {
    let rules = Rules { total_limit: Some(3), max_per_user: Some(2), ..rules() };
    let open = round(1, 10, false, Supply::Fixed(9), 9);
    let mut gate = Gate::with(rules, [open, drawn(round(7, 100, true, Supply::Fixed(9), 9), Some(3))]);
    assert_eq!(gate.at(10).coupons_for(1, 2), 2);
    gate.at(50).reserve_many(7, 4);
    gate.at(90).tick();
    assert_eq!(gate.supply(7), Some(1));
    gate.add(None, 5, None);
    assert_eq!(gate.at(100).supply(7), Some(1), "raised afterwards, it makes no more winners");
}
