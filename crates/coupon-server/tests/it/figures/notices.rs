//! Many notices that fall due at once: how long until the last one has left by both outlets, and what claims lose by it meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coupon_domain::ports::EventKind;
use coupon_proto::v1 as pb;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use coupon_testkit::nats::NatsServer;
use coupon_testkit::postgres::{PostgresDatabase, PostgresServer};
use coupon_testkit::receiver::WebhookReceiver;
use coupon_testkit::redis::RedisServer;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::{per_second, size};
use crate::hooks::{SECRET, secrets_file};
use crate::process::{Process, rush, valid_for_days};
use crate::shop::within;
use crate::shopper::Shopper;
use crate::told::{NatsReader, in_effect, of_webhook};

const CALLERS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "the figure")]
async fn notices_that_fall_due_at_once_leave_while_claims_go_on() {
    let notices = size("COUPON_FIGURE_NOTICES", 500);
    let claims = size("COUPON_FIGURE_CLAIMS", 2_000);
    let callers = size("COUPON_FIGURE_CALLERS", CALLERS);
    let postgres = PostgresServer::start(&[]).await.expect("postgres starts");
    let (database, redis) =
        (postgres.database().await.expect("a database"), RedisServer::start().await.expect("redis"));
    let (nats, hooks) =
        (NatsServer::start().await.expect("nats"), WebhookReceiver::start(&[SECRET]).await.expect("a port"));
    let secrets = secrets_file();
    let arguments = [
        format!("--database-url={}", database.url()),
        format!("--redis-url={}", redis.url()),
        format!("--nats-url={}", nats.url()),
        format!("--webhooks=hooks={}", hooks.url()),
        format!("--webhook-secrets-file={}", secrets.path().display()),
        "--webhook-allow-private".to_owned(),
    ];
    let service = Process::start(&arguments.each_ref().map(String::as_str)).await;
    let mut owners = Vec::new();
    for (title, days) in [("tired", 10), ("drowsy", 13)] {
        let (campaign, client) = (open(&service, title, days).await, service.coupons());
        let owned = stream::iter(0..notices).map(|n| {
            let (client, campaign) = (&client, &campaign);
            async move { Shopper::claim(client, campaign, &format!("user-{n}")).await.expect("enough") }
        });
        owners.extend(owned.buffer_unordered(callers).collect::<Vec<_>>().await);
    }
    let fresh = open(&service, "fresh", 100).await;
    all_left(&database).await;

    // The ledger's clock goes on: the default lead is seven days.
    set_later(&database, 4).await;
    let began = Instant::now();
    let position = written(&database).await;
    let told = began.elapsed();
    left(&database, position).await;
    eprintln!("{notices} notices: written in {told:.2?}, all left by webhook and NATS in {:.2?}", began.elapsed());

    let (load, count) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8).map(|_| service.another_connection()).collect();
    let claiming = tokio::spawn(claim_on(clients, callers, fresh, load.clone(), Arc::clone(&count)));
    let rate_of_the_next = async |claims: usize| {
        let (began, before) = (Instant::now(), count.load(Ordering::Relaxed));
        let made = || async { Some(count.load(Ordering::Relaxed) - before).filter(|made| *made >= claims) };
        let made = within(PATIENCE, made).await;
        per_second(made, began.elapsed())
    };
    rate_of_the_next(claims).await;
    let before = rate_of_the_next(claims).await;

    set_later(&database, 7).await;
    let during = rate_of_the_next(claims).await;
    let waiting = database.psql(DUE).await.expect("a count");
    load.cancel();
    claiming.await.expect("the load ends");

    eprintln!(
        "claims by {callers} callers: {before:.0}/s before, {during:.0}/s while {notices} notices are due ({waiting} still \
         are at the end); {:.3} of before",
        during / before
    );
    written(&database).await;
    all_left(&database).await;
    let by_webhook: Vec<_> = hooks.taken().iter().map(of_webhook).collect();
    let mut nats = NatsReader::connect(&nats.url()).await;
    let mut expected: Vec<_> = owners.into_iter().map(|owner| owner.coupon.id).collect();
    expected.sort_unstable();
    for told in [by_webhook.as_slice(), nats.events().await] {
        let (once, _) = in_effect(told);
        let notices = once.into_iter().filter(|event| event.kind == EventKind::CouponExpiring);
        let mut coupons: Vec<_> = notices.filter_map(|event| Some(event.coupon?.to_string())).collect();
        coupons.sort_unstable();
        assert_eq!(coupons, expected, "one each");
    }
}

const DUE: &str = "SELECT count(*) FROM coupons WHERE state = 'ISSUED' AND notice_at <= coupon_now()";

/// From now on the ledger's clock is so many days ahead.
async fn set_later(database: &PostgresDatabase, days: u32) {
    let later = format!(
        "CREATE OR REPLACE FUNCTION coupon_now() RETURNS timestamptz LANGUAGE sql VOLATILE
            AS $$ SELECT clock_timestamp() + interval '{days} days' $$"
    );
    database.psql(&later).await.expect("the clock is moved");
}

/// A campaign whose coupons are valid so long.
async fn open(service: &Process, title: &str, days: i64) -> String {
    let plan = rush(10_000_000, Duration::from_secs(1));
    service.open(pb::Campaign { title: title.to_owned(), validity: valid_for_days(days), ..plan }).await
}

/// New users claim, each caller one after the other.
async fn claim_on(
    clients: Vec<CouponServiceClient<Channel>>,
    callers: usize,
    campaign: String,
    over: CancellationToken,
    count: Arc<AtomicUsize>,
) {
    let next = AtomicUsize::new(0);
    let caller = |client: CouponServiceClient<Channel>| {
        let (next, campaign, over, count) = (&next, &campaign, &over, &count);
        async move {
            while !over.is_cancelled() {
                let user = format!("late-{}", next.fetch_add(1, Ordering::Relaxed));
                Shopper::claim(&client, campaign, &user).await.expect("enough");
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    join_all(clients.iter().cycle().take(callers).map(|client| caller(client.clone()))).await;
}

/// Waits until notice was given of all coupons that are due; answers how far the feed was then.
async fn written(database: &PostgresDatabase) -> i64 {
    within(PATIENCE, || async { (database.psql(DUE).await.ok()? == "0").then_some(()) }).await;
    let last = "SELECT coalesce(max(seq), 0) FROM events WHERE kind = 'coupon.expiring'";
    database.psql(last).await.expect("a position").parse().expect("a number")
}

/// Waits until both outlets have carried all events up to this position.
async fn left(database: &PostgresDatabase, position: i64) {
    let behind = format!(
        "SELECT count(*) FROM subscribers WHERE position >= {position}
            AND NOT EXISTS (SELECT FROM deliveries WHERE outlet = name AND deliveries.position <= {position})"
    );
    within(PATIENCE, || async { (database.psql(&behind).await.ok()? == "2").then_some(()) }).await;
}

/// Waits until all that is written has left.
async fn all_left(database: &PostgresDatabase) {
    let last = database.psql("SELECT coalesce(max(seq), 0) FROM events").await.expect("a position");
    left(database, last.parse().expect("a number")).await;
}
