//! Whoever puts a load on: threads of this process, or several processes with threads of their own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use futures::future::try_join_all;

use crate::crew::{Crew, Order, Work};
use crate::job::Job;
use crate::plan::{Plan, Share};
use crate::progress::Progress;
use crate::service::Service;
use crate::workers::Worker;

/// What a run needs beside its plan.
#[derive(Debug, Clone)]
pub struct Means {
    /// This program, which workers run.
    pub program: PathBuf,
    /// Whether somebody looks at how far it is.
    pub show_progress: bool,
}

/// Puts a load on, from the first request to the last answer, and says when it began.
pub(crate) async fn put_on(plan: &Plan, job: Job, service: &Service, means: &Means) -> anyhow::Result<(Work, Instant)> {
    let workers = plan.workers.clamp(1, plan.most_shares());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = (processors / workers).clamp(1, plan.most_shares() / workers);
    let order = |index| Order {
        plan: plan.clone(),
        job: job.clone(),
        address: service.address().to_owned(),
        share: Share { index, of: workers },
        threads,
    };
    let progress = Progress::of(plan, service.name(), means.show_progress);
    if workers == 1 {
        let mut crew = Crew::start(&order(0))?;
        crew.is_ready().await?;
        let origin = Instant::now();
        crew.go(origin);
        let _shown = progress.show(crew.answered());
        return Ok((crew.end().await?, origin));
    }
    let orders: Vec<_> = (0..workers).map(order).collect();
    let mut hands = try_join_all(orders.iter().map(|order| Worker::start(&means.program, order))).await?;
    try_join_all(hands.iter_mut().map(Worker::is_ready)).await?;
    let origin = Instant::now();
    try_join_all(hands.iter_mut().map(Worker::go)).await?;
    let answered = Arc::<AtomicU64>::default();
    let _shown = progress.show(Arc::clone(&answered));
    let works = try_join_all(hands.into_iter().map(|hand| hand.end(&answered))).await?;
    Ok((together(works)?, origin))
}

/// What all of them have done.
fn together(works: Vec<Work>) -> anyhow::Result<Work> {
    let mut all = Work::nothing();
    for work in works {
        all.given.add(&work.given.parts())?;
        all.tally.add(&work.tally);
        all.asked.extend(work.asked);
        all.prepared += work.prepared;
        all.unsettled += work.unsettled;
    }
    Ok(all)
}
