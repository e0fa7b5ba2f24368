//! Who changed what.

use coupon_domain::audit::AuditRecord;
use coupon_domain::checkout::Operator;
use coupon_domain::ids::CampaignId;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::Fault;

impl Engine {
    /// Records, latest first, those before `before`, at most `limit`, of one campaign or of all; each with its number.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`].
    pub async fn audit_records(
        &self,
        campaign: Option<&CampaignId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRecord)>, Fault> {
        if let Some(id) = campaign {
            self.campaign(id).await?;
        }
        Ok(self.stores.audit.audit_records(campaign, before, limit).await?)
    }

    /// The request of a call that a gate is about to decide. The journal tells requests and not actors, so the ledger learns first who
    /// makes it; a call without a request gets one for that.
    pub(crate) async fn announced(&self, by: &Operator) -> Result<Uuid, Fault> {
        let request = by.request.unwrap_or_else(Uuid::new_v4);
        self.stores.audit.announce(request, &by.actor).await?;
        Ok(request)
    }
}
