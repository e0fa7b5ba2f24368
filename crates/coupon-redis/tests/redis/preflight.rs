//! Which Redis is used, and which is refused.

use std::time::Duration;

use coupon_domain::answer::Place;
use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::model::{
    CampaignHead, DrawConclusion, LoadChunk, Retirement, RoundHead, RoundView, Seat, SupplyAddition,
};
use coupon_domain::ports::{Gate as _, GateError, Journal as _};
use coupon_domain::position::Position;
use coupon_domain::time::Timestamp;
use coupon_redis::{Durability, LIBRARY, RedisConfig, RedisGate};
use coupon_testkit::build::{campaign_id, head, round, round_id, rules, second, user, users, winners};
use coupon_testkit::redis::RedisServer;
use coupon_testkit::under_test::TestClock as _;
use uuid::Uuid;

use crate::support::{INSTALLATION, Rush, config, seen};

async fn refused(arguments: &[&str]) -> String {
    let server = RedisServer::start_with(arguments).await.expect("a private server");
    match RedisGate::connect(config(&server)).await {
        Err(GateError::Unsafe(text)) => text,
        other => panic!("{arguments:?} is unsafe, but {other:?}"),
    }
}

#[tokio::test]
async fn a_redis_that_may_lose_a_yes_is_refused_by_the_setting() {
    for (name, value, wanted) in [
        ("appendonly", "no", "yes"),
        ("appendfsync", "everysec", "always"),
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("no-appendfsync-on-rewrite", "yes", "no"),
    ] {
        let text = refused(&[&format!("--{name}"), value]).await;
        assert!(text.ends_with(&format!("{name} is {value}, wanted is {wanted}")), "{text}");
    }
    let text = refused(&["--save", "900 1"]).await;
    assert!(text.contains("stop-writes-on-bgsave-error is yes"), "{text}");
}

#[tokio::test]
async fn a_setting_that_became_weak_is_found_by_the_next_check() {
    let rush = Rush::begin(round(1)).await;
    assert_eq!(rush.gate.durability(), "local: fsync before each answer");

    rush.server.command(&["CONFIG", "SET", "appendfsync", "no"]).await.expect("set");

    assert!(matches!(rush.gate.check().await, Err(GateError::Unsafe(_))));
    assert!(matches!(rush.gate.freeze(&rush.campaign, 2).await, Err(GateError::Unsafe(_))));
}

#[tokio::test]
async fn a_relaxed_installation_uses_a_weak_redis_and_says_so() {
    let server = RedisServer::start_with(&["--appendfsync", "everysec"]).await.expect("a private server");
    let config = RedisConfig { durability: Durability::Relaxed, ..config(&server) };
    let gate = RedisGate::connect(config).await.expect("it is used all the same");
    assert_eq!(gate.durability(), "relaxed: appendfsync is everysec, wanted is always");
}

