//! Many callers, one batch: concurrent calls are gathered while earlier batches are under way, so that one round trip and one fsync serve
//! them all. Lives above the ports and so serves every adapter.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::error::Fault;

/// How far calls are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Calls in a batch at most.
    pub batch: usize,
    /// Batches under way at most; while they are, further calls gather.
    pub in_flight: usize,
    /// Calls waiting at most; one more is refused, certainly not applied.
    pub queue: usize,
}

/// When a refused caller may come again.
const RETRY_AFTER_FULL: Duration = Duration::from_millis(100);

type Waiting<Q, A> = (Q, oneshot::Sender<Result<A, Fault>>);

/// A lane of like calls. Each call taken is carried out whether or not its caller stays.
#[derive(Debug)]
pub struct Coalescer<Q, A> {
    queue: mpsc::Sender<Waiting<Q, A>>,
}

impl<Q, A> Clone for Coalescer<Q, A> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Coalescer<Q, A> {
    /// Starts a lane that hands its batches to `run`, which answers in the order of the questions. The lane ends with its last sender.
    pub fn start<F>(limits: Limits, run: impl Fn(Vec<Q>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, Fault>> + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(limits.queue);
        tokio::spawn(gather(limits, waiting, Arc::new(run)));
        Self { queue }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`Fault::Overloaded`] if too many are waiting; else what the batch failed with.
    pub async fn ask(&self, question: Q) -> Result<A, Fault> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send((question, reply)).map_err(|_| Fault::Overloaded { retry_after: RETRY_AFTER_FULL })?;
        answer.await.unwrap_or_else(|_| Err(Fault::internal("the batch ended without an answer")))
    }
}

async fn gather<Q, A, F, R>(limits: Limits, mut waiting: mpsc::Receiver<Waiting<Q, A>>, run: Arc<R>)
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<Vec<A>, Fault>> + Send + 'static,
    R: Fn(Vec<Q>) -> F + Send + Sync + 'static,
{
    let in_flight = Arc::new(Semaphore::new(limits.in_flight));
    // The permit first: while all are taken, calls gather.
    while let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await {
        let mut batch = Vec::with_capacity(limits.batch.min(waiting.len().max(1)));
        if waiting.recv_many(&mut batch, limits.batch).await == 0 {
            return;
        }
        let run = Arc::clone(&run);
        tokio::spawn(async move {
            let (questions, replies): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            metrics::histogram!("coupon_batch_size").record(questions.len() as f64);
            deliver(run(questions).await, replies);
            drop(permit);
        });
    }
}

fn deliver<A>(answers: Result<Vec<A>, Fault>, replies: Vec<oneshot::Sender<Result<A, Fault>>>) {
    match answers {
        // A caller who has left does not want the answer; that is no fault.
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(Ok(answer)))),
        Err(fault) => replies.into_iter().for_each(|reply| drop(reply.send(Err(fault.clone())))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::Mutex;

    const LIMITS: Limits = Limits { batch: 3, in_flight: 1, queue: 8 };

    /// Doubles numbers, once the gate is open, and notes the sizes of the batches.
    fn doubler(open: Arc<Semaphore>, sizes: Arc<Mutex<Vec<usize>>>) -> Coalescer<u32, u32> {
        Coalescer::start(LIMITS, move |batch: Vec<u32>| {
            let (open, sizes) = (Arc::clone(&open), Arc::clone(&sizes));
            async move {
                let _permit = open.acquire().await;
                sizes.lock().expect("not poisoned").push(batch.len());
                if batch.contains(&13) {
                    Err(Fault::internal("unlucky"))
                } else {
                    Ok(batch.iter().map(|q| q * 2).collect())
                }
            }
        })
    }

    #[tokio::test]
    async fn calls_gather_while_a_batch_is_under_way_and_each_gets_its_own_answer() {
        let (open, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let lane = doubler(Arc::clone(&open), Arc::clone(&sizes));
        let calls: Vec<_> = (1..=7)
            .map(|q| {
                tokio::spawn({
                    let lane = lane.clone();
                    async move { lane.ask(q).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        open.add_permits(1);

        let answers: Vec<_> = join_all(calls).await.into_iter().map(|a| a.expect("ran").expect("no fault")).collect();

        assert_eq!(answers, [2, 4, 6, 8, 10, 12, 14]);
        assert!(sizes.lock().expect("not poisoned").iter().all(|size| *size <= 3));
    }

    #[tokio::test]
    async fn one_too_many_is_refused_and_the_others_are_served() {
        let (open, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let lane = doubler(Arc::clone(&open), sizes);
        let mut calls: Vec<_> = (1..=20)
            .map(|q| {
                Box::pin({
                    let lane = lane.clone();
                    async move { lane.ask(q).await }
                })
            })
            .collect();
        // Polling once puts each into the queue, or has it refused.
        let mut early = Vec::new();
        for call in &mut calls {
            early.push(futures::poll!(call));
        }
        open.add_permits(1);

        let refused =
            early.iter().filter(|p| matches!(p, std::task::Poll::Ready(Err(Fault::Overloaded { .. })))).count();
        let served = join_all(calls.into_iter().zip(early).filter(|(_, p)| p.is_pending()).map(|(c, _)| c)).await;
        assert_eq!(refused + served.len(), 20);
        assert!(refused > 0 && served.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_batch_that_fails_tells_each_of_its_callers() {
        let lane = doubler(Arc::new(Semaphore::new(1)), Arc::default());
        assert!(matches!(lane.ask(13).await, Err(Fault::Internal { .. })));
        assert_eq!(lane.ask(1).await.ok(), Some(2));
    }

    #[tokio::test]
    async fn a_call_is_carried_out_although_its_caller_has_left() {
        let (open, sizes) = (Arc::new(Semaphore::new(0)), Arc::new(Mutex::new(Vec::new())));
        let lane = doubler(Arc::clone(&open), Arc::clone(&sizes));
        let mut call = Box::pin(lane.ask(1));
        assert!(futures::poll!(&mut call).is_pending());
        drop(call);
        open.add_permits(1);
        lane.ask(2).await.expect("the lane goes on");
        assert_eq!(sizes.lock().expect("not poisoned").iter().sum::<usize>(), 2);
    }
}
