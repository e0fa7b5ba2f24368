//! What only HTTP can do wrong.

use std::time::Instant;

use coupon_domain::ports::{Event, EventPublisher as _};
use coupon_testkit::contract::publisher::samples::wave;
use coupon_testkit::receiver::{Mood, WebhookReceiver};
use coupon_webhook::{Target, WebhookPublisher};

use crate::support::{NEWER, SECRET, TIMEOUT, config, publisher};

async fn receiver() -> WebhookReceiver {
    WebhookReceiver::start(&[SECRET]).await.expect("a receiver")
}

/// What becomes of one event.
async fn told(publisher: &WebhookPublisher, run: &str) -> Result<(), String> {
    let results: Vec<_> = publisher.publish(&wave(run, 0, 1)).await;
    results.into_iter().next().expect("a result").map_err(|not_told| not_told.0)
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (receiver, elsewhere) = (receiver().await, receiver().await);
    receiver.set_mood(Mood::Redirecting(elsewhere.url()));
    let publisher = publisher(config(&receiver.url(), &[SECRET]));

    assert_eq!(told(&publisher, "a").await, Err("the receiver answered 307".to_owned()));

    assert!(elsewhere.taken().is_empty() && elsewhere.unsigned().is_empty());
}

#[tokio::test]
async fn every_2xx_is_a_yes_and_everything_else_a_no() {
    let receiver = receiver().await;
    let publisher = publisher(config(&receiver.url(), &[SECRET]));
    for status in [200, 201, 202, 204, 299] {
        receiver.set_mood(Mood::Refusing(status));
        assert_eq!(told(&publisher, "a").await, Ok(()), "{status}");
    }
    for status in [300, 304, 400, 401, 404, 410, 429, 500, 503] {
        receiver.set_mood(Mood::Refusing(status));
        assert_eq!(told(&publisher, "a").await, Err(format!("the receiver answered {status}")));
    }
}

#[tokio::test]
async fn a_secret_is_exchanged_without_a_gap() {
    let receiver = receiver().await;
    let both = publisher(config(&receiver.url(), &[NEWER, SECRET]));
    assert_eq!(told(&both, "a").await, Ok(()));
    receiver.set_secrets(&[NEWER]);
    assert_eq!(told(&both, "b").await, Ok(()));

    let old = publisher(config(&receiver.url(), &[SECRET]));
    assert_eq!(told(&old, "c").await, Err("the receiver answered 401".to_owned()));
    assert_eq!(receiver.unsigned(), ["c-0-0: no signature fits"]);
}

#[tokio::test]
async fn a_long_answer_is_not_read() {
    let receiver = receiver().await;
    receiver.set_mood(Mood::Chatty(256 << 20));
    let publisher = publisher(config(&receiver.url(), &[SECRET]));

    assert_eq!(told(&publisher, "a").await, Ok(()));
}

#[tokio::test]
async fn no_more_are_under_way_than_were_allowed() {
    let receiver = receiver().await;
    let mut config = config(&receiver.url(), &[SECRET]);
    config.concurrency = 3;
    let publisher = publisher(config);

    let results = publisher.publish(&wave("a", 0, 200)).await;

    assert!(results.iter().all(Result::is_ok));
    assert!((1..=3).contains(&receiver.most_at_once()), "{}", receiver.most_at_once());
}

#[tokio::test]
async fn those_that_hang_hold_up_no_others() {
    let receiver = receiver().await;
    let hung: Vec<Event> = wave("hung", 0, 31);
    let publisher = publisher(config(&receiver.url(), &[SECRET]));
    receiver.set_mood(Mood::Hanging);
    let waiting = async { (publisher.publish(&hung).await, receiver.taken().len()) };
    let others = async {
        // All of the first are with the receiver before it wakes up for the others.
        while hung.iter().any(|event| receiver.tries(&event.id) == 0) {
            tokio::task::yield_now().await;
        }
        receiver.set_mood(Mood::Taking);
        publisher.publish(&wave("other", 0, 200)).await
    };

    let begun = Instant::now();
    let ((results, taken), others) = tokio::join!(waiting, others);

    assert!(results.iter().all(Result::is_err) && others.iter().all(Result::is_ok));
    assert_eq!(taken, 200);
    assert!(begun.elapsed() < TIMEOUT * 4);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_resolved() {
    let receiver = receiver().await;
    let mut config = config(&receiver.url(), &[SECRET]);
    config.target = Target::parse(&format!("https://localhost:{}/hooks", receiver.port()), false).expect("a name");

    let refused = told(&publisher(config), "a").await;

    assert_eq!(refused, Err("the receiver's name has no address that is allowed".to_owned()));
}

#[tokio::test]
async fn a_receiver_without_tls_is_not_spoken_to_as_if_it_had_it() {
    let receiver = receiver().await;
    let config = config(&receiver.url().replace("http:", "https:"), &[SECRET]);

    assert_eq!(told(&publisher(config), "a").await, Err("the receiver cannot be connected to".to_owned()));

    assert!(receiver.taken().is_empty());
}

#[tokio::test]
async fn what_went_wrong_is_said_without_what_is_secret() {
    let mut receiver = receiver().await;
    let url = receiver.url().replace("http://", "http://user:password@") + "?key=word";
    let publisher = publisher(config(&url, &[SECRET]));
    receiver.set_mood(Mood::Refusing(500));
    let refused = told(&publisher, "a").await;
    receiver.go_down().await;
    let down = told(&publisher, "b").await;

    assert_eq!(refused, Err("the receiver answered 500".to_owned()));
    assert_eq!(down, Err("the receiver cannot be connected to".to_owned()));
}
