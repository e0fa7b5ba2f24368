//! Random histories of one campaign.

use coupon_domain::campaign::{CampaignState, Rules, Transition};
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::{Ratio, Rounding, Supply};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::build::{drawn, round, rules};

/// What happens, in order.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// How the campaign begins.
    pub(crate) state: CampaignState,
    pub(crate) rules: Rules,
    /// Rounds that can be opened, each any number of times: it gets its number and the revision it was planned by then.
    pub(crate) plans: Vec<RoundSpec>,
    pub(crate) steps: Vec<Step>,
}

/// One call, or the clock. Rounds by the index of their plan, users and requests by number.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Open {
        plan: usize,
        outdated: bool,
    },
    Reserve {
        round: usize,
        users: Vec<u8>,
        registered: bool,
    },
    Claim {
        round: usize,
        users: Vec<u8>,
        registered: bool,
    },
    Conclude {
        round: usize,
        first: u32,
        ballot: Ballot,
    },
    Tick,
    Transition {
        transition: Transition,
        request: Option<u8>,
    },
    Revise {
        change: Change,
        outdated: bool,
        request: Option<u8>,
    },
    AddSupply {
        round: Option<usize>,
        amount: u32,
        request: Option<u8>,
    },
    Retire {
        round: usize,
        recorded: bool,
    },
    /// The clock moves by so many seconds.
    Wait(i64),
    /// The clock is set to this second.
    Until(i64),
}

/// Who is said to have won.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ballot {
    Right,
    OneMore,
    OneLess,
    /// One winner has a ticket that nobody has, in the last byte if there is room.
    Beyond,
    /// A byte too many.
    Longer,
    /// A byte too few.
    Shorter,
}

/// What an operator changes; the scope follows from it.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Title(u8),
    Supply(u32),
    Limits { total_limit: Option<u32>, max_per_user: u32 },
}

impl Change {
    pub(crate) fn of(&self, rules: &Rules) -> Rules {
        match *self {
            Self::Title(number) => Rules { title: format!("Sale {number}"), ..rules.clone() },
            Self::Supply(n) => Rules { supply: Supply::Fixed(n), ..rules.clone() },
            Self::Limits { total_limit, max_per_user } => {
                Rules { total_limit, max_per_user: Some(max_per_user), ..rules.clone() }
            }
        }
    }
}

fn supply() -> impl Strategy<Value = Supply> {
    let rounding = select(vec![Rounding::Floor, Rounding::Ceil, Rounding::Nearest]);
    let ratio = (1u32..=5, rounding)
        .prop_map(|(n, rounding)| Supply::RatioOfPlaces(Ratio::new(n, 5, rounding).expect("at most one")));
    prop_oneof![2 => (1u32..8).prop_map(Supply::Fixed), 3 => ratio, 1 => Just(Supply::SharedPool)]
}

/// Three rounds one after the other, and one that overlaps the second.
fn plans() -> impl Strategy<Value = Vec<RoundSpec>> {
    let weighted = prop::bool::weighted;
    let one = move || (supply(), weighted(0.8), 1u32..16, weighted(0.5), option::of(1u32..8), weighted(0.2));
    (one(), one(), one(), one()).prop_map(|(a, b, c, d)| {
        [(a, 50), (b, 80), (c, 200), (d, 90)]
            .into_iter()
            .map(|((supply, places, most, draw, total_limit, registered_users_only), opens)| {
                let plain = RoundSpec { registered_users_only, ..round(1, opens, places, supply, most) };
                let draw = draw && places && supply != Supply::SharedPool;
                if draw { drawn(plain, total_limit) } else { plain }
            })
            .collect()
    })
}

fn requests() -> impl Strategy<Value = Option<u8>> {
    option::weighted(0.6, 0u8..5)
}

