//! An opened campaign of a gate under test, with calls that are expected to be answered.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use coupon_domain::answer::{Answer, Issued, Outcome, Place};
use coupon_domain::campaign::{Revision, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::{Entry, Row};
use coupon_domain::model::{
    CampaignHead, CampaignView, Decided, DrawConclusion, LoadChunk, Retirement, Revised, RoundOpening, RoundView,
    SupplyAdded, SupplyAddition, Transitioned,
};
use coupon_domain::ports::{Frozen, Gate, GateError, Journal};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::build::campaign_id;
use crate::under_test::{GateUnderTest, TestClock};

/// What a batch of reservations came to.
pub(crate) type Places = Decided<Vec<Answer<Place>>>;
/// What a batch of claims came to.
pub(crate) type Coupons = Decided<Vec<Answer<Issued>>>;

/// A campaign in epoch 1 of a gate under test.
pub(crate) struct Scene {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn TestClock>,
    pub(crate) campaign: CampaignId,
    seen: Mutex<Position>,
    _keep: Arc<dyn Any + Send + Sync>,
}

impl Scene {
    /// Opens the campaign `c` by the recovery path, then its rounds; the clock stands at `at`.
    pub(crate) async fn open<R>(
        under_test: GateUnderTest,
        head: CampaignHead,
        at: Timestamp,
        rounds: impl IntoIterator<Item = R>,
    ) -> Self
    where
        R: Into<RoundSpec>,
    {
        let scene = Self::unopened(under_test, at).await;
        scene.begin(head, rounds).await;
        scene
    }

    /// A gate that has never heard of the campaign `c`.
    pub(crate) async fn unopened(under_test: GateUnderTest, at: Timestamp) -> Self {
        let GateUnderTest { gate, journal, clock, keep } = under_test;
        clock.set(at).await;
        let campaign = campaign_id("c");
        Self { gate, journal, clock, campaign, seen: Mutex::default(), _keep: Arc::from(keep) }
    }

    /// Another campaign of the same gate, opened likewise.
    pub(crate) async fn beside<R>(&self, id: &str, head: CampaignHead, rounds: impl IntoIterator<Item = R>) -> Self
    where
        R: Into<RoundSpec>,
    {
        let scene = self.of(id);
        scene.begin(head, rounds).await;
        scene
    }

    /// Another campaign of the same gate, loaded in epoch 1 from these chunks.
    pub(crate) async fn beside_loaded(&self, id: &str, chunks: impl IntoIterator<Item = LoadChunk>) -> Self {
        let scene = self.of(id);
        scene.freeze(1).await.expect("a new campaign can be frozen");
        scene.load(1, chunks).await.expect("the chunks make a whole");
        scene.learn(Position { epoch: 1, n: 0 });
        scene
    }

    /// Another campaign of the same gate, untouched.
    pub(crate) fn of(&self, id: &str) -> Self {
        Self {
            gate: Arc::clone(&self.gate),
            journal: Arc::clone(&self.journal),
            clock: Arc::clone(&self.clock),
            campaign: campaign_id(id),
            seen: Mutex::default(),
            _keep: Arc::clone(&self._keep),
        }
    }

    async fn begin<R: Into<RoundSpec>>(&self, head: CampaignHead, rounds: impl IntoIterator<Item = R>) {
        self.learn(head.position);
        let epoch = head.position.epoch;
        let frozen = self.freeze(epoch).await.expect("a new campaign can be frozen");
        assert_eq!(frozen, Frozen::Empty, "nothing is known of a new campaign");
        self.load(epoch, [LoadChunk::Head(head), LoadChunk::Open]).await.expect("a campaign without rounds is whole");
        for round in rounds {
            let opening = self.open_round(round).await;
            assert_eq!(opening.answers, RoundOpening::Opened);
        }
    }

    /// The highest position that was answered.
    pub(crate) fn seen(&self) -> Position {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a position.
    pub(crate) fn learn(&self, position: Position) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = position.max(*seen);
    }

    fn answered<T>(&self, answer: Result<Decided<T>, GateError>) -> Decided<T> {
        let decided = answer.expect("an open gate answers");
        self.learn(decided.position);
        decided
    }

    pub(crate) async fn at(&self, at: Timestamp) {
        self.clock.set(at).await;
    }

    pub(crate) async fn reserve(&self, round: RoundId, users: &[UserId]) -> Places {
        self.answered(self.gate.reserve(&self.campaign, round, users, true, self.seen()).await)
    }

    pub(crate) async fn claim(&self, round: RoundId, users: &[UserId]) -> Coupons {
        self.answered(self.gate.claim(&self.campaign, round, users, true, self.seen()).await)
    }

    /// Reserves for users who are not in the registry.
    pub(crate) async fn reserve_unregistered(&self, round: RoundId, users: &[UserId]) -> Places {
        self.answered(self.gate.reserve(&self.campaign, round, users, false, self.seen()).await)
    }

    /// Claims for users who are not in the registry.
    pub(crate) async fn claim_unregistered(&self, round: RoundId, users: &[UserId]) -> Coupons {
        self.answered(self.gate.claim(&self.campaign, round, users, false, self.seen()).await)
    }

    /// Reserves for any number of users, a full batch at a time.
    pub(crate) async fn reserve_all(&self, round: RoundId, users: &[UserId]) -> Vec<Outcome<Place>> {
        let mut all = Vec::new();
        for batch in users.chunks(coupon_domain::ports::MAX_BATCH) {
            all.extend(outcomes(&self.reserve(round, batch).await));
        }
        all
    }

    pub(crate) async fn tick(&self) -> Decided<CampaignView> {
        self.answered(self.gate.tick(&self.campaign, self.seen()).await)
    }

    /// How a round stands.
    pub(crate) async fn view(&self, round: RoundId) -> RoundView {
        let view = self.tick().await.answers;
        view.rounds.into_iter().find(|r| r.spec.id == round).expect("the round is in the gate")
    }

    pub(crate) async fn open_round(&self, round: impl Into<RoundSpec>) -> Decided<RoundOpening> {
        self.answered(self.gate.open_round(&self.campaign, &round.into(), self.seen()).await)
    }

    pub(crate) async fn transition(&self, transition: Transition) -> Decided<Transitioned> {
        self.transition_by(None, transition).await
    }

    pub(crate) async fn transition_by(&self, request: Option<Uuid>, transition: Transition) -> Decided<Transitioned> {
        self.answered(self.gate.transition(&self.campaign, transition, request, self.seen()).await)
    }

    pub(crate) async fn revise(&self, revision: &Revision) -> Decided<Revised> {
        self.answered(self.gate.revise(&self.campaign, revision, self.seen()).await)
    }

    pub(crate) async fn add_supply(&self, addition: SupplyAddition) -> Decided<SupplyAdded> {
        self.answered(self.gate.add_supply(&self.campaign, &addition, self.seen()).await)
    }

    pub(crate) async fn conclude_draw(&self, round: RoundId, winners: &[u8]) -> Decided<DrawConclusion> {
        self.answered(self.gate.conclude_draw(&self.campaign, round, winners, self.seen()).await)
    }

    pub(crate) async fn retire(&self, round: RoundId, recorded: u64) -> Decided<Retirement> {
        self.answered(self.gate.retire(&self.campaign, round, recorded, self.seen()).await)
    }

    pub(crate) async fn freeze(&self, epoch: u64) -> Result<Frozen, GateError> {
        self.gate.freeze(&self.campaign, epoch).await
    }

    pub(crate) async fn load(&self, epoch: u64, chunks: impl IntoIterator<Item = LoadChunk>) -> Result<(), GateError> {
        for chunk in chunks {
            self.gate.load(&self.campaign, epoch, chunk).await?;
        }
        Ok(())
    }

    /// Freezes and opens again as it is, in this epoch.
    pub(crate) async fn reopen(&self, epoch: u64) {
        self.freeze(epoch).await.expect("a later epoch freezes");
        self.gate.reopen(&self.campaign, epoch).await.expect("what was frozen whole can be opened");
        self.learn(Position { epoch, n: self.seen().n });
    }

    /// The entries behind a decision, checked to be of one piece: dense, chained, in order of epoch and time, and readable.
    pub(crate) async fn entries_after(&self, after: u64) -> Vec<Entry> {
        let entries = self.journal.read(&self.campaign, after, 1_000_000).await.expect("the journal answers");
        let mut before: Option<&Entry> = None;
        for entry in &entries {
            let (n, epoch, at) = before.map_or((after, 0, Timestamp::EPOCH), |e| (e.last, e.epoch, e.at));
            assert_eq!(entry.first, n + 1, "an entry begins behind the one before it");
            assert!(entry.epoch >= epoch && entry.at >= at, "neither epoch nor time goes back");
            let chain = before.map(Entry::chain).or((after == 0).then(Chain::default));
            assert!(chain.is_none_or(|chain| chain == entry.prev), "an entry has the hash of the one before it");
            entry.parse().expect("an entry can be read");
            before = Some(entry);
        }
        entries
    }

    /// All rows of the journal.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let entries = self.entries_after(0).await;
        entries.iter().flat_map(|entry| entry.parse().expect("an entry can be read")).collect()
    }
}

/// The answers without their witnesses.
pub(crate) fn outcomes<T: Copy>(decided: &Decided<Vec<Answer<T>>>) -> Vec<Outcome<T>> {
    decided.answers.iter().map(|answer| answer.outcome).collect()
}

/// How many are new.
pub(crate) fn granted<T>(outcomes: &[Outcome<T>]) -> usize {
    outcomes.iter().filter(|o| matches!(o, Outcome::Granted(_))).count()
}

/// The only answer of a batch of one.
pub(crate) fn only<T: Copy>(decided: &Decided<Vec<Answer<T>>>) -> Outcome<T> {
    assert_eq!(decided.answers.len(), 1, "one question, one answer");
    decided.answers[0].outcome
}
