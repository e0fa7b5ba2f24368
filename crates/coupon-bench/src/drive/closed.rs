//! Closed loop: each caller sends a request when the one before is answered. How fast, the service decides.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::task::spawn_local;

use super::{Log, Numbers};
use crate::job::Caller;
use crate::tally::Answer;

/// After a lost connection: a service that is away is not asked a million times a second.
const PAUSE: Duration = Duration::from_millis(20);

/// So many callers, dealt over the connections.
pub(crate) async fn closed<C: Caller>(connections: &[C], callers: usize, numbers: &Arc<Numbers>, log: &Rc<Log>) {
    let callers = connections.iter().cycle().take(callers);
    let loops = callers.map(|caller| spawn_local(call_on(caller.clone(), Arc::clone(numbers), Rc::clone(log))));
    join_all(loops).await;
}

async fn call_on(caller: impl Caller, numbers: Arc<Numbers>, log: Rc<Log>) {
    while let Some(number) = numbers.next() {
        let sent = Instant::now();
        let answer = caller.ask(number).await;
        log.note(number, sent, Instant::now(), answer);
        if matches!(answer, Answer::Fault(_)) {
            tokio::time::sleep(PAUSE).await;
            caller.mend().await;
        }
    }
}
