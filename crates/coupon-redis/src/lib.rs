#![doc = include_str!("../README.md")]

mod answers;
mod call;
mod connection;
mod draw;
mod gate;
mod journal;
mod load;
mod preflight;
mod seat;

use std::borrow::Cow;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use coupon_domain::ports::GateError;
use uuid::Uuid;

use crate::connection::Connection;

/// The function library, as it is loaded into Redis: one text, of which each part uses only what stands before it.
pub const LIBRARY: &str = concat!(
    include_str!("functions/library.lua"),
    include_str!("functions/campaign.lua"),
    include_str!("functions/round.lua"),
    include_str!("functions/batches.lua"),
    include_str!("functions/operations.lua"),
    include_str!("functions/draw.lua"),
    include_str!("functions/load.lua"),
    include_str!("functions/register.lua"),
);

/// What a yes has to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A Redis that may lose what it acknowledged is refused.
    #[default]
    Strict,
    /// Any Redis will do; [`Gate::durability`](coupon_domain::ports::Gate::durability) says what is weak.
    Relaxed,
}

/// Which Redis, and how to use it.
#[derive(Clone)]
pub struct RedisConfig {
    /// `redis://`, `rediss://`, `redis-cluster://` ... with user and password if needed.
    pub url: String,
    /// Whose data it is; a Redis marked by another installation is refused.
    pub installation: Uuid,
    /// What a yes has to survive.
    pub durability: Durability,
    /// No call takes longer, nor does connecting.
    pub command_timeout: Duration,
    /// The functions: [`LIBRARY`]. Tests give the same with another clock.
    pub library: Cow<'static, str>,
    /// Whether this instance may load the functions where they are missing.
    pub load_functions: bool,
}

impl RedisConfig {
    /// A call that takes longer is given up, and the caller asks again.
    ///
    /// Together with the two seconds for which an instance trusts an epoch it stays below the four that a recovery waits.
    pub const COMMAND_TIMEOUT: Duration = Duration::from_millis(1500);

    /// The usual way to use a Redis: strict, loading the functions where they are missing.
    #[must_use]
    pub fn new(url: impl Into<String>, installation: Uuid) -> Self {
        Self {
            url: url.into(),
            installation,
            durability: Durability::Strict,
            command_timeout: Self::COMMAND_TIMEOUT,
            library: Cow::Borrowed(LIBRARY),
            load_functions: true,
        }
    }
}

impl fmt::Debug for RedisConfig {
    /// Without the address, which may have a password in it, and without the functions' source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("installation", &self.installation)
            .field("durability", &self.durability)
            .field("command_timeout", &self.command_timeout)
            .field("load_functions", &self.load_functions)
            .finish_non_exhaustive()
    }
}

/// Gate and journal of all campaigns, in one Redis or one Redis Cluster.
#[derive(Debug)]
pub struct RedisGate {
    connection: Connection,
    config: RedisConfig,
    /// What the last check found, for people.
    durability: Mutex<String>,
}

impl RedisGate {
    /// Connects and checks that this Redis may be trusted.
    ///
    /// # Errors
    /// [`GateError::Unknown`] if it cannot be reached within the timeout, [`GateError::Unsafe`] if it is set up to lose data or has
    /// other functions than this version, [`GateError::Foreign`] if it is another installation's.
    pub async fn connect(config: RedisConfig) -> Result<Self, GateError> {
        let connection = Connection::open(&config.url, config.command_timeout).await.map_err(call::unknown)?;
        let gate = Self { connection, config, durability: Mutex::default() };
        gate.preflight().await?;
        Ok(gate)
    }

    /// Loads the functions with the rights of this address, also over another build's of the same version. Campaigns that were open
    /// have to be recovered after that.
    ///
    /// # Errors
    /// [`GateError::Unknown`] if Redis cannot be reached, [`GateError::Unsafe`] if it does not let us.
    pub async fn install_functions(config: &RedisConfig) -> Result<(), GateError> {
        let connection = Connection::open(&config.url, config.command_timeout).await.map_err(call::unknown)?;
        preflight::replace_functions(&connection, config).await
    }
}
