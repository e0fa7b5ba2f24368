//! The gate's contract at its shortest: the domain's model behind the port, in memory. Other gates are compared with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::{Revision, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{
    CampaignModel, CampaignView, Decided, DrawConclusion, LoadChunk, LoadError, NoSuchRound, Retirement, Revised,
    RoundOpening, SupplyAdded, SupplyAddition, Transitioned,
};
use coupon_domain::ports::{Clock as _, Frozen, Gate, GateError, Journal, JournalError, MAX_BATCH};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use crate::under_test::{GateUnderTest, StandingClock};

/// The model behind the port. It keeps nothing beyond its own life.
#[derive(Debug, Default)]
pub struct ReferenceGate {
    clock: Arc<StandingClock>,
    campaigns: Mutex<HashMap<CampaignId, Hot>>,
}

#[derive(Debug, Default)]
struct Hot {
    epoch: u64,
    open: bool,
    /// Whole, or not here.
    model: Option<CampaignModel>,
    /// Being loaded.
    part: Option<CampaignModel>,
    journal: Vec<Entry>,
}

impl ReferenceGate {
    /// A gate that tells the time by this clock.
    #[must_use]
    pub fn with_clock(clock: Arc<StandingClock>) -> Self {
        Self { clock, campaigns: Mutex::default() }
    }

    /// Itself, for a contract suite.
    pub async fn under_test() -> GateUnderTest {
        let clock = Arc::new(StandingClock::default());
        let gate = Arc::new(Self::with_clock(Arc::clone(&clock)));
        GateUnderTest { journal: Arc::clone(&gate) as _, gate, clock, keep: Box::new(()) }
    }

    /// What it knows of a campaign, if that is whole.
    #[must_use]
    pub fn model(&self, campaign: &CampaignId) -> Option<CampaignModel> {
        self.campaigns().get(campaign)?.model.clone()
    }

    /// All that it has decided.
    #[must_use]
    pub fn journal(&self, campaign: &CampaignId) -> Vec<Entry> {
        self.campaigns().get(campaign).map_or_else(Vec::new, |hot| hot.journal.clone())
    }

    fn campaigns(&self) -> MutexGuard<'_, HashMap<CampaignId, Hot>> {
        self.campaigns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide<T>(
        &self,
        campaign: &CampaignId,
        seen: Position,
        by: impl FnOnce(&mut CampaignModel, Timestamp) -> Result<Decided<T>, NoSuchRound>,
    ) -> Result<Decided<T>, GateError> {
        let mut campaigns = self.campaigns();
        let hot = campaigns.get_mut(campaign).ok_or(GateError::NotLoaded)?;
        if !hot.open {
            return Err(GateError::Recovering);
        }
        let model = hot.model.as_mut().ok_or(GateError::NotLoaded)?;
        if seen.epoch < hot.epoch {
            return Err(GateError::Fenced(hot.epoch));
        }
        if seen > model.position() {
            return Err(GateError::Stale(model.position()));
        }
        let decided = by(model, self.clock.now())?;
        hot.journal.extend(decided.entry.clone());
        Ok(decided)
    }
}

fn fits(users: &[UserId]) -> Result<(), GateError> {
    if users.len() > MAX_BATCH { Err(GateError::BatchTooLarge(users.len())) } else { Ok(()) }
}

