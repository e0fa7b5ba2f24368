//! Publishers, servers, and reading a stream back.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use coupon_domain::ports::Event;
use coupon_envelope::{event, source};
use coupon_nats::{NatsConfig, NatsPublisher, Servers};
use coupon_testkit::nats::NatsServer;
use futures::StreamExt as _;
use prost::Message as _;

pub(crate) const STREAM: &str = "COUPON_EVENTS";
/// Short, for tests; long enough for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn config(url: &str) -> NatsConfig {
    let servers = Servers::parse(url).expect("a server");
    NatsConfig { timeout: TIMEOUT, ..NatsConfig::new(servers, source("test")) }
}

pub(crate) async fn publisher(server: &NatsServer) -> NatsPublisher {
    NatsPublisher::connect(config(&server.url())).await.expect("a publisher")
}

pub(crate) async fn jetstream(url: &str) -> jetstream::Context {
    jetstream::new(async_nats::connect(url).await.expect("it is there"))
}

/// Every message of the stream, in order; none if there is no stream.
pub(crate) async fn messages(url: &str) -> Vec<async_nats::Message> {
    let Ok(mut stream) = jetstream(url).await.get_stream(STREAM).await else { return Vec::new() };
    let count = stream.info().await.expect("a stream").state.messages;
    let from_the_first = OrderedConfig { deliver_policy: DeliverPolicy::All, ..OrderedConfig::default() };
    let consumer = stream.create_consumer(from_the_first).await.expect("a consumer");
    let messages = consumer.messages().await.expect("messages");
    let count = usize::try_from(count).expect("not so many");
    messages.take(count).map(|message| message.expect("a message").message).collect().await
}

pub(crate) fn read(message: &async_nats::Message) -> Event {
    event(&coupon_proto::v1::Event::decode(message.payload.clone()).expect("protobuf")).expect("an event")
}
