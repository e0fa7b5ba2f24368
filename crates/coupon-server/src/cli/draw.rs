//! `coupon draw`: for whoever wants to check a draw, and whoever wants to know what one costs.

mod bench;
mod export;
mod verify;

use clap::Subcommand;

use super::Verdict;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum DrawCommand {
    /// Check a published draw from its file alone, step by step
    Verify(verify::Verify),
    /// Fetch a round's draw, as far as it is published, into a file that anyone can check
    Export(export::Export),
    /// Measure a draw of so many places, their leaves in memory
    Bench(bench::Bench),
}

impl DrawCommand {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<Verdict> {
        match self {
            Self::Verify(command) => command.run(),
            Self::Export(command) => command.run(settings).await.map(|()| Verdict::Good),
            Self::Bench(command) => command.run().await.map(|()| Verdict::Good),
        }
    }
}
