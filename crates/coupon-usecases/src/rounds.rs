//! How a round stands.

use std::sync::Arc;

use coupon_domain::answer::Witness;
use coupon_domain::choice::Verb;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{CampaignView, Decided, RoundView};
use coupon_domain::ports::RoundRecord;

use crate::engine::Engine;
use crate::error::Fault;
use crate::session::Session;

/// A round as it stands.
#[derive(Debug, Clone)]
pub struct RoundReport {
    /// The campaign.
    pub campaign: CampaignId,
    /// The round.
    pub view: RoundView,
    /// Coupons left; none while the supply is unknown.
    pub remaining: Option<u64>,
    /// Whether its gate is being recovered.
    pub recovering: bool,
    /// When it was looked at; none if the ledger answered.
    pub witness: Option<Witness>,
}

impl RoundReport {
    pub(crate) fn at_gate(campaign: &CampaignId, decided: &Decided<CampaignView>, id: RoundId) -> Option<Self> {
        let CampaignView { rounds, issued, total_limit, .. } = &decided.answers;
        let view = rounds.iter().find(|round| round.spec.id == id)?.clone();
        let in_total = total_limit.map(|limit| u64::from(limit).saturating_sub(*issued));
        let in_round = view.supply.map(|supply| u64::from(supply.saturating_sub(view.issued)));
        let unknown = in_round.is_none() && !matches!(view.spec.supply, coupon_domain::supply::Supply::SharedPool);
        let remaining = [in_total, in_round].into_iter().flatten().min().filter(|_| !unknown);
        let witness = Witness { position: decided.position, at: decided.at };
        Some(Self { campaign: campaign.clone(), view, remaining, recovering: false, witness: Some(witness) })
    }

    pub(crate) fn in_ledger(record: RoundRecord) -> Self {
        let view = record.head.view;
        let remaining = view.supply.map(|supply| u64::from(supply.saturating_sub(view.issued)));
        Self { campaign: record.campaign, view, remaining, recovering: false, witness: None }
    }
}

impl Engine {
    /// A round of a campaign; without a name the earliest one whose claims have not closed, else the latest.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`], [`Fault::UnknownRound`].
    pub async fn round(self: &Arc<Self>, campaign: &CampaignId, round: Option<RoundId>) -> Result<RoundReport, Fault> {
        let session = self.closed_session(campaign).await?;
        match self.round_at_gate(&session, round).await {
            Ok(Some(report)) => Ok(report),
            Ok(None) => self.round_in_ledger(&session, round, false).await,
            Err(Fault::Recovering { .. }) => self.round_in_ledger(&session, round, true).await,
            Err(fault) => Err(fault),
        }
    }

    async fn round_at_gate(
        self: &Arc<Self>,
        session: &Arc<Session>,
        round: Option<RoundId>,
    ) -> Result<Option<RoundReport>, Fault> {
        self.session(&session.id).await?;
        let decided = self.tick(session).await?;
        let chosen = || session.rounds().choose(Verb::Claim, decided.at).map(|choice| choice.round);
        Ok(round.or_else(chosen).and_then(|id| RoundReport::at_gate(&session.id, &decided, id)))
    }

    async fn round_in_ledger(
        &self,
        session: &Session,
        round: Option<RoundId>,
        recovering: bool,
    ) -> Result<RoundReport, Fault> {
        let record = self.round_record(session, round).await?;
        Ok(RoundReport { recovering, ..RoundReport::in_ledger(record) })
    }

    /// A round as the ledger has it; without a name the latest.
    pub(crate) async fn round_record(&self, session: &Session, round: Option<RoundId>) -> Result<RoundRecord, Fault> {
        let record = match round {
            Some(id) => self.stores.campaigns.round(id).await?,
            None => self.stores.campaigns.rounds(&session.id, None, 1).await?.pop(),
        };
        let unknown = || Fault::UnknownRound(round.map_or_else(String::new, |id| id.to_string()));
        record.filter(|record| record.campaign == session.id).ok_or_else(unknown)
    }

    /// Rounds of a campaign, latest first, those after `after`.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`].
    pub async fn rounds(
        self: &Arc<Self>,
        campaign: &CampaignId,
        after: Option<RoundId>,
        limit: u32,
    ) -> Result<Vec<RoundReport>, Fault> {
        // Opened if that can be done: the ledger alone is behind what the gate knows.
        let session = match self.session(campaign).await {
            Err(Fault::Recovering { .. } | Fault::Halted) => self.closed_session(campaign).await?,
            opened => opened?,
        };
        // Rounds that were opened a moment ago are in the list too.
        self.catch_up_with_gate(&session).await?;
        let records = self.stores.campaigns.rounds(campaign, after, limit).await?;
        let told = session.told.borrow().clone();
        let report = |record: RoundRecord| {
            let id = record.head.view.spec.id;
            let at_gate = told.as_ref().and_then(|decided| RoundReport::at_gate(campaign, decided, id));
            at_gate.unwrap_or_else(|| RoundReport::in_ledger(record))
        };
        Ok(records.into_iter().map(report).collect())
    }
}
