//! The schema, and servers that are refused.

use coupon_domain::ports::{CampaignRepository as _, CreateOutcome, EventFilter, FeedRepository as _};
use coupon_postgres::{PostgresConfig, PostgresLedger, Unfit, migrate};
use coupon_testkit::build::a_campaign;
use coupon_testkit::postgres::PostgresServer;

use crate::{connected, migrated};

#[tokio::test]
async fn a_database_without_the_schema_is_refused_and_says_what_it_lacks() {
    let database = PostgresServer::shared().await.expect("a server").database().await.expect("a database");
    let ledger = connected(&database).await;

    let unfit = ledger.preflight().await.expect_err("there is no schema");

    assert!(unfit.to_string().contains("ledger") && unfit.to_string().contains("coupon migrate"), "{unfit}");
    assert_eq!(migrate(database.url()).await.expect("migrated").len(), 1);
    ledger.preflight().await.expect("fit");
}

#[tokio::test]
async fn a_second_migration_does_nothing() {
    let database = migrated().await;
    assert_eq!(migrate(database.url()).await.expect("migrated"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_instances_that_start_together_one_migrates() {
    let database = PostgresServer::shared().await.expect("a server").database().await.expect("a database");

    let instances: Vec<_> = (0..6)
        .map(|_| {
            let url = database.url().to_owned();
            tokio::spawn(async move { migrate(&url).await })
        })
        .collect();
    let mut migrations = 0;
    for instance in instances {
        migrations += instance.await.expect("no panic").expect("migrated").len();
    }

    assert_eq!(migrations, 1);
}

#[tokio::test]
async fn the_way_down_leaves_nothing() {
    let database = migrated().await;
    let down = include_str!("../../../../migrations/postgres/2026-11-20-0001_ledger/down.sql");
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_\\_diesel%'";

    database.psql(down).await.expect("down");

    assert_eq!(database.psql(left).await.expect("answers"), "0");
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    for weak in ["fsync", "full_page_writes"] {
        let server = PostgresServer::start(&[&format!("{weak}=off")]).await.expect("a server");
        let database = server.database().await.expect("a database");
        let ledger = connected(&database).await;

        let unfit = ledger.preflight().await.expect_err("it is weak");

        assert!(matches!(&unfit, Unfit::Setting { setting, found } if *setting == weak && found == "off"), "{unfit}");
    }
}

#[tokio::test]
async fn a_session_waits_for_the_disk_whatever_the_database_says() {
    let database = migrated().await;
    database
        .psql(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
        )
        .await
        .expect("set");

    let ledger = PostgresLedger::connect(PostgresConfig::new(database.url())).await.expect("it answers");

    ledger.preflight().await.expect("fit");
}

#[tokio::test]
async fn a_user_who_owns_only_the_database_can_be_the_ledgers() {
    let database = PostgresServer::shared().await.expect("a server").database().await.expect("a database");
    database
        .psql("CREATE ROLE shop LOGIN; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO shop', current_database()); END $$")
        .await
        .expect("set up");
    let url = database.url().replace("postgres@", "shop@");

    migrate(&url).await.expect("migrated");
    let ledger = PostgresLedger::connect(PostgresConfig::new(url)).await.expect("it answers");

    ledger.preflight().await.expect("fit");
    assert!(matches!(ledger.create(&a_campaign("c")).await, Ok(CreateOutcome::Created(_))));
    assert_eq!(ledger.events(0, &EventFilter::default(), 10).await.expect("answers").events.len(), 1);
}
