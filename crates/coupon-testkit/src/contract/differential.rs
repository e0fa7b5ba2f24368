//! A gate compared with the model, call by call, over random sequences.
//!
//! Both are asked the same through the port: the model as [`ReferenceGate`], so that what a gate adds to the model (batch sizes, epochs,
//! freezing, loading) is compared as well.

mod sequence;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{CampaignHead, Decided, Retirement};
use coupon_domain::ports::{Frozen, Gate, GateError, Journal as _};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

pub use self::sequence::{Call, Seen, Sequence, Step, sequences};
use super::fold::Fold;
use super::reference::ReferenceGate;
use crate::build::{campaign_id, round_id, second, user};
use crate::under_test::{GateUnderTest, StandingClock, TestClock as _};

/// A step that two gates answered differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}, {what}\n  model: {model}\n  gate:  {gate}")]
pub struct Difference {
    /// Its index in the sequence.
    pub step: usize,
    /// What was asked.
    pub what: String,
    /// What the model said.
    pub model: String,
    /// What the gate said.
    pub gate: String,
}

/// Compares a gate with the model over so many random sequences, each in a campaign of its own.
///
/// # Panics
/// With the shortest sequence that was found to be answered differently. Needs the multi-thread runtime.
pub async fn random_gates_equal_model(under_test: &GateUnderTest, cases: u32) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let case = AtomicU32::new(0);
    let runtime = tokio::runtime::Handle::current();
    let compared = tokio::task::block_in_place(|| {
        let outcome = runner.run(&sequences(), |sequence| {
            let case = case.fetch_add(1, Ordering::Relaxed);
            runtime
                .block_on(gate_equals_model(under_test, case, &sequence))
                .map_err(|difference| TestCaseError::fail(difference.to_string()))
        });
        outcome.map_err(|error| match error {
            TestError::Fail(difference, sequence) => format!("{difference}\n{sequence}"),
            TestError::Abort(reason) => reason.to_string(),
        })
    });
    if let Err(difference) = compared {
        panic!("{difference}");
    }
}

/// Compares a gate with the model over one sequence; `case` gives the campaign its id and its rounds their numbers.
///
/// # Errors
/// The first difference.
pub async fn gate_equals_model(under_test: &GateUnderTest, case: u32, sequence: &Sequence) -> Result<(), Difference> {
    let mut pair = Pair::new(under_test, case, sequence);
    pair.clock(1000).await;
    pair.load().await?;
    for (index, step) in sequence.steps.iter().enumerate() {
        pair.step = index;
        pair.take(step).await?;
    }
    pair.step = sequence.steps.len();
    pair.end().await
}

/// The two of them, in one campaign.
struct Pair<'a> {
    model: ReferenceGate,
    model_clock: Arc<StandingClock>,
    under_test: &'a GateUnderTest,
    campaign: CampaignId,
    head: &'a CampaignHead,
    rounds: Vec<RoundSpec>,
    /// Rounds that have left.
    gone: BTreeSet<RoundId>,
    /// Milliseconds.
    now: i64,
    epoch: u64,
    position: Position,
    /// Since then the gate's journal has to be the model's.
    loaded_at: u64,
    step: usize,
}

impl<'a> Pair<'a> {
    fn new(under_test: &'a GateUnderTest, case: u32, sequence: &'a Sequence) -> Self {
        let model_clock = Arc::new(StandingClock::default());
        Self {
            model: ReferenceGate::with_clock(Arc::clone(&model_clock)),
            model_clock,
            under_test,
            campaign: campaign_id(&format!("case-{case}")),
            head: &sequence.head,
            rounds: sequence.rounds_of_case(case),
            gone: BTreeSet::new(),
            now: 0,
            epoch: 0,
            position: Position::default(),
            loaded_at: 0,
            step: 0,
        }
    }

    async fn clock(&mut self, milliseconds: i64) {
        self.now = milliseconds;
        let at = crate::build::millisecond(milliseconds);
        self.model_clock.set(at).await;
        self.under_test.clock.set(at).await;
    }

    fn same(&self, what: impl Debug, model: impl Debug, gate: impl Debug) -> Result<(), Difference> {
        let (model, gate) = (format!("{model:?}"), format!("{gate:?}"));
        if model == gate {
            return Ok(());
        }
        Err(Difference { step: self.step, what: format!("{what:?}"), model, gate })
    }

    async fn take(&mut self, step: &Step) -> Result<(), Difference> {
        match step {
            Step::Wait(milliseconds) => self.clock(self.now.saturating_add(*milliseconds)).await,
            Step::GoTo { round, boundary, off } => {
                let spec = &self.rounds[*round];
                let reserve = spec.reserve.unwrap_or(spec.claim);
                let at = [reserve.opens, reserve.closes, spec.claim.opens, spec.claim.closes][*boundary];
                self.clock((at.micros() - second(0).micros()) / 1000 + off).await;
            }
            Step::Ask(call, seen) => self.ask(call, *seen).await?,
            Step::Reopen(call) => {
                self.freeze().await?;
                self.ask(call, Seen::Now).await?;
                let model = self.model.reopen(&self.campaign, self.epoch).await;
                let gate = self.under_test.gate.reopen(&self.campaign, self.epoch).await;
                self.same("reopen", model, gate)?;
                self.position.epoch = self.epoch;
            }
            Step::Reload => self.load().await?,
        }
        Ok(())
    }

