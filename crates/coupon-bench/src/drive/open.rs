//! Open loop: requests are sent at fixed times, whatever the answers do. A latency begins when its request was to be sent: if the service
//! (or this generator) stands still for a second, then every request of that second says so, and not just the one that waited.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::{Log, Numbers};
use crate::job::Caller;
use crate::schedule::Schedule;
use crate::tally::Answer;

/// The runtime's timers are a millisecond coarse; requests that are due within this are sent together.
const GRAIN: Duration = Duration::from_micros(200);

/// Sends so many requests by the schedule; of those that are due while `outstanding` are unanswered, none.
pub(crate) async fn open<C: Caller>(
    connections: &[C],
    schedule: Schedule,
    count: u64,
    outstanding: usize,
    numbers: &Numbers,
    log: &Rc<Log>,
) {
    let mut ticks = ticks(schedule, count);
    let unanswered = Rc::new(Cell::new(0));
    let mut calls = JoinSet::new();
    let (mut sent, mut next) = (0, connections.iter().cycle());
    while let Some(due) = ticks.recv().await {
        for (n, number) in (sent..due).map_while(|n| Some((n, numbers.next()?))) {
            let (scheduled, now) = (schedule.at(n), Instant::now());
            let Some(caller) = next.next().filter(|_| unanswered.get() < outstanding) else {
                log.note(number, scheduled, now, Answer::NotSent);
                continue;
            };
            unanswered.set(unanswered.get() + 1);
            let (caller, log, unanswered) = (caller.clone(), Rc::clone(log), Rc::clone(&unanswered));
            calls.spawn_local(async move {
                let answer = caller.ask(number).await;
                unanswered.set(unanswered.get() - 1);
                log.note(number, scheduled, Instant::now(), answer);
                if matches!(answer, Answer::Fault(_)) {
                    caller.mend().await;
                }
            });
        }
        sent = due;
        while calls.try_join_next().is_some() {}
    }
    calls.join_all().await;
}

/// How many requests are due by now, each time that there are more, from a thread that sleeps between.
pub(super) fn ticks(schedule: Schedule, count: u64) -> UnboundedReceiver<u64> {
    let (tell, ticks) = unbounded_channel();
    std::thread::spawn(move || {
        let mut told = 0;
        while told < count {
            let now = Instant::now();
            let due = schedule.due(now).min(count);
            if due > told {
                told = due;
                if tell.send(due).is_err() {
                    return;
                }
            }
            std::thread::sleep(schedule.at(due).saturating_duration_since(now).max(GRAIN));
        }
    });
    ticks
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::watch;
    use tokio::task::LocalSet;

    use super::*;
    use crate::given::Given;
    use crate::plan::Share;
    use crate::tally::Tally;

    /// Answers nobody until it has been asked for the user with this number, then everybody at once.
    #[derive(Clone)]
    struct Stalling {
        until: u64,
        reached: Rc<watch::Sender<bool>>,
    }

    impl Stalling {
        fn until(until: u64) -> Self {
            Self { until, reached: Rc::new(watch::Sender::new(false)) }
        }
    }

    impl Caller for Stalling {
        async fn ask(&self, number: u64) -> Answer {
            if number >= self.until {
                self.reached.send_replace(true);
            }
            let mut reached = self.reached.subscribe();
            let _sender_is_here = reached.wait_for(|reached| *reached).await;
            Answer::Yes(Some(number))
        }

        async fn mend(&self) {}
    }

    /// A thousand requests a second, in all so many, for a service that stalls.
    async fn load(caller: Stalling, count: u64, outstanding: usize) -> Tally {
        let start = Instant::now();
        let log = Rc::new(Log::new(start, Arc::default(), Arc::default()));
        let schedule = Schedule::new(start, 1000.0, Share::WHOLE);
        let numbers = Numbers::new(Share::WHOLE, 0, count, None);
        let connections = [caller];
        LocalSet::new().run_until(open(&connections, schedule, count, outstanding, &numbers, &log)).await;
        Rc::into_inner(log).expect("nobody else has it").into_notes().tally
    }

    #[tokio::test]
    async fn a_service_that_stands_still_is_seen_in_all_requests_of_that_time() {
        // The request number 200 is not sent before 200 ms have passed, and until then nobody is answered.
        let tally = load(Stalling::until(200), 250, 1000).await;
        let latency = tally.success_latency().expect("answers");
        assert_eq!(tally.successes(), 250);
        // A closed loop would have sent one request in that time.
        assert!(latency.max >= 199_000 && latency.p99 >= 190_000, "{latency:?}");
        assert!(latency.p50 >= 70_000, "{latency:?}");
    }

    #[tokio::test]
    async fn what_is_beyond_the_bound_is_not_sent_and_is_a_fault() {
        let caller = Stalling::until(30);
        let reached = Rc::clone(&caller.reached);
        let given = Arc::new(Given::default());
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let log = Rc::new(Log::new(start, given, Arc::clone(&done)));
        let schedule = Schedule::new(start, 10_000.0, Share::WHOLE);
        let numbers = Numbers::new(Share::WHOLE, 0, 50, None);
        // Ten are unanswered, and nobody will be answered until all others were refused.
        let release = async {
            while done.load(Ordering::Relaxed) < 40 {
                tokio::task::yield_now().await;
            }
            reached.send_replace(true);
        };
        let load = open(std::slice::from_ref(&caller), schedule, 50, 10, &numbers, &log);
        LocalSet::new().run_until(async { tokio::join!(load, release) }).await;
        drop(caller);
        let tally = Rc::into_inner(log).expect("nobody else has it").into_notes().tally;
        assert_eq!((tally.successes(), tally.faults()), (10, [("not sent".to_owned(), 40)].into()));
    }
}
