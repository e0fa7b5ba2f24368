//! A gate and the model, side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use coupon_domain::campaign::{Revision, Rules, Scope};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{CampaignHead, CampaignView, SupplyAddition};
use coupon_domain::ports::{Frozen, Gate, GateError, Journal as _};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use uuid::Uuid;

use super::question::Question;
use super::{Answers, Call, Difference, Seen, Sequence, Step};
use crate::build::{campaign_id, millisecond, request, round_id, rules_like, second, user};
use crate::contract::fold::Fold;
use crate::contract::reference::ReferenceGate;
use crate::under_test::{GateUnderTest, StandingClock, TestClock as _};

/// The two of them, in one campaign.
pub(super) struct Pair<'a> {
    model: ReferenceGate,
    model_clock: Arc<StandingClock>,
    under_test: &'a GateUnderTest,
    case: u32,
    campaign: CampaignId,
    head: &'a CampaignHead,
    rounds: Vec<RoundSpec>,
    /// Rounds that have left.
    gone: BTreeSet<RoundId>,
    /// Who won in rounds that are drawn.
    won: BTreeMap<RoundId, Vec<u8>>,
    /// Milliseconds.
    now: i64,
    epoch: u64,
    position: Position,
    /// Since then the gate's journal has to be the model's.
    loaded_at: u64,
    step: usize,
    answers: Answers,
}

impl<'a> Pair<'a> {
    pub(super) fn new(under_test: &'a GateUnderTest, case: u32, sequence: &'a Sequence) -> Self {
        let model_clock = Arc::new(StandingClock::default());
        Self {
            model: ReferenceGate::with_clock(Arc::clone(&model_clock)),
            model_clock,
            under_test,
            case,
            campaign: campaign_id(&format!("case-{case}")),
            head: &sequence.head,
            rounds: sequence.rounds_of_case(case),
            gone: BTreeSet::new(),
            won: BTreeMap::new(),
            now: 0,
            epoch: 0,
            position: Position::default(),
            loaded_at: 0,
            step: 0,
            answers: Answers::new(),
        }
    }

    /// Takes all the steps; the answers that both gave.
    pub(super) async fn run(mut self, steps: &[Step]) -> Result<Answers, Difference> {
        self.clock(1000).await;
        self.load(3).await?;
        for (index, step) in steps.iter().enumerate() {
            self.step = index;
            self.take(step).await?;
        }
        self.step = steps.len();
        self.end().await?;
        Ok(self.answers)
    }

    async fn clock(&mut self, milliseconds: i64) {
        self.now = milliseconds;
        let at = millisecond(milliseconds);
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

    fn count(&mut self, kind: impl Into<String>) {
        *self.answers.entry(kind.into()).or_default() += 1;
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
            Step::Reload(size) => self.load(*size).await?,
        }
        Ok(())
    }

    async fn ask(&mut self, call: &Call, seen: Seen) -> Result<(), Difference> {
        let seen = seen.position(self.position);
        let question = self.question(call);
        let model = question.ask(&self.model, &self.campaign, seen).await;
        let gate = question.ask(self.under_test.gate.as_ref(), &self.campaign, seen).await;
        self.same(call, Verbatim(model.text), Verbatim(gate.text))?;
        model.kinds.into_iter().for_each(|kind| self.count(kind));
        self.position = model.position.unwrap_or(self.position);
        self.gone.extend(model.left);
        if let Question::Conclude(round, winners) = question
            && self.view().rounds.iter().any(|view| view.spec.id == round && view.drawn)
        {
            // The first ones count.
            self.won.entry(round).or_insert(winners);
        }
        Ok(())
    }

    /// The call, as it is about the campaign now.
    fn question(&mut self, call: &Call) -> Question {
        let names = |users: &[u8]| users.iter().map(|i| user(&format!("u{i}"))).collect::<Vec<_>>();
        let id = |round: usize| self.rounds[round].id;
        // No other case has this id.
        let case = u128::from(self.case) << 8;
        let request = |number: u8| Uuid::from_u128(request(number).as_u128() ^ case);
        match *call {
            Call::Reserve(round, ref users, registered) => Question::Reserve(id(round), names(users), registered),
            Call::Claim(round, ref users, registered) => Question::Claim(id(round), names(users), registered),
            Call::Tick => Question::Tick,
            Call::Open(round, of) => {
                let revision = of.revision(self.view().revision);
                Question::Open(self.plan(round, revision))
            }
            Call::Transition(transition, by) => Question::Transition(transition.0, by.map(request)),
            Call::Revise(scope, of, limits, by) => {
                let title = format!("Title {}", self.step);
                let changed = CampaignHead {
                    total_limit: limits.total_limit,
                    max_per_user: limits.max_per_user,
                    counts_users: limits.counts_users,
                    ..self.head.clone()
                };
                let rules = if scope == Scope::Campaign { rules_like(&changed) } else { self.fold().rules };
                let (of, rules) = (of.revision(self.view().revision), Rules { title, ..rules });
                Question::Revise(Box::new(Revision { of, scope, rules, request: by.map(request) }))
            }
            Call::AddSupply(round, amount, by) => {
                Question::AddSupply(SupplyAddition { round: round.map(id), amount, request: by.map(request) })
            }
            Call::Conclude(round, won) => {
                let rounds = self.view().rounds;
                let view = rounds.iter().find(|view| view.spec.id == id(round));
                let winners = view.map_or_else(Vec::new, |v| won.bitmap(v.places, v.supply.unwrap_or(0)));
                Question::Conclude(id(round), winners)
            }
            Call::Retire(round, behind) => Question::Retire(id(round), self.position.n.saturating_sub(behind)),
        }
    }

    /// How the campaign stands now, or would if somebody looked.
    fn view(&self) -> CampaignView {
        let mut model = self.model.model(&self.campaign).expect("it was loaded");
        model.tick(millisecond(self.now)).answers
    }

    /// A round by this revision; the number of one that has left is never given again.
    fn plan(&mut self, round: usize, revision: u64) -> RoundSpec {
        let spec = &mut self.rounds[round];
        if self.gone.contains(&spec.id) {
            spec.id = round_id(spec.id.number() + 1_000_000);
        }
        spec.revision = revision;
        spec.clone()
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

    /// What the model's journal tells, and who won, which only a ledger knows.
    fn fold(&self) -> Fold {
        let entries = self.model.journal(&self.campaign);
        let mut fold =
            Fold::of(rules_like(self.head), self.head.state, &entries).expect("the model's journal can be recorded");
        for (round, winners) in &self.won {
            // One that nobody used may have left without a trace.
            if fold.rounds.contains_key(round) {
                fold.won(*round, winners);
            }
        }
        fold
    }

    /// Freezes, and loads what the model's journal tells, so many users in a chunk. The model is then as it was.
    async fn load(&mut self, size: usize) -> Result<(), Difference> {
        let before = self.model.model(&self.campaign);
        self.freeze().await?;
        let fold = self.fold();
        for chunk in fold.chunks(self.head, self.epoch, size) {
            let model = self.model.load(&self.campaign, self.epoch, chunk.clone()).await;
            let gate = self.under_test.gate.load(&self.campaign, self.epoch, chunk.clone()).await;
            self.same(chunk, model, gate)?;
        }
        if let Some(mut before) = before {
            before.raise_epoch(self.epoch);
            let after = self.model.model(&self.campaign).expect("it was loaded");
            if before != after {
                self.same("what the journal tells", before, after)?;
            }
            self.count(if fold.in_gate().any(|round| round.head.view.drawn) { "load with winners" } else { "load" });
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
