//! Private Postgres servers, and the clock that a test gives a database.
//!
//! Making a cluster takes seconds: the tests of one process share a server ([`PostgresServer::shared`]), each with a database of its own.
//! A test that kills its server starts a private one.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

use crate::server::{ChildServer, free_port};

/// The superuser of a cluster, and of the system where the tests run as root: Postgres refuses to be root.
const USER: &str = "postgres";
/// The database that [`PostgresServer::migrated_database`] copies.
const TEMPLATE: &str = "migrated";
/// How long a server may take to start, after a kill too, when the old one's last children still hold its memory.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Somebody else may take a free port before the server does.
const START_ATTEMPTS: usize = 5;
const POLL: Duration = Duration::from_millis(50);

static SHARED: OnceCell<PostgresServer> = OnceCell::const_new();

/// A Postgres server on a loopback port, with a cluster of its own that is gone with the test process.
#[derive(Debug)]
pub struct PostgresServer {
    child: Mutex<ChildServer>,
    programs: PathBuf,
    port: u16,
    databases: AtomicU32,
    template: OnceCell<()>,
}

impl PostgresServer {
    /// The server that the tests of this process share.
    ///
    /// # Errors
    /// See [`PostgresServer::start`].
    pub async fn shared() -> anyhow::Result<&'static Self> {
        SHARED.get_or_try_init(|| Self::start(&[])).await
    }

    /// A server of one's own, set up like one in production but for these settings, such as `fsync=off`.
    ///
    /// # Errors
    /// If Postgres is not installed or does not start; the text has its output.
    pub async fn start(settings: &[&str]) -> anyhow::Result<Self> {
        let programs = programs()?;
        let child = ChildServer::new()?;
        let data = child.folder().join("data");
        std::fs::create_dir(&data)?;
        if is_root().await? {
            let chown = Command::new("chown").arg(USER).arg(&data).output().await?;
            succeeded("chown", &chown)?;
        }
        make_cluster(&programs, &data).await?;
        let mut server = Self {
            child: Mutex::new(child),
            programs,
            port: 0,
            databases: AtomicU32::new(0),
            template: OnceCell::new(),
        };
        let mut started = server.listen(&data, settings).await;
        for _ in 1..START_ATTEMPTS {
            if !started.as_ref().is_err_and(|error| error.to_string().contains("Address already in use")) {
                break;
            }
            started = server.listen(&data, settings).await;
        }
        started.map(|()| server)
    }

    async fn listen(&mut self, data: &Path, settings: &[&str]) -> anyhow::Result<()> {
        self.port = free_port()?;
        let fixed = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "max_connections=100".to_owned(),
            "fsync=on".to_owned(),
        ];
        let mut command = as_user(is_root().await?);
        command.extend([text(&self.programs.join("postgres"))?, "-D".to_owned(), text(data)?]);
        for setting in fixed.into_iter().chain(settings.iter().map(ToString::to_string)) {
            command.extend(["-c".to_owned(), setting]);
        }
        self.child.get_mut().start(&command)?;
        self.answers().await
    }

    /// A new, empty database.
    ///
    /// # Errors
    /// If the server does not make it.
    pub async fn database(&self) -> anyhow::Result<PostgresDatabase> {
        self.new_database("template0").await
    }

    /// A new database with the schema that `migrate` makes when it is given a database's address. It is called once per server; all
    /// further databases are copies.
    ///
    /// # Errors
    /// If the server does not make it, or `migrate` fails.
    pub async fn migrated_database<M, F, E>(&self, migrate: M) -> anyhow::Result<PostgresDatabase>
    where
        M: FnOnce(String) -> F,
        F: Future<Output = Result<(), E>>,
        E: Into<anyhow::Error>,
    {
        self.template
            .get_or_try_init(|| async {
                self.psql("postgres", &format!("CREATE DATABASE {TEMPLATE} TEMPLATE template0")).await?;
                migrate(self.url(TEMPLATE)).await.map_err(Into::into)?;
                // Nobody may be connected to a database that is copied.
                self.psql("postgres", &format!("ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")).await?;
                self.psql("postgres", &terminate(TEMPLATE)).await.map(drop)
            })
            .await?;
        self.new_database(TEMPLATE).await
    }

    async fn new_database(&self, template: &str) -> anyhow::Result<PostgresDatabase> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        Ok(PostgresDatabase { url: self.url(&name), psql: self.programs.join("psql") })
    }

    /// Kills the server as a power cut would.
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.child.lock().await.kill()
    }

    /// Starts it again after [`PostgresServer::kill`], with the same data on the same port, and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.child.lock().await.start_again()?;
        self.answers().await
    }

    /// Sends the server a signal, by its name without `SIG`. `STOP` stops only its first process: no new connections.
    ///
    /// # Errors
    /// If its watchdog has gone.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.child.lock().await.signal(name)
    }

    fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    async fn psql(&self, database: &str, commands: &str) -> anyhow::Result<String> {
        psql(&self.programs.join("psql"), &self.url(database), commands).await
    }

    async fn answers(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        let data = text(&self.child.lock().await.folder().join("data"))?;
        // Another server may have taken the port.
        while !self.psql("postgres", "SHOW data_directory").await.is_ok_and(|found| found == data) {
            let mut child = self.child.lock().await;
            let log = child.log();
            if Instant::now() > deadline || (!child.is_running() && !log.contains("still in use")) {
                bail!("Postgres does not start:\n{log}");
            }
            if !child.is_running() {
                child.start_again()?;
            }
            drop(child);
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }
}

