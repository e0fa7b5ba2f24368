//! The pool, and how work is run on one of its connections: detached from the caller and within a time limit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use coupon_domain::ports::LedgerError;
use diesel::ConnectionError;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection, AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection,
    TransactionManager,
};
use tokio::time::timeout;

use crate::config::PostgresConfig;
use crate::failure::Failure;
use crate::statement::sql;

/// What is done with a connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'c>>;

/// How a transaction ends that did not fail.
pub(crate) enum End<T> {
    /// What was written stays.
    Commit(T),
    /// Nothing was written.
    Rollback(T),
}

/// Connections for what keeps instances apart.
const URGENT: usize = 2;

/// The ledger in Postgres. Cloning it is cheap and shares the connections.
#[derive(Clone)]
pub struct PostgresLedger {
    pool: Pool<AsyncPgConnection>,
    /// For what keeps instances apart: it must not queue behind bulk work, or a slow ledger would close every gate.
    urgent: Pool<AsyncPgConnection>,
    acquire_timeout: Duration,
    call_timeout: Duration,
    /// Up to here no event is still to come; see `events.rs`.
    pub(crate) settled: Arc<AtomicI64>,
}

impl PostgresLedger {
    /// A ledger that answers. Neither its schema nor its settings are looked at: see [`PostgresLedger::pending_migrations`] and
    /// [`PostgresLedger::preflight`].
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if Postgres cannot be reached, or not as this user.
    pub async fn connect(config: PostgresConfig) -> Result<Self, LedgerError> {
        let urgent = pool(&config, URGENT)?;
        let pool = pool(&config, config.max_connections.saturating_sub(URGENT).max(1))?;
        let PostgresConfig { acquire_timeout, call_timeout, .. } = config;
        let ledger = Self { pool, urgent, acquire_timeout, call_timeout, settled: Arc::default() };
        ledger.ping().await?;
        Ok(ledger)
    }

    /// Whether Postgres answers.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn ping(&self) -> Result<(), LedgerError> {
        self.run(|conn| {
            Box::pin(async move {
                sql("SELECT 1").execute(conn).await?;
                Ok(())
            })
        })
        .await?;
        Ok(())
    }

    /// Does this with a connection, to its end even if the caller goes away.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        self.run_on(&self.pool, work).await
    }

    /// The same, for what keeps instances apart.
    pub(crate) async fn run_urgent<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        self.run_on(&self.urgent, work).await
    }

    async fn run_on<T, F>(&self, pool: &Pool<AsyncPgConnection>, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        let (pool, acquire_timeout, call_timeout) = (pool.clone(), self.acquire_timeout, self.call_timeout);
        let task = tokio::spawn(async move {
            let mut conn = acquire(&pool, acquire_timeout).await?;
            match timeout(call_timeout, work(&mut conn)).await {
                Ok(result) => result,
                Err(_) => {
                    // It may still be busy with that work: nobody else shall have it. And if the server has vanished without a word,
                    // those that lie idle are as dead, and each would cost somebody as long a wait.
                    drop(Object::take(conn));
                    pool.retain(|_, _| false);
                    Err(Failure::NoAnswer)
                }
            }
        });
        task.await.map_err(Failure::Stopped)?
    }

    /// Does this in one transaction, to its end even if the caller goes away.
    pub(crate) async fn transaction<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, End<T>> + Send + 'static,
    {
        self.run(|conn| {
            Box::pin(async move {
                AnsiTransactionManager::begin_transaction(conn).await?;
                match work(conn).await {
                    Ok(End::Commit(value)) => {
                        AnsiTransactionManager::commit_transaction(conn).await?;
                        Ok(value)
                    }
                    Ok(End::Rollback(value)) => {
                        AnsiTransactionManager::rollback_transaction(conn).await?;
                        Ok(value)
                    }
                    Err(failure) => {
                        // The first failure says why; a connection that cannot even roll back is dropped by the pool.
                        let _ = AnsiTransactionManager::rollback_transaction(conn).await;
                        Err(failure)
                    }
                }
            })
        })
        .await
    }
}

fn pool(config: &PostgresConfig, size: usize) -> Result<Pool<AsyncPgConnection>, Failure> {
    let mut manager = ManagerConfig::default();
    // No round trip before each use; a connection that is known to be closed is dropped all the same.
    manager.recycling_method = RecyclingMethod::Fast;
    let (session, limit): (Arc<str>, _) = (config.session().into(), config.connect_timeout);
    manager.custom_setup = Box::new(move |url| {
        let (url, session) = (url.to_owned(), Arc::clone(&session));
        Box::pin(async move { connect(&url, &session, limit).await })
    });
    let manager = AsyncDieselConnectionManager::new_with_config(config.url.clone(), manager);
    Pool::builder(manager).max_size(size).build().map_err(|e| Failure::NoConnection(e.into()))
}

async fn acquire(pool: &Pool<AsyncPgConnection>, limit: Duration) -> Result<Object<AsyncPgConnection>, Failure> {
    match timeout(limit, pool.get()).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(Failure::NoConnection(error.into())),
        Err(elapsed) => Err(Failure::NoConnection(elapsed.into())),
    }
}

/// A session of its own, set up like those of the pool.
pub(crate) async fn connect(url: &str, session: &str, limit: Duration) -> Result<AsyncPgConnection, ConnectionError> {
    let setup = async {
        let mut conn = AsyncPgConnection::establish(url).await?;
        conn.batch_execute(session).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    };
    timeout(limit, setup)
        .await
        .unwrap_or_else(|_| Err(ConnectionError::BadConnection("Postgres did not answer in time".to_owned())))
}
