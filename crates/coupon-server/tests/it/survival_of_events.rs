//! No event is lost, doubled in effect, or told of what did not happen, whatever is killed meanwhile.

mod proxy;
mod rig;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coupon_domain::ports::{Event, EventKind};
use coupon_proto::v1 as pb;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use self::rig::{Rig, Stores};
use crate::process::{rush, valid_for_days};
use crate::shop::{redeem_request, reserve_request, within};
use crate::shopper::{Shopper, answered};
use crate::told::assert_told;

/// Shoppers at work at once.
const AT_ONCE: usize = 8;
const COUPONS: i64 = 100_000;
const KILLS: usize = 5;
/// Shoppers that are done between two kills.
const BETWEEN_KILLS: std::ops::Range<u32> = 5..40;

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_no_event_of_the_embedded_service() {
    kills_under_load_lose_no_event(Stores::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_under_load_lose_no_event_on_redis_and_postgres() {
    kills_under_load_lose_no_event(Stores::private().await).await;
}

async fn kills_under_load_lose_no_event(stores: Stores) {
    let mut random = ChaCha8Rng::seed_from_u64(seed());
    let mut rig = Rig::start(stores).await;
    // The usual notice is due at once.
    let plan = pb::Campaign { validity: valid_for_days(7), ..rush(COUPONS, Duration::from_secs(1)) };
    let campaign = rig.service.open(plan).await;
    let places = rig.open_places().await;

    let (over, done) = (CancellationToken::new(), Semaphore::new(0));
    let service = rig.service.coupons();
    let load = load(&service, [&campaign, &places], &over, &done);
    let kills = async {
        rig.kill_some(KILLS, BETWEEN_KILLS, &mut random, &done).await;
        over.cancel();
    };
    let (shoppers, ()) = tokio::join!(load, kills);

    let settled = || async {
        let feed = rig.feed(&campaign, shoppers.len()).await;
        let noticed = noticed(&feed);
        let all_noticed = shoppers.iter().filter(|s| s.is_unused()).all(|s| noticed.contains_key(&s.coupon.id));
        // Of another campaign, whose recorder is on its own.
        let places = feed.iter().filter(|event| event.kind == EventKind::PlaceReserved).count();
        (all_noticed && places == shoppers.len()).then_some(feed)
    };
    let feed = within(Duration::from_secs(60), settled).await;
    let (by_webhook, by_nats) = rig.told(&feed).await;
    assert_told("webhook", &by_webhook, &feed);
    assert_told("NATS", &by_nats, &feed);
    assert_feed_is_what_happened(&feed, &campaign, &shoppers);
    assert!(noticed(&feed).values().all(|notices| *notices == 1), "a notice each at most");
    assert_places(&feed, &shoppers);
    assert_ledger_agrees(&rig, &campaign, &shoppers).await;
    // Nothing has been done by asking.
    let rest = rig.feed(&campaign, shoppers.len()).await.split_off(feed.len());
    assert!(rest.iter().all(rig::is_mark), "{rest:?}");
}

/// Coupons whose owners were told that they expire, and how often.
fn noticed(feed: &[Event]) -> BTreeMap<String, usize> {
    let mut noticed = BTreeMap::new();
    for event in feed.iter().filter(|event| event.kind == EventKind::CouponExpiring) {
        let coupon = event.coupon.map(|coupon| coupon.to_string()).unwrap_or_default();
        *noticed.entry(coupon).or_default() += 1;
    }
    noticed
}

/// From the environment, else of this moment; printed, so that a run can be had again.
#[expect(clippy::print_stderr, reason = "whoever looks into a failure needs it")]
fn seed() -> u64 {
    let given = std::env::var_os("COUPON_TEST_SEED").map(|seed| seed.to_str().and_then(|seed| seed.parse().ok()));
    let seed = given.map_or_else(rand::random, |seed| seed.expect("COUPON_TEST_SEED is a number"));
    eprintln!("COUPON_TEST_SEED={seed}");
    seed
}

/// Ever new shoppers, until it is over; each then finishes what it is at.
async fn load(
    service: &CouponServiceClient<Channel>,
    [campaign, places]: [&str; 2],
    over: &CancellationToken,
    done: &Semaphore,
) -> Vec<Shopper> {
    let next = AtomicUsize::new(0);
    let one_after_the_other = || async {
        let mut mine = Vec::new();
        while !over.is_cancelled() {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let user = format!("user-{n}");
            reserve(service, places, &user).await;
            let mut shopper = Shopper::claim(service, campaign, &user).await.expect("there are enough");
            shopper.shop(service, &mut ChaCha8Rng::seed_from_u64(n.try_into().expect("small"))).await;
            mine.push(shopper);
            done.add_permits(1);
        }
        mine
    };
    join_all((0..AT_ONCE).map(|_| one_after_the_other())).await.into_iter().flatten().collect()
}

async fn reserve(service: &CouponServiceClient<Channel>, campaign: &str, user: &str) {
    let answer = answered(|| {
        let mut service = service.clone();
        async move { service.reserve(reserve_request(campaign, "", user)).await }
    });
    let answer = answer.await.expect("a campaign");
    assert!(matches!(answer.outcome, Some(pb::reserve_response::Outcome::Place(_))), "{answer:?}");
}

/// The events of each coupon are those of its shopper's yeses, one each, and those of each order without a coupon too.
fn assert_feed_is_what_happened(feed: &[Event], campaign: &str, shoppers: &[Shopper]) {
    let ids: BTreeSet<_> = feed.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), feed.len(), "ids in the feed are unique");
    let mut of_coupons: BTreeMap<String, Vec<(EventKind, Option<String>)>> = BTreeMap::new();
    // A notice is no change of state.
    for event in feed.iter().filter(|event| event.kind != EventKind::CouponExpiring) {
        if let Some(coupon) = &event.coupon {
            let order = event.order.as_ref().map(ToString::to_string);
            of_coupons.entry(coupon.to_string()).or_default().push((event.kind, order));
        }
    }
    for shopper in shoppers {
        let told = of_coupons.remove(&shopper.coupon.id);
        assert_eq!(told.as_ref(), Some(&shopper.expected), "{} of {}", shopper.coupon.id, shopper.user);
    }
    assert!(of_coupons.is_empty(), "nobody was given these: {of_coupons:?}");

    let cancelled = feed.iter().filter(|event| event.kind == EventKind::OrderCancelled && !rig::is_mark(event));
    let mut cancelled: Vec<_> = cancelled.filter_map(|event| Some(event.order.as_ref()?.to_string())).collect();
    cancelled.sort_unstable();
    let mut expected: Vec<_> = shoppers.iter().flat_map(|shopper| shopper.cancelled.clone()).collect();
    expected.sort_unstable();
    assert_eq!(cancelled, expected);

    let of_campaign = |kind| feed.iter().filter(move |event| event.kind == kind && event.campaign.as_str() == campaign);
    assert_eq!(of_campaign(EventKind::CampaignCreated).count(), 1);
    assert_eq!(of_campaign(EventKind::RoundOpened).count(), 1);
    assert_eq!(of_campaign(EventKind::RoundPhaseChanged).count(), 1, "to CLAIMING");
}

