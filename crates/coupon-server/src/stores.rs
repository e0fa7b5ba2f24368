//! The choice of adapters: the only `match` on a back end in the program.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use backon::{ConstantBuilder, Retryable as _};
use coupon_domain::ports::{CampaignRepository as _, Gate, GateError, LedgerError};
use coupon_embedded::Embedded;
use coupon_postgres::{PostgresConfig, PostgresLedger, Unfit, migrate};
use coupon_redis::{RedisConfig, RedisGate};
use coupon_usecases::engine::{Fence, Stores};
use tracing::warn;

use crate::clock::ServiceClock;
use crate::settings::{Backend, Durability, Settings, without_password};

/// Opened adapters.
pub struct Opened {
    /// For the use cases.
    pub stores: Stores,
    /// How instances keep out of each other's way; none for stores that one process owns.
    pub fence: Option<Fence>,
    /// Where data is kept and how durable, a line each, for people.
    pub description: Vec<String>,
}

/// A store is away. Another try may help; everything else needs a person.
#[derive(Debug, thiserror::Error)]
#[error("{store} cannot be reached at {url}")]
pub struct Absent {
    store: &'static str,
    url: String,
    #[source]
    source: anyhow::Error,
}

const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// Opens the stores that the settings mean, with the schema brought up to date unless they say otherwise.
///
/// # Errors
/// [`Absent`] after the patience that the settings allow; anything else at once.
pub async fn open(settings: &Settings, clock: &Arc<ServiceClock>) -> anyhow::Result<Opened> {
    match settings.backend()? {
        Backend::Embedded => open_embedded(settings, clock),
        Backend::Shared { database_url, redis_url } => {
            let tries = settings.wait_for_stores.as_millis() / BETWEEN_TRIES.as_millis();
            let patience = ConstantBuilder::default()
                .with_delay(BETWEEN_TRIES)
                .with_max_times(usize::try_from(tries).unwrap_or(usize::MAX));
            (|| open_shared(settings, &database_url, &redis_url))
                .retry(patience)
                .when(|error: &anyhow::Error| error.is::<Absent>())
                .notify(|error, _| warn!("{error:#}; trying again"))
                .await
        }
    }
}

fn open_embedded(settings: &Settings, clock: &Arc<ServiceClock>) -> anyhow::Result<Opened> {
    let clock: Arc<ServiceClock> = Arc::clone(clock);
    let Embedded { gate, ledger } = Embedded::open(&settings.data_dir, clock)?;
    let description = vec![
        format!("data     {} (embedded; this process alone)", settings.data_dir.display()),
        format!("durable  {}", gate.durability()),
    ];
    let stores = Stores::of(gate, ledger);
    Ok(Opened { stores, fence: None, description })
}

async fn open_shared(settings: &Settings, database_url: &str, redis_url: &str) -> anyhow::Result<Opened> {
    let ledger = open_postgres(settings, database_url).await?;
    let installation = ledger.installation().await?;
    let durability = match settings.durability {
        Durability::Strict => coupon_redis::Durability::Strict,
        Durability::Relaxed => coupon_redis::Durability::Relaxed,
    };
    let config = RedisConfig { durability, ..RedisConfig::new(redis_url, installation) };
    let gate = RedisGate::connect(config).await.map_err(|error| match error {
        GateError::Unknown(source) => absent("Redis", redis_url, anyhow::Error::from_boxed(source)),
        other => anyhow::Error::new(other).context(format!("Redis at {} is refused", without_password(redis_url))),
    })?;
    let (gate, ledger) = (Arc::new(gate), Arc::new(ledger));
    let description = vec![
        format!("ledger   Postgres at {} ({})", without_password(database_url), ledger.durability()),
        format!("gate     Redis at {} ({})", without_password(redis_url), gate.durability()),
    ];
    let stores = Stores::of(gate, ledger);
    Ok(Opened { stores, fence: Some(Fence::default()), description })
}

async fn open_postgres(settings: &Settings, url: &str) -> anyhow::Result<PostgresLedger> {
    let max_connections = settings.database_connections as usize;
    let away = |error: LedgerError| match error {
        LedgerError::Unavailable(source) | LedgerError::Unknown(source) => {
            absent("Postgres", url, anyhow::Error::from_boxed(source))
        }
        LedgerError::Broken(_) => error.into(),
    };
    let ledger = PostgresLedger::connect(PostgresConfig { max_connections, ..PostgresConfig::new(url) }).await;
    let ledger = ledger.map_err(away)?;
    ledger.ping().await.map_err(away)?;
    if !settings.no_migrate {
        migrate(url).await.context("the schema cannot be brought up to date")?;
    }
    ledger.preflight().await.map_err(|unfit: Unfit| {
        anyhow::Error::new(unfit).context(format!("Postgres at {} is refused", without_password(url)))
    })?;
    Ok(ledger)
}

/// Loads the functions into Redis with the rights of this address, and says so.
///
/// # Errors
/// If a store is away or does not allow it, or the settings mean the embedded stores.
pub async fn load_functions(settings: &Settings, admin_url: &str) -> anyhow::Result<String> {
    let Backend::Shared { database_url, .. } = settings.backend()? else {
        bail!("--redis-admin-url goes with --database-url and --redis-url");
    };
    let installation = open_postgres(settings, &database_url).await?.installation().await?;
    RedisGate::install_functions(&RedisConfig::new(admin_url, installation)).await?;
    Ok(format!("the functions are loaded at {}", without_password(admin_url)))
}

fn absent(store: &'static str, url: &str, source: anyhow::Error) -> anyhow::Error {
    Absent { store, url: without_password(url), source }.into()
}

/// Brings the schema of the stores up to date, and says what was done.
///
/// # Errors
/// If a store is away or a migration fails.
pub async fn bring_up_to_date(settings: &Settings) -> anyhow::Result<String> {
    match settings.backend()? {
        Backend::Embedded => {
            open_embedded(settings, &Arc::default())?;
            Ok(format!("{} is up to date", settings.data_dir.display()))
        }
        Backend::Shared { database_url, .. } => {
            let done = migrate(&database_url).await?;
            let at = without_password(&database_url);
            Ok(if done.is_empty() { format!("{at} is up to date") } else { format!("{at}: {}", done.join(", ")) })
        }
    }
}
