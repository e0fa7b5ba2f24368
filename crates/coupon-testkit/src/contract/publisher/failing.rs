//! A receiver that is down, hangs, refuses, or is killed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coupon_domain::ports::Event;
use tokio::sync::watch;

use super::samples::wave;
use super::taking::in_order;
use super::{PublisherUnderTest, until_taken};

/// None of a call's events is told, and the same events are taken once the receiver is there again.
pub async fn a_receiver_that_is_down_takes_nothing_and_later_everything(mut tested: PublisherUnderTest) {
    until_taken(&*tested.publisher, &wave("a", 0, 5)).await;
    tested.receiver.go_down().await;

    let events = wave("b", 0, 20);
    let results = tested.publisher.publish(&events).await;
    assert_eq!(results.len(), events.len());
    assert!(results.iter().all(Result::is_err), "{results:?}");
    tested.receiver.come_up().await;
    until_taken(&*tested.publisher, &events).await;

    assert_eq!(tested.receiver.taken().await.len(), 25);
}

/// A receiver that accepts and does not answer costs one time-out, however many events there are.
pub async fn a_receiver_that_hangs_ends_in_the_time_out(mut tested: PublisherUnderTest) {
    until_taken(&*tested.publisher, &wave("a", 0, 5)).await;
    tested.receiver.hang().await;

    let (events, begun) = (wave("b", 0, 20), Instant::now());
    let results = tested.publisher.publish(&events).await;
    let took = begun.elapsed();
    assert!(results.len() == events.len() && results.iter().all(Result::is_err), "{results:?}");
    assert!(took < tested.gives_up_after + Duration::from_secs(10), "it took {took:?}");
    tested.receiver.resume().await;
    until_taken(&*tested.publisher, &events).await;

    assert_eq!(tested.receiver.taken().await.len(), 25);
}

/// Of forty at once one is refused: the others are taken, and each result stands where its event does.
pub async fn one_that_is_refused_takes_no_other_with_it(mut tested: PublisherUnderTest) {
    let events = wave("a", 0, 40);
    if !tested.receiver.refuse(&events[17].id) {
        return;
    }

    let results = tested.publisher.publish(&events).await;

    let refused: Vec<_> = (0..results.len()).filter(|&index| results[index].is_err()).collect();
    assert_eq!(refused, [17], "{results:?}");
    let taken = ids(&tested.receiver.taken().await);
    assert!(taken.len() == 39 && !taken.contains(&events[17].id));
}

/// Killed at moments that are different every time, many times over: nothing it was said to have is missing afterwards, and when
/// everything was told again, nothing is there twice or out of order.
pub async fn whatever_was_taken_survives_the_receivers_end(mut tested: PublisherUnderTest) {
    const KILLS: usize = 6;
    const WAVES: usize = 40;
    const COUPONS: usize = 64;
    for kill in 0..KILLS {
        let waves: Vec<_> = (0..WAVES).map(|n| wave(&kill.to_string(), n, COUPONS)).collect();
        let (told, mut progress) = watch::channel(0);
        let publisher = Arc::clone(&tested.publisher);
        let publishing = tokio::spawn({
            let waves = waves.clone();
            async move { publish_until_the_end(&*publisher, &waves, &told).await }
        });
        // Between two waves, or anywhere within one.
        progress.wait_for(|&told| told > kill % 3).await.expect("the receiver is up");
        for _ in 0..kill * 37 {
            tokio::task::yield_now().await;
        }
        tested.receiver.go_down().await;
        let said = publishing.await.expect("no panic");
        tested.receiver.come_up().await;

        let taken = ids(&tested.receiver.taken().await);
        let lost: Vec<_> = said.difference(&taken).collect();
        assert!(lost.is_empty(), "of {} said to be taken are lost: {lost:?}", said.len());
        for wave in &waves {
            until_taken(&*tested.publisher, wave).await;
        }
    }

    let taken = tested.receiver.taken().await;
    assert_eq!(taken.len(), KILLS * WAVES * COUPONS);
    assert_eq!(ids(&taken).len(), taken.len(), "each is there once");
    in_order(&taken);
}

/// The ids of those that were taken, up to the first wave of which one was not.
async fn publish_until_the_end(
    publisher: &dyn coupon_domain::ports::EventPublisher,
    waves: &[Vec<Event>],
    told: &watch::Sender<usize>,
) -> HashSet<String> {
    let mut taken = HashSet::new();
    for wave in waves {
        let results = publisher.publish(wave).await;
        taken.extend(wave.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(event, _)| event.id.clone()));
        told.send_modify(|told| *told += 1);
        if results.iter().any(Result::is_err) {
            break;
        }
    }
    taken
}

fn ids(events: &[Event]) -> HashSet<String> {
    events.iter().map(|event| event.id.clone()).collect()
}