/// One event for each place.
fn assert_places(feed: &[Event], shoppers: &[Shopper]) {
    let told = feed.iter().filter(|event| event.kind == EventKind::PlaceReserved);
    let told: Vec<_> = told.filter_map(|event| Some(event.user.as_ref()?.as_str())).collect();
    let users: BTreeSet<_> = shoppers.iter().map(|shopper| shopper.user.as_str()).collect();
    assert_eq!(told.len(), users.len());
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), users);
}

/// The ledger's rows are those of the answers: I1, I2, I8, I9.
async fn assert_ledger_agrees(rig: &Rig, campaign: &str, shoppers: &[Shopper]) {
    let coupons = rig.coupons(campaign).await;
    let round = rig.service.round(campaign).await;
    assert_eq!(round.issued, i64::try_from(coupons.len()).ok(), "I1: issued is what there is");
    assert!(round.issued <= round.supply, "I1: {round:?}");
    let users: BTreeSet<_> = coupons.iter().map(|coupon| &coupon.user_id).collect();
    assert_eq!(users.len(), coupons.len(), "I2: one coupon a user");
    let live = coupons.iter().filter(|coupon| !coupon.order_id.is_empty());
    let orders: BTreeSet<_> = live.clone().map(|coupon| &coupon.order_id).collect();
    assert_eq!(orders.len(), live.count(), "I8: an order has one coupon at most");

    let by_id: HashMap<_, _> = coupons.iter().map(|coupon| (coupon.id.as_str(), coupon)).collect();
    assert_eq!(by_id.len(), shoppers.len(), "I9: every coupon is somebody's, in one state");
    for shopper in shoppers {
        let row = by_id.get(shopper.coupon.id.as_str()).unwrap_or_else(|| panic!("{} is lost", shopper.coupon.id));
        assert_eq!((row.state(), row.order_id.as_str()), shopper.state(), "{} of {}", row.id, shopper.user);
        assert_eq!((&row.user_id, &row.claimed_at), (&shopper.user, &shopper.coupon.claimed_at));
    }
    let service = rig.service.coupons();
    let checks = stream::iter(shoppers).map(|shopper| shopper.assert_orders_stand(&service));
    checks.buffer_unordered(AT_ONCE * 4).collect::<Vec<()>>().await;
}

