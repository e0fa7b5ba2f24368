//! The ledger in Postgres against real servers.

mod constraints;
mod draws;
mod events;
mod migrating;
mod outage;
mod recording;
mod redeeming;
mod shop;
mod statistics;
mod titles;
mod users;

mod postgres_keeps_the_repository_contract {
    coupon_testkit::repository_contract!(crate::on_a_database_of_its_own);
}

use std::sync::Arc;

use coupon_postgres::{PostgresConfig, PostgresLedger, migrate};
use coupon_testkit::postgres::{PostgresDatabase, PostgresServer};
use coupon_testkit::under_test::LedgerUnderTest;

/// A database with the schema, on this server.
async fn migrated_on(server: &PostgresServer) -> PostgresDatabase {
    let migrated = server.migrated_database(|url| async move { migrate(&url).await.map(drop) });
    migrated.await.map_err(|e| format!("{e:#}")).expect("a database")
}

/// A database with the schema, on the server that all share.
async fn migrated() -> PostgresDatabase {
    migrated_on(PostgresServer::shared().await.expect("a server")).await
}

async fn connected(database: &PostgresDatabase) -> PostgresLedger {
    PostgresLedger::connect(PostgresConfig::new(database.url())).await.expect("it answers")
}

async fn on_a_database_of_its_own() -> LedgerUnderTest {
    let database = migrated().await;
    let clock = database.clock().await.expect("the ledger's clock can be replaced");
    let ledger = connected(&database).await;
    LedgerUnderTest {
        campaigns: Arc::new(ledger.clone()),
        records: Arc::new(ledger.clone()),
        coupons: Arc::new(ledger.clone()),
        draws: Arc::new(ledger.clone()),
        users: Arc::new(ledger.clone()),
        statistics: Arc::new(ledger),
        clock: Arc::new(clock),
        keep: Box::new(()),
    }
}
