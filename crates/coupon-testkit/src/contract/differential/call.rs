//! What a gate is asked in a random sequence, before it is known where the campaign stands then.

use std::fmt;

use coupon_domain::campaign::{Scope, Transition};
use coupon_domain::position::Position;
use coupon_domain::supply::Supply;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// What a gate is asked. Rounds are given by their index, users and requests by a number.
#[derive(Debug, Clone)]
pub enum Call {
    /// Places for these, who are registered or not.
    Reserve(usize, Vec<u8>, bool),
    /// Coupons for these, who are registered or not.
    Claim(usize, Vec<u8>, bool),
    /// How things stand.
    Tick,
    /// To open a round.
    Open(usize, Of),
    /// To change the state.
    Transition(Operator, Option<u8>),
    /// To change the rules.
    Revise(Scope, Of, Limits, Option<u8>),
    /// To add coupons to a round or to the total limit.
    AddSupply(Option<usize>, u32, Option<u8>),
    /// To conclude a round's draw.
    Conclude(usize, Won),
    /// To let a round go, the ledger being so many decisions behind.
    Retire(usize, u64),
}

/// A [`Transition`], shown as its verb.
#[derive(Clone, Copy)]
pub struct Operator(pub Transition);

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Which revision of the rules something is for, against the one that the campaign has.
#[derive(Debug, Clone, Copy)]
pub enum Of {
    /// That one.
    Now,
    /// The one before.
    Before,
    /// One that is still to come.
    After,
}

impl Of {
    pub(super) fn revision(self, now: u64) -> u64 {
        match self {
            Self::Now => now,
            Self::Before => now - 1,
            Self::After => now + 1,
        }
    }
}

/// Limits of new rules; they count where the change reaches the whole campaign.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Coupons over all rounds.
    pub total_limit: Option<u32>,
    /// Coupons a user may have over all rounds.
    pub max_per_user: u32,
    /// Whether there are many rounds, over which coupons are counted.
    pub counts_users: bool,
}

/// Who is said to have won.
#[derive(Debug, Clone, Copy)]
pub enum Won {
    /// As many as there are coupons; the number says who.
    Right(u32),
    /// One less.
    TooFew,
    /// One more.
    TooMany,
    /// One of them has a ticket that nobody has.
    Beyond,
    /// The last byte is missing.
    Short,
    /// There is a byte too many.
    Long,
}

impl Won {
    /// The bitmap for so many winners among so many places.
    pub(super) fn bitmap(self, places: u32, winners: u32) -> Vec<u8> {
        let (seed, count) = match self {
            Self::Right(seed) => (seed, winners),
            Self::TooFew | Self::Beyond => (0, winners.saturating_sub(1)),
            Self::TooMany => (0, winners + 1),
            Self::Short | Self::Long => (0, winners),
        };
        let mut tickets: Vec<_> = (0..places).collect();
        tickets.sort_by_key(|ticket| (ticket + 1).wrapping_mul(seed.wrapping_mul(2) + 1) % 31);
        let mut bitmap = crate::build::winners(places, tickets.into_iter().take(count as usize));
        match self {
            Self::Beyond => bitmap.iter_mut().last().into_iter().for_each(|last| *last |= 1),
            Self::Short => drop(bitmap.pop()),
            Self::Long => bitmap.push(0),
            Self::Right(_) | Self::TooFew | Self::TooMany => {}
        }
        bitmap
    }
}

/// What a caller has seen, against where the gate is.
#[derive(Debug, Clone, Copy)]
pub enum Seen {
    /// All of it.
    Now,
    /// Nothing but the epoch.
    EpochOnly,
    /// More than the gate has.
    MoreThanThere,
    /// An earlier epoch.
    EpochBefore,
    /// A later epoch.
    EpochAfter,
}

