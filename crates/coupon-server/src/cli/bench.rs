//! `coupon bench`: what the service does under load, and whether it stays exact.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use coupon_bench::Means;
use coupon_bench::load::Load;
use coupon_bench::plan::{Amount, Drive, Plan};
use coupon_bench::report::{Machine, Measurement, Report};
use coupon_bench::run::run;
use coupon_bench::service::Service;
use coupon_bench::suite::{Findings, Sizes};
use coupon_bench::{suite, table, workers};

use super::{Verdict, print, tell};

/// Its arguments.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// What to load the service with, one after the other: empty (a health check), reserve, reserve-stream, claim, claim-stream,
    /// refused (claims when all is sold out), redeem, rush (all reserve, then all claim, a fifth gets a coupon) [default: all]
    #[arg(value_name = "LOADS", value_parser = loads(), hide_possible_values = true)]
    loads: Vec<Load>,

    /// How many requests each load has, each for a user of its own
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=200_000_000))]
    requests: u64,

    /// Load for so long, instead of with a number of requests
    #[arg(long, value_name = "DURATION", conflicts_with = "requests", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,

    /// Closed loop: so many callers, each of which waits for its answer
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    callers: u32,

    /// Open loop: so many requests a second, at fixed times, whatever the answers do. A latency begins at that time, so that a service that
    /// stands still shows in every request of the while
    #[arg(long, value_name = "R", conflicts_with = "callers", value_parser = rate)]
    rate: Option<f64>,

    /// With --rate: so many unanswered requests at most; one more is not sent, and counts as a fault
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    outstanding: u32,

    /// HTTP/2 connections
    #[arg(long, value_name = "K", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,

    /// Streams of the streamed loads
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    streams: u32,

    /// Unanswered requests of each stream at most
    #[arg(long, value_name = "W", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    window: u32,

    /// Load for so long before anything is measured
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    warmup: Duration,

    /// Processes that share each load
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,

    /// The stores of the private services that are started for it
    #[arg(long, value_name = "STORES", default_value = "embedded")]
    stores: On,

    /// Load this running service instead, as http://127.0.0.1:50051. Campaigns of the bench are ended, but their rows stay there
    #[arg(long, value_name = "URL", conflicts_with = "stores", value_parser = address)]
    target: Option<String>,

    /// Instead of loads: what the service is judged by, each figure in turn with what it is compared with, on private services. Needs
    /// redis-server, redis-benchmark, postgres, pgbench and psql
    #[arg(long, value_name = "SUITE", conflicts_with_all = SINGLE)]
    suite: Option<Suite>,

    /// Print JSON instead of text
    #[arg(long)]
    json: bool,

    /// Write the report as a page for people
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// What a suite decides by itself.
const SINGLE: [&str; 12] = [
    "loads",
    "requests",
    "duration",
    "callers",
    "rate",
    "outstanding",
    "connections",
    "streams",
    "window",
    "warmup",
    "workers",
    "target",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Claims, reservations and redemptions against an empty call, a Lua script, `pgbench` and `psql`; about five minutes
    Ratios,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// The default's: SQLite and memory
    Embedded,
    /// A private Redis that syncs each write, and a private Postgres
    Redis,
    /// One after the other
    Both,
}

fn loads() -> impl clap::builder::TypedValueParser<Value = Load> {
    PossibleValuesParser::new(Load::ALL.map(Load::name)).try_map(|name| name.parse::<Load>())
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "must be from 0.1 to 10000000".to_owned())
}

fn address(url: &str) -> Result<String, String> {
    let address = url.strip_prefix("http://").ok_or("must begin with http://")?.trim_end_matches('/');
    let uri: tonic::transport::Uri = url.parse().map_err(|error| format!("{error}"))?;
    if uri.port().is_some() { Ok(address.to_owned()) } else { Err("must have a port".to_owned()) }
}

