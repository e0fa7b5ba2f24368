//! Several processes that share a load. Each is this program with a hidden command; orders and results are lines of JSON.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::crew::{Crew, Order, Work};
use crate::drive::Asked;
use crate::given::{Given, GivenParts};
use crate::tally::{Tally, TallyParts};

/// The hidden command that makes a process a worker.
pub const COMMAND: &str = "bench-worker";
/// How often a worker says how far it is.
const TELL: Duration = Duration::from_millis(200);
/// What the starter writes when all are ready.
const GO: &str = "go";

/// What a worker writes, a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Said {
    Ready,
    Answered(u64),
    Ended(Box<Parts>),
}

#[derive(Debug, Serialize, Deserialize)]
struct Parts {
    tally: TallyParts,
    given: GivenParts,
    asked: Vec<Asked>,
    prepared: u64,
    unsettled: u64,
}

/// What the hidden command does: takes an order from standard input, and carries it out.
///
/// # Errors
/// If there is no order, or the load cannot be put on.
pub async fn serve() -> anyhow::Result<()> {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let order = input.next_line().await?.context("no order")?;
    let order: Order = serde_json::from_str(&order).context("the order cannot be read")?;
    let mut crew = Crew::start(&order)?;
    crew.is_ready().await?;
    say(&Said::Ready).await?;
    if input.next_line().await?.as_deref() != Some(GO) {
        bail!("nobody waits");
    }
    crew.go(Instant::now());
    let answered = crew.answered();
    let mut end = Box::pin(crew.end());
    let work = loop {
        tokio::select! {
            work = &mut end => break work?,
            () = tokio::time::sleep(TELL) => say(&Said::Answered(answered.load(Ordering::Relaxed))).await?,
            // The starter has gone.
            _ = input.next_line() => bail!("nobody waits"),
        }
    };
    let Work { tally, given, asked, prepared, unsettled } = work;
    let parts = Parts { tally: tally.parts()?, given: given.parts(), asked, prepared, unsettled };
    say(&Said::Ended(Box::new(parts))).await
}

async fn say(said: &Said) -> anyhow::Result<()> {
    let mut output = tokio::io::stdout();
    output.write_all((serde_json::to_string(said)? + "\n").as_bytes()).await?;
    Ok(output.flush().await?)
}

/// A worker as its starter sees it. It is killed when this is dropped.
pub(crate) struct Worker {
    _child: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    /// How many requests it has told of so far.
    answered: u64,
}

impl Worker {
    pub(crate) async fn start(program: &Path, order: &Order) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        let (input, output) = child.stdin.take().zip(child.stdout.take()).context("a worker has no pipes")?;
        let said = BufReader::new(output).lines();
        let mut worker = Self { _child: child, orders: input, said, answered: 0 };
        worker.order(&serde_json::to_string(order)?).await?;
        Ok(worker)
    }

    async fn order(&mut self, line: &str) -> anyhow::Result<()> {
        self.orders.write_all(format!("{line}\n").as_bytes()).await?;
        Ok(self.orders.flush().await?)
    }

    async fn next(&mut self) -> anyhow::Result<Said> {
        let line = self.said.next_line().await?.context("a worker has failed")?;
        Ok(serde_json::from_str(&line)?)
    }

    pub(crate) async fn is_ready(&mut self) -> anyhow::Result<()> {
        match self.next().await? {
            Said::Ready => Ok(()),
            said @ (Said::Answered(_) | Said::Ended(_)) => bail!("a worker says {said:?}"),
        }
    }

    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        self.order(GO).await
    }

    /// Waits for its end; meanwhile adds what it tells to the count of all.
    pub(crate) async fn end(mut self, answered: &AtomicU64) -> anyhow::Result<Work> {
        loop {
            match self.next().await? {
                Said::Ready => {}
                Said::Answered(count) => {
                    answered.fetch_add(count.saturating_sub(self.answered), Ordering::Relaxed);
                    self.answered = count;
                }
                Said::Ended(parts) => {
                    let given = Given::default();
                    given.add(&parts.given)?;
                    return Ok(Work {
                        tally: Tally::of_parts(&parts.tally)?,
                        given: Arc::new(given),
                        asked: parts.asked,
                        prepared: parts.prepared,
                        unsettled: parts.unsettled,
                    });
                }
            }
        }
    }
}
