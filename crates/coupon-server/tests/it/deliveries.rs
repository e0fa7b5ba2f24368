//! Events on their way out, to a receiver of webhooks and to NATS, each on both sets of adapters.

mod outside;

use std::time::Duration;

use coupon_domain::ports::Event;
use coupon_domain::time::Timestamp;
use coupon_proto::v1 as pb;
use coupon_usecases::delivery::Pace;
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use pb::replay_events_request::What;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use self::outside::{Outside, WEBHOOK, pace};
use crate::cli::run;
use crate::hooks::Hooks;
use crate::process::Process;
use crate::shop::{Instance, On, Shop, at, eventually, on_both, open_campaign, within};
use crate::shopper::Shopper;
use crate::told::{assert_told, has_all};

on_both! {
    every_event_reaches_both_receivers_once_and_in_order
    a_receiver_that_was_down_for_an_hour_gets_everything_and_no_event_has_given_up
    one_event_that_is_refused_for_ever_holds_up_one_coupon_and_can_be_replayed
    everything_behind_a_position_is_told_once_more_on_request
}

const COUPONS: i64 = 1000;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// So many users claim, and do all kinds of things with their coupons, over all instances in turn.
async fn bustle(shop: &Shop, campaign: &str, users: std::ops::Range<u64>) {
    let shoppers = users.map(|n| {
        let instance = shop.nth(usize::try_from(n).expect("small"));
        async move {
            let mut shopper =
                Shopper::claim(&instance.coupons, campaign, &format!("user-{n}")).await.expect("there are enough");
            shopper.shop(&instance.coupons, &mut ChaCha8Rng::seed_from_u64(n)).await;
        }
    });
    stream::iter(shoppers).buffer_unordered(16).collect::<Vec<()>>().await;
}

/// The feed as it is by now, once all that was answered is in it.
async fn feed(shop: &Shop, campaign: &str) -> Vec<Event> {
    shop.ledger_caught_up(campaign).await;
    let feed = shop.instances[0].stores.feed.events(0, &coupon_domain::ports::EventFilter::default(), 100_000).await;
    feed.expect("the ledger answers").events.into_iter().map(|(_, event)| event).collect()
}

async fn every_event_reaches_both_receivers_once_and_in_order(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (campaign, _) = shop.create(open_campaign("bustle", COUPONS)).await;
    let outside = Outside::start().await;
    // Before anybody has a lease: a clock that jumps ends it.
    shop.set("23:00:00").await;
    for instance in &shop.instances {
        outside.deliver_from(instance, pace()).await;
    }
    bustle(&shop, &campaign, 0..60).await;
    let feed = feed(&shop, &campaign).await;
    let (webhook, nats) = outside.told(&feed).await;
    assert_told("webhook", &webhook, &feed);
    assert_told("NATS", &nats, &feed);
    // Nothing has failed, so that nothing was told twice, however many instances there are.
    let again: Vec<_> = feed.iter().filter(|event| outside.hooks.tries(&event.id) != 1).collect();
    assert!(again.is_empty(), "{again:?}");
    assert_eq!(outside.hooks.unsigned(), Vec::<String>::new());
}

async fn a_receiver_that_was_down_for_an_hour_gets_everything_and_no_event_has_given_up(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (campaign, _) = shop.create(open_campaign("an hour", COUPONS)).await;
    let mut outside = Outside::start().await;
    for instance in &shop.instances {
        outside.deliver_from(instance, pace()).await;
    }
    shop.set("23:00:00").await;
    bustle(&shop, &campaign, 0..10).await;
    let before = feed(&shop, &campaign).await;
    outside.told(&before).await;

    outside.hooks.go_down().await;
    outside.nats.kill().expect("killed");
    // All that happens in the claim window, and then an hour of tries.
    bustle(&shop, &campaign, 10..40).await;
    let opened = at("23:00:00");
    for minute in 1..=60 {
        shop.set_to(opened.plus(MINUTE * minute)).await;
    }
    let feed = feed(&shop, &campaign).await;
    assert_eq!(outside.hooks.taken().len(), before.len(), "nothing was told meanwhile");

    outside.hooks.come_up().await.expect("its port is free");
    outside.nats.restart().await.expect("NATS starts");
    let (webhook, nats) = outside.told_as_time_goes_by(&shop, opened.plus(HOUR), &feed).await;
    assert_told("webhook", &webhook, &feed);
    assert_told("NATS", &nats, &feed);
    for outlet in outside::OUTLETS {
        assert_eq!(dead_letters(&shop.instances[0], outlet).await, [], "{outlet}");
    }
}

