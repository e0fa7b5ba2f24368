//! Tomorrow's rush today: the service's own use cases, gate and ledger, in virtual time.
//!
//! Everything that decides who wins comes from the plan's seed, so that the same plan gives the same winners.

pub mod crowd;
pub mod figures;
pub mod rush;
pub mod stage;
pub mod svg;

mod page;
mod text;

use std::time::Duration;

use anyhow::Context as _;
use coupon_domain::campaign::Allocation;
use coupon_domain::supply::Ratio;
use serde::Serialize;

use self::crowd::{Arrivals, Crowd};
use self::figures::Figures;
use self::stage::{Secrets, Stage};

/// What is to be simulated.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// How many reserve.
    pub users: u32,
    /// One rush each, of the same crowd.
    #[serde(skip)]
    pub allocations: Vec<Allocation>,
    /// The share of the places that wins.
    pub ratio: Ratio,
    /// The share of those who reserved that claims.
    pub show_up: f64,
    /// The share of the users whose network is slow.
    pub slow_share: f64,
    /// The median of a fast network's latency.
    #[serde(serialize_with = "as_seconds")]
    pub fast_latency: Duration,
    /// The median of a slow network's latency.
    #[serde(serialize_with = "as_seconds")]
    pub slow_latency: Duration,
    /// Where all chance comes from.
    pub seed: u64,
}

fn as_seconds<S: serde::Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was simulated.
    pub plan: Plan,
    /// When the claims came in; the same in each rush.
    pub arrivals: Arrivals,
    /// One for each allocation.
    pub rushes: Vec<Figures>,
}

/// Simulates a plan, in temporary folders.
///
/// # Errors
/// If the stores fail, or what was answered is not what the ledger has.
pub async fn run(plan: Plan) -> anyhow::Result<Report> {
    let crowd = Crowd::of(&plan)?;
    let mut rushes = Vec::new();
    for allocation in &plan.allocations {
        let figures = run_one(&plan, &crowd, *allocation).await;
        rushes.push(figures.with_context(|| format!("the rush by {}", figures::name(*allocation)))?);
    }
    Ok(Report { arrivals: crowd.arrivals(), plan, rushes })
}

async fn run_one(plan: &Plan, crowd: &Crowd, allocation: Allocation) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir().context("a temporary folder cannot be made")?;
    let rules = stage::rules(allocation, plan.ratio, plan.users);
    let stage = Stage::open(folder.path(), rules, Secrets::of(plan.seed)).await?;
    rush::run(&stage, crowd, allocation).await
}

impl Report {
    /// For machines; the same plan gives the same text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::of(self)
    }

    /// For people who plan campaigns: a page that needs nothing but itself.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::of(self)
    }

    /// The page's charts alone.
    #[must_use]
    pub fn to_svg(&self) -> String {
        svg::charts(self)
    }

    /// Calls that ended in an error instead of a yes or a no; there must be none.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.rushes.iter().map(|rush| rush.errors).sum()
    }
}
