//! What every publisher keeps. The rules are listed here, once.

mod failing;
pub mod samples;
mod taking;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use coupon_domain::ports::{Event, EventPublisher};

/// Makes a test of each rule of a publisher. It is given the path of an async function that returns a
/// [`PublisherUnderTest`](crate::contract::publisher::PublisherUnderTest) with a receiver of its own; the caller depends on tokio with its
/// macros.
#[macro_export]
macro_rules! publisher_contract {
    ($make:path) => {
        $crate::publisher_rules! { contract_tests publisher, $make, }
    };
}

/// The list.
#[doc(hidden)]
#[macro_export]
macro_rules! publisher_rules {
    ($then:ident $($with:tt)*) => {
        $crate::$then! { $($with)* [
            taking:
                an_event_of_each_kind_arrives_with_all_its_fields,
                a_repeat_is_known_by_its_id,
                events_of_a_key_arrive_in_order,
                many_are_told_at_once,
                nothing_to_tell_is_told_at_once;
            failing:
                a_receiver_that_is_down_takes_nothing_and_later_everything,
                a_receiver_that_hangs_ends_in_the_time_out,
                one_that_is_refused_takes_no_other_with_it,
                whatever_was_taken_survives_the_receivers_end;
        ] }
    };
}

publisher_rules! { contract_rules }

/// A publisher and the only receiver that it tells.
pub struct PublisherUnderTest {
    /// The adapter.
    pub publisher: Arc<dyn EventPublisher>,
    /// Its receiver.
    pub receiver: Box<dyn ReceiverUnderTest>,
    /// The time after which it gives a try up.
    pub gives_up_after: Duration,
}

/// A receiver, with its means of misbehaving.
#[async_trait]
pub trait ReceiverUnderTest: Send + Sync {
    /// What it has for good: each id once, in the order of arrival.
    async fn taken(&mut self) -> Vec<Event>;
    /// Kills it: whatever was not for good is gone, and every connection broken.
    async fn go_down(&mut self);
    /// Starts it in the same place with what it had for good.
    async fn come_up(&mut self);
    /// From now on it accepts but does not answer.
    async fn hang(&mut self);
    /// From now on it answers again.
    async fn resume(&mut self);
    /// From now on it takes no event of this id; false if a receiver of this kind cannot do that.
    fn refuse(&mut self, id: &str) -> bool;
}

/// How long a receiver may take to be found again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between tries.
const POLL: Duration = Duration::from_millis(5);

/// Tells them again and again until all are taken, as delivery does.
async fn until_taken(publisher: &dyn EventPublisher, events: &[Event]) {
    let deadline = Instant::now() + PATIENCE;
    let mut open = events.to_vec();
    loop {
        let results = publisher.publish(&open).await;
        assert_eq!(results.len(), open.len(), "each event has its result");
        let reasons: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).cloned().collect();
        let mut results = results.into_iter();
        open.retain(|_| results.next().is_some_and(|result| result.is_err()));
        if open.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{} events are not taken: {reasons:?}", open.len());
        tokio::time::sleep(POLL).await;
    }
}
