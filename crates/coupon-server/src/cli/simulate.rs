//! `coupon simulate`: a rush in virtual time, and what it says about fairness.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use coupon_domain::campaign::Allocation;
use coupon_domain::supply::{Ratio, Rounding};

use super::{Verdict, print};
use crate::simulate::{self, Plan};

/// Its arguments.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// How many users reserve
    #[arg(long, value_name = "N", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,

    /// Who of those who claim gets a coupon [default: each in turn, side by side]
    #[arg(long, value_name = "ALLOCATION")]
    allocation: Option<By>,

    /// The share of the places that wins
    #[arg(long, value_name = "N/D", default_value = "1/5", value_parser = fraction)]
    ratio: (u32, u32),

    /// What becomes of a part of a coupon
    #[arg(long, value_name = "ROUNDING", default_value = "floor")]
    rounding: To,

    /// The share of those who reserved that claims
    #[arg(long, value_name = "SHARE", default_value = "1.0", value_parser = share)]
    show_up: f64,

    /// The share of the users whose network is slow
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = share)]
    slow_share: f64,

    /// The median latency of fast networks
    #[arg(long, value_name = "DURATION", default_value = "40ms", value_parser = humantime::parse_duration)]
    fast_latency: Duration,

    /// The median latency of slow networks
    #[arg(long, value_name = "DURATION", default_value = "400ms", value_parser = humantime::parse_duration)]
    slow_latency: Duration,

    /// Where all chance comes from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write the report as a page for people
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Write the report's charts
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    /// Every place has the same chance
    Draw,
    /// In the order in which claims arrive
    FirstCome,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum To {
    /// Down
    Floor,
    /// Up
    Ceil,
    /// To the nearest, half up
    Nearest,
}

fn fraction(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
    let (n, d) = parts.ok_or("must be of the form 1/5")?;
    Ratio::new(n, d, Rounding::Floor).map(|_| (n, d)).map_err(|error| error.to_string())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be from 0.0 to 1.0".to_owned())
}

impl Simulate {
    pub(super) async fn run(self) -> anyhow::Result<Verdict> {
        let began = Instant::now();
        let report = simulate::run(self.plan()?).await?;
        let took = began.elapsed();
        if let Some(file) = &self.html {
            write(file, &report.to_html())?;
        }
        if let Some(file) = &self.svg {
            write(file, &report.to_svg())?;
        }
        if self.json {
            print(&report.to_json());
        } else {
            print(&report.to_text());
            print(&format!("\nSimulated in {:.1} s.", took.as_secs_f64()));
        }
        Ok(if report.errors() == 0 { Verdict::Good } else { Verdict::Bad })
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let rounding = match self.rounding {
            To::Floor => Rounding::Floor,
            To::Ceil => Rounding::Ceil,
            To::Nearest => Rounding::Nearest,
        };
        let allocations = match self.allocation {
            Some(By::Draw) => vec![Allocation::Draw],
            Some(By::FirstCome) => vec![Allocation::FirstCome],
            None => vec![Allocation::FirstCome, Allocation::Draw],
        };
        Ok(Plan {
            users: self.users,
            allocations,
            ratio: Ratio::new(self.ratio.0, self.ratio.1, rounding)?,
            show_up: self.show_up,
            slow_share: self.slow_share,
            fast_latency: self.fast_latency,
            slow_latency: self.slow_latency,
            seed: self.seed,
        })
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}
