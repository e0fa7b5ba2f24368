//! A Redis that cannot be reached: calls end soon and say that nobody knows, and the driver comes back by itself.

use std::time::{Duration, Instant};

use coupon_domain::ports::{Gate as _, GateError};
use coupon_redis::{RedisConfig, RedisGate};
use coupon_testkit::build::{round, users};
use coupon_testkit::redis::RedisServer;
use coupon_testkit::server::free_port;

use crate::proxy::Proxy;
use crate::support::{INSTALLATION, Rush, config};

const TIMEOUT: Duration = Duration::from_millis(500);
/// A busy machine needs its time; without a bound, these tests would hang.
const SOON: Duration = Duration::from_secs(20);

/// Asks again until there is an answer.
async fn until_answered<T>(ask: impl AsyncFn() -> Result<T, GateError>) -> Result<T, GateError> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(GateError::Unknown(source)) if begun.elapsed() > SOON => panic!("no answer: {source}"),
            Err(GateError::Unknown(_)) => tokio::task::yield_now().await,
            answer => return answer,
        }
    }
}

async fn impatient() -> Rush {
    let server = RedisServer::start().await.expect("a private server");
    let config = RedisConfig { command_timeout: TIMEOUT, ..config(&server) };
    Rush::begin_on(server, config, round(1)).await
}

#[tokio::test]
async fn connecting_to_nothing_fails_soon_and_says_where() {
    let port = free_port().expect("a free port");
    let url = format!("redis://user:secret@127.0.0.1:{port}");
    let config = RedisConfig { command_timeout: TIMEOUT, ..RedisConfig::new(url, INSTALLATION) };
    let begun = Instant::now();

    let error = RedisGate::connect(config).await.expect_err("there is nothing");

    let GateError::Unknown(source) = error else { panic!("{error}") };
    assert!(source.to_string().contains(&format!("Redis at 127.0.0.1:{port} cannot be reached")), "{source}");
    assert!(!source.to_string().contains("secret"));
    assert!(begun.elapsed() < SOON);
}

#[tokio::test]
async fn connecting_to_what_does_not_answer_fails_soon() {
    let mut server = RedisServer::start().await.expect("a private server");
    server.pause().expect("paused");
    let begun = Instant::now();

    let config = RedisConfig { command_timeout: TIMEOUT, ..config(&server) };
    let error = RedisGate::connect(config).await.expect_err("it does not answer");

    assert!(matches!(error, GateError::Unknown(_)), "{error}");
    assert!(begun.elapsed() < SOON);
}

#[tokio::test]
async fn a_killed_redis_is_unknown_soon_and_used_again_when_it_is_back() {
    let mut rush = impatient().await;
    rush.server.kill().expect("killed");
    let begun = Instant::now();

    for _ in 0..20 {
        assert!(matches!(rush.claim(&users(1)).await, Err(GateError::Unknown(_))));
    }
    assert!(begun.elapsed() < SOON);

    rush.server.restart().await.expect("it starts again");
    until_answered(|| rush.gate.check()).await.expect("it is as it was");
}

#[tokio::test]
async fn a_redis_that_hangs_is_unknown_soon_and_used_again_when_it_goes_on() {
    let mut rush = impatient().await;
    let first = rush.claim(&users(5)).await.expect("an open gate answers");
    rush.server.pause().expect("paused");
    let begun = Instant::now();

    assert!(matches!(rush.claim(&users(10)).await, Err(GateError::Unknown(_))));
    assert!(begun.elapsed() < SOON);

    rush.server.resume().expect("resumed");
    let again = until_answered(async || rush.claim(&users(10)).await).await.expect("an open gate answers");
    // Whether the call that hung was decided or not: nobody has two, and nobody is left out.
    let coupons: Vec<_> = again.answers.iter().map(|answer| format!("{:?}", answer.outcome)).collect();
    assert_eq!(coupons.len(), 10);
    for (first, again) in first.answers.iter().zip(&coupons) {
        assert_eq!(format!("{:?}", first.outcome).replace("Granted", "Replayed"), *again);
    }
}

#[tokio::test]
async fn a_cut_connection_comes_back_by_itself() {
    let rush = impatient().await;
    for _ in 0..5 {
        rush.server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await.expect("cut");
        until_answered(async || rush.claim(&users(10)).await).await.expect("an open gate answers");
    }
}

#[tokio::test]
async fn a_connection_that_died_silently_is_replaced_while_many_ask() {
    let server = RedisServer::start().await.expect("a private server");
    let proxy = Proxy::before(server.port()).await;
    let config = RedisConfig { url: proxy.url(), command_timeout: TIMEOUT, ..config(&server) };
    let rush = Rush::begin_on(server, config, round(1)).await;

    proxy.swallow_all_of_now();

    // Others ask all the time, and do not wait: for the driver each write is a sign of life.
    let others = async {
        loop {
            let _ = tokio::time::timeout(TIMEOUT / 10, rush.claim(&users(1))).await;
            tokio::task::yield_now().await;
        }
    };
    let patient = until_answered(async || rush.claim(&users(16)).await);
    tokio::select! {
        answer = patient => drop(answer.expect("an open gate answers")),
        () = others => {}
    }
}

#[tokio::test]
async fn a_primary_that_was_demoted_is_left() {
    let rush = impatient().await;
    let connections = async || rush.server.command(&["CLIENT", "LIST", "TYPE", "normal"]).await.expect("it tells");
    let ours = |list: &str| {
        let lines = list.lines().filter(|line| !line.contains("cmd=client"));
        lines.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    let before = ours(&connections().await);
    rush.server.command(&["REPLICAOF", "127.0.0.1", "1"]).await.expect("demoted");

    assert!(matches!(rush.claim(&users(1)).await, Err(GateError::Unknown(_))));

    let begun = Instant::now();
    while ours(&connections().await).iter().any(|id| before.contains(id)) {
        assert!(begun.elapsed() < SOON, "the connection is kept");
        tokio::task::yield_now().await;
    }
    rush.server.command(&["REPLICAOF", "NO", "ONE"]).await.expect("promoted");
    until_answered(async || rush.claim(&users(1)).await).await.expect("an open gate answers");
}
