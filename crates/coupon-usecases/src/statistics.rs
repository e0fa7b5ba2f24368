//! Counts for people: refusals by reason, and how evenly coupons went over the order of arrival.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coupon_domain::answer::{Answer, Outcome, Refusal};
use coupon_domain::choice::Verb;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::ports::{LedgerError, Tally};
use coupon_domain::round::RoundSpec;
use coupon_domain::stats::{ArrivalBucket, Deciles, bucket_width, deciles};
use coupon_domain::time::Timestamp;
use tracing::debug;

use crate::engine::Engine;
use crate::error::Fault;
use crate::rounds::RoundReport;
use crate::session::lock;

/// What this instance has counted and the ledger does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    rounds: Mutex<HashMap<RoundId, Counts>>,
    /// Whoever reads the ledger's counts waits for those that are on their way.
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Counts {
    refusals: BTreeMap<(Verb, Refusal), u64>,
    /// Won and lost, by bucket.
    arrivals: BTreeMap<u32, (u64, u64)>,
}

/// Tells in which span of time a claim came. It runs from the planned start, which is the same for every instance although a late draw may
/// open claims later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrivalClock {
    start: Timestamp,
    width: Duration,
}

impl ArrivalClock {
    /// Of a round, and of when its claims were to open.
    pub(crate) fn of(round: &RoundSpec, planned_start: Option<Timestamp>) -> Self {
        let width = bucket_width(round.claim.closes.since(round.claim.opens)).max(Duration::from_micros(1));
        Self { start: planned_start.unwrap_or(round.claim.opens), width }
    }

    fn bucket(self, at: Timestamp) -> u32 {
        u32::try_from(at.since(self.start).as_micros() / self.width.as_micros()).unwrap_or(u32::MAX)
    }
}

impl Tallies {
    /// Counts the answers of one batch. Repeats are not counted: they were, the first time.
    pub(crate) fn count<T>(&self, verb: Verb, round: RoundId, clock: ArrivalClock, answers: &[Answer<T>]) {
        let mut rounds = lock(&self.rounds);
        let counts = rounds.entry(round).or_default();
        for answer in answers {
            let won = match answer.outcome {
                Outcome::Replayed(_) => continue,
                Outcome::Granted(_) => true,
                Outcome::Refused(refusal) => {
                    *counts.refusals.entry((verb, refusal)).or_default() += 1;
                    if !matches!(refusal, Refusal::NotDrawn | Refusal::SoldOut) {
                        continue;
                    }
                    false
                }
            };
            if verb == Verb::Claim {
                let (wins, losses) = counts.arrivals.entry(clock.bucket(answer.witness.at)).or_default();
                *if won { wins } else { losses } += 1;
            }
        }
    }

    fn take(&self) -> HashMap<RoundId, Counts> {
        std::mem::take(&mut *lock(&self.rounds))
    }

    fn put_back(&self, round: RoundId, tally: &Tally) {
        let mut rounds = lock(&self.rounds);
        let counts = rounds.entry(round).or_default();
        for (key, count) in &tally.refusals {
            *counts.refusals.entry(*key).or_default() += count;
        }
        for ArrivalBucket { bucket, won, lost } in &tally.arrivals {
            let (wins, losses) = counts.arrivals.entry(*bucket).or_default();
            (*wins, *losses) = (*wins + won, *losses + lost);
        }
    }
}

impl From<Counts> for Tally {
    fn from(counts: Counts) -> Self {
        let arrivals = counts.arrivals.into_iter();
        let arrivals = arrivals.map(|(bucket, (won, lost))| ArrivalBucket { bucket, won, lost }).collect();
        Self { refusals: counts.refusals, arrivals }
    }
}

/// How a round went.
#[derive(Debug, Clone)]
pub struct RoundStats {
    /// The round.
    pub round: RoundReport,
    /// Refusals by call and reason, over all instances.
    pub refusals: BTreeMap<(Verb, Refusal), u64>,
    /// Claims in order of arrival, in ten equal parts; none below ten claims.
    pub deciles: Option<Deciles>,
}

impl Engine {
    /// How a round went; without a name the one that [`Engine::round`] tells of. Counts of other instances may be a second old.
    ///
    /// # Errors
    /// [`Fault::UnknownCampaign`], [`Fault::UnknownRound`].
    pub async fn stats(self: &Arc<Self>, campaign: &CampaignId, round: Option<RoundId>) -> Result<RoundStats, Fault> {
        let round = self.round(campaign, round).await?;
        self.flush_tallies().await;
        let Tally { refusals, arrivals } = self.stores.statistics.tally(round.view.spec.id).await?;
        Ok(RoundStats { round, refusals, deciles: deciles(&arrivals) })
    }

    /// Adds to the ledger's counts what was counted here since the last time.
    pub(crate) async fn flush_tallies(&self) {
        let _one = self.tallies.flushing.lock().await;
        for (round, counts) in self.tallies.take() {
            let tally = Tally::from(counts);
            let added = match self.awaits_recording(round).await {
                Ok(true) => Ok(false),
                Ok(false) => self.stores.statistics.add_tally(round, &tally).await.map(|()| true),
                Err(error) => Err(error),
            };
            if !matches!(added, Ok(true)) {
                debug!(%round, ?added, "counts wait for the ledger");
                self.tallies.put_back(round, &tally);
            }
        }
    }

    /// Whether the ledger will have this round and does not have it yet: it would drop the counts.
    async fn awaits_recording(&self, round: RoundId) -> Result<bool, LedgerError> {
        let at_gate = self.sessions().iter().any(|session| session.rounds().get(round).is_some());
        Ok(at_gate && self.stores.campaigns.round(round).await?.is_none())
    }
}
