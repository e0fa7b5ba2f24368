//! Publishing.

use std::fmt::Write as _;

use async_nats::jetstream::context::{Context, ContextBuilder, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{Config as StreamConfig, StorageType};
use async_trait::async_trait;
use coupon_domain::ports::{Event, EventPublisher, NotTold};
use futures::future::join_all;
use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::config::NatsConfig;
use crate::connection::{Connection, NotSetUp};
use crate::message::{message, subject};

/// Events under way at once. Below what the driver lets wait for acknowledgements (it would wait for room that only its caller can make)
/// and below what its queue holds.
const WAVE: usize = 1_024;

/// See the crate.
pub struct NatsPublisher {
    config: NatsConfig,
    connection: Connection,
    jetstream: Context,
}

/// Why an event was not told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Untold {
    /// Nobody keeps this subject.
    NoStream,
    /// Anything else, for people.
    Because(String),
}

impl NatsPublisher {
    /// A publisher; whether there is a broker is seen later.
    ///
    /// # Errors
    /// If the settings or the credentials cannot be used.
    pub async fn connect(config: NatsConfig) -> Result<Self, NotSetUp> {
        let connection = Connection::start(&config).await?;
        let jetstream = ContextBuilder::new().timeout(config.timeout).ack_timeout(config.timeout);
        let jetstream = jetstream.build(connection.client.clone());
        Ok(Self { config, connection, jetstream })
    }

    /// Tells some that fit under way at once, in this order, and then waits for all acknowledgements together.
    async fn tell(&self, events: &[&Event]) -> Vec<Result<(), Untold>> {
        let deadline = Instant::now() + self.config.timeout;
        let mut sent = Vec::with_capacity(events.len());
        for event in events {
            sent.push(self.send(event, deadline).await);
        }
        let acknowledged = sent.into_iter().map(|sent| async move {
            match timeout_at(deadline, sent?.into_future()).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(untold(&error)),
                Err(_) => Err(Untold::Because("NATS did not acknowledge in time".to_owned())),
            }
        });
        join_all(acknowledged).await
    }

    async fn send(
        &self,
        event: &Event,
        deadline: Instant,
    ) -> Result<async_nats::jetstream::context::PublishAckFuture, Untold> {
        // The driver would keep it until it is connected, and its caller waiting.
        if let Some(trouble) = self.connection.lacking() {
            return Err(Untold::Because(format!("no connection to NATS: {trouble}")));
        }
        let message = message(event, &self.config.source, &self.config.stream);
        let sent = self.jetstream.send_publish(subject(&self.config.subject, event), message);
        match timeout_at(deadline, sent).await {
            Ok(Ok(acknowledgement)) => Ok(acknowledgement),
            Ok(Err(error)) => Err(untold(&error)),
            Err(_) => Err(Untold::Because("NATS takes nothing".to_owned())),
        }
    }

    /// Makes the stream if it is not there.
    async fn make_stream(&self) -> Result<(), Untold> {
        let config = StreamConfig {
            name: self.config.stream.clone(),
            description: Some("What has become of coupons".to_owned()),
            subjects: vec![format!("{}.>", self.config.subject)],
            storage: StorageType::File,
            num_replicas: 1,
            duplicate_window: self.config.duplicate_window,
            allow_direct: true,
            ..StreamConfig::default()
        };
        let made = self.jetstream.get_or_create_stream(config).await;
        made.map_err(|error| {
            Untold::Because(format!("the stream {} is not there and cannot be made: {error}", self.config.stream))
        })?;
        info!(stream = %self.config.stream, "the stream is there");
        Ok(())
    }

    /// Tells a wave, and once more those for which there was no stream.
    async fn tell_wave(&self, events: &[&Event]) -> Vec<Result<(), Untold>> {
        let mut results = self.tell(events).await;
        let homeless: Vec<_> = (0..results.len()).filter(|&n| results[n] == Err(Untold::NoStream)).collect();
        if homeless.is_empty() {
            return results;
        }
        match self.make_stream().await {
            Ok(()) => {
                let again: Vec<_> = homeless.iter().map(|&n| events[n]).collect();
                for (n, result) in homeless.into_iter().zip(self.tell(&again).await) {
                    results[n] = result;
                }
            }
            Err(untold) => homeless.into_iter().for_each(|n| results[n] = Err(untold.clone())),
        }
        results
    }
}

#[async_trait]
impl EventPublisher for NatsPublisher {
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), NotTold>> {
        let events: Vec<_> = events.iter().collect();
        let mut results = Vec::with_capacity(events.len());
        for wave in events.chunks(WAVE) {
            let told = self.tell_wave(wave).await;
            let none = told.iter().all(Result::is_err);
            results.extend(told.into_iter().map(|result| result.map_err(NotTold::from)));
            if none {
                // The rest would only wait as long as these did.
                let rest = events.len() - results.len();
                results.extend((0..rest).map(|_| Err(NotTold("not tried: NATS took none before it".to_owned()))));
                break;
            }
        }
        results
    }
}

impl From<Untold> for NotTold {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::NoStream => Self("no stream of NATS keeps its subject".to_owned()),
            Untold::Because(reason) => Self(reason),
        }
    }
}

/// In the driver's words; it names subjects and streams, and no secret.
fn untold(error: &PublishError) -> Untold {
    if error.kind() == PublishErrorKind::StreamNotFound {
        return Untold::NoStream;
    }
    let mut reason = format!("NATS did not take it: {}", error.kind());
    if let Some(source) = std::error::Error::source(error) {
        // Writing to a text cannot fail.
        let _ = write!(reason, ": {source}");
    }
    Untold::Because(reason)
}
