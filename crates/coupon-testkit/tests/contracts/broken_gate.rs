//! Gates that are broken on purpose: the reference with one fault each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::answer::{Answer, Issued, Outcome, Place, Refusal};
use coupon_domain::campaign::{Revision, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{
    CampaignView, Decided, DrawConclusion, LoadChunk, Retirement, Revised, RoundOpening, RoundView, SupplyAdded,
    SupplyAddition, Transitioned,
};
use coupon_domain::ports::{Clock as _, Frozen, Gate, GateError, Journal, JournalError};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::Timestamp;
use coupon_testkit::contract::reference::ReferenceGate;
use coupon_testkit::under_test::{GateUnderTest, StandingClock, TestClock as _};
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
    /// Everybody is taken for registered.
    RegistersEverybody,
    /// Who lost in the draw gets a coupon too.
    LetsLosersClaim,
    /// A draw is concluded while places are still given.
    DrawsBeforeClose,
    /// Winners are taken as they come.
    TakesAnyWinners,
    /// Claims close when they were planned to, though the draw was late.
    ForgetsTheDelay,
    /// Claims close when they were planned to, though the draw is awaited.
    ClosesBeforeTheDraw,
    /// The places that were first are taken for the winners once it was loaded.
    ForgetsWinners,
    /// A request adds coupons as often as it comes.
    AddsTwice,
    /// Coupons are added without a look at the clock.
    AddsWithoutAClock,
    /// Requests are forgotten by loading.
    ForgetsRequests,
    /// Rounds are dropped by new rules, used or not.
    DropsUsedRounds,
    /// Changes and rounds of any revision are taken.
    IgnoresTheRevision,
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

    /// How a round stands.
    fn round(&self, campaign: &CampaignId, round: RoundId) -> Option<RoundView> {
        let view = self.inner.model(campaign)?.tick(self.clock.now()).answers;
        view.rounds.into_iter().find(|view| view.spec.id == round)
    }

    /// The revision that the campaign has, or the one that the caller has in mind.
    fn revision(&self, campaign: &CampaignId, theirs: u64) -> u64 {
        match self.inner.model(campaign) {
            Some(mut model) if self.does(Fault::IgnoresTheRevision) => model.tick(self.clock.now()).answers.revision,
            Some(_) | None => theirs,
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

/// The phase that the clock says, whatever was latched before.
fn phase_by(round: &RoundView, now: Timestamp) -> Phase {
    let (claim, reserve) = (round.claim(), round.spec.reserve);
    match reserve {
        _ if now >= claim.closes => Phase::Closed,
        _ if now >= claim.opens => Phase::Claiming,
        Some(reserve) if now >= reserve.closes => Phase::Waiting,
        Some(reserve) if now >= reserve.opens => Phase::Reserving,
        Some(_) | None => Phase::Planned,
    }
}

#[async_trait]
impl Gate for BrokenGate {
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        let (users, rest) = self.parts(users);
        let registered = registered || self.does(Fault::RegistersEverybody);
        let seen = self.seen(campaign, seen).await;
        let mut decided = self.inner.reserve(campaign, round, users, registered, seen).await?;
        if !rest.is_empty() {
            decided = joined(decided, self.inner.reserve(campaign, round, rest, registered, seen).await?);
        }
        Ok(self.answered(decided))
    }

    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        let (users, rest) = self.parts(users);
        let registered = registered || self.does(Fault::RegistersEverybody);
        let seen = self.seen(campaign, seen).await;
        let mut decided = self.inner.claim(campaign, round, users, registered, seen).await?;
        if !rest.is_empty() {
            decided = joined(decided, self.inner.claim(campaign, round, rest, registered, seen).await?);
        }
        let no = decided.answers.iter_mut().find(|a| a.outcome == Outcome::Refused(Refusal::SoldOut));
        if let Some(no) = no
            && self.does(Fault::OversellsByOne)
            && !self.oversold.swap(true, Ordering::SeqCst)
        {
            no.outcome = Outcome::Granted(Issued { serial: 1_000_000, claimed_at: decided.at });
        }
        let planned = self.round(campaign, round).map(|view| view.spec.claim);
        let late = planned.is_some_and(|claim| decided.at >= claim.closes);
        for answer in &mut decided.answers {
            match answer.outcome {
                Outcome::Refused(Refusal::NotDrawn) if self.does(Fault::LetsLosersClaim) => {
                    answer.outcome = Outcome::Granted(Issued { serial: 0, claimed_at: decided.at });
                }
                Outcome::Granted(_) if late && self.does(Fault::ForgetsTheDelay) => {
                    answer.outcome = Outcome::Refused(Refusal::Closed);
                }
                Outcome::Refused(Refusal::DrawPending) if late && self.does(Fault::ClosesBeforeTheDraw) => {
                    answer.outcome = Outcome::Refused(Refusal::Closed);
                }
                Outcome::Granted(_) | Outcome::Replayed(_) | Outcome::Refused(_) => {}
            }
        }
        Ok(self.answered(decided))
    }

    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError> {
        let mut decided = self.inner.tick(campaign, self.seen(campaign, seen).await).await?;
        if self.does(Fault::PhaseFollowsTheClock) {
            decided.answers.rounds.iter_mut().for_each(|round| round.phase = phase_by(round, self.clock.now()));
        }
        if self.does(Fault::DropsUsedRounds) {
            let revision = decided.answers.revision;
            decided.answers.rounds.retain(|round| round.spec.revision == revision);
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
        spec.revision = self.revision(campaign, spec.revision);
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

    async fn revise(
        &self,
        campaign: &CampaignId,
        revision: &Revision,
        seen: Position,
    ) -> Result<Decided<Revised>, GateError> {
        let seen = self.seen(campaign, seen).await;
        let of = self.revision(campaign, revision.of);
        Ok(self.decided(self.inner.revise(campaign, &Revision { of, ..revision.clone() }, seen).await?))
    }

    async fn add_supply(
        &self,
        campaign: &CampaignId,
        addition: &SupplyAddition,
        seen: Position,
    ) -> Result<Decided<SupplyAdded>, GateError> {
        let seen = self.seen(campaign, seen).await;
        let now = self.clock.now();
        if self.does(Fault::AddsWithoutAClock) {
            self.clock.set(Timestamp::EPOCH).await;
        }
        let mut decided = self.inner.add_supply(campaign, addition, seen).await?;
        self.clock.set(now).await;
        if decided.answers == SupplyAdded::Repeated && self.does(Fault::AddsTwice) {
            let again = SupplyAddition { request: None, ..*addition };
            decided = self.inner.add_supply(campaign, &again, seen).await?;
        }
        Ok(self.decided(decided))
    }

    async fn conclude_draw(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Decided<DrawConclusion>, GateError> {
        let seen = self.seen(campaign, seen).await;
        let mut decided = self.inner.conclude_draw(campaign, round, winners, seen).await?;
        let taken = match decided.answers {
            DrawConclusion::NotDue => self.does(Fault::DrawsBeforeClose),
            DrawConclusion::NotWhole => self.does(Fault::TakesAnyWinners),
            DrawConclusion::Drawn(_) | DrawConclusion::AlreadyDrawn => false,
        };
        if taken {
            decided.answers = DrawConclusion::Drawn(Duration::ZERO);
        }
        Ok(self.decided(decided))
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
        let chunk = match chunk {
            LoadChunk::Winners(round, first, mut part) if self.does(Fault::ForgetsWinners) => {
                let mut won: u32 = part.iter().map(|byte| byte.count_ones()).sum();
                for byte in &mut part {
                    let here = won.min(8);
                    *byte = u8::try_from(0xff_u32 << (8 - here) & 0xff).expect("a byte");
                    won -= here;
                }
                LoadChunk::Winners(round, first, part)
            }
            LoadChunk::Requests(_) if self.does(Fault::ForgetsRequests) => return Ok(()),
            other => other,
        };
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
