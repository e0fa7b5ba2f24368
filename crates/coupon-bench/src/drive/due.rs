//! Open loop of streams: requests are sent at fixed times, dealt over the streams, whatever the answers do.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::Stream;
use futures::future::join_all;
use futures::stream::poll_fn;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::spawn_local;

use super::open::ticks;
use super::stream::{Lane, Shared, Source, lock, streamed};
use super::{Log, Numbers};
use crate::job::Form;
use crate::schedule::Schedule;
use crate::tally::Answer;
use crate::wire::message::{Outcome, StreamAsk};

/// The numbers of users whose requests are due, in a queue to one stream.
#[derive(Clone)]
struct Due {
    unanswered: Shared,
    numbers: Arc<Mutex<UnboundedReceiver<u64>>>,
    form: Form,
}

impl Source for Due {
    fn requests(&self) -> impl Stream<Item = StreamAsk> + Send + 'static {
        let (numbers, form) = (Arc::clone(&self.numbers), self.form.clone());
        poll_fn(move |context| {
            let number = lock(&numbers).poll_recv(context);
            number.map(|number| Some(StreamAsk { ask: Some(form.ask(number?)) }))
        })
    }

    fn unanswered(&self) -> &Shared {
        &self.unanswered
    }

    fn forget_unsent(&self) {
        let mut numbers = lock(&self.numbers);
        while numbers.try_recv().is_ok() {}
    }

    fn is_exhausted(&self) -> bool {
        lock(&self.numbers).is_closed()
    }
}

/// The sending end of a stream.
struct Outlet {
    unanswered: Shared,
    numbers: UnboundedSender<u64>,
    window: usize,
}

impl Outlet {
    /// Sends it, if there is room.
    fn send(&self, number: u64, scheduled: Instant) -> bool {
        let mut unanswered = lock(&self.unanswered);
        let sent = unanswered.sent.len() < self.window && self.numbers.send(number).is_ok();
        if sent {
            unanswered.sent.push_back((number, scheduled));
        }
        sent
    }
}

/// Sends so many requests by the schedule, over all these streams in turn.
pub(crate) async fn due<A: Outcome>(
    lanes: impl Iterator<Item = Lane>,
    schedule: Schedule,
    count: u64,
    numbers: &Numbers,
    log: &Rc<Log>,
) {
    let (mut outlets, mut streams) = (Vec::new(), Vec::new());
    for lane in lanes {
        let (sender, receiver) = unbounded_channel();
        let unanswered = Shared::default();
        outlets.push(Outlet { unanswered: Arc::clone(&unanswered), numbers: sender, window: lane.window });
        let source = Due { unanswered, numbers: Arc::new(Mutex::new(receiver)), form: lane.form.clone() };
        let log = Rc::clone(log);
        streams.push(spawn_local(async move { streamed::<A>(&lane, &source, &log).await }));
    }
    let (mut ticks, mut sent) = (ticks(schedule, count), 0);
    let mut outlet = outlets.iter().cycle();
    while let Some(due) = ticks.recv().await {
        for (n, number) in (sent..due).map_while(|n| Some((n, numbers.next()?))) {
            let scheduled = schedule.at(n);
            if !outlet.next().is_some_and(|outlet| outlet.send(number, scheduled)) {
                log.note(number, scheduled, Instant::now(), Answer::NotSent);
            }
        }
        sent = due;
    }
    // The streams end when they know that nothing more comes.
    drop(outlets);
    join_all(streams).await;
}
