//! Postgres goes away and comes back.

use std::time::Duration;

use coupon_domain::checkout::{Deed, Outcome};
use coupon_domain::ports::{CampaignRepository as _, CouponRepository as _, LedgerError};
use coupon_postgres::{PostgresConfig, PostgresLedger};
use coupon_testkit::build::user;
use coupon_testkit::postgres::PostgresServer;

use crate::migrated_on;
use crate::shop::{Shop, ada_redeems};

/// Asks until the ledger answers again.
async fn recovered(ledger: &PostgresLedger) {
    let answers = async { while ledger.ping().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), answers).await.expect("the ledger comes back by itself");
}

#[tokio::test]
async fn after_a_crash_of_postgres_the_ledger_works_again_and_has_lost_nothing() {
    let server = PostgresServer::start(&[]).await.expect("a server");
    let mut shop = Shop::on(migrated_on(&server).await).await;
    let entries = shop.claims(&[user("ada")]);
    shop.record(&entries).await;
    shop.ledger.carry_out(&[ada_redeems(0, "o-0")]).await.expect("redeemed");

    server.kill().await.expect("killed");
    for _ in 0..3 {
        let failed = shop.ledger.now().await.expect_err("Postgres is away");
        assert!(matches!(failed, LedgerError::Unavailable(_) | LedgerError::Unknown(_)), "{failed:?}");
    }
    let away = shop.ledger.now().await.expect_err("Postgres is away");
    assert!(matches!(away, LedgerError::Unavailable(_)), "{away:?}");
    server.restart().await.expect("restarted");

    recovered(&shop.ledger).await;
    let replayed = shop.ledger.carry_out(&[ada_redeems(0, "o-0")]).await.expect("answers");
    assert!(matches!(replayed[..], [Outcome::Replayed(Deed::Redeemed(_))]), "{replayed:?}");
}

#[tokio::test]
async fn sessions_that_an_administrator_ended_are_replaced() {
    let shop = Shop::with_coupons(&[user("ada")]).await;

    for _ in 0..3 {
        shop.database.end_sessions().await.expect("ended");
        if let Err(failed) = shop.ledger.now().await {
            assert!(matches!(failed, LedgerError::Unavailable(_) | LedgerError::Unknown(_)), "{failed:?}");
        }
        recovered(&shop.ledger).await;
    }
}

#[tokio::test]
async fn nobody_waits_long_for_a_server_that_accepts_nobody() {
    let server = PostgresServer::start(&[]).await.expect("a server");
    let database = server.database().await.expect("a database");
    server.signal("STOP").await.expect("stopped");

    let brief = Duration::from_millis(200);
    let config = PostgresConfig { connect_timeout: brief, ..PostgresConfig::new(database.url()) };
    let refused = PostgresLedger::connect(config).await;

    server.signal("CONT").await.expect("goes on");
    assert!(matches!(refused, Err(LedgerError::Unavailable(_))));
}

#[tokio::test]
async fn nobody_waits_long_for_a_lock() {
    let shop = Shop::with_coupons(&[user("ada")]).await;
    let other = shop.session_after("BEGIN; SELECT 1 FROM coupons FOR UPDATE").await;
    let limits =
        PostgresConfig { lock_timeout: Duration::from_millis(100), ..PostgresConfig::new(shop.database.url()) };
    let ledger = PostgresLedger::connect(limits).await.expect("it answers");

    let failed = ledger.carry_out(&[ada_redeems(0, "o-0")]).await;
    assert!(matches!(failed, Err(LedgerError::Unknown(_))), "{failed:?}");

    drop(other);
    let redeemed = shop.ledger.carry_out(&[ada_redeems(0, "o-0")]).await.expect("answers");
    assert!(matches!(redeemed[..], [Outcome::Done(Deed::Redeemed(_))]), "{redeemed:?}");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up_and_its_connection_with_it() {
    let shop = Shop::with_coupons(&[user("ada")]).await;
    let other = shop.session_after("BEGIN; SELECT 1 FROM coupons FOR UPDATE").await;
    let limits = PostgresConfig {
        max_connections: 1,
        call_timeout: Duration::from_millis(100),
        ..PostgresConfig::new(shop.database.url())
    };
    let ledger = PostgresLedger::connect(limits).await.expect("it answers");

    let failed = ledger.carry_out(&[ada_redeems(0, "o-0")]).await;

    assert!(matches!(failed, Err(LedgerError::Unknown(_))), "{failed:?}");
    ledger.ping().await.expect("the only connection was replaced");
    drop(other);
}
