//! Who changed what.

use async_trait::async_trait;
use coupon_domain::audit::AuditRecord;
use coupon_domain::ids::{Actor, CampaignId};
use coupon_domain::ports::{AuditRepository, LedgerError};
use uuid::Uuid;

use super::{Books, Fault, MemoryLedger};

impl Books {
    /// Who made this request, or the service itself.
    pub(super) fn actor(&self, request: Option<Uuid>) -> Actor {
        let announced = request.and_then(|request| self.actors.get(&request)).cloned();
        announced.unwrap_or_else(|| Actor::parse("service").expect("a name"))
    }
}

#[async_trait]
impl AuditRepository for MemoryLedger {
    async fn announce(&self, request: Uuid, actor: &Actor) -> Result<(), LedgerError> {
        let mut books = self.books();
        if self.does(Fault::BelievesTheLastActor) {
            books.actors.remove(&request);
        }
        books.actors.entry(request).or_insert_with(|| actor.clone());
        Ok(())
    }

    async fn audit_records(
        &self,
        campaign: Option<&CampaignId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, AuditRecord)>, LedgerError> {
        let books = self.books();
        let numbered: Vec<_> = (1..).zip(books.audits.iter().cloned()).collect();
        let wanted = numbered.into_iter().rev().filter(|(number, record)| {
            before.is_none_or(|before| *number < before)
                && campaign.is_none_or(|campaign| record.campaign.as_ref() == Some(campaign))
        });
        Ok(wanted.take(limit as usize).collect())
    }
}
