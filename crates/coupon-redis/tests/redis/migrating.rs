//! A slot that is moving to another node of the cluster: nothing is written by halves, and the client survives redirections.

use std::time::{Duration, Instant};

use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::model::LoadChunk;
use coupon_domain::ports::{Gate as _, GateError};
use coupon_redis::{RedisConfig, RedisGate};
use coupon_testkit::build::{campaign_id, head, round, round_id, rules};
use coupon_testkit::redis::RedisServer;

use crate::support::{INSTALLATION, seen};

/// A busy machine needs its time; without a bound, this test would hang.
const SOON: Duration = Duration::from_secs(20);

async fn node() -> RedisServer {
    let arguments = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"];
    RedisServer::start_with(&arguments).await.expect("a private server")
}

async fn until(server: &RedisServer, words: &[&str], wanted: impl Fn(&str) -> bool) {
    let begun = Instant::now();
    while !wanted(&server.command(words).await.expect("it tells")) {
        assert!(begun.elapsed() < SOON, "{words:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_round_in_a_slot_that_is_moving_is_not_changed_by_halves_and_a_redirection_does_not_end_the_client() {
    let (from, to) = (node().await, node().await);
    from.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await.expect("it has all slots");
    from.command(&["CLUSTER", "MEET", "127.0.0.1", &to.port().to_string()]).await.expect("they meet");
    until(&from, &["CLUSTER", "INFO"], |info| info.contains("cluster_state:ok")).await;
    until(&from, &["CLUSTER", "NODES"], |nodes| nodes.lines().filter(|line| line.contains(" connected")).count() == 2)
        .await;
    until(&to, &["CLUSTER", "INFO"], |info| info.contains("cluster_state:ok")).await;
    let url = from.url().replace("redis://", "redis-cluster://");
    let gate = RedisGate::connect(RedisConfig::new(url, INSTALLATION)).await.expect("a cluster that can be used");
    let campaign = campaign_id("c");
    gate.freeze(&campaign, 1).await.expect("a new campaign freezes");
    for chunk in [LoadChunk::Head(head()), LoadChunk::Open] {
        gate.load(&campaign, 1, chunk).await.expect("loaded");
    }
    gate.open_round(&campaign, &round(1).build(), seen(0)).await.expect("an open gate answers");

    begin_to_move("{c:c}", &from, &to).await;
    let second = round(2).claiming(1_000..1_100).build();
    let no = gate.open_round(&campaign, &second, seen(0)).await;
    assert!(matches!(no, Err(GateError::Unknown(_))), "{no:?}");
    let revision = Revision { of: 1, scope: Scope::Campaign, rules: rules(), request: None };
    let no = gate.revise(&campaign, &revision, seen(0)).await;
    assert!(matches!(no, Err(GateError::Unknown(_))), "{no:?}");
    let end = gate.transition(&campaign, Transition::End, None, seen(0)).await.expect("what is there still works");
    let no = gate.retire(&campaign, round_id(1), end.position.n, seen(0)).await;
    assert!(matches!(no, Err(GateError::Unknown(_))), "{no:?}");
    assert_eq!(from.command(&["HKEYS", "{c:c}:rounds"]).await.expect("it tells"), "1");
    assert_eq!(from.command(&["XLEN", "{c:c}:journal"]).await.expect("it tells"), "2", "the round and its end");
    gate.tick(&campaign, seen(0)).await.expect("what is there still works");

    // A campaign that is not there may be with the other node already: an answer that redirects.
    begin_to_move("{c:d}", &from, &to).await;
    let redirected = gate.tick(&campaign_id("d"), seen(0)).await;
    assert!(matches!(redirected, Err(GateError::Unknown(_))), "{redirected:?}");
    let begun = Instant::now();
    while let Err(error) = gate.tick(&campaign, seen(0)).await {
        assert!(matches!(error, GateError::Unknown(_)) && begun.elapsed() < SOON, "{error}");
        tokio::task::yield_now().await;
    }
}

async fn begin_to_move(key: &str, from: &RedisServer, to: &RedisServer) {
    let slot = from.command(&["CLUSTER", "KEYSLOT", key]).await.expect("it tells");
    let source = from.command(&["CLUSTER", "MYID"]).await.expect("it tells");
    let target = to.command(&["CLUSTER", "MYID"]).await.expect("it tells");
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await.expect("set");
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await.expect("set");
}