impl Bench {
    pub(super) async fn run(self) -> anyhow::Result<Verdict> {
        let means = Means {
            program: std::env::current_exe().context("this program cannot be found")?,
            show_progress: std::io::stderr().is_terminal(),
        };
        let findings = tokio::select! {
            findings = self.findings(&means) => findings?,
            // Private services end when the measurements are dropped.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        };
        let Findings { ratios, rates, latency, measurements } = findings;
        let report = Report { machine: Machine::here(), command: command(), measurements, ratios, rates, latency };
        if let Some(file) = &self.html {
            write_page(file, &report)?;
        }
        if self.json {
            print(&serde_json::to_string_pretty(&report)?);
        } else {
            print(&table::text(&report.measurements));
            report.ratios.iter().for_each(|(name, ratio)| print(&format!("{name}: {ratio:.2}")));
        }
        let exact = report.measurements.iter().all(|measured| measured.differences.is_empty());
        Ok(if exact { Verdict::Good } else { Verdict::Bad })
    }

    async fn findings(&self, means: &Means) -> anyhow::Result<Findings> {
        match self.suite {
            Some(Suite::Ratios) => suite::ratios(Sizes::default(), means).await,
            None => Ok(Findings { measurements: self.measurements(means).await?, ..Findings::default() }),
        }
    }

    async fn measurements(&self, means: &Means) -> anyhow::Result<Vec<Measurement>> {
        if let Some(address) = &self.target {
            return self.load(&Service::at(address), means).await;
        }
        let mut measurements = Vec::new();
        if self.stores != On::Redis {
            measurements.extend(self.load(&Service::embedded(&means.program).await?, means).await?);
        }
        if self.stores != On::Embedded {
            measurements.extend(self.load(&Service::redis_and_postgres(&means.program).await?, means).await?);
        }
        Ok(measurements)
    }

    async fn load(&self, service: &Service, means: &Means) -> anyhow::Result<Vec<Measurement>> {
        // A rush has a number of users.
        let all = Load::ALL.into_iter().filter(|load| self.duration.is_none() || *load != Load::Rush);
        let loads = if self.loads.is_empty() { all.collect() } else { self.loads.clone() };
        let mut measurements = Vec::new();
        for load in &loads {
            let measured = run(&self.plan(*load), service, means).await;
            let measured = measured.with_context(|| format!("{load} on {}{}", service.name(), said(service)))?;
            measured.differences.iter().for_each(|difference| tell(&format!("coupon: {load}: {difference}")));
            measurements.push(measured);
        }
        Ok(measurements)
    }

    fn plan(&self, load: Load) -> Plan {
        let drive = match self.rate {
            Some(per_second) => Drive::Rate {
                per_second,
                outstanding: self.outstanding as usize,
                streams: if load.is_streamed() { self.streams as usize } else { 0 },
            },
            _ if load.is_streamed() => Drive::Streams { streams: self.streams as usize, window: self.window as usize },
            _ => Drive::Callers(self.callers as usize),
        };
        Plan {
            load,
            amount: self.duration.map_or(Amount::Requests(self.requests), Amount::Duration),
            drive,
            connections: self.connections as usize,
            warmup: if load == Load::Rush { Duration::ZERO } else { self.warmup },
            workers: self.workers as usize,
        }
    }
}

/// What a private service has complained of.
fn said(service: &Service) -> String {
    let log = service.log();
    let last: Vec<_> = log.lines().rev().take(10).collect();
    if last.is_empty() {
        String::new()
    } else {
        format!("; the service said:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

fn command() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("coupon".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

fn write_page(file: &Path, report: &Report) -> anyhow::Result<()> {
    std::fs::write(file, coupon_bench::html::page(report))
        .with_context(|| format!("{} cannot be written", file.display()))
}

/// The hidden command of a process that shares a load.
pub(super) async fn work() -> anyhow::Result<Verdict> {
    workers::serve().await.map(|()| Verdict::Good)
}
