//! The rules of every publisher.

use std::sync::Arc;

use async_trait::async_trait;
use coupon_domain::ports::Event;
use coupon_testkit::contract::publisher::{PublisherUnderTest, ReceiverUnderTest};
use coupon_testkit::nats::NatsServer;

use crate::support::{TIMEOUT, messages, publisher, read};

struct Broker(NatsServer);

#[async_trait]
impl ReceiverUnderTest for Broker {
    async fn taken(&mut self) -> Vec<Event> {
        messages(&self.0.url()).await.iter().map(read).collect()
    }

    async fn go_down(&mut self) {
        self.0.kill().expect("killed");
    }

    async fn come_up(&mut self) {
        self.0.restart().await.expect("it starts again");
    }

    async fn hang(&mut self) {
        self.0.pause().await.expect("stopped");
    }

    async fn resume(&mut self) {
        self.0.resume().expect("it goes on");
    }

    fn refuse(&mut self, _id: &str) -> bool {
        false
    }
}

async fn with_a_server() -> PublisherUnderTest {
    let server = NatsServer::start().await.expect("a private server");
    let publisher = Arc::new(publisher(&server).await);
    PublisherUnderTest { publisher, receiver: Box::new(Broker(server)), gives_up_after: TIMEOUT }
}

mod nats_keeps_the_publisher_contract {
    coupon_testkit::publisher_contract!(super::with_a_server);
}
