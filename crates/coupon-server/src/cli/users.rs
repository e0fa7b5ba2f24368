//! `coupon users import`: a file of users, streamed line by line into a running service.

mod lines;
mod told;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use coupon_proto::v1 as pb;
use coupon_proto::v1::user_service_client::UserServiceClient;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::fs::File;
use tokio::io::{AsyncBufRead, BufReader};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use self::lines::{Line, Lines};
use self::told::Unsent;
use super::target::Target;
use super::{Unusable, Verdict, print};
use crate::settings::Settings;

/// Users on their way to the service; while it has so many to do, the file is not read on.
const UNDER_WAY: usize = 1000;

#[derive(Debug, Subcommand)]
pub(super) enum UsersCommand {
    /// Register the users of a file, one a line
    ///
    /// Each line is a JSON object: {"id": "ada", "name": "Ada", "metadata": {"tier": "gold"}}, of which only the id is required. The
    /// same file again is harmless. The exit code is 1 if a line failed.
    Import(Import),
}

/// Its arguments.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    target: Target,
}

impl UsersCommand {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<Verdict> {
        let Self::Import(import) = self;
        import.run(settings).await
    }
}

impl Import {
    async fn run(self, settings: &Settings) -> anyhow::Result<Verdict> {
        let (reader, progress) = open(&self.file).await.with_context(|| Unusable(self.file.clone()))?;
        let mut client = UserServiceClient::new(self.target.connect(settings).await?);
        let (sender, messages) = channel(UNDER_WAY);
        let reading = tokio::spawn(send(Lines::of(reader), sender, progress.clone()));
        let told = client.create_users(ReceiverStream::new(messages)).await;
        let unsent = reading.await?;
        progress.finish_and_clear();
        let told = told.context(
            "the service has ended the import; users that it had read may be registered, and importing all again is harmless",
        )?;
        let unsent = unsent.with_context(|| format!("{} cannot be read on", self.file.display()))?;
        let (report, verdict) = told::report(&told.into_inner(), &unsent);
        print(&report);
        Ok(verdict)
    }
}

type Reader = Box<dyn AsyncBufRead + Send + Unpin>;

/// The progress is shown where standard error is a terminal.
async fn open(path: &Path) -> std::io::Result<(Reader, ProgressBar)> {
    if path == Path::new("-") {
        let spinner = ProgressBar::new_spinner().with_style(style("{spinner} {bytes} {msg}"));
        return Ok((Box::new(BufReader::new(tokio::io::stdin())), spinner));
    }
    let file = File::open(path).await?;
    let bar = ProgressBar::new(file.metadata().await?.len());
    let bar = bar.with_style(style("{wide_bar} {bytes} of {total_bytes}, {eta} {msg}"));
    Ok((Box::new(BufReader::new(file)), bar))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Sends the lines that are users, and answers which are not. Ends early if the service wants no more: it says why.
async fn send(
    mut lines: Lines<Reader>,
    service: Sender<pb::CreateUsersRequest>,
    progress: ProgressBar,
) -> std::io::Result<Unsent> {
    let mut unsent = Unsent::default();
    while let Some((number, line)) = lines.next().await? {
        progress.set_position(lines.bytes());
        match line {
            Line::Empty => unsent.skip(number),
            Line::Unreadable(why) => unsent.refuse(number, why),
            Line::User(user) => {
                if service.send(pb::CreateUsersRequest { user: Some(user) }).await.is_err() {
                    break;
                }
            }
        }
    }
    Ok(unsent)
}
