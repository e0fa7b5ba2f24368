//! What operators change in a campaign that is there: its rules and its supply.

use std::sync::Arc;

use coupon_domain::campaign::{Campaign, CampaignState, Revision, Rules, RulesPatch, Scope, Violation};
use coupon_domain::checkout::Operator;
use coupon_domain::ids::{Actor, CampaignId, RoundId};
use coupon_domain::model::{ADD_SUPPLY, Decided, Revised, SupplyAdded, SupplyAddition, UPDATE};

use crate::campaigns::detached;
use crate::engine::Engine;
use crate::error::Fault;
use crate::rounds::RoundReport;
use crate::session::Session;

/// Rules to be changed.
#[derive(Debug, Clone)]
pub struct UpdateCall {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// The revision that the caller has read; none means whatever it is.
    pub revision: Option<u64>,
    /// The fields to be changed, and their values.
    pub patch: RulesPatch,
    /// What was wrong with the request before it came here.
    pub violations: Vec<Violation>,
    /// Whose call it is.
    pub by: Operator,
    /// Check it all and write nothing.
    pub validate_only: bool,
}

/// Somebody else may change the campaign meanwhile; more often it does not happen.
const TRIES: u32 = 5;

impl Engine {
    /// Changes a campaign's rules as far as what has happened allows; answers once the ledger has it.
    ///
    /// # Errors
    /// [`Fault::Invalid`], [`Fault::EtagMismatch`], [`Fault::RulesInUse`], [`Fault::Ended`], [`Fault::TitleTaken`],
    /// [`Fault::RequestUsed`].
    pub async fn update_campaign(self: &Arc<Self>, call: UpdateCall) -> Result<Campaign, Fault> {
        let engine = Arc::clone(self);
        detached(async move {
            let session = engine.session(&call.campaign).await?;
            if engine.was_done(&session, UPDATE, call.by.request).await? {
                return engine.campaign(&call.campaign).await;
            }
            for _ in 0..TRIES {
                if let Some(campaign) = engine.try_update(&session, &call).await? {
                    return Ok(campaign);
                }
            }
            Err(Fault::unavailable("the campaign is being changed by many"))
        })
        .await
    }

    /// `None` if the campaign was changed between reading and writing, and the caller does not mind.
    async fn try_update(
        self: &Arc<Self>,
        session: &Arc<Session>,
        call: &UpdateCall,
    ) -> Result<Option<Campaign>, Fault> {
        let decided = self.tick(session).await?;
        self.recorded(session, decided.position.n).await?;
        let campaign = self.campaign(&session.id).await?;
        // The gate says so too, but not to a call that would change nothing.
        if campaign.state == CampaignState::Ended {
            return Err(Fault::Ended);
        }
        if let Some(read) = call.revision
            && read != campaign.revision
        {
            return Err(Fault::EtagMismatch(campaign.revision));
        }
        let rules = self.changed_rules(&campaign, call).await?;
        if rules == campaign.rules {
            return Ok(Some(campaign));
        }
        if call.validate_only {
            let scope = Scope::of(&campaign.rules, &rules);
            let refused = decided.answers.revision_refusal(campaign.revision, scope);
            let fault = refused.and_then(|revised| why_refused(revised, scope, call.revision));
            return fault.map_or(Ok(Some(Campaign { rules, ..campaign })), Err);
        }
        self.revise(session, &campaign, rules, call).await
    }

    async fn changed_rules(&self, campaign: &Campaign, call: &UpdateCall) -> Result<Rules, Fault> {
        let now = self.stores.campaigns.now().await?;
        let checked = call.patch.clone().apply(&campaign.rules).check_change(Some(&campaign.rules), now);
        match (checked, call.violations.clone()) {
            (Ok(rules), violations) if violations.is_empty() => Ok(rules),
            (checked, mut violations) => {
                violations.extend(checked.err().unwrap_or_default());
                Err(Fault::Invalid(violations.into()))
            }
        }
    }

