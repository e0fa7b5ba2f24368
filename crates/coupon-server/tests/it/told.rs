//! Events as receivers outside got them, against the feed.

use std::collections::{BTreeMap, BTreeSet};

use async_nats::jetstream;
use coupon_domain::ports::Event;
use coupon_proto::v1 as pb;
use coupon_testkit::receiver::Taken;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;

/// The stream that the service makes.
const STREAM: &str = "COUPON_EVENTS";
/// Messages asked for at once.
const AT_ONCE: usize = 64;

/// The event of a CloudEvents document, whose attributes say the same as its data.
pub(crate) fn of_document(id: &str, document: &[u8]) -> Event {
    let document: serde_json::Value = serde_json::from_slice(document).expect("a document");
    let event = coupon_envelope::event_of_json(&document["data"]).expect("an event");
    let attribute = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((attribute("id").as_str(), event.id.as_str()), (id, id));
    assert_eq!(attribute("specversion"), "1.0");
    assert_eq!(attribute("type"), format!("coupon.v1.{}", event.kind.as_str()));
    assert!(attribute("source").starts_with("/coupon/"), "{document}");
    event
}

/// The event of a webhook.
pub(crate) fn of_webhook(taken: &Taken) -> Event {
    assert_eq!(taken.content_type, coupon_envelope::CLOUD_EVENTS_JSON);
    of_document(&taken.id, &taken.body)
}

/// What NATS keeps, read on from where the last look ended.
pub(crate) struct NatsReader {
    context: jetstream::Context,
    next: u64,
    events: Vec<Event>,
}

impl NatsReader {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = async_nats::connect(url).await.expect("NATS answers");
        Self { context: jetstream::new(client), next: 1, events: Vec::new() }
    }

    /// All events that are there by now, in the order of the stream; each came with headers that say the same.
    pub(crate) async fn events(&mut self) -> &[Event] {
        // The service makes the stream with its first event.
        let Ok(stream) = self.context.get_stream(STREAM).await else { return &self.events };
        let last = stream.cached_info().state.last_sequence;
        let messages = stream::iter(self.next..=last).map(|n| stream.get_raw_message(n)).buffered(AT_ONCE);
        let messages: Vec<_> = messages.try_collect().await.expect("NATS answers");
        self.events.extend(messages.iter().map(of_message));
        self.next = last + 1;
        &self.events
    }
}

fn of_message(message: &jetstream::message::StreamMessage) -> Event {
    let event = pb::Event::decode(message.payload.clone()).expect("an event in protobuf");
    let event = coupon_envelope::event(&event).expect("an event");
    let header = |name: &str| message.headers.get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!((header("Nats-Msg-Id"), header("ce-id")), (event.id.clone(), event.id.clone()));
    assert_eq!(header("ce-type"), format!("coupon.v1.{}", event.kind.as_str()));
    assert_eq!(header("content-type"), coupon_envelope::DATA_PROTOBUF);
    assert_eq!(message.subject.as_str(), format!("coupon.v1.{}.{}", event.kind.as_str(), event.campaign));
    event
}

/// Each event at its first arrival, and how many came again.
pub(crate) fn in_effect(events: &[Event]) -> (Vec<&Event>, usize) {
    let mut seen = BTreeSet::new();
    let once: Vec<_> = events.iter().filter(|event| seen.insert(&event.id)).collect();
    let repeats = events.len() - once.len();
    (once, repeats)
}

/// Whether all of the feed has arrived.
pub(crate) fn has_all(events: &[Event], feed: &[Event]) -> bool {
    let there: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
    feed.iter().all(|event| there.contains(&event.id))
}

/// All events of the feed arrived, once in effect, as they are in it, and those of one key in its order; nothing else did.
#[track_caller]
pub(crate) fn assert_told(who: &str, told: &[Event], feed: &[Event]) {
    let (told, _) = in_effect(told);
    let by_key = |events: Vec<&Event>| {
        let mut keys: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for event in events {
            keys.entry(event.key()).or_default().push(event.clone());
        }
        keys
    };
    let (told, expected) = (by_key(told), by_key(feed.iter().collect()));
    for (key, events) in &expected {
        assert_eq!(told.get(key), Some(events), "{who}: {key}");
    }
    let unknown: Vec<_> = told.keys().filter(|key| !expected.contains_key(*key)).collect();
    assert!(unknown.is_empty(), "{who}: {unknown:?} are in no feed");
}
