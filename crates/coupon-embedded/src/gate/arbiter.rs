//! The gate's thread: all campaigns, and the journal's one writer.

use std::collections::HashMap;
use std::sync::Arc;

use coupon_domain::ids::CampaignId;
use coupon_domain::model::{CampaignModel, Decided, LoadChunk};
use coupon_domain::ports::{Clock, Frozen, GateError};
use coupon_domain::position::Position;
use coupon_domain::time::Timestamp;
use diesel::prelude::*;

use super::journal;
use super::tenant::Tenant;
use crate::grouped::{Grouped, stop_the_process};
use crate::worker::Store;

/// Decides, one command after the other, and writes down what it decided.
pub(super) struct Arbiter {
    clock: Arc<dyn Clock>,
    tenants: HashMap<CampaignId, Tenant>,
    journal: Grouped,
}

impl Store for Arbiter {
    fn commit(&mut self) {
        self.journal.commit();
    }
}

impl Arbiter {
    pub(super) fn new(writer: SqliteConnection, clock: Arc<dyn Clock>) -> Self {
        Self { clock, tenants: HashMap::new(), journal: Grouped::new(writer) }
    }

    /// Asks the rules, by the time of this instant, and appends what they decide to the journal.
    pub(super) fn decide<T>(
        &mut self,
        campaign: &CampaignId,
        seen: Position,
        rule: impl FnOnce(&mut CampaignModel, Timestamp) -> Result<Decided<T>, GateError>,
    ) -> Result<Decided<T>, GateError> {
        let model = self.tenants.get_mut(campaign).ok_or(GateError::NotLoaded)?.model_for(seen)?;
        let decided = rule(model, self.clock.now())?;
        if let Some(entry) = &decided.entry {
            self.write(|conn| journal::append(conn, campaign, entry));
        }
        Ok(decided)
    }

    /// Forgets a bit of the journal's beginning; how many entries.
    pub(super) fn trim(&mut self, campaign: &CampaignId, up_to: u64, before: Timestamp) -> usize {
        self.write(|conn| journal::trim_step(conn, campaign, up_to, before))
    }

    /// The model has decided already, so that a write which fails leaves no way but to stop.
    fn write<T>(&mut self, statement: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>) -> T {
        match self.journal.begun().and_then(statement) {
            Ok(written) => written,
            Err(e) => stop_the_process(&e),
        }
    }

    pub(super) fn freeze(&mut self, campaign: CampaignId, epoch: u64) -> Result<Frozen, GateError> {
        self.tenants.entry(campaign).or_insert_with(|| Tenant::frozen(epoch)).freeze(epoch)
    }

    pub(super) fn load(&mut self, campaign: &CampaignId, epoch: u64, chunk: LoadChunk) -> Result<(), GateError> {
        self.tenants.get_mut(campaign).ok_or(GateError::Fenced(0))?.load(epoch, chunk)
    }

    pub(super) fn reopen(&mut self, campaign: &CampaignId, epoch: u64) -> Result<(), GateError> {
        self.tenants.get_mut(campaign).ok_or(GateError::NotLoaded)?.reopen(epoch)
    }
}
