//! The ledger in Postgres against real servers.

mod checkout;
mod constraints;
mod deliveries;
mod draws;
mod events;
mod migrating;
mod notices;
mod outage;
mod pruning;
mod recording;
mod shop;
mod statistics;
mod sweeping;
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
    LedgerUnderTest::new(Arc::new(ledger), Arc::new(clock), database)
}
