//! A thread that owns a store: commands wait in a bounded channel, are run in groups, and are answered when their group is durable.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

/// Commands that may wait; whoever comes later waits with the sending.
const WAITING: usize = 4096;
/// Commands in a group at most: a bound on how long the first one waits for the others.
const GROUP: usize = 1024;

/// What a worker owns.
pub(crate) trait Store: Send + 'static {
    /// Makes durable what was written since the last call. It does not return if it cannot.
    fn commit(&mut self);
}

/// Runs on the store and gives back what sends its answer.
type Command<S> = Box<dyn FnOnce(&mut S) -> Answer + Send>;
type Answer = Box<dyn FnOnce() + Send>;

/// The worker is gone: it has panicked. Whether the command was run is not known.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the thread that owns the store is gone")]
pub(crate) struct Gone;

/// The thread and the way to it. Dropping it waits until all that was sent is done.
pub(crate) struct Worker<S: Store> {
    commands: Option<mpsc::Sender<Command<S>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Store> Worker<S> {
    pub(crate) fn start(name: &str, store: S) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run_or_abort(store, receiver))?;
        Ok(Self { commands: Some(sender), thread: Some(thread) })
    }

    /// Runs a command on the store; the answer comes after the commit. Once sent, the command is run even if the caller goes away.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        let command: Command<S> = Box::new(move |store| {
            let result = command(store);
            Box::new(move || {
                // A caller who has gone away needs no answer.
                let _ = reply.send(result);
            })
        });
        let commands = self.commands.as_ref().ok_or(Gone)?;
        commands.send(command).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// Whether the thread still takes commands.
    pub(crate) fn is_alive(&self) -> bool {
        self.commands.as_ref().is_some_and(|commands| !commands.is_closed())
    }
}

impl<S: Store> Drop for Worker<S> {
    fn drop(&mut self) {
        // Without a sender the thread comes to its end; its files are closed when this returns.
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // It has panicked at worst, which its callers know.
            let _ = thread.join();
        }
    }
}

/// A process whose store is gone answers nobody any more and would look well: it ends instead, and nothing uncommitted was answered.
fn run_or_abort<S: Store>(store: S, commands: mpsc::Receiver<Command<S>>) {
    if catch_unwind(AssertUnwindSafe(|| run(store, commands))).is_err() {
        tracing::error!("the thread that owns a store has panicked; the process stops");
        std::process::abort();
    }
}

fn run<S: Store>(mut store: S, mut commands: mpsc::Receiver<Command<S>>) {
    let mut answers = Vec::with_capacity(GROUP);
    while let Some(first) = commands.blocking_recv() {
        answers.push(first(&mut store));
        while answers.len() < GROUP
            && let Ok(next) = commands.try_recv()
        {
            answers.push(next(&mut store));
        }
        store.commit();
        answers.drain(..).for_each(|answer| answer());
    }
}
