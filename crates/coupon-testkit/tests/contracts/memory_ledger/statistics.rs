//! Counts of rounds.

use std::collections::BTreeMap;

use async_trait::async_trait;
use coupon_domain::ids::RoundId;
use coupon_domain::ports::{LedgerError, StatisticsRepository, Tally};
use coupon_domain::stats::ArrivalBucket;

use super::{Fault, MemoryLedger};

#[async_trait]
impl StatisticsRepository for MemoryLedger {
    async fn add_tally(&self, round: RoundId, tally: &Tally) -> Result<(), LedgerError> {
        let mut books = self.books();
        if books.round(round).is_none() && !self.does(Fault::CountsForgottenRounds) {
            return Ok(());
        }
        let kept = books.tallies.entry(round).or_default();
        for (key, count) in &tally.refusals {
            *kept.refusals.entry(*key).or_default() += count;
        }
        let mut arrivals: BTreeMap<u32, ArrivalBucket> = kept.arrivals.iter().map(|a| (a.bucket, *a)).collect();
        for ArrivalBucket { bucket, won, lost } in &tally.arrivals {
            let kept = arrivals.entry(*bucket).or_insert(ArrivalBucket { bucket: *bucket, won: 0, lost: 0 });
            kept.won += won;
            kept.lost += lost;
        }
        kept.arrivals = arrivals.into_values().collect();
        Ok(())
    }

    async fn tally(&self, round: RoundId) -> Result<Tally, LedgerError> {
        Ok(self.books().tallies.get(&round).cloned().unwrap_or_default())
    }
}
