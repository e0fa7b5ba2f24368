//! A "yes" survives: processes and stores are killed in the middle of a rush, by the wall's clock.

use std::collections::HashMap;
use std::time::Duration;

use coupon_proto::v1 as pb;
use coupon_testkit::postgres::{PostgresDatabase, PostgresServer};
use coupon_testkit::redis::RedisServer;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::process::{Process, coupon};
use crate::shop::{eventually, users, within};

const COUPONS: &str = "coupon.v1.CouponService";
const CAMPAIGNS: &str = "coupon.v1.CampaignService";

struct Shared {
    redis: RedisServer,
    database: PostgresDatabase,
}

impl Shared {
    async fn start() -> Self {
        let database = PostgresServer::shared().await.expect("postgres starts").database().await.expect("a database");
        Self { redis: RedisServer::start().await.expect("redis starts"), database }
    }

    fn arguments(&self) -> [String; 2] {
        [format!("--database-url={}", self.database.url()), format!("--redis-url={}", self.redis.url())]
    }

    async fn service(&self) -> Process {
        Process::start(&self.arguments().each_ref().map(String::as_str)).await
    }
}

/// Every answered yes is answered again with the same coupon, and the ledger has it.
async fn assert_kept(service: &Process, campaign: &str, answered: &HashMap<String, pb::Coupon>) {
    for (user, first) in answered {
        let again = service.claim(campaign, user).await;
        assert_eq!(coupon(&again), Some(first), "{user} again");
        let recorded = || async { service.listed(campaign, user).await?.into_iter().next() };
        let recorded = eventually(recorded).await;
        assert_eq!((&recorded.id, &recorded.claimed_at), (&first.id, &first.claimed_at), "{user} in the ledger");
    }
}

/// Claims for each user until there is an answer; keeps the yeses.
async fn claim_all(service: &Process, campaign: &str, users: &[String], answered: &mut HashMap<String, pb::Coupon>) {
    for user in users {
        if let Some(coupon) = coupon(&service.claim(campaign, user).await) {
            answered.insert(user.clone(), coupon.clone());
        }
    }
}

