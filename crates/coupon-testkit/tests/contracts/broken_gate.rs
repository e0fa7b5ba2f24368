//! Gates that are broken on purpose: the reference with one fault each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use coupon_domain::answer::{Answer, Issued, Outcome, Place, Refusal};
use coupon_domain::campaign::Transition;
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignView, Decided, LoadChunk, Retirement, RoundOpening, Transitioned};
use coupon_domain::ports::{Clock as _, Frozen, Gate, GateError, Journal, JournalError};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::Timestamp;
use coupon_testkit::contract::reference::ReferenceGate;
use coupon_testkit::under_test::{GateUnderTest, StandingClock};
use uuid::Uuid;

/// What a gate may do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One coupon more than there are.
    OversellsByOne,
    /// A repeat is refused.
    ForgetsRepeats,
    /// A part of a coupon is a whole one.
    RoundsUp,
    /// A closed window opens again when the clock goes back.
    PhaseFollowsTheClock,
    /// A no claims a number of its own.
    NumbersRefusals,
    /// Answers tell the time of the clock though it went back.
    TimeGoesBack,
    /// Entries do not carry the hash of the one before.
    BreaksTheChain,
    /// The last entry is not in the journal.
    LosesTheLastEntry,
    /// The returned entry is not that of the journal.
    ReturnsNoEntry,
    /// Everyone is answered, whatever they have seen.
    IgnoresWhatWasSeen,
    /// Any epoch is good enough to freeze.
    FreezesForAnyone,
    /// A campaign with seats missing seems to be open.
    OpensHalves,
    /// Rounds leave when they like.
    RetiresEarly,
    /// The journal forgets what the ledger does not have.
    TrimsTooMuch,
    /// A batch of any size is taken.
    TakesAnyBatch,
}

pub(crate) struct BrokenGate {
    fault: Fault,
    inner: ReferenceGate,
    clock: Arc<StandingClock>,
    oversold: AtomicBool,
}

/// A gate with this fault.
pub(crate) fn with(fault: Fault) -> GateUnderTest {
    let clock = Arc::new(StandingClock::default());
    let inner = ReferenceGate::with_clock(Arc::clone(&clock));
    let gate = Arc::new(BrokenGate { fault, inner, clock: Arc::clone(&clock), oversold: AtomicBool::new(false) });
    GateUnderTest { journal: Arc::clone(&gate) as _, gate, clock, keep: Box::new(()) }
}

impl BrokenGate {
    fn does(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    async fn seen(&self, campaign: &CampaignId, seen: Position) -> Position {
        match self.inner.model(campaign) {
            Some(model) if self.does(Fault::IgnoresWhatWasSeen) => model.position(),
            Some(_) | None => seen,
        }
    }

    fn decided<T>(&self, mut decided: Decided<T>) -> Decided<T> {
        if self.does(Fault::ReturnsNoEntry) {
            decided.entry = None;
        }
        if self.does(Fault::TimeGoesBack) {
            decided.at = self.clock.now();
        }
        decided
    }

    fn answered<T: Copy>(&self, mut decided: Decided<Vec<Answer<T>>>) -> Decided<Vec<Answer<T>>> {
        for answer in &mut decided.answers {
            match answer.outcome {
                Outcome::Replayed(_) if self.does(Fault::ForgetsRepeats) => {
                    answer.outcome = Outcome::Refused(Refusal::Closed);
                }
                Outcome::Refused(_) if self.does(Fault::NumbersRefusals) => answer.witness.position.n += 1,
                Outcome::Granted(_) | Outcome::Replayed(_) | Outcome::Refused(_) => {}
            }
        }
        self.decided(decided)
    }

    /// A batch that is too large, in two halves.
    fn parts<'a>(&self, users: &'a [UserId]) -> (&'a [UserId], &'a [UserId]) {
        users.split_at(if self.does(Fault::TakesAnyBatch) { users.len().min(500) } else { users.len() })
    }
}

fn joined<T>(mut first: Decided<Vec<Answer<T>>>, then: Decided<Vec<Answer<T>>>) -> Decided<Vec<Answer<T>>> {
    first.answers.extend(then.answers);
    Decided { answers: first.answers, ..then }
}