#[tokio::test]
async fn another_database_than_the_first_is_refused() {
    let server = RedisServer::start().await.expect("a private server");
    let url = server.url();
    let in_database = |number| RedisConfig { url: format!("{url}/{number}"), ..config(&server) };
    RedisGate::connect(in_database(0)).await.expect("the first");
    match RedisGate::connect(in_database(1)).await {
        Err(GateError::Unsafe(text)) => assert!(text.contains("database 1"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_installations_redis_is_refused() {
    let server = RedisServer::start().await.expect("a private server");
    RedisGate::connect(config(&server)).await.expect("nobody's yet");
    RedisGate::connect(config(&server)).await.expect("ours");

    let other = RedisConfig { installation: Uuid::from_u128(8), ..config(&server) };
    match RedisGate::connect(other).await {
        Err(GateError::Foreign(owner)) => assert_eq!(owner, INSTALLATION),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_campaign_of_another_installation_is_not_frozen() {
    let rush = Rush::begin(round(1)).await;
    let other = Uuid::from_u128(8).to_string();
    rush.server.command(&["HSET", "{c:c}", "installation", &other]).await.expect("set");
    assert!(matches!(rush.gate.freeze(&rush.campaign, 2).await, Err(GateError::Foreign(_))));
}

#[tokio::test]
async fn functions_of_another_build_are_refused_until_they_are_installed_anew() {
    let rush = Rush::begin(round(1)).await;
    let other = RedisConfig { library: format!("{LIBRARY}-- another build\n").into(), ..config(&rush.server) };

    assert!(matches!(RedisGate::connect(other.clone()).await, Err(GateError::Unsafe(_))));
    rush.claim(&users(1)).await.expect("what was open stays open");

    RedisGate::install_functions(&other).await.expect("installed");
    RedisGate::connect(other).await.expect("they are its own");
    assert!(matches!(rush.claim(&users(1)).await, Err(GateError::NotLoaded)));
}

#[tokio::test]
async fn an_instance_that_may_not_load_functions_needs_them_installed() {
    let server = RedisServer::start().await.expect("a private server");
    let config = RedisConfig { load_functions: false, ..config(&server) };
    match RedisGate::connect(config.clone()).await {
        Err(GateError::Unsafe(text)) => assert!(text.contains("coupon migrate"), "{text}"),
        other => panic!("{other:?}"),
    }

    RedisGate::install_functions(&config).await.expect("installed");
    RedisGate::install_functions(&config).await.expect("installed before");

    RedisGate::connect(config).await.expect("they are there");
}

#[tokio::test]
async fn the_rights_in_the_readme_are_enough() {
    let server = RedisServer::start().await.expect("a private server");
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```text\n").expect("the readme has the rights");
    let (rights, _) = rest.split_once("```").expect("the block ends");
    let mut words: Vec<_> = rights.split_whitespace().collect();
    // Only the tests' clock reads this key.
    words.push("~coupon:test:clock");
    server.command(&words).await.expect("redis knows these rights");
    RedisGate::install_functions(&config(&server)).await.expect("installed by the administrator");

    let url = server.url().replace("redis://", "redis://coupon:secret@");
    let config = RedisConfig { url, load_functions: false, ..config(&server) };
    let plan = round(1).reserving(0..240).fixed(500).drawn();
    let Rush { server, gate, campaign } = Rush::begin_on(server, config, plan).await;
    let (id, request) = (round_id(1), Some(Uuid::from_u128(9)));

    server.clock().set(second(0)).await;
    gate.reserve(&campaign, id, &users(500), true, seen(0)).await.expect("an open gate answers");
    let addition = SupplyAddition { round: Some(id), amount: 1, request };
    gate.add_supply(&campaign, &addition, seen(0)).await.expect("an open gate answers");
    server.clock().set(second(240)).await;
    let draw = gate.conclude_draw(&campaign, id, &winners(500, 0..500), seen(0)).await.expect("an open gate answers");
    assert_eq!(draw.answers, DrawConclusion::Drawn(Duration::ZERO));
    server.clock().set(second(300)).await;
    let claimed = gate.claim(&campaign, id, &users(500), true, seen(0)).await.expect("an open gate answers");
    let entries = gate.read(&campaign, 0, 2000).await.expect("the journal answers");
    assert_eq!(entries.last(), claimed.entry.as_ref());
    gate.trim(&campaign, u64::MAX >> 1, Timestamp::MAX).await.expect("the journal is trimmed");
    assert!(gate.read(&campaign, 0, 2000).await.expect("the journal answers").is_empty());
    let revision = Revision { of: 1, scope: Scope::Labels, rules: rules(), request: None };
    gate.revise(&campaign, &revision, seen(0)).await.expect("an open gate answers");
    gate.transition(&campaign, Transition::Pause, None, seen(0)).await.expect("an open gate answers");
    server.clock().set(second(360)).await;
    gate.tick(&campaign, seen(0)).await.expect("an open gate answers");
    server.clock().set(second(360 + 3600)).await;
    let retired = gate.retire(&campaign, id, u64::MAX >> 1, seen(0)).await.expect("an open gate answers");
    assert_eq!(retired.answers, Retirement::Retired);

    gate.freeze(&campaign, 2).await.expect("a later epoch freezes");
    gate.reopen(&campaign, 2).await.expect("nothing is missing");
    gate.freeze(&campaign, 3).await.expect("a later epoch freezes");
    let view = RoundView { places: 1, supply: Some(1), drawn: true, ..RoundView::planned(round(2).drawn().build()) };
    let seat = Seat { place: Some(Place { ticket: 0, reserved_at: second(0) }), coupon: None };
    for chunk in [
        LoadChunk::Head(CampaignHead { position: Position { epoch: 3, n: 9 }, ..head() }),
        LoadChunk::Round(RoundHead { view, last_n: 9 }),
        LoadChunk::Seats(round_id(2), vec![(user("ada"), seat)]),
        LoadChunk::Winners(round_id(2), 0, winners(1, 0..1)),
        LoadChunk::Requests(vec![(Uuid::from_u128(9), "PAUSE".to_owned())]),
        LoadChunk::Counts(vec![(user("ada"), 1)]),
        LoadChunk::Open,
    ] {
        gate.load(&campaign, 3, chunk).await.expect("loaded");
    }
}

#[tokio::test]
async fn one_node_of_a_cluster_is_used_like_a_server() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"])
        .await
        .expect("a private server");
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await.expect("it has all slots");
    while !server.command(&["CLUSTER", "INFO"]).await.expect("it tells").contains("cluster_state:ok") {
        tokio::task::yield_now().await;
    }
    let url = server.url().replace("redis://", "redis-cluster://");
    // The test clock's key is in another slot than the campaign's.
    let config = RedisConfig { url, ..RedisConfig::new("", INSTALLATION) };
    let gate = RedisGate::connect(config).await.expect("a cluster that can be used");

    let campaign = campaign_id("c");
    gate.freeze(&campaign, 1).await.expect("a new campaign freezes");
    gate.load(&campaign, 1, LoadChunk::Head(head())).await.expect("loaded");
    gate.load(&campaign, 1, LoadChunk::Open).await.expect("open");
    let opened = gate.open_round(&campaign, &round(1).build(), seen(0)).await;
    let entry = opened.expect("an open gate answers").entry.expect("a round is journaled");
    assert_eq!(gate.read(&campaign, 0, 10).await.expect("the journal answers"), [entry]);
}