async fn one_event_that_is_refused_for_ever_holds_up_one_coupon_and_can_be_replayed(on: On) {
    const ATTEMPTS: u32 = 5;
    let shop = Shop::with_idle_upkeep(on).await;
    let (campaign, _) = shop.create(open_campaign("one bad one", COUPONS)).await;
    let outside = Outside::start().await;
    shop.set("23:00:00").await;
    let mut instance = shop.instances[0].clone();
    let mut coupons = Vec::new();
    for user in ["ada", "bob", "cyd"] {
        let coupon = instance.claim(&campaign, "", user).await.expect("an answer").granted();
        instance.redeem(&coupon.code, user, &format!("order-{user}"), 1000).await.expect("an answer").granted();
        instance.rollback(&campaign, &format!("order-{user}"), user).await.expect("an answer");
        coupons.push(coupon.id);
    }
    // What follows takes hours.
    shop.set("23:10:00").await;
    let is_closed = |event: &Event| event.state.as_deref() == Some("CLOSED");
    let closed = || async { Some(feed(&shop, &campaign).await).filter(|feed| feed.iter().any(is_closed)) };
    let feed = eventually(closed).await;
    // What cannot be taken is that the first coupon was issued: redeemed and rolled back come behind it.
    let of_bad: Vec<_> = feed.iter().filter(|event| event.key() == coupons[0]).collect();
    let bad = of_bad[0];
    assert_eq!(of_bad.len(), 3);
    outside.hooks.refuse(&bad.id);
    outside.deliver_from(&instance, Pace { max_attempts: ATTEMPTS, ..pace() }).await;

    let others: Vec<_> = feed.iter().filter(|event| event.key() != coupons[0]).cloned().collect();
    within(Duration::from_secs(20), || async { has_all(&outside.by_webhook(), &others).then_some(()) }).await;
    assert_told("webhook", &outside.by_webhook(), &others);

    // It is tried again as the hours go by. A try whose outlet has lost its lease to the jump of the clock does not count.
    let mut hours = tokio::time::interval(Duration::from_millis(300));
    for hour in 1.. {
        hours.tick().await;
        let tries = outside.hooks.tries(&bad.id);
        if !dead_letters(&instance, WEBHOOK).await.is_empty() {
            assert!(tries >= ATTEMPTS as usize, "{tries}");
            break;
        }
        assert!(hour < 50, "{tries} tries, and it has not given up");
        assert_told("webhook", &outside.by_webhook(), &others);
        shop.set_to(at("23:10:00").plus(HOUR * hour)).await;
    }
    // Then it gives up, and what waited behind it goes out.
    let all_but_it: Vec<_> = feed.iter().filter(|event| event.id != bad.id).cloned().collect();
    within(Duration::from_secs(20), || async { has_all(&outside.by_webhook(), &all_but_it).then_some(()) }).await;
    assert_told("webhook", &outside.by_webhook(), &all_but_it);
    let dead = dead_letters(&instance, WEBHOOK).await;
    let [letter] = dead.as_slice() else { panic!("one dead letter: {dead:?}") };
    assert_eq!(letter.event.as_ref().map(|event| &event.id), Some(&bad.id));
    assert_eq!(letter.attempts, i32::try_from(ATTEMPTS).expect("small"));
    assert!(letter.error.contains("500"), "{}", letter.error);

    outside.hooks.refuse_none();
    assert_eq!(replay(&instance, WEBHOOK, What::DeadLetters(true)).await, 1);
    let (told, _) = outside.told(&feed).await;
    assert_eq!(told.len(), feed.len(), "each once");
    assert_eq!(told.last().map(|event| &event.id), Some(&bad.id), "behind those that were told before it");
    assert_eq!(dead_letters(&instance, WEBHOOK).await, []);
}

async fn everything_behind_a_position_is_told_once_more_on_request(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (campaign, _) = shop.create(open_campaign("replay", COUPONS)).await;
    let outside = Outside::start().await;
    let instance = &shop.instances[0];
    shop.set("23:00:00").await;
    outside.deliver_from(instance, pace()).await;
    bustle(&shop, &campaign, 0..10).await;
    let feed = feed(&shop, &campaign).await;
    outside.told(&feed).await;
    outside.is_at_end(instance).await;

    assert!(replay(instance, WEBHOOK, What::After(0)).await >= i64::try_from(feed.len()).expect("few"));
    let twice = || async { feed.iter().all(|event| outside.hooks.tries(&event.id) == 2).then_some(()) };
    eventually(twice).await;
    assert_eq!(outside.hooks.taken().len(), feed.len(), "once in effect");
}