#[async_trait]
impl Gate for BrokenGate {
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        let (users, rest) = self.parts(users);
        let seen = self.seen(campaign, seen).await;
        let mut decided = self.inner.reserve(campaign, round, users, seen).await?;
        if !rest.is_empty() {
            decided = joined(decided, self.inner.reserve(campaign, round, rest, seen).await?);
        }
        Ok(self.answered(decided))
    }

    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        let (users, rest) = self.parts(users);
        let seen = self.seen(campaign, seen).await;
        let mut decided = self.inner.claim(campaign, round, users, seen).await?;
        if !rest.is_empty() {
            decided = joined(decided, self.inner.claim(campaign, round, rest, seen).await?);
        }
        let no = decided.answers.iter_mut().find(|a| a.outcome == Outcome::Refused(Refusal::SoldOut));
        if let Some(no) = no
            && self.does(Fault::OversellsByOne)
            && !self.oversold.swap(true, Ordering::SeqCst)
        {
            no.outcome = Outcome::Granted(Issued { serial: 1_000_000, claimed_at: decided.at });
        }
        Ok(self.answered(decided))
    }

    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError> {
        let mut decided = self.inner.tick(campaign, self.seen(campaign, seen).await).await?;
        if self.does(Fault::PhaseFollowsTheClock) {
            decided.answers.rounds.iter_mut().for_each(|round| round.phase = round.spec.phase_at(self.clock.now()));
        }
        Ok(self.decided(decided))
    }

    async fn open_round(
        &self,
        campaign: &CampaignId,
        spec: &RoundSpec,
        seen: Position,
    ) -> Result<Decided<RoundOpening>, GateError> {
        let mut spec = spec.clone();
        if let Supply::RatioOfPlaces(ratio) = spec.supply
            && self.does(Fault::RoundsUp)
        {
            let up = Ratio::new(ratio.numerator(), ratio.denominator(), Rounding::Ceil).expect("it was a ratio");
            spec.supply = Supply::RatioOfPlaces(up);
        }
        let seen = self.seen(campaign, seen).await;
        Ok(self.decided(self.inner.open_round(campaign, &spec, seen).await?))
    }

    async fn transition(
        &self,
        campaign: &CampaignId,
        transition: Transition,
        request: Option<Uuid>,
        seen: Position,
    ) -> Result<Decided<Transitioned>, GateError> {
        let seen = self.seen(campaign, seen).await;
        Ok(self.decided(self.inner.transition(campaign, transition, request, seen).await?))
    }

    async fn retire(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        recorded: u64,
        seen: Position,
    ) -> Result<Decided<Retirement>, GateError> {
        let recorded = if self.does(Fault::RetiresEarly) { u64::MAX } else { recorded };
        let seen = self.seen(campaign, seen).await;
        Ok(self.decided(self.inner.retire(campaign, round, recorded, seen).await?))
    }

    async fn freeze(&self, campaign: &CampaignId, epoch: u64) -> Result<Frozen, GateError> {
        match self.inner.freeze(campaign, epoch).await {
            Err(GateError::Fenced(later)) if self.does(Fault::FreezesForAnyone) => {
                self.inner.freeze(campaign, later + 1).await
            }
            frozen => frozen,
        }
    }

    async fn load(&self, campaign: &CampaignId, epoch: u64, chunk: LoadChunk) -> Result<(), GateError> {
        match self.inner.load(campaign, epoch, chunk).await {
            Err(GateError::Load(_)) if self.does(Fault::OpensHalves) => Ok(()),
            loaded => loaded,
        }
    }

    async fn reopen(&self, campaign: &CampaignId, epoch: u64) -> Result<(), GateError> {
        self.inner.reopen(campaign, epoch).await
    }

    async fn check(&self) -> Result<(), GateError> {
        self.inner.check().await
    }

    fn durability(&self) -> String {
        self.inner.durability()
    }
}

#[async_trait]
impl Journal for BrokenGate {
    async fn read(&self, campaign: &CampaignId, after: u64, decisions: usize) -> Result<Vec<Entry>, JournalError> {
        let mut entries = self.inner.read(campaign, after, decisions).await?;
        if self.does(Fault::BreaksTheChain) {
            entries.iter_mut().for_each(|entry| entry.prev = Chain::default());
        }
        if self.does(Fault::LosesTheLastEntry) && entries.len() > 1 {
            entries.pop();
        }
        Ok(entries)
    }

    async fn trim(&self, campaign: &CampaignId, up_to: u64, before: Timestamp) -> Result<(), JournalError> {
        let up_to = if self.does(Fault::TrimsTooMuch) { u64::MAX } else { up_to };
        self.inner.trim(campaign, up_to, before).await
    }
}
