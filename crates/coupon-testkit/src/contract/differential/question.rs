//! What two gates are asked alike, and what they say.

use std::fmt::Debug;

use coupon_domain::answer::{Answer, Outcome};
use coupon_domain::campaign::{Revision, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::{Entry, Row};
use coupon_domain::model::{Decided, DrawConclusion, SupplyAddition};
use coupon_domain::ports::{Gate, GateError};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use uuid::Uuid;

/// A call of one method of a gate.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Reserve(RoundId, Vec<UserId>, bool),
    Claim(RoundId, Vec<UserId>, bool),
    Tick,
    Open(RoundSpec),
    Transition(Transition, Option<Uuid>),
    Revise(Box<Revision>),
    AddSupply(SupplyAddition),
    Conclude(RoundId, Vec<u8>),
    Retire(RoundId, u64),
}

/// What a gate says.
pub(super) struct Told {
    /// All of it.
    pub(super) text: String,
    /// Its kind, such as `claim SOLD_OUT`; of a batch that of each answer.
    pub(super) kinds: Vec<String>,
    /// Where the gate stands then, if it answers.
    pub(super) position: Option<Position>,
    /// Rounds that have left by it.
    pub(super) left: Vec<RoundId>,
}

impl Question {
    pub(super) async fn ask(&self, gate: &dyn Gate, campaign: &CampaignId, seen: Position) -> Told {
        match self {
            Self::Reserve(round, users, registered) => {
                let answer = gate.reserve(campaign, *round, users, *registered, seen).await;
                told("reserve", answer, |answers| answers.iter().map(outcome).collect())
            }
            Self::Claim(round, users, registered) => {
                let answer = gate.claim(campaign, *round, users, *registered, seen).await;
                told("claim", answer, |answers| answers.iter().map(outcome).collect())
            }
            Self::Tick => told("tick", gate.tick(campaign, seen).await, |_| vec!["view".to_owned()]),
            Self::Open(spec) => told("open", gate.open_round(campaign, spec, seen).await, variant),
            Self::Transition(transition, request) => {
                let answer = gate.transition(campaign, *transition, *request, seen).await;
                told(transition.as_str(), answer, variant)
            }
            Self::Revise(revision) => {
                told(revision.scope.as_str(), gate.revise(campaign, revision, seen).await, variant)
            }
            Self::AddSupply(addition) => {
                let to = if addition.round.is_some() { "add to round" } else { "add to total" };
                told(to, gate.add_supply(campaign, addition, seen).await, variant)
            }
            Self::Conclude(round, winners) => {
                told("draw", gate.conclude_draw(campaign, *round, winners, seen).await, conclusion)
            }
            Self::Retire(round, recorded) => {
                told("retire", gate.retire(campaign, *round, *recorded, seen).await, variant)
            }
        }
    }
}

fn told<T: Debug>(verb: &str, answer: Result<Decided<T>, GateError>, kinds: impl Fn(&T) -> Vec<String>) -> Told {
    let text = format!("{answer:?}");
    let kinds = match &answer {
        Ok(decided) => kinds(&decided.answers),
        Err(error) => variant(error),
    };
    let left = answer.as_ref().ok().and_then(|decided| decided.entry.as_ref()).map_or_else(Vec::new, left);
    let position = answer.ok().map(|decided| decided.position);
    Told { text, kinds: kinds.into_iter().map(|kind| format!("{verb} {kind}")).collect(), position, left }
}

fn left(entry: &Entry) -> Vec<RoundId> {
    let rows = entry.parse().unwrap_or_default();
    rows.into_iter().filter_map(|row| if let Row::Retired { round, .. } = row { Some(round) } else { None }).collect()
}

fn outcome<T>(answer: &Answer<T>) -> String {
    let word = match &answer.outcome {
        Outcome::Granted(_) => "granted",
        Outcome::Replayed(_) => "replayed",
        Outcome::Refused(refusal) => refusal.as_str(),
    };
    word.to_owned()
}

fn conclusion(answer: &DrawConclusion) -> Vec<String> {
    match answer {
        DrawConclusion::Drawn(delay) if *delay == RoundSpec::LONGEST_DELAY => vec!["an hour late".to_owned()],
        DrawConclusion::Drawn(delay) if !delay.is_zero() => vec!["late".to_owned()],
        DrawConclusion::Drawn(_) => vec!["in time".to_owned()],
        DrawConclusion::AlreadyDrawn | DrawConclusion::NotDue | DrawConclusion::NotWhole => variant(answer),
    }
}

/// The variant's name.
fn variant(answer: &impl Debug) -> Vec<String> {
    let text = format!("{answer:?}");
    text.split(['(', ' ']).next().map(ToOwned::to_owned).into_iter().collect()
}