/// The one that has the lease stops without a word; the other one goes on when it has run out.
#[tokio::test(flavor = "multi_thread")]
async fn another_instance_carries_on_where_one_has_fallen_silent() {
    let shop = Shop::with_idle_upkeep(On::RedisAndPostgres).await;
    let (campaign, _) = shop.create(open_campaign("two", COUPONS)).await;
    let outside = Outside::start().await;
    shop.set("23:00:00").await;
    let [one, two] = shop.instances.as_slice() else { panic!("two instances") };
    outside.deliver_from(one, pace()).await;
    bustle(&shop, &campaign, 0..10).await;
    let before = feed(&shop, &campaign).await;
    outside.told(&before).await;
    outside.is_at_end(one).await;

    outside.deliver_from(two, pace()).await;
    one.engine.stop().await;
    shop.set("23:00:15").await;
    let campaign = campaign.as_str();
    join_all((10..20).map(|n| async move {
        Shopper::claim(&two.coupons, campaign, &format!("user-{n}")).await.expect("enough");
    }))
    .await;
    let feed = feed(&shop, campaign).await;
    let (webhook, nats) = outside.told(&feed).await;
    assert_told("webhook", &webhook, &feed);
    assert_told("NATS", &nats, &feed);
    let again: Vec<_> = feed.iter().filter(|event| outside.hooks.tries(&event.id) != 1).collect();
    assert!(again.is_empty(), "it knew how far the other one was: {again:?}");
}

/// The service with its own settings, and the receiver of the examples.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_of_the_examples_keeps_each_event_once_whatever_is_replayed() {
    let hooks = Hooks::start().await;
    let arguments = hooks.arguments();
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    arguments.push("--no-sample-data");
    let service = Process::start(&arguments).await;
    let campaign = service.open_rush(COUPONS).await;
    let client = service.coupons();
    let mut shopper = Shopper::claim(&client, &campaign, "ada").await.expect("enough");
    shopper.shop(&client, &mut ChaCha8Rng::seed_from_u64(1)).await;

    let expected = shopper.expected.len();
    let of_coupon = || hooks.events().into_iter().filter(|event| event.coupon.is_some()).collect::<Vec<_>>();
    let told = eventually(|| async { Some(of_coupon()).filter(|told| told.len() == expected) }).await;
    let kinds: Vec<_> = told.iter().map(|event| (event.kind, event.order.as_ref().map(ToString::to_string))).collect();
    assert_eq!(kinds, shopper.expected);

    let all = hooks.events();
    let target = format!("--target=http://{}", service.address());
    let replay = ["events", "replay", "webhook:hooks", "--after", "0", &target];
    let (code, said) = run(&replay).await;
    assert_eq!(code, 0, "{said}");
    // Something new comes behind all that is told again.
    Shopper::claim(&client, &campaign, "bob").await.expect("enough");
    let again = eventually(|| async { Some(of_coupon()).filter(|told| told.len() > expected) }).await;
    assert_eq!(again.len(), expected + 1, "once in effect");
    assert_eq!(hooks.events()[..all.len()], all);
}

async fn dead_letters(instance: &Instance, outlet: &str) -> Vec<pb::DeadLetter> {
    let request = pb::ListDeadLettersRequest { outlet: outlet.to_owned(), ..Default::default() };
    instance.events.clone().list_dead_letters(request).await.expect("a list").into_inner().dead_letters
}

async fn replay(instance: &Instance, outlet: &str, what: What) -> i64 {
    let request = pb::ReplayEventsRequest { outlet: outlet.to_owned(), what: Some(what) };
    instance.events.clone().replay_events(request).await.expect("an outlet").into_inner().events
}

impl Outside {
    /// As [`Outside::told`], while the minutes fly: what is parked waits by the ledger's clock.
    async fn told_as_time_goes_by(&self, shop: &Shop, from: Timestamp, feed: &[Event]) -> (Vec<Event>, Vec<Event>) {
        let passing = async {
            let mut moments = tokio::time::interval(Duration::from_millis(50));
            for minute in 1.. {
                moments.tick().await;
                shop.set_to(from.plus(MINUTE * minute)).await;
            }
        };
        tokio::select! {
            told = self.told(feed) => told,
            () = passing => unreachable!("time goes on"),
        }
    }
}
