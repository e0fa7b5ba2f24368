//! Random histories of one campaign of three rounds.

use coupon_domain::campaign::Transition;
use coupon_domain::model::CampaignHead;
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::{Ratio, Rounding, Supply};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::build::{head, round};

/// What happens, in order.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) head: CampaignHead,
    pub(crate) rounds: Vec<RoundSpec>,
    pub(crate) steps: Vec<Step>,
}

/// One call, or the clock. Rounds by index, users by number.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Reserve(usize, Vec<u8>),
    Claim(usize, Vec<u8>),
    Tick,
    Transition(Transition),
    Retire(usize),
    /// The clock moves by so many seconds.
    Wait(i64),
    /// The clock is set to this second.
    Until(i64),
}

fn supply() -> impl Strategy<Value = Supply> {
    let rounding = select(vec![Rounding::Floor, Rounding::Ceil, Rounding::Nearest]);
    let ratio = (1u32..=5, rounding)
        .prop_map(|(n, rounding)| Supply::RatioOfPlaces(Ratio::new(n, 5, rounding).expect("at most one")));
    prop_oneof![(1u32..8).prop_map(Supply::Fixed), ratio, Just(Supply::SharedPool)]
}

fn rounds() -> impl Strategy<Value = Vec<RoundSpec>> {
    let one = || (supply(), prop::bool::weighted(0.8), 1u32..16);
    (one(), one(), one()).prop_map(|(a, b, c)| {
        [(a, 50), (b, 80), (c, 200)]
            .into_iter()
            .zip(1..)
            .map(|(((supply, places, most), opens), number)| round(number, opens, places, supply, most))
            .collect()
    })
}

fn step(reserve: u32, claim: u32) -> impl Strategy<Value = Step> {
    let which = || prop_oneof![4 => 0usize..2, 1 => Just(2)];
    let users = || vec(0u8..12, 0..9);
    let transition = select(vec![Transition::Pause, Transition::Resume, Transition::Resume]);
    prop_oneof![
        reserve => (which(), users()).prop_map(|(round, users)| Step::Reserve(round, users)),
        claim => (which(), users()).prop_map(|(round, users)| Step::Claim(round, users)),
        2 => Just(Step::Tick),
        1 => transition.prop_map(Step::Transition),
        1 => (0usize..3).prop_map(Step::Retire),
        3 => (0i64..8).prop_map(Step::Wait),
        1 => (-40i64..0).prop_map(Step::Wait),
    ]
}

/// Reservation, claims and what comes afterwards; all rounds are opened at the beginning.
pub(crate) fn histories() -> impl Strategy<Value = History> {
    let steps = (vec(step(12, 2), 0..25), vec(step(3, 12), 0..30), vec(step(2, 6), 0..15));
    (option::of(1u32..12), 1u32..3, rounds(), steps, 0i64..200).prop_map(
        |(total_limit, max_per_user, rounds, (reserving, claiming, leaving), pause)| {
            let mut steps = reserving;
            steps.push(Step::Until(50));
            let later = claiming.len() / 2;
            steps.extend(claiming);
            let later = steps.len() - later;
            steps.insert(later, Step::Until(80));
            steps.push(Step::Wait(pause * 40));
            steps.extend(leaving);
            History { head: head(total_limit, max_per_user), rounds, steps }
        },
    )
}
