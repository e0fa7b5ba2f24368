//! The gate: the domain's model behind one thread.

mod arbiter;
mod journal;
mod tenant;

use std::sync::Arc;

use async_trait::async_trait;
use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::{Revision, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Entry;
use coupon_domain::model::{
    CampaignModel, CampaignView, Decided, DrawConclusion, LoadChunk, Retirement, Revised, RoundOpening, SupplyAdded,
    SupplyAddition, Transitioned,
};
use coupon_domain::ports::{Clock, Frozen, Gate, GateError, Journal, JournalError, MAX_BATCH};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use uuid::Uuid;

use self::arbiter::Arbiter;
use crate::OpenError;
use crate::failed::Failed;
use crate::folder::DataFolder;
use crate::readers::Readers;
use crate::sqlite;
use crate::worker::{Gone, Worker};

/// The gate of an installation that is one process, and its journal.
pub struct EmbeddedGate {
    arbiter: Worker<Arbiter>,
    /// Behind the worker, so that it is dropped after it: it keeps others out of the folder.
    journal: Arc<Readers>,
}

impl EmbeddedGate {
    pub(crate) fn open(folder: &Arc<DataFolder>, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let file = folder.file("journal.sqlite");
        let writer = sqlite::open_writer(&file, journal::MIGRATIONS)?;
        let arbiter = Worker::start("coupon-gate", Arbiter::new(writer, clock));
        let arbiter = arbiter.map_err(|e| OpenError::Database { file: file.clone(), source: e.into() })?;
        Ok(Self { arbiter, journal: Readers::of(folder, file) })
    }

    async fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Arbiter) -> Result<T, GateError> + Send + 'static,
    ) -> Result<T, GateError> {
        self.arbiter.ask(command).await.map_err(unknown)?
    }

    async fn decide<T: Send + 'static>(
        &self,
        campaign: &CampaignId,
        seen: Position,
        rule: impl FnOnce(&mut CampaignModel, Timestamp) -> Result<Decided<T>, GateError> + Send + 'static,
    ) -> Result<Decided<T>, GateError> {
        let campaign = campaign.clone();
        self.ask(move |arbiter| arbiter.decide(&campaign, seen, rule)).await
    }
}

fn unknown(gone: Gone) -> GateError {
    GateError::Unknown(gone.into())
}

fn check_batch(users: &[UserId]) -> Result<(), GateError> {
    if users.len() > MAX_BATCH { Err(GateError::BatchTooLarge(users.len())) } else { Ok(()) }
}

#[async_trait]
impl Gate for EmbeddedGate {
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        check_batch(users)?;
        let users = users.to_vec();
        self.decide(campaign, seen, move |model, at| Ok(model.reserve(round, &users, registered, at)?)).await
    }

    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        check_batch(users)?;
        let users = users.to_vec();
        self.decide(campaign, seen, move |model, at| Ok(model.claim(round, &users, registered, at)?)).await
    }

    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError> {
        self.decide(campaign, seen, |model, at| Ok(model.tick(at))).await
    }

    async fn open_round(
        &self,
        campaign: &CampaignId,
        spec: &RoundSpec,
        seen: Position,
    ) -> Result<Decided<RoundOpening>, GateError> {
        let spec = spec.clone();
        self.decide(campaign, seen, move |model, at| Ok(model.open_round(&spec, at))).await
    }

    async fn transition(
        &self,
        campaign: &CampaignId,
        transition: Transition,
        request: Option<Uuid>,
        seen: Position,
    ) -> Result<Decided<Transitioned>, GateError> {
        self.decide(campaign, seen, move |model, at| Ok(model.transition(transition, request, at))).await
    }

    async fn revise(
        &self,
        campaign: &CampaignId,
        revision: &Revision,
        seen: Position,
    ) -> Result<Decided<Revised>, GateError> {
        let revision = revision.clone();
        self.decide(campaign, seen, move |model, at| Ok(model.revise(&revision, at))).await
    }

    async fn add_supply(
        &self,
        campaign: &CampaignId,
        addition: &SupplyAddition,
        seen: Position,
    ) -> Result<Decided<SupplyAdded>, GateError> {
        let addition = *addition;
        self.decide(campaign, seen, move |model, at| Ok(model.add_supply(&addition, at)?)).await
    }

    async fn conclude_draw(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Decided<DrawConclusion>, GateError> {
        let winners = winners.to_vec();
        self.decide(campaign, seen, move |model, at| Ok(model.conclude_draw(round, &winners, at)?)).await
    }

    async fn retire(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        recorded: u64,
        seen: Position,
    ) -> Result<Decided<Retirement>, GateError> {
        self.decide(campaign, seen, move |model, at| Ok(model.retire(round, recorded, at)?)).await
    }

    async fn freeze(&self, campaign: &CampaignId, epoch: u64) -> Result<Frozen, GateError> {
        let campaign = campaign.clone();
        self.ask(move |arbiter| arbiter.freeze(campaign, epoch)).await
    }

    async fn load(&self, campaign: &CampaignId, epoch: u64, chunk: LoadChunk) -> Result<(), GateError> {
        let campaign = campaign.clone();
        self.ask(move |arbiter| arbiter.load(&campaign, epoch, chunk)).await
    }

    async fn reopen(&self, campaign: &CampaignId, epoch: u64) -> Result<(), GateError> {
        let campaign = campaign.clone();
        self.ask(move |arbiter| arbiter.reopen(&campaign, epoch)).await
    }

    async fn check(&self) -> Result<(), GateError> {
        if self.arbiter.is_alive() { Ok(()) } else { Err(unknown(Gone)) }
    }

    fn durability(&self) -> String {
        "fsync before each answer (SQLite, WAL, synchronous=FULL)".to_owned()
    }
}

#[async_trait]
impl Journal for EmbeddedGate {
    async fn read(&self, campaign: &CampaignId, after: u64, decisions: usize) -> Result<Vec<Entry>, JournalError> {
        let campaign = campaign.clone();
        Ok(self.journal.read(move |conn| journal::read(conn, &campaign, after, decisions)).await?)
    }

    async fn trim(&self, campaign: &CampaignId, up_to: u64, before: Timestamp) -> Result<(), JournalError> {
        loop {
            let campaign = campaign.clone();
            let trimmed = self.arbiter.ask(move |arbiter| arbiter.trim(&campaign, up_to, before)).await;
            // A bit at a time, so that claims wait for none of it for long.
            if trimmed.map_err(|_| Failed::Gone)? < journal::TRIM_STEP {
                return Ok(());
            }
        }
    }
}