/// A database of one test.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    url: String,
    psql: PathBuf,
}

impl PostgresDatabase {
    /// Its address: `postgres://..`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Another of the server's programs, such as `pgbench`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.psql.with_file_name(name)
    }

    /// Runs these commands as the superuser; answers what they return, a line per row, columns parted by `|`.
    ///
    /// # Errors
    /// If one fails; the text has the server's message.
    pub async fn psql(&self, commands: &str) -> anyhow::Result<String> {
        psql(&self.psql, &self.url, commands).await
    }

    /// Ends all other sessions, as an administrator or a failing network would.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn end_sessions(&self) -> anyhow::Result<()> {
        let name = self.url.rsplit('/').next().unwrap_or_default();
        self.psql(&terminate(name)).await.map(drop)
    }

    /// Takes the ledger's clock into the test's hands: it stands still, at first at the Unix epoch.
    ///
    /// # Errors
    /// If the database has no `coupon_now()`.
    pub async fn clock(&self) -> anyhow::Result<PostgresClock> {
        self.psql(
            "SELECT 'coupon_now()'::regprocedure;
             CREATE TABLE test_clock (at timestamptz NOT NULL);
             INSERT INTO test_clock VALUES ('epoch');
             CREATE OR REPLACE FUNCTION coupon_now() RETURNS timestamptz LANGUAGE sql VOLATILE
                 AS $$ SELECT at FROM test_clock $$",
        )
        .await?;
        Ok(PostgresClock(self.clone()))
    }
}

/// The clock of a database, through the ledger's one seam: the SQL function `coupon_now()`.
#[derive(Debug)]
pub struct PostgresClock(PostgresDatabase);

impl PostgresClock {
    /// From now on it is so many microseconds since the Unix epoch.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn set_micros(&self, at: i64) -> anyhow::Result<()> {
        let (seconds, micros) = (at.div_euclid(1_000_000), at.rem_euclid(1_000_000));
        let update = format!(
            "UPDATE test_clock SET at = 'epoch'::timestamptz + interval '{seconds} seconds' + interval '{micros} microseconds'"
        );
        self.0.psql(&update).await.map(drop)
    }
}

async fn make_cluster(programs: &Path, data: &Path) -> anyhow::Result<()> {
    let mut command = as_user(is_root().await?);
    command.push(text(&programs.join("initdb"))?);
    command.extend(["-D".to_owned(), text(data)?]);
    // What initdb writes need not survive a crash: who loses it makes it anew.
    command.extend(
        ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"].map(str::to_owned),
    );
    let made = Command::new(&command[0]).args(&command[1..]).current_dir(data).output().await?;
    succeeded("initdb", &made)
}

async fn psql(program: &Path, url: &str, commands: &str) -> anyhow::Result<String> {
    let mut command = Command::new(program);
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
    command.args(["--dbname", url, "--command", commands]);
    let output = command.kill_on_drop(true).output().await.context("psql cannot be started")?;
    succeeded("psql", &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn terminate(database: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    )
}

fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}@127.0.0.1:{port}/{database}")
}

/// The words before a command that make it run as a user whom Postgres accepts.
fn as_user(root: bool) -> Vec<String> {
    let words: &[&str] = if root { &["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"] } else { &[] };
    words.iter().map(ToString::to_string).collect()
}

async fn is_root() -> anyhow::Result<bool> {
    let id = Command::new("id").arg("-u").output().await?;
    Ok(String::from_utf8_lossy(&id.stdout).trim() == "0")
}

/// The folder of Postgres' programs: in the PATH, else of the newest version where Debian puts them, else where `pg_config` says.
fn programs() -> anyhow::Result<PathBuf> {
    let complete = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|p| folder.join(p).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find(complete);
    in_path
        .or_else(|| versions().into_iter().find(complete))
        .or_else(|| said_by_pg_config().filter(complete))
        .context("Postgres is not installed: initdb, postgres and psql are needed")
}

/// Newest first.
fn versions() -> Vec<PathBuf> {
    let version = |folder: &PathBuf| folder.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
    let mut folders: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter_map(|folder| Some((version(&folder)?, folder.join("bin"))))
        .collect();
    folders.sort();
    folders.into_iter().rev().map(|(_, bin)| bin).collect()
}

fn said_by_pg_config() -> Option<PathBuf> {
    let output = std::process::Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}

fn succeeded(program: &str, output: &Output) -> anyhow::Result<()> {
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