/// Two orders want each coupon, at once, while answers of commits, and with them connections, are lost again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_redeems_once_and_refuses_not_its_own_order() {
    const USERS: usize = 300;
    const REDEEMS_AT_ONCE: usize = 32;
    const ONE_IN: usize = 4;
    let rig = Rig::start(Stores::behind_a_proxy().await).await;
    let campaign = rig.service.open_rush(COUPONS).await;
    let service = rig.service.coupons();
    let claims = stream::iter(0..USERS).map(|n| {
        let (service, campaign) = (&service, &campaign);
        async move { Shopper::claim(service, campaign, &format!("user-{n}")).await.expect("there are enough") }
    });
    let shoppers: Vec<_> = claims.buffer_unordered(64).collect().await;

    rig.proxy().lose_one_in(ONE_IN);
    let orders = shoppers.iter().flat_map(|shopper| ["x", "y"].map(|order| (shopper, order)));
    let redeems = stream::iter(orders).map(|(shopper, order)| {
        let service = &service;
        async move { redeem(service, shopper, &format!("{}-{order}", shopper.user)).await }
    });
    let answers: Vec<_> = redeems.buffered(REDEEMS_AT_ONCE).collect().await;
    rig.proxy().lose_one_in(0);
    let replayed = answers.iter().filter(|answer| answer.replayed).count();
    assert!(replayed > 0, "{} answers were lost, and no redemption's", rig.proxy().lost());

    let mut winners = BTreeMap::new();
    for (shopper, answers) in shoppers.iter().zip(answers.chunks(2)) {
        let (redemption, refusal) = match (&answers[0].outcome, &answers[1].outcome) {
            (Ok(redemption), Err(refusal)) | (Err(refusal), Ok(redemption)) => (redemption, refusal),
            both => panic!("not one yes: {both:?}"),
        };
        assert_eq!(refusal.reason(), pb::RefusalReason::AlreadyRedeemed, "{refusal:?}");
        assert_eq!(refusal.order_id, redemption.order_id, "the order that has it");
        // The same call again: the same redemption.
        let again = redeem(&service, shopper, &redemption.order_id).await;
        assert_eq!((again.outcome.as_ref(), again.replayed), (Ok(redemption), true));
        winners.insert(shopper.coupon.id.clone(), redemption.order_id.clone());
    }
    let rows = rig.coupons(&campaign).await;
    let stored: BTreeMap<_, _> = rows.into_iter().map(|coupon| (coupon.id, coupon.order_id)).collect();
    assert_eq!(stored, winners);
    let feed = rig.feed(&campaign, USERS).await;
    let redeemed = feed.iter().filter(|event| event.kind == EventKind::CouponRedeemed);
    let redeemed: Vec<_> =
        redeemed.filter_map(|e| Some((e.coupon?.to_string(), e.order.as_ref()?.to_string()))).collect();
    assert_eq!(redeemed.len(), USERS, "one event each");
    assert_eq!(redeemed.into_iter().collect::<BTreeMap<_, _>>(), winners);
}

/// What came of a redeem that was made until it was answered.
struct Redeemed {
    outcome: Result<pb::Redemption, pb::Refusal>,
    replayed: bool,
}

async fn redeem(service: &CouponServiceClient<Channel>, shopper: &Shopper, order: &str) -> Redeemed {
    let answer = answered(|| {
        let mut service = service.clone();
        async move { service.redeem(redeem_request(&shopper.coupon.code, &shopper.user, order, 5_000)).await }
    });
    let answer = answer.await.expect("a coupon");
    let outcome = match answer.outcome.expect("an outcome") {
        pb::redeem_response::Outcome::Redemption(redemption) => Ok(redemption),
        pb::redeem_response::Outcome::Refusal(refusal) => Err(refusal),
    };
    Redeemed { outcome, replayed: answer.replayed }
}
