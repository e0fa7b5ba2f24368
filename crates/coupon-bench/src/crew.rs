//! The threads of one process that put a load on: each has its own runtime, connections and users, and counts for itself.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::drive::Asked;
use crate::given::Given;
use crate::hand::{self, Done};
use crate::job::Job;
use crate::plan::{Plan, Share};
use crate::tally::Tally;

/// What a process is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The whole load; the share says which part of it is this process's.
    pub(crate) plan: Plan,
    pub(crate) job: Job,
    /// Where the service is: `127.0.0.1:50051`.
    pub(crate) address: String,
    pub(crate) share: Share,
    pub(crate) threads: usize,
}

/// What a process, or all of them, have done.
pub(crate) struct Work {
    pub(crate) tally: Tally,
    pub(crate) given: Arc<Given>,
    pub(crate) asked: Vec<Asked>,
    /// Coupons that were claimed before the load.
    pub(crate) prepared: u64,
    /// Requests that have no answer even after several attempts.
    pub(crate) unsettled: u64,
}

impl Work {
    pub(crate) fn nothing() -> Self {
        let tally = Tally::new(Instant::now());
        Self { tally, given: Arc::default(), asked: Vec::new(), prepared: 0, unsettled: 0 }
    }

    pub(crate) fn add(&mut self, Done { tally, asked, prepared, unsettled }: Done) {
        self.tally.add(&tally);
        self.asked.extend(asked);
        self.prepared += prepared;
        self.unsettled += unsettled;
    }
}

/// See the module.
pub(crate) struct Crew {
    threads: usize,
    ready: mpsc::UnboundedReceiver<()>,
    /// Nobody waits for the threads themselves: a bench that is interrupted ends at once.
    ended: mpsc::UnboundedReceiver<anyhow::Result<Done>>,
    go: watch::Sender<Option<Instant>>,
    given: Arc<Given>,
    done: Arc<AtomicU64>,
}

impl Crew {
    /// Starts the threads: they connect, prepare and warm up.
    pub(crate) fn start(order: &Order) -> anyhow::Result<Self> {
        let (given, done) = <(Arc<Given>, Arc<AtomicU64>)>::default();
        let (tell, ready) = mpsc::unbounded_channel();
        let (end, ended) = mpsc::unbounded_channel();
        let (go, gone) = watch::channel(None);
        for index in 0..order.threads {
            let share = order.share.split(Share { index, of: order.threads });
            let hand = hand::Hand {
                plan: order.plan.part(share),
                job: order.job.clone(),
                address: order.address.clone(),
                share,
                given: Arc::clone(&given),
                done: Arc::clone(&done),
            };
            let (tell, gone, end) = (tell.clone(), gone.clone(), end.clone());
            let work = move || drop(end.send(hand.run(tell, gone)));
            std::thread::Builder::new()
                .name(format!("load-{index}"))
                .spawn(work)
                .context("a thread cannot be started")?;
        }
        Ok(Self { threads: order.threads, ready, ended, go, given, done })
    }

    /// Waits until each of them is ready.
    pub(crate) async fn is_ready(&mut self) -> anyhow::Result<()> {
        for _ in 0..self.threads {
            tokio::select! {
                Some(()) = self.ready.recv() => {}
                // None ends before it was let go but one that has failed.
                failed = next(&mut self.ended) => return failed.and(Err(anyhow!("a thread has ended"))),
            }
        }
        Ok(())
    }

    /// Lets them begin.
    pub(crate) fn go(&self, origin: Instant) {
        self.go.send_replace(Some(origin));
    }

    /// How many requests are answered.
    pub(crate) fn answered(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.done)
    }

    /// Waits until all is answered.
    pub(crate) async fn end(self) -> anyhow::Result<Work> {
        let Self { threads, mut ended, given, .. } = self;
        let mut work = Work { given, ..Work::nothing() };
        for _ in 0..threads {
            work.add(next(&mut ended).await?);
        }
        Ok(work)
    }
}

async fn next(ended: &mut mpsc::UnboundedReceiver<anyhow::Result<Done>>) -> anyhow::Result<Done> {
    ended.recv().await.unwrap_or_else(|| Err(anyhow!("a thread has panicked")))
}
