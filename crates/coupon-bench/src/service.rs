//! The service that is loaded: one that runs, or a private one, with stores of its own, that is gone afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coupon_local::postgres::PostgresServer;
use coupon_local::redis::RedisServer;
use coupon_local::server::{ChildServer, free_port};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long a service may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Enough for a baseline's clients beside the service.
const MAX_CONNECTIONS: &str = "max_connections=400";
/// Somebody else may take a free port before the service does.
const START_ATTEMPTS: usize = 5;

/// A running service. Private ones end with it, and with this process, however that ends.
#[derive(Debug)]
pub struct Service {
    address: String,
    name: String,
    private: Option<Private>,
}

/// In the order in which they are to end.
#[derive(Debug)]
struct Private {
    child: ChildServer,
    redis: Option<RedisServer>,
    _postgres: Option<PostgresServer>,
    /// Where the database is; only with a Postgres.
    database: Option<String>,
}

impl Service {
    /// One that runs already, at `127.0.0.1:50051` or `http://127.0.0.1:50051`.
    #[must_use]
    pub fn at(address: &str) -> Self {
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { name: address.clone(), address, private: None }
    }

    /// A private one on embedded stores: this program, told to serve.
    ///
    /// # Errors
    /// If it does not start; the text has what it said.
    pub async fn embedded(program: &Path) -> anyhow::Result<Self> {
        let (child, address) = start(program, &[]).await?;
        let private = Private { child, redis: None, _postgres: None, database: None };
        Ok(Self { address, name: "embedded".to_owned(), private: Some(private) })
    }

    /// A private one on a private Redis and a private Postgres.
    ///
    /// # Errors
    /// If one of the three does not start; the text has what it said.
    pub async fn redis_and_postgres(program: &Path) -> anyhow::Result<Self> {
        let (redis, postgres) = tokio::try_join!(RedisServer::start(), PostgresServer::start(&[MAX_CONNECTIONS]))?;
        let database = postgres.database().await?;
        let urls = [format!("--database-url={}", database.url()), format!("--redis-url={}", redis.url())];
        let (child, address) = start(program, &urls).await?;
        let database = Some(database.url().to_owned());
        let private = Private { child, redis: Some(redis), _postgres: Some(postgres), database };
        Ok(Self { address, name: "redis+postgres".to_owned(), private: Some(private) })
    }

    /// Where it is: `127.0.0.1:50051`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The addresses of its private Redis and of its database, if it has them.
    #[must_use]
    pub fn private_stores(&self) -> Option<(String, String)> {
        let private = self.private.as_ref()?;
        Some((private.redis.as_ref()?.url(), private.database.clone()?))
    }

    /// What a report calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it goes on after the bench: then the bench leaves no open campaign behind.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.private.is_none()
    }

    /// What a private one has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.private.as_ref().map(|private| private.child.log()).unwrap_or_default()
    }
}

async fn start(program: &Path, arguments: &[String]) -> anyhow::Result<(ChildServer, String)> {
    let mut started = start_on(program, arguments, free_port()?).await;
    for _ in 1..START_ATTEMPTS {
        if !started.as_ref().is_err_and(|error| error.to_string().contains("cannot be listened on")) {
            break;
        }
        started = start_on(program, arguments, free_port()?).await;
    }
    started
}

async fn start_on(program: &Path, arguments: &[String], port: u16) -> anyhow::Result<(ChildServer, String)> {
    let mut child = ChildServer::new()?;
    let address = format!("127.0.0.1:{port}");
    let data = child.folder().join("data");
    // Nothing from the environment: it may have settings for another service.
    let mut command = vec!["env".to_owned(), "-i".to_owned(), text(program)?, "serve".to_owned()];
    command.extend([format!("--listen={address}"), format!("--data-dir={}", text(&data)?), "--ops-listen=".to_owned()]);
    command.extend(["--no-sample-data".to_owned(), "--log=warn".to_owned()]);
    command.extend(arguments.iter().cloned());
    child.start(&command)?;
    let deadline = Instant::now() + START_TIMEOUT;
    while !is_well(&address).await {
        if !child.is_running() || Instant::now() > deadline {
            bail!("the service does not start:\n{}", child.log());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok((child, address))
}

async fn is_well(address: &str) -> bool {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{address}")) else { return false };
    let Ok(channel) = endpoint.connect().await else { return false };
    let request = HealthCheckRequest { service: "coupon.v1.CouponService".to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Which private stores a load is put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// Those of the default.
    Embedded,
    /// Redis and Postgres.
    Redis,
}

impl Stores {
    /// A private service on them.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(self, program: &Path) -> anyhow::Result<Service> {
        match self {
            Self::Embedded => Service::embedded(program).await,
            Self::Redis => Service::redis_and_postgres(program).await,
        }
    }
}