impl Seen {
    pub(super) fn position(self, now: Position) -> Position {
        let Position { epoch, n } = now;
        match self {
            Self::Now => now,
            Self::EpochOnly => Position { epoch, n: 0 },
            Self::MoreThanThere => Position { epoch, n: n + 1 },
            Self::EpochBefore => Position { epoch: epoch - 1, n },
            Self::EpochAfter => Position { epoch: epoch + 1, n },
        }
    }
}

/// Mostly everything, seldom less or more.
pub(super) fn seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        30 => Just(Seen::Now),
        3 => Just(Seen::EpochOnly),
        1 => Just(Seen::MoreThanThere),
        1 => Just(Seen::EpochBefore),
        1 => Just(Seen::EpochAfter),
    ]
}

/// How often something is asked, of some thirty times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    pub(super) reserve: u32,
    pub(super) claim: u32,
    pub(super) conclude: u32,
}

/// What is asked.
pub(super) fn a_call(weights: Weights) -> impl Strategy<Value = Call> {
    let which = || prop_oneof![8 => Just(0usize), 5 => Just(1usize), 1 => 0usize..5];
    let users = || (vec(0u8..10, 0..9), prop::bool::weighted(0.85));
    prop_oneof![
        weights.reserve => (which(), users()).prop_map(|(round, (users, known))| Call::Reserve(round, users, known)),
        weights.claim => (which(), users()).prop_map(|(round, (users, known))| Call::Claim(round, users, known)),
        weights.conclude => (which(), winners()).prop_map(|(round, won)| Call::Conclude(round, won)),
        2 => Just(Call::Tick),
        2 => opening(),
        2 => transition(),
        1 => revision(),
        2 => addition(),
        1 => (0usize..5, 0u64..3).prop_map(|(round, behind)| Call::Retire(round, behind)),
    ]
}

/// Few, so that some come again.
fn request() -> impl Strategy<Value = Option<u8>> {
    option::weighted(0.6, 0u8..5)
}

fn of() -> impl Strategy<Value = Of> {
    prop_oneof![8 => Just(Of::Now), 1 => Just(Of::Before), 1 => Just(Of::After)]
}

fn opening() -> impl Strategy<Value = Call> {
    let which = prop_oneof![3 => 0usize..2, 1 => 0usize..5];
    (which, of()).prop_map(|(round, of)| Call::Open(round, of))
}

fn transition() -> impl Strategy<Value = Call> {
    let transition = prop_oneof![
        4 => Just(Transition::Activate),
        4 => Just(Transition::Pause),
        16 => Just(Transition::Resume),
        1 => Just(Transition::End),
    ];
    (transition, request()).prop_map(|(transition, request)| Call::Transition(Operator(transition), request))
}

/// A change of rules of any reach.
pub(super) fn revision() -> impl Strategy<Value = Call> {
    let limits = (option::of(1u32..12), 1u32..3, any::<bool>())
        .prop_map(|(total_limit, max_per_user, counts_users)| Limits { total_limit, max_per_user, counts_users });
    let scope = select(vec![Scope::Labels, Scope::Rounds, Scope::Campaign]);
    (scope, of(), limits, request()).prop_map(|(scope, of, limits, request)| Call::Revise(scope, of, limits, request))
}

fn addition() -> impl Strategy<Value = Call> {
    let round = prop_oneof![6 => (0usize..2).prop_map(Some), 1 => (0usize..5).prop_map(Some), 3 => Just(None)];
    let amount = prop_oneof![10 => 1u32..4, 1 => select(vec![Supply::MAX - 6, Supply::MAX, u32::MAX])];
    (round, amount, request()).prop_map(|(round, amount, request)| Call::AddSupply(round, amount, request))
}

/// Mostly right.
pub(super) fn winners() -> impl Strategy<Value = Won> {
    prop_oneof![
        10 => any::<u32>().prop_map(Won::Right),
        1 => select(vec![Won::TooFew, Won::TooMany, Won::Beyond, Won::Short, Won::Long]),
    ]
}
