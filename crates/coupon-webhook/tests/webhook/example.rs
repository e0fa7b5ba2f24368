//! The receiver that the documentation shows, a process of its own.

use std::collections::HashSet;
use std::sync::Arc;

use coupon_domain::ports::{Clock, Event, EventPublisher as _};
use coupon_domain::time::Timestamp;
use coupon_envelope::event_of_json;
use coupon_testkit::contract::publisher::samples::wave;
use coupon_testkit::server::{ChildServer, free_port};
use coupon_webhook::WebhookPublisher;

use crate::support::{NEWER, SECRET, config, publisher};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/webhook_receiver.py");

/// It compares timestamps with its own clock.
struct Running;

impl Clock for Running {
    #[expect(clippy::disallowed_methods, reason = "this is a clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        Timestamp::EPOCH.plus(since)
    }
}

struct Example {
    child: ChildServer,
    port: u16,
}

impl Example {
    async fn start() -> Self {
        let (mut child, port) = (ChildServer::new().expect("a folder"), free_port().expect("a port"));
        let secrets = format!("WEBHOOK_SECRETS={SECRET} {NEWER}");
        child.start(&["env", &secrets, "python3", SCRIPT, "events", &port.to_string()]).expect("python3 is installed");
        child.listens_on(port).await.expect("it listens");
        Self { child, port }
    }

    fn publisher(&self, secret: &str) -> WebhookPublisher {
        let config = config(&format!("http://127.0.0.1:{}/", self.port), &[secret]);
        WebhookPublisher::new(config, Arc::new(Running)).expect("a publisher")
    }

    /// What its file has.
    fn kept(&self) -> Vec<Event> {
        let text = std::fs::read_to_string(self.child.folder().join("events")).expect("a file");
        let event = |line: &str| {
            let (id, document) = line.split_once(' ').expect("an id and a document");
            let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
            let event = event_of_json(&document["data"]).expect("an event");
            assert_eq!(event.id, id);
            event
        };
        text.lines().map(event).collect()
    }
}

#[tokio::test]
async fn it_keeps_each_event_once_and_refuses_what_is_not_signed() {
    let example = Example::start().await;
    let events = wave("a", 0, 40);
    for secret in [SECRET, NEWER] {
        assert!(example.publisher(secret).publish(&events).await.iter().all(Result::is_ok));
    }
    let wrong = example.publisher("whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=").publish(&events).await;
    let late = publisher(config(&format!("http://127.0.0.1:{}/", example.port), &[SECRET])).publish(&events).await;

    let unsigned = |result: &Result<(), _>| format!("{result:?}").contains("answered 401");
    assert!(wrong.iter().all(unsigned), "{wrong:?}");
    assert!(late.iter().all(unsigned), "a signature of another time is worth nothing: {late:?}");
    let mut kept = example.kept();
    kept.sort_by_key(|event| events.iter().position(|other| other.id == event.id));
    assert_eq!(kept, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_it_answered_survives_its_end() {
    const WAVES: usize = 12;
    let mut example = Example::start().await;
    let publisher = Arc::new(example.publisher(SECRET));
    let mut said = HashSet::new();
    for kill in 0..3 {
        let sending = tokio::spawn({
            let publisher = Arc::clone(&publisher);
            async move { tell_until_it_ends(&publisher, kill, WAVES).await }
        });
        // In the midst of it.
        while example.kept_bytes() < 20_000 * (kill + 1) && !sending.is_finished() {
            tokio::task::yield_now().await;
        }
        example.child.kill().expect("killed");
        said.extend(sending.await.expect("no panic"));
        example.child.start_again().expect("started");
        example.child.listens_on(example.port).await.expect("it listens");

        let kept: Vec<_> = example.kept().into_iter().map(|event| event.id).collect();
        let ids: HashSet<_> = kept.iter().cloned().collect();
        assert!(said.is_subset(&ids), "{:?}", said.difference(&ids));
        assert_eq!(ids.len(), kept.len(), "each is there once");
    }
}

impl Example {
    fn kept_bytes(&self) -> usize {
        let length = std::fs::metadata(self.child.folder().join("events")).map_or(0, |file| file.len());
        usize::try_from(length).expect("not so many")
    }
}

/// The ids that were answered, up to the wave that broke off.
async fn tell_until_it_ends(publisher: &WebhookPublisher, run: usize, waves: usize) -> Vec<String> {
    let mut said = Vec::new();
    for n in 0..waves {
        let events = wave(&run.to_string(), n, 64);
        let results = publisher.publish(&events).await;
        said.extend(events.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(e, _)| e.id.clone()));
        if results.iter().any(Result::is_err) {
            break;
        }
    }
    said
}
