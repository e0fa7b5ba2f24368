//! `coupon draw bench`: what a draw costs, part by part.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use coupon_domain::campaign::Allocation;
use coupon_domain::draw::merkle::{Tree, TreeBuilder};
use coupon_domain::draw::{self, DrawKey, DrawParams, Hash, Seed, winners_bitmap};
use coupon_domain::ids::{RoundId, UserId};
use coupon_domain::ports::{Conclusion, DrawResult, DrawRoot};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use indicatif::{HumanBytes, HumanCount};

use crate::cli::print;
use crate::simulate::stage::{Secrets, Stage, rules};

/// Ranks read at once, as the service does.
const PAGE: u32 = 50_000;
const PARTS: [&str; 5] = ["root", "key", "ranks", "W-th score", "winners' bitmap"];

/// Its arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct Bench {
    /// How many places
    #[arg(long, value_name = "N", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    places: u32,

    /// How often
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
}

/// What was worked out, and how long each of [`PARTS`] took.
struct Drawn {
    tree: Tree,
    winners: u32,
    last_score: Option<Hash>,
    ranks: Vec<u32>,
    took: [Duration; 5],
}

impl Bench {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let leaves = (0..self.places).map(leaf).collect::<anyhow::Result<Vec<_>>>()?;
        let mut last = draw(&leaves)?;
        let mut took = vec![last.took];
        for _ in 1..self.repeat {
            last = draw(&leaves)?;
            took.push(last.took);
        }
        let memory = peak_memory();
        print(&report(self.places, &took, memory));
        drop(leaves);
        print(self.through_a_ledger(last).await.context("the ledger's part")?.trim_end());
        Ok(())
    }

    /// Not part of the draw's time: it is the disk's.
    async fn through_a_ledger(&self, drawn: Drawn) -> anyhow::Result<String> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let rules = rules(Allocation::Draw, fifth()?, self.places);
        let Stage { engine, stores, round, .. } = Stage::open(folder.path(), rules, Secrets::of(1)).await?;
        engine.stop().await;
        let draws = stores.draws;
        let Drawn { tree, winners, last_score, ranks, .. } = drawn;
        draws.keep_root(round, &DrawRoot { places: tree.size, root: tree.root, subtrees: tree.blocks }).await?;
        let began = Instant::now();
        let result = DrawResult { beacon: None, winners, last_score };
        ensure!(draws.conclude_draw(round, &result, &ranks).await? == Conclusion::Kept, "the ledger takes the result");
        let written = began.elapsed();
        let began = Instant::now();
        for from in (0..self.places).step_by(PAGE as usize) {
            black_box(draws.ranks(round, from, PAGE).await?);
        }
        let read = began.elapsed();
        Ok(format!(
            "Apart from that, an embedded ledger in a temporary folder:\n{}{}",
            line("writing ranks", written),
            line("reading ranks", read)
        ))
    }
}

fn fifth() -> anyhow::Result<Ratio> {
    Ok(Ratio::new(1, 5, Rounding::Floor)?)
}

fn leaf(ticket: u32) -> anyhow::Result<Hash> {
    let user = UserId::parse(&format!("user-{ticket}"))?;
    Ok(draw::leaf(ticket, &user, &u128::from(ticket).to_be_bytes()))
}

fn draw(leaves: &[Hash]) -> anyhow::Result<Drawn> {
    let places = u32::try_from(leaves.len())?;
    let supply = Supply::RatioOfPlaces(fifth()?);
    let round = RoundId::from_number(1).context("a round")?;
    let params = DrawParams::new(round, supply, None).context("a share of the places can be drawn")?;
    let winners = params.winners(places, 0, None);

    let (tree, root_took) = timed(|| leaves.iter().copied().collect::<TreeBuilder>().finish());
    let (key, key_took) = timed(|| DrawKey::of(&Seed::from([7; 32]), &params, places, &tree.root, &[]));
    let (ranking, ranks_took) = timed(|| draw::rank(&key, places));
    let (last_score, score_took) = timed(|| ranking.last_score(&key, winners));
    let (_bitmap, bitmap_took) = timed(|| winners_bitmap(ranking.ranks(), winners));
    let took = [root_took, key_took, ranks_took, score_took, bitmap_took];
    Ok(Drawn { tree, winners, last_score, ranks: ranking.into_ranks(), took })
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = black_box(work());
    (done, began.elapsed())
}

fn report(places: u32, took: &[[Duration; 5]], memory: Option<u64>) -> String {
    let mut lines = format!("A draw of {} places, median of {}:\n", HumanCount(u64::from(places)), took.len());
    for (part, name) in PARTS.into_iter().enumerate() {
        lines += &line(name, median(took.iter().map(|parts| parts[part])));
    }
    lines += &line("total", median(took.iter().map(|parts| parts.iter().sum())));
    let memory = memory.map_or_else(|| "unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
    lines + &format!("  {:<16} {memory:>12}, leaves included\n", "peak memory")
}

fn line(name: &str, took: Duration) -> String {
    format!("  {name:<16} {:>9.3} ms\n", took.as_secs_f64() * 1000.0)
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The most memory that this process has had, in bytes, where the system tells: see proc_pid_status(5).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}
