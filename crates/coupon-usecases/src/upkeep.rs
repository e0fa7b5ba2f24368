//! What time does to coupons: holds run out, validity ends, notices fall due. Every instance runs it; the ledger gives each coupon to one.
//!
//! No answer depends on it: a coupon's state is reckoned from its times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use coupon_domain::ports::LedgerError;
use tokio::time::MissedTickBehavior;
use tracing::debug;

use crate::engine::Engine;
use crate::error::Fault;

/// Coupons in one transaction.
const CHUNK: u32 = 1_000;
/// How often the feed is pruned.
const PRUNING: Duration = Duration::from_secs(60);

/// Runs as long as the engine does.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(engine.settings.upkeep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pruned: Option<Instant> = None;
    loop {
        ticks.tick().await;
        if let Err(fault) = engine.keep_up().await {
            debug!(%fault, "coupons could not be looked after");
        }
        if pruned.is_none_or(|at| at.elapsed() >= PRUNING) {
            pruned = Some(Instant::now());
            if let Err(fault) = engine.prune().await {
                debug!(%fault, "the feed could not be pruned");
            }
        }
    }
}

/// While decisions wait for the recorder, so many times as long as a chunk took is left to others: what is stored changes no answer, and has a
/// minute.
const BESIDE_SWEEPS: u32 = 1;
/// The same for notices, which have days.
const BESIDE_NOTICES: u32 = 19;

impl Engine {
    async fn keep_up(&self) -> Result<(), Fault> {
        while self.chunk(self.stores.coupons.sweep(CHUNK), BESIDE_SWEEPS).await? {}
        while self.chunk(self.stores.coupons.give_notice(CHUNK), BESIDE_NOTICES).await? {}
        Ok(())
    }

    /// One chunk; whether there may be more.
    async fn chunk(&self, work: impl Future<Output = Result<u32, LedgerError>>, beside: u32) -> Result<bool, Fault> {
        let began = Instant::now();
        let done = work.await?;
        if done == 0 {
            return Ok(false);
        }
        self.bell.ring();
        if self.sessions().iter().any(|session| session.lag() > 0) {
            tokio::time::sleep(began.elapsed() * beside).await;
        }
        Ok(done >= CHUNK)
    }
}
