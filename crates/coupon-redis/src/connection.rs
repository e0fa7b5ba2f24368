//! The one place that knows the driver: a connection that fails quickly, comes back by itself and never sends anything twice.

use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, ClusterInterface as _, EventInterface as _};
use fred::types::config::{Config, ReconnectPolicy, Server, UnresponsiveConfig};
use fred::types::{Builder, ClusterHash, ConnectHandle, CustomCommand};
use tokio::task::JoinHandle;

pub(crate) use fred::types::Value;

/// Commands that may wait to be sent; more are refused at once.
const MAX_WAITING: usize = 10_000;
/// Between attempts to reconnect, in milliseconds: the first and the longest pause.
const RECONNECT_PAUSE: (u32, u32) = (20, 1_000);

/// Why a command brought nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The server said no, in its own words; nothing was done.
    #[error("Redis answers: {0}")]
    Refused(String),
    /// Nobody knows whether it was done.
    #[error("{0}")]
    Lost(String),
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        // An answer of the server begins with a word in capitals (`ERR`, `NOPERM`, ...); the driver's own texts do not.
        let word = error.details().split(' ').next().unwrap_or_default();
        let answered = word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase());
        if answered { Self::Refused(error.details().to_owned()) } else { Self::Lost(error.to_string()) }
    }
}

/// Connections to one server, or to all primaries of a cluster.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    driver: ConnectHandle,
    reporter: JoinHandle<()>,
}

impl Connection {
    /// Connects, or says within about `timeout` why not.
    pub(crate) async fn open(url: &str, timeout: Duration) -> Result<Self, CommandError> {
        let config = Config::from_url(url)?;
        let servers: Vec<_> = config.server.hosts().iter().map(ToString::to_string).collect();
        let client = configured(config, timeout)?;
        let reporter = tokio::spawn(report(client.clone()));
        let failed = |reason: &str| {
            reporter.abort();
            CommandError::Lost(format!("Redis at {} cannot be reached: {reason}", servers.join(", ")))
        };
        let driver = match tokio::time::timeout(timeout, client.init()).await {
            Ok(Ok(driver)) => driver,
            Ok(Err(error)) => return Err(failed(&error.to_string())),
            Err(_) => {
                let _ = client.quit().await;
                return Err(failed(&format!("no answer within {timeout:?}")));
            }
        };
        Ok(Self { client, driver, reporter })
    }

    /// Sends one command about the key that is its first argument.
    pub(crate) async fn of_key(&self, command: &'static str, args: Vec<Value>) -> Result<Value, CommandError> {
        self.send(&self.client, CustomCommand::new_static(command, ClusterHash::FirstKey, false), args).await
    }

    /// Calls a function about the key that is its third argument: name, number of keys, key, arguments.
    ///
    /// Sent as a custom command, since the driver takes its own FCALL for a blocking one and would not notice a dead connection.
    pub(crate) async fn call_function(&self, args: Vec<Value>) -> Result<Value, CommandError> {
        self.send(&self.client, CustomCommand::new_static("FCALL", ClusterHash::Offset(2), false), args).await
    }

    /// The servers that may decide something: one, or the primaries of a cluster.
    pub(crate) fn primaries(&self) -> Vec<Primary> {
        match self.client.cached_cluster_state() {
            Some(cluster) if self.client.is_clustered() => {
                cluster.unique_primary_nodes().into_iter().map(|server| Primary(Some(server))).collect()
            }
            Some(_) | None => vec![Primary(None)],
        }
    }

    /// Sends one command to one of them.
    pub(crate) async fn at(
        &self,
        primary: &Primary,
        command: &'static str,
        args: &[&str],
    ) -> Result<Value, CommandError> {
        let args = args.iter().map(|arg| Value::from(*arg)).collect();
        let command = CustomCommand::new_static(command, ClusterHash::Random, false);
        match &primary.0 {
            Some(server) => self.send(&self.client.with_cluster_node(server), command, args).await,
            None => self.send(&self.client, command, args).await,
        }
    }

    async fn send<C>(&self, client: &C, command: CustomCommand, args: Vec<Value>) -> Result<Value, CommandError>
    where
        C: fred::interfaces::ClientLike,
    {
        // Without this, commands would wait for the connection to come back and run long after the caller has gone.
        if !self.client.is_connected() {
            return Err(CommandError::Lost("the connection to Redis is down".to_owned()));
        }
        Ok(client.custom(command, args).await?)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
        self.reporter.abort();
    }
}

/// One of the servers behind a [`Connection`].
#[derive(Debug)]
pub(crate) struct Primary(Option<Server>);

/// Nothing is sent twice, since the answer that was lost may have been a yes; no command waits for longer than the timeout.
fn configured(config: Config, timeout: Duration) -> Result<Client, Error> {
    Builder::from_config(config)
        .with_connection_config(|connection| {
            connection.connection_timeout = timeout;
            connection.internal_command_timeout = timeout;
            connection.max_command_attempts = 1;
            connection.max_command_buffer_len = MAX_WAITING;
            connection.tcp.nodelay = Some(true);
            connection.unresponsive = UnresponsiveConfig { max_timeout: Some(timeout), interval: timeout / 4 };
        })
        .with_performance_config(|performance| performance.default_command_timeout = timeout)
        .set_policy(ReconnectPolicy::new_exponential(0, RECONNECT_PAUSE.0, RECONNECT_PAUSE.1, 2))
        .build()
}

async fn report(client: Client) {
    let (mut errors, mut reconnects) = (client.error_rx(), client.reconnect_rx());
    // Not to keep the connection alive by listening to it.
    drop(client);
    loop {
        tokio::select! {
            Ok((error, server)) = errors.recv() => {
                let server = server.map(|server| server.to_string());
                if *error.kind() != ErrorKind::Canceled {
                    tracing::warn!(server, %error, "connection to Redis lost");
                }
            }
            Ok(server) = reconnects.recv() => tracing::info!(%server, "connected to Redis"),
            else => return,
        }
    }
}
