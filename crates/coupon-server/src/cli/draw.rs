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
    ///
    /// The exit code is 0 if nothing that is published is wrong, 1 if something is, 2 if the file or the arguments cannot be used.
    Verify(verify::Verify),
    /// Fetch a round's draw, as far as it is published, into a file that anyone can check
    ///
    /// What is not published yet is null in the file. Before reservation has closed there is nothing but the commit, and no file.
    Export(export::Export),
    /// Measure a draw of so many places, their leaves in memory
    ///
    /// A fifth of the places wins. Of the repeats each part's median is told, and the median of their totals.
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
