//! The rules of every publisher.

use std::sync::Arc;

use async_trait::async_trait;
use coupon_domain::ports::Event;
use coupon_envelope::event_of_json;
use coupon_testkit::contract::publisher::{PublisherUnderTest, ReceiverUnderTest};
use coupon_testkit::receiver::{Mood, Taken, WebhookReceiver};

use crate::support::{SECRET, TIMEOUT, config, publisher};

struct Shop(WebhookReceiver);

#[async_trait]
impl ReceiverUnderTest for Shop {
    async fn taken(&mut self) -> Vec<Event> {
        assert_eq!(self.0.unsigned(), [""; 0]);
        self.0.taken().iter().map(read).collect()
    }

    async fn go_down(&mut self) {
        self.0.go_down().await;
    }

    async fn come_up(&mut self) {
        self.0.come_up().await.expect("its port is free");
    }

    async fn hang(&mut self) {
        self.0.set_mood(Mood::Hanging);
    }

    async fn resume(&mut self) {
        self.0.set_mood(Mood::Taking);
    }

    fn refuse(&mut self, id: &str) -> bool {
        self.0.refuse(id);
        true
    }
}

fn read(taken: &Taken) -> Event {
    assert_eq!(taken.content_type, "application/cloudevents+json; charset=utf-8");
    let document: serde_json::Value = serde_json::from_slice(&taken.body).expect("JSON");
    assert_eq!(document["id"], taken.id.as_str());
    event_of_json(&document["data"]).expect("an event")
}

async fn with_a_receiver() -> PublisherUnderTest {
    let receiver = WebhookReceiver::start(&[SECRET]).await.expect("a receiver");
    let publisher = Arc::new(publisher(config(&receiver.url(), &[SECRET])));
    PublisherUnderTest { publisher, receiver: Box::new(Shop(receiver)), gives_up_after: TIMEOUT }
}

mod webhooks_keep_the_publisher_contract {
    coupon_testkit::publisher_contract!(super::with_a_receiver);
}
