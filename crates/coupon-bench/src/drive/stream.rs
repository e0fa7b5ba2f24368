//! Streams: one call carries many users. Answers come in the order of the requests, so that the instants at which these were sent, or were
//! to be sent, stand in a queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::Log;
use crate::job::Form;
use crate::tally::Answer;
use crate::wire::Connection;
use crate::wire::message::{Outcome, StreamAsk};

/// Answers that are noted together at most.
const TOGETHER: usize = 256;
/// Before a stream that broke is opened anew.
const PAUSE: Duration = Duration::from_millis(100);

/// Where streams go, and what is the same for all their requests.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) connection: Connection,
    pub(crate) path: &'static str,
    pub(crate) form: Form,
    /// Unanswered requests at most.
    pub(crate) window: usize,
}

/// What was sent and is not answered: whose, and since when. The reader is on the same thread; the lock is for the types' sake.
#[derive(Default)]
pub(super) struct Unanswered {
    pub(super) sent: VecDeque<(u64, Instant)>,
    /// Whoever waits until there are fewer.
    pub(super) waiting: Option<Waker>,
}

pub(super) type Shared = Arc<Mutex<Unanswered>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what is sent next.
pub(super) trait Source {
    /// What a stream sends. Each request stands in the queue of unanswered ones.
    fn requests(&self) -> impl Stream<Item = StreamAsk> + Send + 'static;
    /// That queue.
    fn unanswered(&self) -> &Shared;
    /// Those in it that were not sent will not be.
    fn forget_unsent(&self);
    /// Whether nothing more is to be sent.
    fn is_exhausted(&self) -> bool;
}

/// One stream after the other until there is nothing more to ask. What was unanswered when one broke is a fault.
pub(super) async fn streamed<A: Outcome>(lane: &Lane, source: &impl Source, log: &Log) {
    loop {
        let ended = stream::<A>(lane, source, log).await;
        let left = std::mem::take(&mut lock(source.unanswered()).sent);
        source.forget_unsent();
        let Err(status) = complete(ended, left.len()) else { return };
        let faults = left.into_iter().map(|(number, sent)| (number, sent, Answer::Fault(status.code())));
        log.note_all(faults, Instant::now());
        if source.is_exhausted() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        lane.connection.mend().await;
    }
}

/// A stream that ends with requests unanswered broke, whatever it says.
fn complete(ended: Result<(), Status>, left: usize) -> Result<(), Status> {
    match ended {
        Ok(()) if left > 0 => Err(Status::data_loss("the stream ended too early")),
        ended => ended,
    }
}

async fn stream<A: Outcome>(lane: &Lane, source: &impl Source, log: &Log) -> Result<(), Status> {
    let mut grpc = lane.connection.grpc().map_err(|error| Status::internal(error.to_string()))?;
    let (path, codec) = (PathAndQuery::from_static(lane.path), ProstCodec::<StreamAsk, A>::default());
    let answers = grpc.streaming(Request::new(source.requests()), path, codec).await?.into_inner();
    let mut answers = answers.ready_chunks(TOGETHER);
    while let Some(mut chunk) = answers.next().await {
        let now = Instant::now();
        let broken = chunk.pop_if(|last| last.is_err());
        note(chunk.into_iter().flatten(), source.unanswered(), log, now);
        if let Some(Err(status)) = broken {
            return Err(status);
        }
    }
    Ok(())
}

fn note<A: Outcome>(answers: impl Iterator<Item = A>, unanswered: &Shared, log: &Log, now: Instant) {
    let mut unanswered = lock(unanswered);
    let answers = answers.map_while(|answer| {
        let (number, sent) = unanswered.sent.pop_front()?;
        Some((number, sent, answer.answer()))
    });
    log.note_all(answers, now);
    if let Some(waiting) = unanswered.waiting.take() {
        waiting.wake();
    }
}
