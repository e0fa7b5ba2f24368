//! Random sequences of what can happen to a campaign.

use std::fmt;

use coupon_domain::campaign::CampaignState;
use coupon_domain::model::CampaignHead;
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::{Ratio, Rounding, Supply};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::call::{Call, Of, Seen, Weights, a_call, revision, seen, winners};
use crate::build::{head, round, round_id};

/// What happens to one campaign.
#[derive(Debug, Clone)]
pub struct Sequence {
    /// The campaign before its first decision.
    pub head: CampaignHead,
    /// Rounds that may be opened; some of them cannot go together.
    pub rounds: Vec<RoundSpec>,
    /// In this order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub enum Step {
    /// The clock moves by so many milliseconds, forward or back.
    Wait(i64),
    /// The clock is set to a boundary of a round (0 to 3, in order), so many milliseconds off.
    GoTo {
        /// Which round.
        round: usize,
        /// Which boundary.
        boundary: usize,
        /// How far off.
        off: i64,
    },
    /// The gate is asked by somebody who has seen this.
    Ask(Call, Seen),
    /// A recovery that finds nothing missing; somebody asks in between.
    Reopen(Call),
    /// A recovery that loads everything anew, so many users in a chunk.
    Reload(usize),
}

impl Sequence {
    /// The rounds with numbers that no other case has.
    pub(super) fn rounds_of_case(&self, case: u32) -> Vec<RoundSpec> {
        let own = |spec: &RoundSpec| RoundSpec { id: round_id(case * 10 + spec.id.number()), ..spec.clone() };
        self.rounds.iter().map(own).collect()
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.head)?;
        self.rounds.iter().try_for_each(|round| writeln!(f, "{round:?}"))?;
        self.steps.iter().enumerate().try_for_each(|(i, step)| writeln!(f, "{i:3} {step:?}"))
    }
}

/// Where the claims of a round open and close, in seconds: the first three follow one another, the fourth has the start of the first, the
/// fifth overlaps with the second.
const CLAIMS: [(i64, i64); 5] = [(50, 70), (80, 100), (100, 110), (50, 60), (90, 95)];

fn supply() -> impl Strategy<Value = Supply> {
    let rounding = select(vec![Rounding::Floor, Rounding::Ceil, Rounding::Nearest]);
    let ratio = (2u32..=4, 4u32..=5, rounding)
        .prop_map(|(n, d, rounding)| Supply::RatioOfPlaces(Ratio::new(n, d, rounding).expect("at most one")));
    prop_oneof![2 => (1u32..6).prop_map(Supply::Fixed), 3 => ratio, 1 => Just(Supply::SharedPool)]
}

fn a_round(index: usize) -> impl Strategy<Value = RoundSpec> {
    let (opens, closes) = CLAIMS[index];
    let number = u32::try_from(index).expect("small") + 1;
    let traits = (prop::bool::weighted(0.85), prop::bool::weighted(0.5), prop::bool::weighted(0.2));
    (supply(), 1u32..16, traits, option::of(1u32..12)).prop_map(
        move |(supply, max_places, (places, drawn, registered), total_limit)| {
            let mut plan = round(number).claiming(opens..closes).supply(supply).max_places(max_places);
            if places {
                plan = plan.reserving(opens - 80..opens - 10);
            }
            if places && drawn && supply != Supply::SharedPool {
                plan = plan.drawn_within(total_limit);
            }
            if registered { plan.registered_only().build() } else { plan.build() }
        },
    )
}

fn a_head() -> impl Strategy<Value = CampaignHead> {
    let state = prop_oneof![
        24 => Just(CampaignState::Active),
        2 => Just(CampaignState::Draft),
        1 => Just(CampaignState::Paused),
        1 => Just(CampaignState::Ended),
    ];
    (state, option::of(1u32..12), 1u32..3, prop::bool::weighted(0.8)).prop_map(
        |(state, total_limit, max_per_user, counts_users)| CampaignHead {
            state,
            total_limit,
            max_per_user,
            counts_users,
            ..head()
        },
    )
}

/// Something asked, a clock that moves a little, or a recovery.
fn a_step(reserve: u32, claim: u32, conclude: u32) -> impl Strategy<Value = Step> {
    let call = || a_call(Weights { reserve, claim, conclude });
    let wait = prop_oneof![8 => 0i64..5_000, 1 => -30_000i64..0];
    prop_oneof![
        50 => (call(), seen()).prop_map(|(call, seen)| Step::Ask(call, seen)),
        8 => wait.prop_map(Step::Wait),
        2 => call().prop_map(Step::Reopen),
        2 => (1usize..4).prop_map(Step::Reload),
    ]
}

/// The clock goes to a boundary of one of the first two rounds, and sometimes beyond.
fn a_boundary() -> impl Strategy<Value = Step> {
    let off = prop_oneof![-1i64..=1, 0i64..9_000];
    (0usize..2, 0usize..4, off).prop_map(|(round, boundary, off)| Step::GoTo { round, boundary, off })
}

/// Reservation, draw, claims and what comes afterwards, some eighty steps. The first two rounds are opened at the beginning, and sometimes
/// again by other rules.
pub fn sequences() -> impl Strategy<Value = Sequence> {
    let rounds = (a_round(0), a_round(1), a_round(2), a_round(3), a_round(4));
    let revised = (option::weighted(0.25, revision()), option::weighted(0.5, revision()));
    let reserving = vec(a_step(16, 2, 1), 0..40);
    let drawing = (vec(a_step(1, 1, 6), 0..4), option::weighted(0.5, winners()));
    let claiming = vec(prop_oneof![14 => a_step(2, 18, 3), 1 => a_boundary()], 0..50);
    let leaving = vec(prop_oneof![3 => a_step(3, 3, 3), 1 => a_boundary(), 3 => a_departure()], 0..20);
    let pause = select(vec![650_000i64, 3_700_000]);
    let parts = (a_head(), rounds, revised, reserving, drawing, claiming, pause, leaving);
    parts.prop_map(|(head, (a, b, c, d, e), revised, reserving, drawing, claiming, pause, leaving)| {
        let openings = || [0, 1].map(|round| Step::Ask(Call::Open(round, Of::Now), Seen::Now));
        let mut steps = openings().to_vec();
        if let Some(revised) = revised.0 {
            steps.push(Step::Ask(revised, Seen::Now));
            steps.extend(openings());
        }
        steps.extend(reserving);
        steps.push(Step::GoTo { round: 0, boundary: 1, off: 0 });
        steps.extend(drawing.0);
        steps.extend(drawing.1.map(|won| Step::Ask(Call::Conclude(0, won), Seen::Now)));
        steps.push(Step::GoTo { round: 0, boundary: 2, off: 0 });
        let later = claiming.len() / 2;
        steps.extend(claiming);
        let later = steps.len() - later;
        steps.insert(later, Step::GoTo { round: 1, boundary: 2, off: 0 });
        steps.extend([Step::Wait(pause), Step::Ask(Call::Tick, Seen::Now)]);
        steps.extend(leaving);
        steps.extend(revised.1.map(|revised| Step::Ask(revised, Seen::Now)));
        Sequence { head, rounds: vec![a, b, c, d, e], steps }
    })
}

/// Time enough for a round to leave, or its leaving.
fn a_departure() -> impl Strategy<Value = Step> {
    let leaves = (0usize..2, 0u64..2).prop_map(|(round, behind)| Step::Ask(Call::Retire(round, behind), Seen::Now));
    prop_oneof![1 => Just(Step::Wait(3_600_000)), 1 => Just(Step::Ask(Call::Tick, Seen::Now)), 2 => leaves]
}