    async fn revise(
        self: &Arc<Self>,
        session: &Arc<Session>,
        campaign: &Campaign,
        rules: Rules,
        call: &UpdateCall,
    ) -> Result<Option<Campaign>, Fault> {
        let renamed = (&rules.title, rules.validity) != (&campaign.rules.title, campaign.rules.validity);
        // A title is settled before the gate decides: what it has decided must be recorded.
        if renamed && let Some(owner) = self.stores.campaigns.keep_title(&campaign.id, &rules).await? {
            return Err(Fault::TitleTaken(owner));
        }
        let scope = Scope::of(&campaign.rules, &rules);
        let request = Some(self.announced(&call.by).await?);
        let revision = Revision { of: campaign.revision, scope, rules, request };
        let seen = self.admit(session).await?;
        let decided = self.settle(session, self.stores.gate.revise(&session.id, &revision, seen).await)?;
        if matches!(decided.answers, Revised::Done(_) | Revised::Repeated) {
            self.tick(session).await?;
            self.recorded(session, decided.position.n).await?;
            self.learn_terms(session).await?;
            if let Some(n) = self.plan_rounds(session).await? {
                self.recorded(session, n).await?;
            }
            return Ok(Some(self.campaign(&session.id).await?));
        }
        let refused = why_refused(decided.answers, scope, call.revision);
        if renamed {
            self.stores.campaigns.give_up_titles(&campaign.id).await?;
        }
        refused.map_or(Ok(None), Err)
    }

    /// Adds coupons to a round, or to the total limit if none is named; answers once the ledger has it.
    ///
    /// # Errors
    /// [`Fault::SupplyRefused`], [`Fault::UnknownRound`], [`Fault::RequestUsed`].
    pub async fn add_supply(
        self: &Arc<Self>,
        campaign: CampaignId,
        addition: SupplyAddition,
        actor: Actor,
    ) -> Result<(Campaign, Option<RoundReport>), Fault> {
        let engine = Arc::clone(self);
        detached(async move {
            let session = engine.session(&campaign).await?;
            if !engine.was_done(&session, ADD_SUPPLY, addition.request).await? {
                let by = Operator { actor, request: addition.request };
                let addition = SupplyAddition { request: Some(engine.announced(&by).await?), ..addition };
                let decided = engine.decide_addition(&session, &addition).await?;
                refusal(decided.answers).map_or(Ok(()), Err)?;
                engine.tick(&session).await?;
                engine.recorded(&session, decided.position.n).await?;
            }
            let round = match addition.round {
                Some(round) => Some(engine.round(&campaign, Some(round)).await?),
                None => None,
            };
            Ok((engine.campaign(&campaign).await?, round))
        })
        .await
    }

    async fn decide_addition(
        self: &Arc<Self>,
        session: &Arc<Session>,
        addition: &SupplyAddition,
    ) -> Result<Decided<SupplyAdded>, Fault> {
        let seen = self.admit(session).await?;
        let decided = self.settle(session, self.stores.gate.add_supply(&session.id, addition, seen).await);
        match (decided, addition.round) {
            // What the ledger has and the gate has not is over.
            (Err(Fault::UnknownRound(_)), Some(round)) => {
                self.round_record(session, Some(round)).await?;
                Err(Fault::SupplyRefused(OVER))
            }
            (decided, _) => decided,
        }
    }
}

const OVER: &str = "the round or the campaign is over";

/// None if it is not refused, or was changed meanwhile by somebody else and the caller does not mind.
fn why_refused(revised: Revised, scope: Scope, read: Option<u64>) -> Option<Fault> {
    match revised {
        Revised::Done(_) | Revised::Repeated => None,
        Revised::Outdated(now) => read.map(|_| Fault::EtagMismatch(now)),
        Revised::RoundInUse(round) => Some(Fault::RulesInUse(in_use(scope, Some(round)))),
        Revised::CampaignInUse => Some(Fault::RulesInUse(in_use(scope, None))),
        Revised::Ended => Some(Fault::Ended),
        Revised::RequestUsed => Some(Fault::RequestUsed),
    }
}

fn in_use(scope: Scope, round: Option<RoundId>) -> String {
    let needed = match scope {
        Scope::Labels => "the campaign has not ended",
        Scope::Rounds => "no round that has not closed has a place or a coupon",
        Scope::Campaign => "the campaign has no place and no coupon",
    };
    round.map_or_else(|| format!("{needed}; it has issued coupons"), |round| format!("{needed}; {round} has some"))
}

fn refusal(added: SupplyAdded) -> Option<Fault> {
    let why = match added {
        SupplyAdded::Done | SupplyAdded::Repeated => return None,
        SupplyAdded::RequestUsed => return Some(Fault::RequestUsed),
        SupplyAdded::Closed => OVER,
        SupplyAdded::NoOwnSupply => "the rounds share one pool; raise the total limit, without a round_id",
        SupplyAdded::NoTotalLimit => "the campaign has no total_limit; name a round",
        SupplyAdded::WinnersFixed => "reservation has closed, and the number of winners is fixed",
        SupplyAdded::TooMany => "a round and a campaign have at most 200000000 coupons",
    };
    Some(Fault::SupplyRefused(why))
}
