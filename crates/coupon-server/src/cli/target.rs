//! The running service that a command asks.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tonic::transport::{Channel, Endpoint};

use crate::settings::Settings;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A service that has gone without a word is noticed after two of these.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The service to ask, as http://127.0.0.1:50051 [default: the one at --listen]
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    target: Option<Endpoint>,
}

fn endpoint(url: &str) -> Result<Endpoint, String> {
    if !url.starts_with("http://") {
        return Err("must begin with http://".to_owned());
    }
    Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())
}

impl Target {
    pub(super) async fn connect(&self, settings: &Settings) -> anyhow::Result<Channel> {
        let endpoint = match &self.target {
            Some(endpoint) => endpoint.clone(),
            None => Endpoint::from_shared(format!("http://{}", settings.listen))?,
        };
        let uri = endpoint.uri().clone();
        let endpoint = endpoint
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        endpoint.connect().await.with_context(|| format!("no service answers at {uri}"))
    }
}
