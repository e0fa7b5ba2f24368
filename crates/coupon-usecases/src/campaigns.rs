//! What operators do with campaigns.

use std::future::Future;
use std::sync::Arc;

use coupon_domain::audit::CREATE;
use coupon_domain::campaign::{Campaign, CampaignState, Rules, RulesDraft, Transition, Violation};
use coupon_domain::checkout::Operator;
use coupon_domain::choice::Verb;
use coupon_domain::ids::CampaignId;
use coupon_domain::model::Transitioned;
use coupon_domain::ports::{CreateOutcome, NewCampaign};
use tracing::warn;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Fault;
use crate::rounds::RoundReport;
use crate::session::Session;

/// A campaign to be created.
#[derive(Debug, Clone)]
pub struct CreateCall {
    /// Its id; none means a new one. Callers of the service cannot set it.
    pub id: Option<CampaignId>,
    /// What is offered.
    pub draft: RulesDraft,
    /// What was wrong with the request before it came here.
    pub violations: Vec<Violation>,
    /// Whose call it is.
    pub by: Operator,
    /// Check it all and write nothing.
    pub validate_only: bool,
    /// ACTIVE at once.
    pub activate: bool,
}

/// What was created, or would have been.
#[derive(Debug, Clone)]
pub enum Created {
    /// The campaign and its earliest round.
    Campaign(Box<Campaign>, Option<Box<RoundReport>>),
    /// The rules are sound; nothing was written.
    Valid(Box<Rules>, CampaignState),
}

impl Engine {
    /// Creates a campaign, opens its gate and its first rounds.
    ///
    /// # Errors
    /// [`Fault::Invalid`] with every wrong field, [`Fault::TitleTaken`], [`Fault::RequestUsed`].
    pub async fn create_campaign(self: &Arc<Self>, call: CreateCall) -> Result<Created, Fault> {
        if let Some(created) = self.created_before(call.by.request).await? {
            return Ok(created);
        }
        let now = self.stores.campaigns.now().await?;
        let state = if call.activate { CampaignState::Active } else { CampaignState::Draft };
        let rules = match (call.draft.check(now), call.violations) {
            (Ok(rules), violations) if violations.is_empty() => rules,
            (checked, mut violations) => {
                violations.extend(checked.err().unwrap_or_default());
                return Err(Fault::Invalid(violations.into()));
            }
        };
        if call.validate_only {
            return Ok(Created::Valid(Box::new(rules), state));
        }
        let id = call.id.map_or_else(new_id, Ok)?;
        let new = NewCampaign { id, rules, state, by: call.by };
        let engine = Arc::clone(self);
        detached(async move { engine.create_and_open(new).await }).await
    }

    /// What this request created before: sound then, though its start may be in the past by now.
    async fn created_before(self: &Arc<Self>, request: Option<Uuid>) -> Result<Option<Created>, Fault> {
        let Some(request) = request else { return Ok(None) };
        match self.stores.campaigns.request(request).await? {
            Some(done) if done.verb == CREATE => {
                let (engine, campaign) = (Arc::clone(self), self.campaign(&done.campaign).await?);
                Ok(Some(detached(async move { engine.open_created(campaign).await }).await?))
            }
            Some(_) => Err(Fault::RequestUsed),
            None => Ok(None),
        }
    }

    async fn create_and_open(self: Arc<Self>, new: NewCampaign) -> Result<Created, Fault> {
        match self.stores.campaigns.create(&new).await? {
            CreateOutcome::Created(campaign) | CreateOutcome::Repeated(campaign) => self.open_created(campaign).await,
            CreateOutcome::RequestUsed => Err(Fault::RequestUsed),
            CreateOutcome::TitleTaken(by) => Err(Fault::TitleTaken(by)),
        }
    }

    async fn open_created(self: &Arc<Self>, campaign: Campaign) -> Result<Created, Fault> {
        let session = self.session(&campaign.id).await?;
        if let Some(n) = self.plan_rounds(&session).await? {
            self.recorded(&session, n).await?;
        }
        let first = self.first_round(&session).await?;
        Ok(Created::Campaign(Box::new(campaign), first.map(Box::new)))
    }

    async fn first_round(self: &Arc<Self>, session: &Arc<Session>) -> Result<Option<RoundReport>, Fault> {
        let decided = self.tick(session).await?;
        let choice = session.rounds().choose(Verb::Claim, decided.at);
        Ok(choice.and_then(|choice| RoundReport::at_gate(&session.id, &decided, choice.round)))
    }

    /// Changes a campaign's state; answers once the ledger has it.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`], [`Fault::WrongState`], [`Fault::RequestUsed`].
    pub async fn transition(
        self: &Arc<Self>,
        id: CampaignId,
        transition: Transition,
        by: Operator,
    ) -> Result<Campaign, Fault> {
        let engine = Arc::clone(self);
        detached(async move {
            let session = engine.session(&id).await?;
            if engine.was_done(&session, transition.as_str(), by.request).await? {
                return engine.campaign(&id).await;
            }
            let request = engine.announced(&by).await?;
            let seen = engine.admit(&session).await?;
            let decided = engine.stores.gate.transition(&session.id, transition, Some(request), seen).await;
            let decided = engine.settle(&session, decided)?;
            match decided.answers {
                Transitioned::Done(_) | Transitioned::Unchanged(_) | Transitioned::Repeated => {}
                Transitioned::Refused(state) => return Err(Fault::WrongState { state, transition }),
                Transitioned::RequestUsed => return Err(Fault::RequestUsed),
            }
            engine.tick(&session).await?;
            engine.recorded(&session, decided.position.n).await?;
            engine.campaign(&id).await
        })
        .await
    }

    /// Whether this request did this before.
    pub(crate) async fn was_done(
        self: &Arc<Self>,
        session: &Arc<Session>,
        verb: &str,
        request: Option<Uuid>,
    ) -> Result<bool, Fault> {
        let Some(request) = request else { return Ok(false) };
        // What was decided, here or elsewhere, may not be in the ledger yet. If recording is halted the gate is asked all the same.
        self.tick(session).await?;
        if let Err(fault) = self.drain(session).await {
            warn!(campaign = %session.id, %fault, "earlier requests may not be recorded");
        }
        match self.stores.campaigns.request(request).await? {
            None => Ok(false),
            Some(done) if done.campaign == session.id && done.verb == verb => Ok(true),
            Some(_) => Err(Fault::RequestUsed),
        }
    }

    /// A campaign as the ledger has it.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`].
    pub async fn campaign(&self, id: &CampaignId) -> Result<Campaign, Fault> {
        self.stores.campaigns.campaign(id).await?.ok_or_else(|| Fault::UnknownCampaign(id.clone()))
    }

    /// Campaigns, newest first, those after `after`.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn campaigns(
        &self,
        state: Option<CampaignState>,
        after: Option<&CampaignId>,
        limit: u32,
    ) -> Result<Vec<Campaign>, Fault> {
        Ok(self.stores.campaigns.campaigns(state, after, limit).await?)
    }
}

fn new_id() -> Result<CampaignId, Fault> {
    CampaignId::parse(&Uuid::now_v7().to_string()).map_err(Fault::internal)
}

/// From the moment an operator's call is taken it no longer depends on the caller's connection.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> Result<T, Fault> {
    tokio::spawn(work).await.map_err(Fault::internal)?
}
