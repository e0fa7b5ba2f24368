//! A campaign in a ledger, with a model that decides its history.

use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::Transition;
use coupon_domain::ids::{CampaignId, CouponId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{CampaignHead, CampaignModel, Decided, RoundOpening};
use coupon_domain::ports::{CreateOutcome, Event, EventKind, NewCampaign, RecordError};
use coupon_domain::recording::Recording;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::build::head;
use crate::contract::fold::Fold;
use crate::under_test::LedgerUnderTest;

/// What a campaign's gate decided, and how far the ledger has been told.
pub(super) struct History {
    pub(super) campaign: CampaignId,
    pub(super) fold: Fold,
    model: CampaignModel,
    pending: Vec<Entry>,
}

impl History {
    /// Creates the campaign in the ledger.
    pub(super) async fn begin(ledger: &LedgerUnderTest, new: &NewCampaign) -> Self {
        let outcome = ledger.campaigns.create(new).await.expect("the ledger answers");
        assert!(matches!(outcome, CreateOutcome::Created(_)), "{outcome:?}");
        let head = CampaignHead { state: new.state, ..head() };
        let fold = Fold::new(new.state);
        Self { campaign: new.id.clone(), fold, model: CampaignModel::begin(&head), pending: Vec::new() }
    }

    fn keep<T>(&mut self, decided: Decided<T>) -> T {
        self.pending.extend(decided.entry);
        decided.answers
    }

    pub(super) fn open_round(&mut self, round: impl Into<RoundSpec>, at: Timestamp) {
        let decided = self.model.open_round(&round.into(), at);
        assert_eq!(self.keep(decided), RoundOpening::Opened);
    }

    pub(super) fn reserve(&mut self, round: RoundId, users: &[UserId], at: Timestamp) -> Vec<Answer<Place>> {
        let decided = self.model.reserve(round, users, at).expect("the round was opened");
        self.keep(decided)
    }

    pub(super) fn claim(&mut self, round: RoundId, users: &[UserId], at: Timestamp) -> Vec<Answer<Issued>> {
        let decided = self.model.claim(round, users, at).expect("the round was opened");
        self.keep(decided)
    }

    pub(super) fn tick(&mut self, at: Timestamp) {
        let decided = self.model.tick(at);
        self.keep(decided);
    }

    pub(super) fn transition(&mut self, transition: Transition, request: Option<Uuid>, at: Timestamp) {
        let decided = self.model.transition(transition, request, at);
        self.keep(decided);
    }

    /// Lets a round go; the ledger is taken to have all of it.
    pub(super) fn retire(&mut self, round: RoundId, at: Timestamp) {
        let recorded = self.model.position().n;
        let decided = self.model.retire(round, recorded, at).expect("the round was opened");
        self.keep(decided);
    }

    /// What was decided since this was last called, ready to be written.
    pub(super) fn take(&mut self) -> Recording {
        let recording = self.fold.recording(&self.pending).expect("the model's entries can be recorded");
        self.pending.clear();
        self.fold.apply(&recording);
        recording
    }

    /// Tells the ledger what was decided since.
    pub(super) async fn record(&mut self, ledger: &LedgerUnderTest) {
        self.try_record(ledger).await.expect("it follows what the ledger has");
    }

    pub(super) async fn try_record(&mut self, ledger: &LedgerUnderTest) -> Result<(), RecordError> {
        let recording = self.take();
        ledger.records.record(&self.campaign, &recording).await
    }
}

/// All events of a ledger, in its order, from a place on; the places ascend.
pub(super) async fn events_after(ledger: &LedgerUnderTest, after: i64) -> Vec<(i64, Event)> {
    let mut events: Vec<(i64, Event)> = Vec::new();
    loop {
        let last = events.last().map_or(after, |(place, _)| *place);
        let page = ledger.records.events(last, 1000).await.expect("the ledger answers");
        if page.is_empty() {
            break;
        }
        events.extend(page);
    }
    let places: Vec<_> = std::iter::once(after).chain(events.iter().map(|(place, _)| *place)).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "the places ascend: {places:?}");
    events
}

/// The events of one campaign that its gate decided, by the number of their decision.
pub(super) async fn decided_events(ledger: &LedgerUnderTest, campaign: &CampaignId) -> Vec<Event> {
    let number =
        |event: &Event| -> Option<u64> { event.id.strip_prefix(campaign.as_str())?.strip_prefix('-')?.parse().ok() };
    let events = events_after(ledger, 0).await.into_iter().map(|(_, event)| event);
    let mut numbered: Vec<_> =
        events.filter(|e| e.campaign == *campaign).filter_map(|e| Some((number(&e)?, e))).collect();
    numbered.sort_by_key(|(n, _)| *n);
    numbered.into_iter().map(|(_, event)| event).collect()
}

/// One event for each row, by the number of its decision; a round's leaving has none.
pub(super) fn expected_events(campaign: &CampaignId, recording: &Recording) -> Vec<Event> {
    let event = |n: u64, kind, at| Event {
        id: Event::id_of_decision(campaign, n),
        kind,
        campaign: campaign.clone(),
        round: None,
        coupon: None,
        user: None,
        order: None,
        state: None,
        at,
    };
    let mut events = Vec::new();
    events.extend(
        recording
            .rounds
            .iter()
            .map(|row| (row.n, Event { round: Some(row.spec.id), ..event(row.n, EventKind::RoundOpened, row.at) })),
    );
    events.extend(recording.places.iter().map(|row| {
        let (round, user) = (Some(row.round), Some(row.user.clone()));
        (row.n, Event { round, user, ..event(row.n, EventKind::PlaceReserved, row.reserved_at) })
    }));
    events.extend(recording.coupons.iter().map(|row| {
        let (round, user) = (Some(row.round), Some(row.user.clone()));
        let coupon = Some(CouponId { round: row.round, serial: row.serial });
        (row.n, Event { round, user, coupon, ..event(row.n, EventKind::CouponIssued, row.claimed_at) })
    }));
    events.extend(recording.phases.iter().map(|row| {
        let (round, state) = (Some(row.round), Some(row.phase.as_str().to_owned()));
        (row.n, Event { round, state, ..event(row.n, EventKind::RoundPhaseChanged, row.at) })
    }));
    events.extend(recording.states.iter().map(|row| {
        let state = Some(row.state.as_str().to_owned());
        (row.n, Event { state, ..event(row.n, EventKind::CampaignStateChanged, row.at) })
    }));
    events.sort_by_key(|(n, _)| *n);
    events.into_iter().map(|(_, event)| event).collect()
}