/// What operators and the scheduler do.
fn operation() -> impl Strategy<Value = Step> {
    use Transition::{Activate, End, Pause, Resume};
    let outdated = || prop::bool::weighted(0.2);
    let transitions = prop_oneof![2 => Just(Pause), 6 => Just(Resume), 1 => Just(Activate), 1 => prop_oneof![5 => Just(Resume), 1 => Just(End)]];
    let change = prop_oneof![
        1 => (0u8..4).prop_map(Change::Title),
        1 => (1u32..8).prop_map(Change::Supply),
        2 => (option::of(1u32..16), 1u32..4)
            .prop_map(|(total_limit, max_per_user)| Change::Limits { total_limit, max_per_user }),
    ];
    let amount = prop_oneof![15 => 1u32..4, 1 => Just(Supply::MAX)];
    prop_oneof![
        5 => (0usize..4, outdated()).prop_map(|(plan, outdated)| Step::Open { plan, outdated }),
        6 => (transitions, requests()).prop_map(|(transition, request)| Step::Transition { transition, request }),
        4 => (change, outdated(), requests())
            .prop_map(|(change, outdated, request)| Step::Revise { change, outdated, request }),
        6 => (option::weighted(0.7, 0usize..4), amount, requests())
            .prop_map(|(round, amount, request)| Step::AddSupply { round, amount, request }),
        3 => Just(Step::Tick),
    ]
}

/// Calls that are mostly about one round, in this mixture.
fn step(round: usize, reserve: u32, claim: u32, conclude: u32) -> impl Strategy<Value = Step> {
    use Ballot::{Beyond, Longer, OneLess, OneMore, Right, Shorter};
    let which = move || prop_oneof![5 => Just(round), 1 => 0usize..4];
    let users = || vec(0u8..12, 0..9);
    let registered = || prop::bool::weighted(0.8);
    let ballot = prop_oneof![3 => Just(Right), 1 => select(vec![OneMore, OneLess, Beyond, Longer, Shorter])];
    prop_oneof![
        reserve => (which(), users(), registered())
            .prop_map(|(round, users, registered)| Step::Reserve { round, users, registered }),
        claim => (which(), users(), registered())
            .prop_map(|(round, users, registered)| Step::Claim { round, users, registered }),
        conclude => (which(), 0u32..16, ballot)
            .prop_map(|(round, first, ballot)| Step::Conclude { round, first, ballot }),
        4 => operation(),
        4 => (0i64..8).prop_map(Step::Wait),
        1 => (-40i64..0).prop_map(Step::Wait),
    ]
}

/// What happens when all is over.
fn clearing() -> impl Strategy<Value = Step> {
    let retire = (0usize..4, prop::bool::weighted(0.9)).prop_map(|(round, recorded)| Step::Retire { round, recorded });
    prop_oneof![5 => retire, 2 => Just(Step::Tick), 2 => operation(), 2 => step(0, 1, 2, 4), 1 => Just(Step::Wait(300))]
}

/// The three rounds one after the other, and what comes afterwards.
pub(crate) fn histories() -> impl Strategy<Value = History> {
    let state = prop_oneof![9 => Just(CampaignState::Active), 1 => Just(CampaignState::Draft)];
    let limits = (option::of(1u32..16), option::of(1u32..3));
    let pauses = (select(vec![155, 205]), select(vec![0, 15, 40, 120]), select(vec![0, 700, 3570, 3700, 8000]));
    let steps = (
        vec(operation(), 0..6),
        vec(step(0, 14, 1, 1), 0..20),
        vec(step(0, 1, 1, 10), 0..6),
        vec(prop_oneof![2 => step(0, 1, 14, 4), 1 => step(1, 14, 1, 1)], 0..25),
        vec(step(1, 1, 14, 4), 0..20),
        vec(step(2, 10, 6, 3), 0..20),
        vec(step(1, 1, 10, 4), 0..8),
        vec(clearing(), 0..12),
    );
    (state, limits, plans(), pauses, steps).prop_map(|(state, (total_limit, max_per_user), plans, pauses, steps)| {
        let (third, pause, silence) = pauses;
        let (before, reserving, drawing, first, second, later, late, clearing) = steps;
        let open = || (0..3).map(|plan| Step::Open { plan, outdated: false }).collect::<Vec<_>>();
        let until = |second| vec![Step::Until(second)];
        let wait = |seconds| vec![Step::Wait(seconds)];
        let parts = [
            vec![open(), before, open(), reserving],
            vec![until(42), drawing, until(50), first, until(80), second],
            vec![until(third), later, wait(pause), late],
            vec![wait(silence), clearing, vec![Step::Tick]],
        ];
        let rules = Rules { total_limit, max_per_user, ..rules() };
        History { state, rules, plans, steps: parts.concat().concat() }
    })
}
