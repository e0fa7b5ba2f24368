//! Loads in turn with what they are compared with, on private services, so that what a shared machine does meanwhile falls on both sides.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::baselines::{create_database, insert_select, naive_eval, pgbench_redeem, prepare_redeems};
use crate::load::Load;
use crate::plan::{Amount, Drive, Plan};
use crate::report::{Latency, Measurement};
use crate::run::run;
use crate::service::Service;
use crate::team::Means;

const CONNECTIONS: usize = 8;
/// Callers of unary loads.
const CALLERS: u32 = 256;
/// Callers of Redeem, and clients of `pgbench`.
const REDEEMERS: u32 = 128;
const STREAMS: Drive = Drive::Streams { streams: 8, window: 1000 };

/// How much of each load there is.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// How often each pair is measured; the median of the ratios counts.
    pub turns: u32,
    /// Of a streamed load.
    pub streamed: u32,
    /// Of a unary load. The recorder may lag behind so many.
    pub unary: u32,
    /// Redemptions.
    pub redeemed: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { turns: 3, streamed: 300_000, unary: 60_000, redeemed: 12_800 }
    }
}

/// What a suite has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Medians of what was measured in the same turn, by name.
    pub ratios: BTreeMap<String, f64>,
    /// Medians, by load and target.
    pub rates: BTreeMap<String, f64>,
    /// Of the turn with the median p99, by load and target.
    pub latency: BTreeMap<String, Latency>,
    /// Each load of each turn.
    pub measurements: Vec<Measurement>,
}

/// Measures the ratios that the service is judged by.
///
/// # Errors
/// If private services, `redis-benchmark`, `pgbench` or `psql` cannot be run. Coupons that are off are in the measurements.
pub async fn ratios(sizes: Sizes, means: &Means) -> anyhow::Result<Findings> {
    let embedded = Service::embedded(&means.program).await?;
    let redis = Service::redis_and_postgres(&means.program).await?;
    let (redis_url, postgres_url) = redis.private_stores().context("a private service has private stores")?;
    let database = migrated_database(means, &postgres_url, &redis_url).await?;
    prepare_redeems(&database, sizes.redeemed * sizes.turns).await?;
    let mut bench = Bench { sizes, means, rates: BTreeMap::new(), measurements: Vec::new() };
    for turn in 1..=sizes.turns as usize {
        bench.note("naive-eval", naive_eval(&redis_url, sizes.streamed).await?);
        bench.load(Load::ClaimStream, &redis).await?;
        bench.load(Load::ClaimStream, &embedded).await?;
        bench.load(Load::ReserveStream, &redis).await?;
        for service in [&redis, &embedded] {
            bench.load(Load::Empty, service).await?;
            bench.load(Load::Claim, service).await?;
        }
        bench.load(Load::Refused, &redis).await?;
        bench.load(Load::Reserve, &redis).await?;
        bench.load(Load::Redeem, &redis).await?;
        bench.note("pgbench-redeem", pgbench_redeem(&database, REDEEMERS, sizes.redeemed).await?);
        bench.note("insert-select", insert_select(&database, sizes.streamed / 2).await?);
        ensure!(bench.rates.values().all(|rates| rates.len() == turn), "each rate is measured once a turn");
    }
    Ok(bench.findings())
}

/// A database beside the service's, with the same schema, for what `pgbench` and `psql` write.
async fn migrated_database(means: &Means, postgres_url: &str, redis_url: &str) -> anyhow::Result<String> {
    let url = create_database(postgres_url, "baselines").await?;
    let stores = ["migrate", "--database-url", &url, "--redis-url", redis_url];
    let migrated = Command::new(&means.program).args(stores).env_clear().output().await?;
    ensure!(migrated.status.success(), "`migrate` failed: {}", String::from_utf8_lossy(&migrated.stderr));
    Ok(url)
}

struct Bench<'a> {
    sizes: Sizes,
    means: &'a Means,
    /// One for each turn.
    rates: BTreeMap<String, Vec<f64>>,
    measurements: Vec<Measurement>,
}

