//! The settings: one definition for flag, variable, file key and help. A flag wins over a variable, a variable over the file, the file over
//! the default.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, ValueEnum};

use crate::outlets;

/// All settings of the service.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// A TOML file with the same settings, as `listen = "127.0.0.1:50051"`
    #[arg(long, global = true, env = "COUPON_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where gRPC is served. Beyond loopback only with authentication, which this version does not have
    #[arg(long, global = true, env = "COUPON_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,

    /// Where /metrics, /healthz and /readyz are served; empty: nowhere
    #[arg(long, global = true, env = "COUPON_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    pub ops_listen: String,

    /// The folder of the embedded stores and of the master keys
    #[arg(long, global = true, env = "COUPON_DATA_DIR", value_name = "FOLDER", default_value = "./data")]
    pub data_dir: PathBuf,

    /// Postgres for the ledger; goes with --redis-url
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// Redis for the gate and its journal; goes with --database-url
    #[arg(long, global = true, env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,

    /// The file with the master keys that sign coupon codes; made if it is not there. All instances need the same [default:
    /// master.keys in the data folder]
    #[arg(long, global = true, env = "COUPON_KEYS_FILE", value_name = "FILE")]
    pub keys_file: Option<PathBuf>,

    /// Load no sample data into the embedded stores
    #[arg(long, global = true, env = "COUPON_NO_SAMPLE_DATA")]
    pub no_sample_data: bool,

    /// Do not bring the schema up to date at start
    #[arg(long, global = true, env = "COUPON_NO_MIGRATE")]
    pub no_migrate: bool,

    /// Wait so long for Postgres and Redis at start, instead of ending at once
    #[arg(long, global = true, env = "COUPON_WAIT_FOR_STORES", value_name = "DURATION", default_value = "0s",
          num_args = 0..=1, default_missing_value = "5m", require_equals = true, value_parser = humantime::parse_duration)]
    pub wait_for_stores: Duration,

    /// What Redis must promise: strict refuses one that would lose what it acknowledged
    #[arg(long, global = true, env = "COUPON_DURABILITY", value_name = "LEVEL", default_value = "strict")]
    pub durability: Durability,

    /// Connections to Postgres at most
    #[arg(long, global = true, env = "COUPON_DATABASE_CONNECTIONS", value_name = "N", default_value_t = 16,
          value_parser = clap::value_parser!(u32).range(2..=500))]
    pub database_connections: u32,

    /// Calls gathered into one call of the gate at most
    #[arg(long, global = true, env = "COUPON_BATCH_SIZE", value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u32).range(1..=500))]
    pub batch_size: u32,

    /// Calls of the gate under way at once, for each round and verb
    #[arg(long, global = true, env = "COUPON_BATCHES_IN_FLIGHT", value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(1..=64))]
    pub batches_in_flight: u32,

    /// Calls that may wait for each round and verb; one more is refused
    #[arg(long, global = true, env = "COUPON_QUEUE_LENGTH", value_name = "N", default_value_t = 20_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub queue_length: u32,

    /// Webhooks that are told of events, as `shop=https://shop.example/hooks`, with commas between several
    #[arg(
        long,
        global = true,
        env = "COUPON_WEBHOOKS",
        value_name = "NAME=URL",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true
    )]
    pub webhooks: String,

    /// The file with the webhooks' secrets, a line `NAME whsec_...` each, several of a name while they are exchanged; made if it is not
    /// there [default: webhook.secrets in the data folder]
    #[arg(long, global = true, env = "COUPON_WEBHOOK_SECRETS_FILE", value_name = "FILE")]
    pub webhook_secrets_file: Option<PathBuf>,

    /// Which kinds of events webhooks are told of, as `coupon.redeemed,coupon.expiring`; empty: all
    #[arg(
        long,
        global = true,
        env = "COUPON_WEBHOOK_KINDS",
        value_name = "KINDS",
        default_value = "",
        hide_default_value = true
    )]
    pub webhook_kinds: String,

    /// Let webhooks go to addresses that are not public, and to this machine without TLS
    #[arg(long, global = true, env = "COUPON_WEBHOOK_ALLOW_PRIVATE")]
    pub webhook_allow_private: bool,

    /// NATS with JetStream, which is told of all events: nats://user:password@host:4222
    #[arg(long, global = true, env = "COUPON_NATS_URL", value_name = "URL", hide_env_values = true)]
    pub nats_url: Option<String>,

    /// A NATS user's credentials, as `nsc` writes them
    #[arg(long, global = true, env = "COUPON_NATS_CREDENTIALS_FILE", value_name = "FILE")]
    pub nats_credentials_file: Option<PathBuf>,

    /// The JetStream stream; made if it is not there
    #[arg(long, global = true, env = "COUPON_NATS_STREAM", value_name = "NAME", default_value = "COUPON_EVENTS")]
    pub nats_stream: String,

    /// What the subjects of events begin with; kind and campaign follow
    #[arg(long, global = true, env = "COUPON_NATS_SUBJECT", value_name = "PREFIX", default_value = "coupon.v1")]
    pub nats_subject: String,

    /// Events are kept at least so long
    #[arg(long, global = true, env = "COUPON_EVENT_RETENTION_MIN", value_name = "DURATION", default_value = "30d", value_parser = humantime::parse_duration)]
    pub event_retention_min: Duration,

    /// Events are kept so long for a subscriber that has not had them, and no longer
    #[arg(long, global = true, env = "COUPON_EVENT_RETENTION_MAX", value_name = "DURATION", default_value = "90d", value_parser = humantime::parse_duration)]
    pub event_retention_max: Duration,

    /// Longest time from the signal to the end
    #[arg(long, global = true, env = "COUPON_STOP_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub stop_timeout: Duration,

    /// Which log lines are written, as `info` or `coupon_usecases=debug,warn`
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How log lines are written
    #[arg(long, global = true, env = "COUPON_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// See [`Settings::durability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Every yes is on disk before it is answered.
    Strict,
    /// Whatever Redis is set up for.
    Relaxed,
}

