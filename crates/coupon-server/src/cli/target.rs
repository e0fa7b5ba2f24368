//! The running service that a command asks.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::settings::Settings;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A service that has gone without a word is noticed after two of these.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The service to ask, as http://127.0.0.1:50051 [default: the one at --listen]
    #[arg(long, value_name = "URL", value_parser = address)]
    target: Option<Uri>,
}

fn address(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
    if uri.scheme_str() == Some("http") { Ok(uri) } else { Err("must begin with http://".to_owned()) }
}

impl Target {
    pub(super) async fn connect(&self, settings: &Settings) -> anyhow::Result<Channel> {
        let uri = match &self.target {
            Some(uri) => uri.clone(),
            None => format!("http://{}", settings.listen).parse()?,
        };
        let endpoint = Endpoint::from(uri.clone())
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE);
        endpoint.connect().await.with_context(|| format!("no service answers at {uri}"))
    }
}