impl Bench<'_> {
    fn note(&mut self, name: &str, rate: f64) {
        self.rates.entry(name.to_owned()).or_default().push(rate);
    }

    async fn load(&mut self, load: Load, service: &Service) -> anyhow::Result<()> {
        let Sizes { streamed, unary, redeemed, .. } = self.sizes;
        let (requests, drive) = match load {
            Load::ClaimStream | Load::ReserveStream => (streamed, STREAMS),
            Load::Redeem => (redeemed, Drive::Callers(REDEEMERS as usize)),
            Load::Empty | Load::Reserve | Load::Claim | Load::Refused | Load::Rush => {
                (unary, Drive::Callers(CALLERS as usize))
            }
        };
        let amount = Amount::Requests(u64::from(requests));
        let plan = Plan { load, amount, drive, connections: CONNECTIONS, warmup: Default::default(), workers: 1 };
        let measured =
            run(&plan, service, self.means).await.with_context(|| format!("{load} on {}", service.name()))?;
        let name = name_of(&measured);
        self.note(&name, measured.rate);
        if let Some(sustained) = measured.sustained_rate {
            self.note(&format!("{name} sustained"), sustained);
        }
        self.measurements.push(measured);
        Ok(())
    }

    fn findings(self) -> Findings {
        let ratio = |of: &str, to: &str| {
            let pairs = self.rates.get(of).into_iter().flatten().zip(self.rates.get(to).into_iter().flatten());
            median(pairs.map(|(of, to)| of / to).collect())
        };
        let ratios = [
            ("claim_stream_redis_vs_naive_eval", ratio("claim-stream on redis+postgres", "naive-eval")),
            ("claim_stream_embedded_vs_redis", ratio("claim-stream on embedded", "claim-stream on redis+postgres")),
            ("claim_unary_redis_vs_empty", ratio("claim on redis+postgres", "empty on redis+postgres")),
            ("claim_unary_embedded_vs_empty", ratio("claim on embedded", "empty on embedded")),
            ("refusal_vs_empty", ratio("refused on redis+postgres", "empty on redis+postgres")),
            ("reserve_vs_claim", ratio("reserve on redis+postgres", "claim on redis+postgres")),
            (
                "reserve_stream_vs_claim_stream",
                ratio("reserve-stream on redis+postgres", "claim-stream on redis+postgres"),
            ),
            ("redeem_vs_pgbench", ratio("redeem on redis+postgres", "pgbench-redeem")),
            // What the recorder did while claims came is not told apart: it is rather more than this.
            ("recorder_vs_insert_select", ratio("claim-stream on redis+postgres sustained", "insert-select")),
        ];
        let named = ratios.into_iter().filter_map(|(name, ratio)| Some((name.to_owned(), ratio?)));
        let rates = self.rates.iter().filter_map(|(name, rates)| Some((name.clone(), median(rates.clone())?)));
        Findings {
            ratios: named.collect(),
            rates: rates.collect(),
            latency: latencies(&self.measurements),
            measurements: self.measurements,
        }
    }
}

fn name_of(measured: &Measurement) -> String {
    format!("{} on {}", measured.load, measured.target)
}

fn latencies(measurements: &[Measurement]) -> BTreeMap<String, Latency> {
    let mut turns: BTreeMap<String, Vec<Latency>> = BTreeMap::new();
    for measured in measurements {
        turns.entry(name_of(measured)).or_default().extend(measured.success_latency);
    }
    let middle = |mut latencies: Vec<Latency>| {
        latencies.sort_by_key(|latency| latency.p99);
        latencies.get(latencies.len() / 2).copied()
    };
    turns.into_iter().filter_map(|(name, latencies)| Some((name, middle(latencies)?))).collect()
}

/// The one in the middle; of an even number the higher of the two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_pairs_and_not_the_ratio_of_medians() {
        let rates = [("redeem on redis+postgres", vec![10.0, 40.0, 60.0]), ("pgbench-redeem", vec![10.0, 10.0, 30.0])];
        let means = Means { program: Default::default(), show_progress: false };
        let rates = rates.map(|(name, rates)| (name.to_owned(), rates)).into();
        let bench = Bench { sizes: Sizes::default(), means: &means, rates, measurements: Vec::new() };
        let findings = bench.findings();
        assert_eq!(
            findings.ratios,
            BTreeMap::from([("redeem_vs_pgbench".to_owned(), 2.0)]),
            "what is missing is left out"
        );
        assert_eq!(findings.rates["redeem on redis+postgres"], 40.0);
    }
}