/// See [`Settings::log_format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where places, coupons and all else are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// In the data folder, by this process alone.
    Embedded,
    /// In Redis and Postgres, by any number of instances.
    Shared {
        /// Of Postgres.
        database_url: String,
        /// Of Redis.
        redis_url: String,
    },
}

impl Settings {
    /// Which stores are meant.
    ///
    /// # Errors
    /// If only one of the two URLs is given.
    pub fn backend(&self) -> anyhow::Result<Backend> {
        match (self.database_url.clone(), self.redis_url.clone()) {
            (None, None) => Ok(Backend::Embedded),
            (Some(database_url), Some(redis_url)) => Ok(Backend::Shared { database_url, redis_url }),
            (Some(_), None) => bail!(
                "--database-url (DATABASE_URL) is given without --redis-url (REDIS_URL): the ledger in Postgres needs its gate in Redis; give both, or neither for the embedded stores"
            ),
            (None, Some(_)) => bail!(
                "--redis-url (REDIS_URL) is given without --database-url (DATABASE_URL): the gate in Redis needs its ledger in Postgres; give both, or neither for the embedded stores"
            ),
        }
    }

    /// Where the ops port listens, if anywhere.
    ///
    /// # Errors
    /// If it is not an address.
    pub fn ops_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        if self.ops_listen.is_empty() {
            return Ok(None);
        }
        let address = self.ops_listen.parse().with_context(|| {
            format!(
                "--ops-listen (COUPON_OPS_LISTEN) must be an address as 127.0.0.1:9464, or empty, and not {:?}",
                self.ops_listen
            )
        })?;
        Ok(Some(address))
    }

    /// The file with the master keys.
    #[must_use]
    pub fn keys_path(&self) -> PathBuf {
        self.keys_file.clone().unwrap_or_else(|| self.data_dir.join("master.keys"))
    }

    /// The file with the webhooks' secrets.
    #[must_use]
    pub fn webhook_secrets_path(&self) -> PathBuf {
        self.webhook_secrets_file.clone().unwrap_or_else(|| self.data_dir.join("webhook.secrets"))
    }

    /// What can be said of the settings without trying them.
    ///
    /// # Errors
    /// With the setting and the reason.
    pub fn check(&self) -> anyhow::Result<()> {
        self.backend()?;
        ensure!(
            self.listen.ip().is_loopback(),
            "--listen (COUPON_LISTEN) is {}: without authentication the service listens only on loopback, as 127.0.0.1:50051",
            self.listen
        );
        let ops = self.ops_address()?;
        ensure!(
            ops.is_none_or(|ops| ops.ip().is_loopback()),
            "--ops-listen (COUPON_OPS_LISTEN) is {}: without authentication it listens only on loopback",
            self.ops_listen
        );
        ensure!(
            self.event_retention_min <= self.event_retention_max,
            "--event-retention-min (COUPON_EVENT_RETENTION_MIN) is longer than --event-retention-max (COUPON_EVENT_RETENTION_MAX)"
        );
        outlets::check(self)?;
        Ok(())
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment.
    Variable,
    /// The configuration file.
    File,
    /// Nobody said otherwise.
    Default,
}

/// Parses the command line, with the values of the configuration file for whatever neither a flag nor a variable says.
///
/// # Errors
/// If the file cannot be read or has a key that is no setting.
pub fn matches(command: &Command, args: Vec<OsString>) -> anyhow::Result<(ArgMatches, Vec<(String, Origin)>)> {
    let first = command.clone().get_matches_from(&args);
    let Some(file) = first.get_one::<PathBuf>("config").cloned() else {
        let origins = origins(command, &first, &[]);
        return Ok((first, origins));
    };
    let (from_file, keys) = file_arguments(&file, command, &first)?;
    let all = command.clone().get_matches_from(args.into_iter().chain(from_file));
    let origins = origins(command, &all, &keys);
    Ok((all, origins))
}

