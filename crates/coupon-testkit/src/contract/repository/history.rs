//! A campaign in a ledger, with a model that decides its history.

use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::{Revision, Rules, Scope, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{
    CampaignModel, Decided, DrawConclusion, Retirement, Revised, RoundOpening, SupplyAdded, SupplyAddition,
    Transitioned,
};
use coupon_domain::ports::{CreateOutcome, Event, EventFilter, MAX_BATCH, NewCampaign, RecordError};
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
    /// Creates the campaign in the ledger, and opens its gate as if from there.
    pub(super) async fn begin(ledger: &LedgerUnderTest, new: &NewCampaign) -> Self {
        let outcome = ledger.campaigns.create(new).await.expect("the ledger answers");
        assert!(matches!(outcome, CreateOutcome::Created(_)), "{outcome:?}");
        let (fold, mut model) = (Fold::created(new), CampaignModel::begin(&head()));
        for chunk in fold.chunks(&head(), 1, MAX_BATCH) {
            model.load(chunk).expect("a campaign without rounds is whole");
        }
        Self { campaign: new.id.clone(), fold, model, pending: Vec::new() }
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
        let decided = self.model.reserve(round, users, true, at).expect("the round was opened");
        self.keep(decided)
    }

    pub(super) fn claim(&mut self, round: RoundId, users: &[UserId], at: Timestamp) -> Vec<Answer<Issued>> {
        let decided = self.model.claim(round, users, true, at).expect("the round was opened");
        self.keep(decided)
    }

    pub(super) fn tick(&mut self, at: Timestamp) {
        let decided = self.model.tick(at);
        self.keep(decided);
    }

    pub(super) fn transition(&mut self, transition: Transition, request: Option<Uuid>, at: Timestamp) {
        let decided = self.model.transition(transition, request, at);
        assert_eq!(self.keep(decided), Transitioned::Done(transition.to()));
    }

    /// Changes the rules; rounds opened from then on are of the revision that is returned.
    pub(super) fn revise(&mut self, scope: Scope, rules: &Rules, request: Option<Uuid>, at: Timestamp) -> u64 {
        let now = self.model.tick(at);
        let of = self.keep(now).revision;
        let revision = Revision { of, scope, rules: rules.clone(), request };
        let decided = self.model.revise(&revision, at);
        assert_eq!(self.keep(decided), Revised::Done(of + 1));
        of + 1
    }

    /// Adds coupons to a round or to the total limit.
    pub(super) fn add_supply(&mut self, round: Option<RoundId>, amount: u32, request: Option<Uuid>, at: Timestamp) {
        let addition = SupplyAddition { round, amount, request };
        let decided = self.model.add_supply(&addition, at).expect("the round was opened");
        assert_eq!(self.keep(decided), SupplyAdded::Done);
    }

    /// Tells the gate who won.
    pub(super) fn conclude_draw(&mut self, round: RoundId, winners: &[u8], at: Timestamp) {
        let decided = self.model.conclude_draw(round, winners, at).expect("the round was opened");
        assert!(matches!(self.keep(decided), DrawConclusion::Drawn(_)));
    }

    /// Lets a round go; the ledger is taken to have all of it.
    pub(super) fn retire(&mut self, round: RoundId, at: Timestamp) {
        let recorded = self.model.position().n;
        let decided = self.model.retire(round, recorded, at).expect("the round was opened");
        assert_eq!(self.keep(decided), Retirement::Retired);
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
        let page = ledger.feed.events(last, &EventFilter::default(), 1000).await.expect("the ledger answers");
        let page = page.events;
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
