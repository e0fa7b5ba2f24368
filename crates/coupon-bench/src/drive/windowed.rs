//! Closed loop of streams: as long as fewer than a window of requests are unanswered, more are sent.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::Stream;

use super::stream::{Lane, Shared, Source, lock, streamed};
use super::{Log, Numbers};
use crate::job::Form;
use crate::wire::message::{Outcome, StreamAsk};

struct Windowed {
    unanswered: Shared,
    numbers: Arc<Numbers>,
    form: Form,
    window: usize,
}

struct Requests(Arc<Windowed>);

impl Stream for Requests {
    type Item = StreamAsk;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<StreamAsk>> {
        let Windowed { unanswered, numbers, form, window } = &*self.0;
        let mut unanswered = lock(unanswered);
        if unanswered.sent.len() >= *window {
            unanswered.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let Some(number) = numbers.next() else { return Poll::Ready(None) };
        unanswered.sent.push_back((number, Instant::now()));
        Poll::Ready(Some(StreamAsk { ask: Some(form.ask(number)) }))
    }
}

impl Source for Arc<Windowed> {
    fn requests(&self) -> impl Stream<Item = StreamAsk> + Send + 'static {
        Requests(Arc::clone(self))
    }

    fn unanswered(&self) -> &Shared {
        &self.unanswered
    }

    fn forget_unsent(&self) {}

    fn is_exhausted(&self) -> bool {
        self.numbers.is_exhausted()
    }
}

/// One stream, until all users have been asked for.
pub(crate) async fn windowed<A: Outcome>(lane: Lane, numbers: Arc<Numbers>, log: Rc<Log>) {
    let (form, window) = (lane.form.clone(), lane.window);
    let source = Arc::new(Windowed { unanswered: Shared::default(), numbers, form, window });
    streamed::<A>(&lane, &source, &log).await;
}
