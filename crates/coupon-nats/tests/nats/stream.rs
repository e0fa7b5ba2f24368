//! What only a broker has: streams, subjects, users, limits.

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{Config as StreamConfig, StorageType};
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::{Event, EventKind, EventPublisher as _};
use coupon_nats::NatsPublisher;
use coupon_testkit::contract::publisher::samples::{of_kind, wave};
use coupon_testkit::nats::NatsServer;

use crate::support::{STREAM, config, jetstream, messages, publisher, read};

/// Until the connection is there.
async fn told(publisher: &NatsPublisher, events: &[Event]) -> Vec<Option<String>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let results = publisher.publish(events).await;
        let reasons: Vec<_> = results.into_iter().map(|result| result.err().map(|not_told| not_told.0)).collect();
        let unconnected = reasons.iter().flatten().any(|reason| reason == "no connection to NATS: not yet");
        if !unconnected || Instant::now() > deadline {
            return reasons;
        }
        tokio::task::yield_now().await;
    }
}

async fn server() -> NatsServer {
    NatsServer::start().await.expect("a private server")
}

#[tokio::test]
async fn a_message_says_what_it_is_in_its_subject_and_headers() {
    let server = server().await;
    let mut event = of_kind(EventKind::CouponRolledBack);
    event.campaign = CampaignId::parse("spring.2026").expect("an id");
    assert_eq!(told(&publisher(&server).await, std::slice::from_ref(&event)).await, [None]);

    let message = &messages(&server.url()).await[0];

    assert_eq!(message.subject.as_str(), "coupon.v1.coupon.rolled_back.spring_2026");
    let header = |name: &str| message.headers.as_ref().and_then(|h| h.get(name)).map(|value| value.as_str().to_owned());
    let expected = [
        ("Nats-Msg-Id", event.id.as_str()),
        ("content-type", "application/protobuf"),
        ("ce-specversion", "1.0"),
        ("ce-id", &event.id),
        ("ce-source", "/coupon/test"),
        ("ce-type", "coupon.v1.coupon.rolled_back"),
        ("ce-subject", "r-7-3"),
        ("ce-time", "2026-04-24T15:00:00.000001Z"),
    ];
    for (name, value) in expected {
        assert_eq!(header(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(read(message), event);
}

#[tokio::test]
async fn a_stream_is_made_on_files_and_made_again_when_it_is_gone() {
    let server = server().await;
    let publisher = publisher(&server).await;
    assert_eq!(told(&publisher, &wave("a", 0, 3)).await, [None, None, None]);
    let jetstream = jetstream(&server.url()).await;
    let made = jetstream.get_stream(STREAM).await.expect("it is there").cached_info().config.clone();
    assert_eq!(made.subjects, ["coupon.v1.>"]);
    assert_eq!((made.storage, made.duplicate_window), (StorageType::File, Duration::from_secs(7200)));

    jetstream.delete_stream(STREAM).await.expect("it was there");

    assert_eq!(told(&publisher, &wave("b", 0, 3)).await, [None, None, None]);
    assert_eq!(messages(&server.url()).await.len(), 3);
}

#[tokio::test]
async fn a_stream_that_is_there_is_left_as_it_is() {
    let server = server().await;
    let theirs = StreamConfig {
        name: STREAM.to_owned(),
        subjects: vec!["coupon.v1.>".to_owned(), "other.>".to_owned()],
        max_age: Duration::from_secs(3600),
        ..StreamConfig::default()
    };
    let jetstream = jetstream(&server.url()).await;
    jetstream.create_stream(theirs).await.expect("made");

    assert_eq!(told(&publisher(&server).await, &wave("a", 0, 1)).await, [None]);

    let found = jetstream.get_stream(STREAM).await.expect("it is there").cached_info().config.clone();
    assert_eq!((found.subjects.len(), found.max_age), (2, Duration::from_secs(3600)));
}

#[tokio::test]
async fn an_event_never_lands_in_somebody_elses_stream() {
    let server = server().await;
    let theirs =
        StreamConfig { name: "ALL".to_owned(), subjects: vec!["coupon.>".to_owned()], ..StreamConfig::default() };
    let jetstream = jetstream(&server.url()).await;
    let mut all = jetstream.create_stream(theirs).await.expect("made");

    let reasons = told(&publisher(&server).await, &wave("a", 0, 1)).await;

    assert!(reasons[0].as_ref().is_some_and(|reason| reason.contains("stream")), "{reasons:?}");
    assert_eq!(all.info().await.expect("a stream").state.messages, 0);
}

#[tokio::test]
async fn one_that_is_too_large_takes_no_other_with_it() {
    let server = NatsServer::start_with("max_payload: 4096").await.expect("a private server");
    let publisher = publisher(&server).await;
    let mut events = wave("a", 0, 30);
    events[11].details.reason = Some("x".repeat(5_000));

    let reasons = told(&publisher, &events).await;

    let refused: Vec<_> = (0..reasons.len()).filter(|&n| reasons[n].is_some()).collect();
    assert_eq!(refused, [11], "{reasons:?}");
    assert_eq!(messages(&server.url()).await.len(), 29);
}

#[tokio::test]
async fn without_jetstream_nothing_is_told() {
    let server = server().await;
    let mut config = config(&server.url());
    // As a broker without JetStream: nobody keeps the subject, and no stream can be made.
    config.stream = "X".repeat(300);
    let publisher = NatsPublisher::connect(config).await.expect("a publisher");

    let reasons = told(&publisher, &wave("a", 0, 2)).await;

    assert!(reasons.iter().flatten().all(|reason| reason.contains("cannot be made")), "{reasons:?}");
    assert_eq!(reasons.len(), 2);
}

#[tokio::test]
async fn a_user_comes_with_the_password_of_the_url() {
    let server =
        NatsServer::start_with("authorization { user: ada, password: \"p@ss word\" }").await.expect("a server");
    let url = |user: &str| server.url().replace("nats://", &format!("nats://{user}@"));
    let ada = NatsPublisher::connect(config(&url("ada:p%40ss%20word"))).await.expect("a publisher");
    assert_eq!(told(&ada, &wave("a", 0, 1)).await, [None]);

    let bob = NatsPublisher::connect(config(&url("bob:secret"))).await.expect("a publisher");
    let reasons = told(&bob, &wave("b", 0, 1)).await;

    assert!(reasons[0].as_ref().is_some_and(|reason| reason.ends_with("authorization violation")), "{reasons:?}");
}

#[tokio::test]
async fn nobody_waits_for_a_broker_that_is_not_there() {
    let mut server = server().await;
    server.kill().expect("killed");
    let publisher = publisher(&server).await;

    let begun = Instant::now();
    let results = publisher.publish(&wave("a", 0, 5_000)).await;

    assert!(results.len() == 5_000 && results.iter().all(Result::is_err));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_leave_in_seconds() {
    const WAVES: usize = 391;
    let server = server().await;
    let publisher = publisher(&server).await;
    assert_eq!(told(&publisher, &wave("first", 0, 1)).await, [None]);

    let begun = Instant::now();
    for n in 0..WAVES {
        assert!(publisher.publish(&wave("a", n, 256)).await.iter().all(Result::is_ok));
    }
    let took = begun.elapsed();

    // Some seconds; the bound is for a machine that has other things to do.
    assert!(took < Duration::from_secs(60), "{took:?}");
    let stream = jetstream(&server.url()).await.get_stream(STREAM).await.expect("it is there");
    assert_eq!(stream.cached_info().state.messages, 1 + 256 * 391);
}
