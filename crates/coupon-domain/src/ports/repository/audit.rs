//! Who changed what, in the ledger.

use async_trait::async_trait;
use uuid::Uuid;

use super::LedgerError;
use crate::audit::AuditRecord;
use crate::ids::{Actor, CampaignId};

/// Records of operators' changes. They are written with the change, by the calls that make it.
#[async_trait]
pub trait AuditRepository: Send + Sync {
    /// Keeps who makes a request that a gate is about to decide, so that the recorder can say so. The first one that is named for a
    /// request stays.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn announce(&self, request: Uuid, actor: &Actor) -> Result<(), LedgerError>;

    /// Records, latest first, those before `before` (none: from the latest), at most `limit`, of one campaign or of all; each with its
    /// number, which rises in the order of writing.
    ///
    /// # Errors
    /// See [`LedgerError`].
    async fn audit_records(
        &self,
        campaign: Option<&CampaignId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRecord)>, LedgerError>;
}