#[async_trait]
impl Gate for ReferenceGate {
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        fits(users)?;
        self.decide(campaign, seen, |model, now| model.reserve(round, users, registered, now))
    }

    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        fits(users)?;
        self.decide(campaign, seen, |model, now| model.claim(round, users, registered, now))
    }

    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError> {
        self.decide(campaign, seen, |model, now| Ok(model.tick(now)))
    }

    async fn open_round(
        &self,
        campaign: &CampaignId,
        spec: &RoundSpec,
        seen: Position,
    ) -> Result<Decided<RoundOpening>, GateError> {
        self.decide(campaign, seen, |model, now| Ok(model.open_round(spec, now)))
    }

    async fn transition(
        &self,
        campaign: &CampaignId,
        transition: Transition,
        request: Option<Uuid>,
        seen: Position,
    ) -> Result<Decided<Transitioned>, GateError> {
        self.decide(campaign, seen, |model, now| Ok(model.transition(transition, request, now)))
    }

    async fn revise(
        &self,
        campaign: &CampaignId,
        revision: &Revision,
        seen: Position,
    ) -> Result<Decided<Revised>, GateError> {
        self.decide(campaign, seen, |model, now| Ok(model.revise(revision, now)))
    }

    async fn add_supply(
        &self,
        campaign: &CampaignId,
        addition: &SupplyAddition,
        seen: Position,
    ) -> Result<Decided<SupplyAdded>, GateError> {
        self.decide(campaign, seen, |model, now| model.add_supply(addition, now))
    }

    async fn conclude_draw(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Decided<DrawConclusion>, GateError> {
        self.decide(campaign, seen, |model, now| model.conclude_draw(round, winners, now))
    }

    async fn retire(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        recorded: u64,
        seen: Position,
    ) -> Result<Decided<Retirement>, GateError> {
        self.decide(campaign, seen, |model, now| model.retire(round, recorded, now))
    }

    async fn freeze(&self, campaign: &CampaignId, epoch: u64) -> Result<Frozen, GateError> {
        let mut campaigns = self.campaigns();
        let hot = campaigns.entry(campaign.clone()).or_default();
        let own = hot.epoch == epoch && !hot.open;
        if hot.epoch >= epoch && !own {
            return Err(GateError::Fenced(hot.epoch));
        }
        hot.epoch = epoch;
        hot.open = false;
        Ok(hot.model.as_ref().map_or(Frozen::Empty, |model| Frozen::At(model.position(), model.chain())))
    }

    async fn load(&self, campaign: &CampaignId, epoch: u64, chunk: LoadChunk) -> Result<(), GateError> {
        let mut campaigns = self.campaigns();
        let hot = campaigns.get_mut(campaign).ok_or(GateError::Fenced(0))?;
        if hot.epoch != epoch || hot.open {
            return Err(GateError::Fenced(hot.epoch));
        }
        if let LoadChunk::Head(head) = chunk {
            // What is half loaded must never be taken for whole.
            hot.model = None;
            hot.part = Some(CampaignModel::begin(&head));
            return Ok(());
        }
        let opens = chunk == LoadChunk::Open;
        hot.part.as_mut().ok_or(LoadError::NoHead)?.load(chunk)?;
        if opens {
            hot.model = hot.part.take();
            hot.open = true;
        }
        Ok(())
    }

    async fn reopen(&self, campaign: &CampaignId, epoch: u64) -> Result<(), GateError> {
        let mut campaigns = self.campaigns();
        let hot = campaigns.get_mut(campaign).ok_or(GateError::Fenced(0))?;
        if hot.epoch != epoch {
            return Err(GateError::Fenced(hot.epoch));
        }
        hot.model.as_mut().ok_or(GateError::NotLoaded)?.raise_epoch(epoch);
        hot.open = true;
        Ok(())
    }

    async fn check(&self) -> Result<(), GateError> {
        Ok(())
    }

    fn durability(&self) -> String {
        "none: memory".to_owned()
    }
}

#[async_trait]
impl Journal for ReferenceGate {
    async fn read(&self, campaign: &CampaignId, after: u64, decisions: usize) -> Result<Vec<Entry>, JournalError> {
        let campaigns = self.campaigns();
        let journal = campaigns.get(campaign).map_or(&[][..], |hot| &hot.journal);
        let mut room = decisions as u64;
        let mut entries = Vec::new();
        for entry in journal.iter().filter(|entry| entry.first > after) {
            let size = entry.last - entry.first + 1;
            if size > room && !entries.is_empty() {
                break;
            }
            room = room.saturating_sub(size);
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    async fn trim(&self, campaign: &CampaignId, up_to: u64, before: Timestamp) -> Result<(), JournalError> {
        if let Some(hot) = self.campaigns().get_mut(campaign) {
            hot.journal.retain(|entry| entry.last > up_to || entry.at >= before);
        }
        Ok(())
    }
}
