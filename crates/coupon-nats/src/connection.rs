//! The connection, which is made and made again in the background.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, ServerError};
use tracing::{debug, info, warn};

use crate::config::{InvalidConfig, NatsConfig};

/// Between tries to connect, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A broker that does not answer so often is taken for dead after two more of these.
const PING: Duration = Duration::from_secs(10);

/// Why there is no publisher.
#[derive(Debug, thiserror::Error)]
pub enum NotSetUp {
    /// The settings cannot be used.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
    /// The credentials cannot be read.
    #[error("the credentials file cannot be used")]
    Credentials(#[source] std::io::Error),
    /// The driver refuses.
    #[error("the NATS client cannot be started: {0}")]
    Driver(async_nats::ConnectErrorKind),
}

/// A client, and why it is not connected.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    trouble: Arc<Mutex<String>>,
}

impl Connection {
    /// Returns at once, whether or not there is a broker.
    pub(crate) async fn start(config: &NatsConfig) -> Result<Self, NotSetUp> {
        config.check()?;
        let trouble = Arc::new(Mutex::new("not yet".to_owned()));
        let (noted, place) = (Arc::clone(&trouble), config.servers.to_string());
        let options = ConnectOptions::new()
            .name("coupon")
            .retry_on_initial_connect()
            .connection_timeout(config.timeout)
            .request_timeout(Some(config.timeout))
            .ping_interval(PING)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                note(&event, &place, &noted);
                async {}
            });
        let options = match (&config.credentials_file, &config.servers.user) {
            (Some(file), _) => options.credentials_file(file).await.map_err(NotSetUp::Credentials)?,
            (None, Some((user, password))) => options.user_and_password(user.clone(), password.clone()),
            (None, None) => options,
        };
        let client = options.connect(config.servers.addresses.as_slice()).await;
        let client = client.map_err(|error| NotSetUp::Driver(error.kind()))?;
        Ok(Self { client, trouble })
    }

    /// The last trouble with the connection, if there is none now.
    pub(crate) fn lacking(&self) -> Option<String> {
        let connected = self.client.connection_state() == State::Connected;
        let trouble = || self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (!connected).then(trouble)
    }
}

fn pause(attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
    (Duration::from_millis(5) * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
}

/// The driver's events name no user and no password.
fn note(event: &Event, place: &str, trouble: &Mutex<String>) {
    let note = |text: String| *trouble.lock().unwrap_or_else(PoisonError::into_inner) = text;
    match event {
        Event::Connected => info!(%place, "connected to NATS"),
        Event::Disconnected => {
            note("disconnected".to_owned());
            warn!(%place, "disconnected from NATS; trying again until it is there");
        }
        // One for each try.
        Event::ClientError(error) => {
            note(error.to_string());
            debug!(%place, %error, "no connection to NATS");
        }
        Event::ServerError(ServerError::AuthorizationViolation) => {
            note("authorization violation".to_owned());
            warn!(%place, "NATS refuses the user");
        }
        Event::ServerError(error) => warn!(%place, %error, "NATS reports an error"),
        Event::LameDuckMode | Event::Draining | Event::Closed | Event::SlowConsumer(_) => {
            debug!(%place, %event, "NATS")
        }
    }
}