async fn kill_between_claims(mut service: Process) {
    let campaign = service.open_rush(25).await;
    let (mut answered, users) = (HashMap::new(), users(40));
    for ten in users.chunks(10) {
        claim_all(&service, &campaign, ten, &mut answered).await;
        service.start_again().await;
    }
    assert_eq!(answered.len(), 25);
    assert_kept(&service, &campaign, &answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_embedded_service_between_claims_loses_no_yes() {
    kill_between_claims(Process::start(&["--no-sample-data"]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_service_between_claims_loses_no_yes() {
    let shared = Shared::start().await;
    kill_between_claims(shared.service().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_redis_and_starting_it_on_the_same_folder_loses_no_yes() {
    let mut shared = Shared::start().await;
    let service = shared.service().await;
    let campaign = service.open_rush(25).await;
    let (mut answered, users) = (HashMap::new(), users(40));
    claim_all(&service, &campaign, &users[..15], &mut answered).await;

    shared.redis.kill().expect("killed");
    eventually(|| async { (service.health(COUPONS).await == Some(ServingStatus::NotServing)).then_some(()) }).await;
    let away = service.try_claim(&campaign, "user-15").await.expect_err("no gate, no answer");
    assert_eq!(away.code(), Code::Unavailable);
    assert_eq!(service.health(CAMPAIGNS).await, Some(ServingStatus::Serving));

    shared.redis.restart().await.expect("redis starts");
    claim_all(&service, &campaign, &users[15..], &mut answered).await;
    assert_eq!(answered.len(), 25);
    assert_kept(&service, &campaign, &answered).await;
    eventually(|| async { (service.health(COUPONS).await == Some(ServingStatus::Serving)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_redis_gives_no_yes_until_recovered_and_then_exactly_the_supply() {
    let shared = Shared::start().await;
    let service = shared.service().await;
    let campaign = service.open_rush(25).await;
    let (mut answered, users) = (HashMap::new(), users(40));
    claim_all(&service, &campaign, &users[..15], &mut answered).await;
    shared.redis.command(&["FLUSHALL"]).await.expect("flushed");
    claim_all(&service, &campaign, &users[15..], &mut answered).await;
    assert_eq!(answered.len(), 25);
    assert_kept(&service, &campaign, &answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_folder_and_two_instances_end_with_exactly_the_supply() {
    let mut shared = Shared::start().await;
    let one = shared.service().await;
    let keys = format!("--keys-file={}", one.data_dir().join("master.keys").display());
    let [database, redis] = shared.arguments();
    let two = Process::start(&[&keys, &database, &redis]).await;
    let campaign = one.open_rush(25).await;
    let (mut answered, users) = (HashMap::new(), users(40));
    for pair in users[..16].chunks(2) {
        claim_all(&one, &campaign, &pair[..1], &mut answered).await;
        claim_all(&two, &campaign, &pair[1..], &mut answered).await;
    }
    shared.redis.restart_empty().await.expect("redis starts");
    for pair in users[16..].chunks(2) {
        claim_all(&one, &campaign, &pair[..1], &mut answered).await;
        claim_all(&two, &campaign, &pair[1..], &mut answered).await;
    }
    assert_eq!(answered.len(), 25);
    let serials: std::collections::HashSet<_> = answered.values().map(|coupon| coupon.serial).collect();
    assert_eq!(serials.len(), 25);
    assert_kept(&one, &campaign, &answered).await;
}

/// Entries of two instances follow each other in turn, far ahead of the recorder: each gives its own, until all fit.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_flushed_under_the_load_of_two_instances_loses_no_yes() {
    let shared = Shared::start().await;
    let one = shared.service().await;
    let keys = format!("--keys-file={}", one.data_dir().join("master.keys").display());
    let [database, redis] = shared.arguments();
    let two = Process::start(&[&keys, &database, &redis]).await;
    let campaign = one.open_rush(1500).await;
    let everybody = users(2000);
    let half_way = tokio::sync::Semaphore::new(0);

    let claims = stream::iter(everybody.iter().enumerate()).map(|(n, user)| {
        let (service, campaign, half_way) = (if n % 2 == 0 { &one } else { &two }, &campaign, &half_way);
        async move {
            let answer = service.claim(campaign, user).await;
            half_way.add_permits(1);
            (user.clone(), coupon(&answer).cloned())
        }
    });
    let claims = claims.buffer_unordered(64).filter_map(async |(user, coupon)| Some((user, coupon?)));
    let flush = async {
        let _permits = half_way.acquire_many(700).await.expect("answers come");
        shared.redis.command(&["FLUSHALL"]).await.expect("flushed");
    };
    let (answered, ()): (HashMap<_, _>, ()) = tokio::join!(claims.collect(), flush);

    assert_eq!(answered.len(), 1500);
    let serials: std::collections::HashSet<_> = answered.values().map(|coupon| coupon.serial).collect();
    assert_eq!(serials.len(), 1500);
    let logs = one.log() + &two.log();
    assert!(!logs.contains("are lost"), "{logs}");
    let some = answered.into_iter().take(300).collect();
    assert_kept(&two, &campaign, &some).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_no_store_any_more_is_burnt_and_the_campaign_is_paused_until_an_operator_resumes_it() {
    let shared = Shared::start().await;
    let service = shared.service().await;
    let campaign = service.open_rush(25).await;
    let (mut answered, users) = (HashMap::new(), users(40));
    claim_all(&service, &campaign, &users[..10], &mut answered).await;
    assert_kept(&service, &campaign, &answered).await;
    // As if an instance had said that it was told of seven more, and had gone together with Redis.
    let acknowledged = "INSERT INTO acknowledged SELECT campaign_id, n + 7 FROM journal_cursors
        ON CONFLICT (campaign_id) DO UPDATE SET n = excluded.n";
    shared.database.psql(acknowledged).await.expect("written");
    shared.redis.command(&["FLUSHALL"]).await.expect("flushed");

    let refused = service.claim(&campaign, "user-10").await;
    let Some(pb::claim_response::Outcome::Refusal(refusal)) = &refused.outcome else { panic!("{refused:?}") };
    assert_eq!(refusal.reason(), pb::RefusalReason::Paused);
    assert_kept(&service, &campaign, &answered).await;
    assert!(service.log().contains("as many are burnt"), "{}", service.log());

    let resume = pb::ResumeCampaignRequest { campaign_id: campaign.clone(), request_id: String::new() };
    service.campaigns().resume_campaign(resume).await.expect("resumed");
    claim_all(&service, &campaign, &users[10..], &mut answered).await;
    assert_eq!(answered.len(), 25 - 7);
    let serials: std::collections::HashSet<_> = answered.values().filter_map(|coupon| coupon.serial).collect();
    assert!((10..17).all(|burnt| !serials.contains(&burnt)), "{serials:?}");
    assert_kept(&service, &campaign, &answered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_costs_the_deadline_and_no_yes() {
    let mut shared = Shared::start().await;
    let service = shared.service().await;
    let campaign = service.open_rush(5).await;
    let first = service.claim(&campaign, "ada").await;
    shared.redis.pause().expect("stopped");
    let mut request = tonic::Request::new(crate::shop::claim_request(&campaign, "", "bob"));
    request.set_timeout(std::time::Duration::from_millis(300));
    let late = service.coupons().claim(request).await.expect_err("no answer in time");
    // The service says DEADLINE_EXCEEDED; this client's own timer, if it is first, CANCELLED.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    shared.redis.resume().expect("going on");
    let mut answered = HashMap::new();
    claim_all(&service, &campaign, &users(4), &mut answered).await;
    let bobs = service.claim(&campaign, "bob").await;
    assert!(
        bobs.replayed || coupon(&bobs).is_none(),
        "the call that was given up was carried out, or not at all: {bobs:?}"
    );
    assert_eq!(coupon(&service.claim(&campaign, "ada").await), coupon(&first));
    assert_eq!(answered.len() + 1 + usize::from(coupon(&bobs).is_some()), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_appear_in_no_log_however_much_is_logged() {
    for format in ["--log-format=text", "--log-format=json"] {
        let service = Process::start(&["--no-sample-data", "--log=trace", format]).await;
        let campaign = service.open_rush(5).await;
        let claimed = service.claim(&campaign, "ada").await;
        let code = coupon(&claimed).expect("a coupon").code.clone();
        service.redeem(&code, "ada", "order-1").await.expect("an answer");
        service.redeem(&code, "bob", "order-2").await.expect("an answer");
        let log = service.log();
        assert!(log.contains("coupon.v1.CouponService/Redeem"), "calls are logged at this level");
        assert!(!log.contains(&code) && !log.contains(&code.replace('-', "")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_service_in_order() {
    let mut service = Process::start(&["--no-sample-data"]).await;
    let campaign = service.open_rush(5).await;
    let first = service.claim(&campaign, "ada").await;
    service.terminate().await;
    assert!(service.log().contains("stopped"), "{}", service.log());
    service.start_again().await;
    assert_eq!(coupon(&service.claim(&campaign, "ada").await), coupon(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_installations_redis_is_refused() {
    let ours = Shared::start().await;
    let _service = ours.service().await;
    let theirs = PostgresServer::shared().await.expect("postgres").database().await.expect("a database");
    let mixed = [format!("--database-url={}", theirs.url()), format!("--redis-url={}", ours.redis.url())];
    let (code, said) = crate::cli::run(&["serve", "--ops-listen=", "--listen=127.0.0.1:0", &mixed[0], &mixed[1]]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("belongs to installation"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_other_master_keys_is_refused() {
    let shared = Shared::start().await;
    let _service = shared.service().await;
    let [database, redis] = shared.arguments();
    let (code, said) = crate::cli::run(&["serve", "--ops-listen=", "--listen=127.0.0.1:0", &database, &redis]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("give all instances the same --keys-file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_calls_are_unavailable_and_go_on_once_it_is_back() {
    let postgres = PostgresServer::start(&[]).await.expect("postgres starts");
    let database = postgres.database().await.expect("a database");
    let shared = Shared { redis: RedisServer::start().await.expect("redis starts"), database };
    let service = shared.service().await;
    let campaign = service.open_rush(25).await;
    let first = service.claim(&campaign, "ada").await;

    postgres.kill().await.expect("killed");
    for name in [COUPONS, CAMPAIGNS] {
        eventually(|| async { (service.health(name).await == Some(ServingStatus::NotServing)).then_some(()) }).await;
    }
    let code = coupon(&first).expect("a coupon").code.clone();
    let away = service.redeem(&code, "ada", "order-1").await.expect_err("no ledger");
    assert_eq!(away.code(), Code::Unavailable);
    assert_eq!(service.health("").await, Some(ServingStatus::Serving), "the process is well");
    for guess in ["7K3MZ-9QXT2-7K3MZ-9QXT2", &code.replace(|c: char| c.is_ascii_digit(), "9")] {
        let refused = service.redeem(guess, "ada", "order-1").await.expect("a guess touches no store");
        let Some(pb::redeem_response::Outcome::Refusal(refusal)) = refused.outcome else { panic!("{refused:?}") };
        assert_eq!(refusal.reason(), pb::RefusalReason::UnknownCoupon);
    }

    postgres.restart().await.expect("postgres starts");
    let redeemed = eventually(|| async { service.redeem(&code, "ada", "order-1").await.ok() }).await;
    assert!(matches!(redeemed.outcome, Some(pb::redeem_response::Outcome::Redemption(_))));
    assert_eq!(coupon(&service.claim(&campaign, "ada").await), coupon(&first));
    assert!(!service.log().contains(&code), "codes appear in no log");
}

/// Kills the service at this step of a draw, starts it again, and compares who won with what follows from the published seed.
async fn a_draw_is_cut_short(failpoint: &str, arguments: &[&str]) {
    let mut service = Process::start_with_failpoint(failpoint, arguments).await;
    let (campaign, round) = service.open_drawn_round(Duration::from_secs(8), Duration::from_secs(15)).await;
    let names = users(100);
    join_all(names.iter().map(|user| service.reserve(&campaign, user))).await;
    service.kill_at_failpoint_and_start_again().await;
    let claims = join_all(names.iter().map(|user| service.claim_once_drawn(&campaign, user))).await;
    let won: Vec<_> =
        names.iter().zip(&claims).filter(|(_, claim)| coupon(claim).is_some()).map(|(user, _)| user).collect();
    assert_eq!(won.len(), 20, "killed at {failpoint}");
    let published = || async { service.draw(&campaign, &round).await.filter(|draw| !draw.seed.is_empty()) };
    let draw = within(Duration::from_secs(60), published);
    let mut expected = crate::draws::winning_tickets(&draw.await);
    expected.sort_unstable();
    let mut tickets = join_all(won.iter().map(|user| service.ticket(&campaign, &round, user))).await;
    tickets.sort_unstable();
    assert_eq!(tickets, expected, "killed at {failpoint}");
    service.terminate().await;
}

/// Every step of a draw, in order.
const STEPS: [&str; 5] = ["draw.begun", "draw.rooted", "draw.ranked", "draw.concluded", "draw.told"];

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_of_the_embedded_service_survives_being_killed_at_every_step() {
    let draws = STEPS.map(|step| a_draw_is_cut_short(step, &["--no-sample-data"]));
    join_all(draws).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draw_survives_being_killed_at_every_step() {
    let draws = STEPS.map(|step| async move {
        let shared = Shared::start().await;
        a_draw_is_cut_short(step, &shared.arguments().each_ref().map(String::as_str)).await;
    });
    join_all(draws).await;
}