/// The file's values as arguments, except those that a flag or a variable overrides.
fn file_arguments(
    file: &Path,
    command: &Command,
    matches: &ArgMatches,
) -> anyhow::Result<(Vec<OsString>, Vec<String>)> {
    let values = config::Config::builder()
        .add_source(config::File::from(file).format(config::FileFormat::Toml))
        .build()
        .with_context(|| format!("the configuration file {} cannot be read", file.display()))?
        .try_deserialize::<std::collections::BTreeMap<String, config::Value>>()?;
    let (mut arguments, mut keys) = (Vec::new(), Vec::new());
    for (key, value) in values {
        let argument = command.get_arguments().find(|arg| arg.get_id() == key.as_str() && key != "config");
        let argument = argument.with_context(|| format!("{}: `{key}` is not a setting", file.display()))?;
        if matches!(matches.value_source(&key), Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        let flag = format!("--{}", argument.get_long().unwrap_or(&key));
        if argument.get_action().takes_values() {
            arguments.push(format!("{flag}={}", value.into_string()?).into());
        } else if value.into_bool()? {
            arguments.push(flag.into());
        }
        keys.push(key);
    }
    Ok((arguments, keys))
}

fn origins(command: &Command, matches: &ArgMatches, from_file: &[String]) -> Vec<(String, Origin)> {
    let of = |id: &str| match matches.value_source(id) {
        _ if from_file.iter().any(|key| key == id) => Origin::File,
        Some(ValueSource::CommandLine) => Origin::Flag,
        Some(ValueSource::EnvVariable) => Origin::Variable,
        Some(_) | None => Origin::Default,
    };
    let known = command.get_arguments().map(|arg| arg.get_id().as_str()).filter(|id| !["help", "version"].contains(id));
    known.map(|id| (id.to_owned(), of(id))).collect()
}

/// Each setting as text, without secrets.
#[must_use]
pub fn describe(settings: &Settings) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let url = |url: &Option<String>| url.as_deref().map_or_else(|| "(none)".to_owned(), without_password);
    let time = |span: Duration| humantime::format_duration(span).to_string();
    // To humantime a month is a twelfth of a year, which is no way to show 90 days.
    let days = |span: Duration| {
        let seconds = span.as_secs();
        if seconds.is_multiple_of(86_400) { format!("{}d", seconds / 86_400) } else { time(span) }
    };
    vec![
        ("config", settings.config.as_deref().map_or_else(|| "(none)".to_owned(), path)),
        ("listen", settings.listen.to_string()),
        ("ops_listen", format!("{:?}", settings.ops_listen)),
        ("data_dir", path(&settings.data_dir)),
        ("database_url", url(&settings.database_url)),
        ("redis_url", url(&settings.redis_url)),
        ("keys_file", path(&settings.keys_path())),
        ("no_sample_data", settings.no_sample_data.to_string()),
        ("no_migrate", settings.no_migrate.to_string()),
        ("wait_for_stores", time(settings.wait_for_stores)),
        ("durability", format!("{:?}", settings.durability).to_lowercase()),
        ("database_connections", settings.database_connections.to_string()),
        ("batch_size", settings.batch_size.to_string()),
        ("batches_in_flight", settings.batches_in_flight.to_string()),
        ("queue_length", settings.queue_length.to_string()),
        ("webhooks", outlets::describe_webhooks(settings)),
        ("webhook_secrets_file", path(&settings.webhook_secrets_path())),
        (
            "webhook_kinds",
            if settings.webhook_kinds.is_empty() { "(all)".to_owned() } else { settings.webhook_kinds.clone() },
        ),
        ("webhook_allow_private", settings.webhook_allow_private.to_string()),
        ("nats_url", outlets::describe_nats(settings)),
        ("nats_credentials_file", settings.nats_credentials_file.as_deref().map_or_else(|| "(none)".to_owned(), path)),
        ("nats_stream", settings.nats_stream.clone()),
        ("nats_subject", settings.nats_subject.clone()),
        ("event_retention_min", days(settings.event_retention_min)),
        ("event_retention_max", days(settings.event_retention_max)),
        ("stop_timeout", time(settings.stop_timeout)),
        ("log", settings.log.clone()),
        ("log_format", format!("{:?}", settings.log_format).to_lowercase()),
    ]
}

/// A URL for people: what stands between the scheme and the host is left out.
#[must_use]
pub fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => url.split_once("password=").map_or_else(|| url.to_owned(), |(before, _)| format!("{before}password=***")),
    }
}
