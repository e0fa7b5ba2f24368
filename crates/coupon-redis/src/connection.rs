//! The one place that knows the driver: a connection that fails quickly, comes back by itself and never sends anything twice.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, ClusterInterface as _, EventInterface as _};
use fred::types::config::{Config, ReconnectError, ReconnectPolicy, Server, UnresponsiveConfig};
use fred::types::{Builder, ClusterHash, CustomCommand};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

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
    line: Line,
    database: u8,
    _keeper: AbortOnDropHandle<()>,
}

/// The client in use; none while a new one is being made.
type Line = Arc<RwLock<Option<Arc<Live>>>>;

impl Connection {
    /// Connects, or says within about `timeout` why not.
    pub(crate) async fn open(url: &str, timeout: Duration) -> Result<Self, CommandError> {
        let config = Config::from_url(url)?;
        let database = config.database.unwrap_or_default();
        let running = Running::start(&config, timeout).await?;
        let line = Arc::new(RwLock::new(Some(Arc::clone(&running.live))));
        let keeper = tokio::spawn(keep(Arc::clone(&line), running, config, timeout));
        Ok(Self { line, database, _keeper: AbortOnDropHandle::new(keeper) })
    }

    /// The number of the database that the address names.
    pub(crate) fn database(&self) -> u8 {
        self.database
    }

    /// Sends one command about the key that is its first argument.
    pub(crate) async fn of_key(&self, command: &'static str, args: Vec<Value>) -> Result<Value, CommandError> {
        self.send(None, CustomCommand::new_static(command, ClusterHash::FirstKey, false), args).await
    }

    /// Calls a function about the key that is its third argument: name, number of keys, key, arguments.
    ///
    /// Sent as a custom command, since the driver takes its own FCALL for a blocking one and would not notice a dead connection.
    pub(crate) async fn call_function(&self, args: Vec<Value>) -> Result<Value, CommandError> {
        self.send(None, CustomCommand::new_static("FCALL", ClusterHash::Offset(2), false), args).await
    }

    /// The servers that may decide something: one, or the primaries of a cluster.
    pub(crate) fn primaries(&self) -> Vec<Primary> {
        let live = self.live();
        match live.as_ref().and_then(|live| live.client.cached_cluster_state().filter(|_| live.client.is_clustered())) {
            Some(cluster) => cluster.unique_primary_nodes().into_iter().map(|server| Primary(Some(server))).collect(),
            None => vec![Primary(None)],
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
        self.send(primary.0.as_ref(), command, args).await
    }

    async fn send(
        &self,
        server: Option<&Server>,
        command: CustomCommand,
        args: Vec<Value>,
    ) -> Result<Value, CommandError> {
        // Without this, commands would wait for the connection to come back and run long after the caller has gone.
        let Some(live) = self.live().filter(|live| live.client.is_connected()) else {
            return Err(CommandError::Lost("the connection to Redis is down".to_owned()));
        };
        let sent = Instant::now();
        let reply = match server {
            Some(server) => live.client.with_cluster_node(server).custom(command, args).await,
            None => live.client.custom(command, args).await,
        };
        let timed_out = matches!(&reply, Err(error) if *error.kind() == ErrorKind::Timeout);
        let reply = reply.map_err(CommandError::from);
        match reply {
            Ok(_) | Err(CommandError::Refused(_)) => live.replied(),
            Err(CommandError::Lost(_)) if timed_out => live.timed_out(sent),
            Err(CommandError::Lost(_)) => {}
        }
        reply
    }

    fn live(&self) -> Option<Arc<Live>> {
        self.line.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A client that was connected, and when it last brought a reply.
#[derive(Debug)]
struct Live {
    client: Client,
    last_reply: Mutex<Instant>,
    dead: Notify,
}

impl Live {
    fn replied(&self) {
        *self.last_reply.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A command timed out. If no other has been answered since it was sent, the connection is dead: the driver would not notice,
    /// since for it each write is a sign of life.
    fn timed_out(&self, sent: Instant) {
        if *self.last_reply.lock().unwrap_or_else(PoisonError::into_inner) < sent {
            self.dead.notify_one();
        }
    }
}

/// A client with the tasks that work for it; they end with this.
struct Running {
    live: Arc<Live>,
    driver: AbortOnDropHandle<Result<(), Error>>,
    _reporter: AbortOnDropHandle<()>,
}

impl Running {
    async fn start(config: &Config, timeout: Duration) -> Result<Self, CommandError> {
        let client = configured(config.clone(), timeout)?;
        let reporter = AbortOnDropHandle::new(tokio::spawn(report(client.clone())));
        let driver = AbortOnDropHandle::new(client.connect());
        let reason = match tokio::time::timeout(timeout, client.wait_for_connect()).await {
            Ok(Ok(())) => {
                let live = Live { client, last_reply: Mutex::new(Instant::now()), dead: Notify::new() };
                return Ok(Self { live: Arc::new(live), driver, _reporter: reporter });
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {timeout:?}"),
        };
        let servers: Vec<_> = config.server.hosts().iter().map(ToString::to_string).collect();
        Err(CommandError::Lost(format!("Redis at {} cannot be reached: {reason}", servers.join(", "))))
    }

    /// Waits until this client is of no more use; says why.
    async fn end(&mut self) -> String {
        tokio::select! {
            ended = &mut self.driver => match ended {
                Ok(Err(error)) => error.to_string(),
                Ok(Ok(())) => "the driver has stopped".to_owned(),
                Err(error) => error.to_string(),
            },
            () = self.live.dead.notified() => "no reply within the timeout".to_owned(),
        }
    }
}

/// Makes a new client whenever the one in use is of no more use. The driver comes back by itself from a lost connection, but one
/// redirection that it may not follow ends it for good, and a client whose driver has ended does not flush reliably when it is
/// connected again.
async fn keep(line: Line, mut running: Running, config: Config, timeout: Duration) {
    let put = |live| *line.write().unwrap_or_else(PoisonError::into_inner) = live;
    loop {
        let reason = running.end().await;
        put(None);
        tracing::error!(reason, "the client of Redis is of no more use, making a new one");
        // Its connections are closed before there are new ones.
        drop(running);
        running = started(&config, timeout).await;
        tracing::info!("the new client is connected to Redis");
        put(Some(Arc::clone(&running.live)));
    }
}

/// Starts a client, however long it takes.
async fn started(config: &Config, timeout: Duration) -> Running {
    let (mut pause, longest) = RECONNECT_PAUSE;
    loop {
        tokio::time::sleep(Duration::from_millis(pause.into())).await;
        match Running::start(config, timeout).await {
            Ok(running) => return running,
            Err(error) => tracing::warn!(%error, "no new client yet"),
        }
        pause = longest.min(pause * 2);
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
            // What a primary says that is none any more, or not yet.
            connection.reconnect_errors =
                vec![ReconnectError::ReadOnly, ReconnectError::Loading, ReconnectError::ClusterDown];
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