    async fn ask(&mut self, call: &Call, seen: Seen) -> Result<(), Difference> {
        let seen = seen.position(self.position);
        if let Call::Open(round) = call {
            self.number_anew(*round);
        }
        let (model, outcome) = self.answer(&self.model, call, seen).await;
        let (gate, _) = self.answer(self.under_test.gate.as_ref(), call, seen).await;
        self.same(call, Verbatim(model), Verbatim(gate))?;
        if let Some((position, retired)) = outcome {
            self.position = position;
            self.gone.extend(retired);
        }
        Ok(())
    }

    /// The number of a round that has left is never given again.
    fn number_anew(&mut self, round: usize) {
        let spec = &mut self.rounds[round];
        if self.gone.contains(&spec.id) {
            spec.id = round_id(spec.id.number() + 1_000_000);
        }
    }

    /// What a gate says; if it answers, also where it stands then, and the round that has left.
    async fn answer(
        &self,
        gate: &dyn Gate,
        call: &Call,
        seen: Position,
    ) -> (String, Option<(Position, Option<RoundId>)>) {
        let campaign = &self.campaign;
        let names = |users: &[u8]| users.iter().map(|i| user(&format!("u{i}"))).collect::<Vec<_>>();
        match call {
            Call::Reserve(round, users) => {
                told(gate.reserve(campaign, self.rounds[*round].id, &names(users), seen).await, None)
            }
            Call::Claim(round, users) => {
                told(gate.claim(campaign, self.rounds[*round].id, &names(users), seen).await, None)
            }
            Call::Tick => told(gate.tick(campaign, seen).await, None),
            Call::Open(round) => told(gate.open_round(campaign, &self.rounds[*round], seen).await, None),
            Call::Transition(transition, request) => {
                told(gate.transition(campaign, transition.0, request.map(uuid::Uuid::from_u128), seen).await, None)
            }
            Call::Retire(round, behind) => {
                let id = self.rounds[*round].id;
                let answer = gate.retire(campaign, id, self.position.n.saturating_sub(*behind), seen).await;
                let left = answer.as_ref().is_ok_and(|decided| decided.answers == Retirement::Retired);
                told(answer, left.then_some(id))
            }
        }
    }

    /// Freezes in the next epoch. Which epoch the position of a frozen gate names is not compared: it may be the last decision's.
    async fn freeze(&mut self) -> Result<(), Difference> {
        self.epoch += 1;
        let known = |frozen: Result<Frozen, GateError>| match frozen {
            Ok(Frozen::At(position, chain)) => format!("at {} with {chain}", position.n),
            other => format!("{other:?}"),
        };
        let model = self.model.freeze(&self.campaign, self.epoch).await;
        let gate = self.under_test.gate.freeze(&self.campaign, self.epoch).await;
        self.same("freeze", Verbatim(known(model)), Verbatim(known(gate)))
    }

    /// Freezes, and loads what the model's journal tells.
    async fn load(&mut self) -> Result<(), Difference> {
        self.freeze().await?;
        let entries = self.model.read(&self.campaign, 0, usize::MAX).await.expect("memory answers");
        let fold = Fold::of(self.head.state, &entries).expect("the model's journal can be recorded");
        for chunk in fold.chunks(self.head, self.epoch, 3) {
            let model = self.model.load(&self.campaign, self.epoch, chunk.clone()).await;
            let gate = self.under_test.gate.load(&self.campaign, self.epoch, chunk.clone()).await;
            self.same(chunk, model, gate)?;
        }
        self.loaded_at = fold.cursor.position.n;
        self.position = Position { epoch: self.epoch, n: self.loaded_at };
        Ok(())
    }

    /// State, journal and chain at last.
    async fn end(&mut self) -> Result<(), Difference> {
        self.ask(&Call::Tick, Seen::Now).await?;
        let model = self.model.read(&self.campaign, self.loaded_at, 1_000_000).await;
        let gate = self.under_test.journal.read(&self.campaign, self.loaded_at, 1_000_000).await;
        self.same("journal", model, gate)?;
        self.freeze().await
    }
}

/// A text shown as it is.
struct Verbatim(String);

impl Debug for Verbatim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn told<T: Debug>(
    answer: Result<Decided<T>, GateError>,
    left: Option<RoundId>,
) -> (String, Option<(Position, Option<RoundId>)>) {
    (format!("{answer:?}"), answer.ok().map(|decided| (decided.position, left)))
}
