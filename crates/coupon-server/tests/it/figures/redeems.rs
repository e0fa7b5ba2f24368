//! Redeem against the least that Postgres could do for it: one prepared statement that changes the same three tables, by pgbench, on the
//! same server, in turn with it.

use std::time::Instant;

use coupon_proto::v1 as pb;
use coupon_testkit::postgres::{PostgresDatabase, PostgresServer};
use coupon_testkit::redis::RedisServer;
use futures::{StreamExt as _, stream};
use tokio::process::Command;

use super::{median, per_second, size};
use crate::process::Process;
use crate::shop::within;
use crate::shopper::Shopper;

const TURNS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figure")]
async fn redeem_against_a_bare_statement() {
    // Each of pgbench's clients does as much as the others.
    let callers = size("COUPON_FIGURE_CALLERS", 128);
    let redeems = size("COUPON_FIGURE_REDEEMS", 512).div_ceil(callers) * callers;
    let room = format!("max_connections={}", callers + 50);
    let postgres = PostgresServer::start(&[&room]).await.expect("postgres starts");
    let (database, redis) =
        (postgres.database().await.expect("a database"), RedisServer::start().await.expect("redis"));
    let stores = [format!("--database-url={}", database.url()), format!("--redis-url={}", redis.url())];
    let service = Process::start(&[&stores[0], &stores[1], "--queue-length=100000"]).await;
    let (mine, _) = given(&service, &database, redeems * TURNS).await;
    let (theirs_to_use, round) = given(&service, &database, redeems * TURNS).await;

    let bare = statement(callers, &theirs_to_use[0].coupon.campaign_id, &round);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut shoppers = mine.into_iter();
    for turn in 0..TURNS {
        let mut some: Vec<_> = shoppers.by_ref().take(redeems).collect();
        // Connections are made before, as pgbench's are.
        let clients: Vec<_> = (0..8).map(|_| service.another_connection()).collect();
        for client in &clients {
            let request = pb::ListCouponsRequest { user_id: "nobody".to_owned(), ..Default::default() };
            client.clone().list_coupons(request).await.expect("connected");
        }
        let began = Instant::now();
        let calls = some.iter_mut().zip(clients.iter().cycle()).map(|(shopper, client)| shopper.redeem(client));
        stream::iter(calls).buffer_unordered(callers).collect::<Vec<()>>().await;
        ours.push(per_second(redeems, began.elapsed()));
        theirs.push(pgbench(&database, &bare, callers, turn * redeems, redeems).await);
        eprintln!("turn {turn}: redeem {:.0}/s, pgbench {:.0}/s", ours[turn], theirs[turn]);
    }
    let ratio = median(ours.clone()) / median(theirs.clone());
    eprintln!(
        "redeem, {callers} callers: {:.0}/s; the bare statement, {callers} clients: {:.0}/s; ratio {ratio:.2}",
        median(ours),
        median(theirs),
    );
    let count = |table: &str, state: &str| {
        let (database, query) = (database.clone(), format!("SELECT count(*) FROM {table} WHERE {state}"));
        async move { database.psql(&query).await.expect("a count") }
    };
    let all = (2 * TURNS * redeems).to_string();
    assert_eq!(count("coupons", "state = 'REDEEMED'").await, all);
    assert_eq!(count("orders", "state = 'REDEEMED'").await, all);
    assert_eq!(count("events", "kind = 'coupon.redeemed'").await, all);
}

/// A campaign whose coupons are given and recorded: who has them, and its round.
async fn given(service: &Process, database: &PostgresDatabase, coupons: usize) -> (Vec<Shopper>, String) {
    let campaign = service.open_rush(i64::try_from(coupons).expect("few")).await;
    let client = service.coupons();
    let claims = stream::iter(0..coupons).map(|n| {
        let (client, campaign) = (&client, &campaign);
        async move { Shopper::claim(client, campaign, &format!("user-{n}")).await.expect("enough") }
    });
    let shoppers: Vec<_> = claims.buffer_unordered(64).collect().await;
    let round = shoppers[0].coupon.round_id.trim_start_matches("r-").to_owned();
    let query = format!("SELECT count(*) FROM coupons WHERE round_no = {round}");
    let recorded = || async { (database.psql(&query).await.ok()? == coupons.to_string()).then_some(()) };
    within(std::time::Duration::from_secs(120), recorded).await;
    database.psql("VACUUM ANALYZE").await.expect("done");
    (shoppers, round)
}

/// So many redemptions by a bare statement, of the coupons from this serial on; answers how many a second.
async fn pgbench(database: &PostgresDatabase, statement: &str, callers: usize, from: usize, redeems: usize) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("redeem.sql");
    std::fs::write(&script, statement).expect("written");
    let (clients, each) = (callers.to_string(), (redeems / callers).to_string());
    let output = Command::new(database.program("pgbench"))
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--client", &clients, "--transactions", &each])
        .args(["--define=i=-1", "--define", &format!("base={from}"), "--file"])
        .arg(&script)
        .arg(database.url())
        .kill_on_drop(true)
        .output()
        .await
        .expect("pgbench is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split_whitespace().next()?.parse().ok());
    rate.unwrap_or_else(|| panic!("{said}"))
}

/// Ids of events rise, as the service's do.
fn statement(callers: usize, campaign: &str, round: &str) -> String {
    format!(
        r#"\set i :i + 1
\set serial :base + :i * {callers} + :client_id
WITH used AS (
    UPDATE coupons SET state = 'REDEEMED', order_id = 'bare-' || :serial::integer, redeemed_at = coupon_now()
    WHERE round_no = {round} AND serial = :serial::integer AND state = 'ISSUED'
    RETURNING round_no, serial, user_id, order_id, redeemed_at
), ordered AS (
    INSERT INTO orders (campaign_id, id, round_no, serial, user_id, currency, amount, discount, state, redeemed_at)
    SELECT '{campaign}', order_id, round_no, serial, user_id, 'EUR', 5000, 1000, 'REDEEMED', redeemed_at FROM used
)
INSERT INTO events (id, kind, campaign_id, round_no, serial, user_id, order_id, state, details, at)
SELECT '01930000-0000-7000-8000-' || lpad(serial::text, 12, '0'), 'coupon.redeemed', '{campaign}', round_no, serial, user_id,
    order_id, 'REDEEMED', jsonb_build_object('price', jsonb_build_object('amount', 5000, 'discount', 1000)), redeemed_at
FROM used;
"#
    )
}
