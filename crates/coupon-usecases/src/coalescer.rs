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

type Reply<A> = oneshot::Sender<Result<Vec<A>, Fault>>;

/// What one caller asks at a time.
#[derive(Debug)]
struct Waiting<Q, A> {
    questions: Vec<Q>,
    reply: Reply<A>,
}

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
        let (reply, answers) = oneshot::channel();
        let waiting = Waiting { questions: vec![question], reply };
        self.queue.try_send(waiting).map_err(|_| Fault::Overloaded { retry_after: RETRY_AFTER_FULL })?;
        let answer = answers.await.unwrap_or_else(|_| Err(ended()))?.pop();
        answer.ok_or_else(ended)
    }

    /// Asks several questions in one batch, and waits for the answers in their order; first for room, if too many are waiting. They are no
    /// more than a batch has.
    ///
    /// # Errors
    /// What the batch failed with.
    pub async fn ask_all(&self, questions: Vec<Q>) -> Result<Vec<A>, Fault> {
        let (reply, answers) = oneshot::channel();
        self.queue.send(Waiting { questions, reply }).await.map_err(|_| ended())?;
        answers.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn ended() -> Fault {
    Fault::internal("the batch ended without an answer")
}

async fn gather<Q, A, F, R>(limits: Limits, mut waiting: mpsc::Receiver<Waiting<Q, A>>, run: Arc<R>)
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Future<Output = Result<Vec<A>, Fault>> + Send + 'static,
    R: Fn(Vec<Q>) -> F + Send + Sync + 'static,
{
    let in_flight = Arc::new(Semaphore::new(limits.in_flight));
    let mut next = None;
    // The permit first: while all are taken, calls gather.
    while let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await {
        let first = match next.take() {
            Some(first) => first,
            None => match waiting.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let mut batch = Batch::of(first);
        while let Ok(further) = waiting.try_recv() {
            if batch.questions.len() + further.questions.len() > limits.batch {
                next = Some(further);
                break;
            }
            batch.add(further);
        }
        let run = Arc::clone(&run);
        tokio::spawn(async move {
            metrics::histogram!("coupon_batch_size").record(batch.questions.len() as f64);
            deliver(run(batch.questions).await, batch.callers);
            drop(permit);
        });
    }
}

/// Questions of several callers, and how many each of them asks.
struct Batch<Q, A> {
    questions: Vec<Q>,
    callers: Vec<(usize, Reply<A>)>,
}

impl<Q, A> Batch<Q, A> {
    fn of(first: Waiting<Q, A>) -> Self {
        Self { callers: vec![(first.questions.len(), first.reply)], questions: first.questions }
    }

    fn add(&mut self, further: Waiting<Q, A>) {
        self.callers.push((further.questions.len(), further.reply));
        self.questions.extend(further.questions);
    }
}

/// A caller who has left does not want the answers; that is no fault.
fn deliver<A>(answers: Result<Vec<A>, Fault>, callers: Vec<(usize, Reply<A>)>) {
    match answers {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for (count, reply) in callers {
                drop(reply.send(Ok(answers.by_ref().take(count).collect())));
            }
        }
        Err(fault) => callers.into_iter().for_each(|(_, reply)| drop(reply.send(Err(fault.clone())))),
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
    async fn several_questions_of_one_caller_stay_together_and_wait_for_room() {
        let (open, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
        let lane = doubler(Arc::clone(&open), Arc::clone(&sizes));
        let mut calls: Vec<_> = (20..60).map(|n| Box::pin(lane.ask_all(vec![n, n + 100]))).collect();
        for call in &mut calls {
            assert!(futures::poll!(call).is_pending(), "nobody is refused");
        }
        open.add_permits(1);

        let answers: Vec<_> = join_all(calls).await.into_iter().map(|answers| answers.expect("no fault")).collect();

        assert_eq!(answers, (20..60).map(|n| vec![2 * n, 2 * n + 200]).collect::<Vec<_>>());
        assert!(sizes.lock().expect("not poisoned").iter().all(|size| *size == 2), "a batch has three at most");
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
