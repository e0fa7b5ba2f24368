//! Posting.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use coupon_domain::ports::{Clock, Event, EventPublisher, NotTold};
use coupon_envelope::{CLOUD_EVENTS_JSON, structured};
use futures::StreamExt as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use crate::address::{Forbidden, Resolver};
use crate::secret::Secret;
use crate::target::Target;
use crate::tls;

/// What is read of a response, so that its connection can be used again.
const RESPONSE_LIMIT: usize = 4096;
/// Servers close idle connections after some time, the hastiest known ones after 5 s; this is before they do.
const IDLE: Duration = Duration::from_secs(4);

/// How one receiver is told.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where it is.
    pub target: Target,
    /// What it shares, the newest first; at least one.
    pub secrets: Vec<Secret>,
    /// The attribute `source` of the installation's events.
    pub source: String,
    /// How long a try may take until it is answered.
    pub timeout: Duration,
    /// Events under way at once in one call.
    pub concurrency: usize,
}

impl WebhookConfig {
    /// One with the usual limits: 10 s, 32 at once.
    #[must_use]
    pub fn new(target: Target, secrets: Vec<Secret>, source: String) -> Self {
        Self { target, secrets, source, timeout: Duration::from_secs(10), concurrency: 32 }
    }
}

/// See the crate.
pub struct WebhookPublisher {
    config: WebhookConfig,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl WebhookPublisher {
    /// A publisher; nothing is sent yet. The clock is the one of `webhook-timestamp`.
    ///
    /// # Errors
    /// If there is no secret, or TLS cannot be set up.
    pub fn new(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, NotSetUp> {
        if config.secrets.is_empty() {
            return Err(NotSetUp("it has no secret"));
        }
        let client = Client::builder()
            .tls_backend_preconfigured(tls::config().map_err(|_| NotSetUp("TLS cannot be set up"))?)
            .dns_resolver(Resolver(config.target.allowed))
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .user_agent(concat!("coupon/", env!("CARGO_PKG_VERSION")))
            .timeout(config.timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(config.concurrency);
        let client = client.build().map_err(|_| NotSetUp("the HTTP client cannot be set up"))?;
        Ok(Self { config, client, clock })
    }

    async fn tell(&self, event: &Event) -> Result<(), NotTold> {
        let body = structured(event, &self.config.source);
        let timestamp = self.clock.now().micros().div_euclid(1_000_000);
        let signatures: Vec<_> = self.config.secrets.iter().map(|s| s.sign(&event.id, timestamp, &body)).collect();
        let request = self.client.post(self.config.target.url.clone()).body(body);
        let request = request.header(CONTENT_TYPE, CLOUD_EVENTS_JSON);
        let request = request.header("webhook-id", &event.id).header("webhook-timestamp", timestamp);
        let response = request.header("webhook-signature", signatures.join(" ")).send().await;
        let response = response.map_err(|error| NotTold(reason(&error).to_owned()))?;
        let status = response.status();
        if !status.is_success() {
            return Err(NotTold(format!("the receiver answered {}", status.as_u16())));
        }
        // From here on it is told.
        finish(response).await;
        Ok(())
    }
}

/// Why there is no publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotSetUp(&'static str);

#[async_trait]
impl EventPublisher for WebhookPublisher {
    async fn publish(&self, events: &[Event]) -> Vec<Result<(), NotTold>> {
        let unanswered = || Err(NotTold("it was not tried".to_owned()));
        let mut results: Vec<_> = events.iter().map(|_| unanswered()).collect();
        let tell = |(index, event)| async move { (index, self.tell(event).await) };
        let tries: Vec<_> = events.iter().enumerate().map(tell).collect();
        // In whatever order they end: a slow one holds up no other.
        let mut tries = futures::stream::iter(tries).buffer_unordered(self.config.concurrency.max(1));
        while let Some((index, result)) = tries.next().await {
            results[index] = result;
        }
        results
    }
}

/// Reads what is left of a short response, so that its connection can be used again; a longer one loses its connection.
async fn finish(mut response: Response) {
    let mut length = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        length += chunk.len();
        if length > RESPONSE_LIMIT {
            return;
        }
    }
}

/// The kind of a failure. The driver's own words may have the URL in them.
fn reason(error: &reqwest::Error) -> &'static str {
    if is_forbidden(error) {
        "the receiver's name has no address that is allowed"
    } else if error.is_timeout() {
        "the receiver did not answer in time"
    } else if error.is_connect() {
        "the receiver cannot be connected to"
    } else if error.is_builder() {
        "the request cannot be made"
    } else {
        "the connection to the receiver broke"
    }
}

fn is_forbidden(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<Forbidden>() {
            return true;
        }
        source = error.source();
    }
    false
}
