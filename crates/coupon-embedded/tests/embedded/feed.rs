//! The feed: positions, readers and pruning.

use std::time::Duration;

use coupon_domain::ports::{
    CampaignRepository as _, EventFilter, EventKind, FeedPage, FeedRepository as _, Pruned, Retention, Subscriber,
};
use coupon_domain::time::Timestamp;
use coupon_testkit::build::{a_campaign, campaign_id, round, second, subscriber};
use uuid::Uuid;

use crate::checkout::ten_coupons;
use crate::shop::Shop;

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);
const RETENTION: Retention = Retention { min: Duration::from_secs(10_000), max: Duration::from_secs(20_000) };

/// From here on all that the shop has told is older than the shorter retention.
fn old() -> Timestamp {
    second(400).plus(RETENTION.min)
}

fn too_old() -> Timestamp {
    second(400).plus(RETENTION.max)
}

async fn prune(shop: &Shop, limit: u32) -> (u64, u64) {
    let Pruned { events, unread } = shop.ledger.prune_events(RETENTION, limit).await.expect("the ledger answers");
    (events, unread)
}

async fn end(shop: &Shop) -> i64 {
    shop.ledger.end_of_feed().await.expect("the ledger answers")
}

#[tokio::test]
async fn a_page_says_how_far_it_looked() {
    let shop = ten_coupons().await;
    let page = async |after, filter: &EventFilter, limit| {
        shop.ledger.events(after, filter, limit).await.expect("the ledger answers")
    };
    let all = page(0, &EventFilter::default(), 100).await;
    let end = end(&shop).await;
    assert_eq!((all.up_to, all.events.last().map(|(position, _)| *position)), (end, Some(end)));
    assert_eq!(page(end, &EventFilter::default(), 100).await, FeedPage { events: Vec::new(), up_to: end });

    let issued = EventFilter { kinds: vec![EventKind::CouponIssued], campaign: Some(campaign_id("c")) };
    let some = page(0, &issued, 4).await;
    let expected: Vec<_> = all.events.iter().filter(|(_, event)| issued.takes(event)).cloned().collect();
    assert_eq!(some, FeedPage { events: expected[..4].to_vec(), up_to: expected[3].0 });
    let rest = page(some.up_to, &issued, 100).await;
    assert_eq!(rest, FeedPage { events: expected[4..].to_vec(), up_to: end });

    let elsewhere = EventFilter { campaign: Some(campaign_id("d")), ..EventFilter::default() };
    assert_eq!(page(0, &elsewhere, 100).await, FeedPage { events: Vec::new(), up_to: end });
    assert_eq!(page(end + 7, &issued, 100).await.up_to, end + 7);
}

#[tokio::test]
async fn a_position_is_never_given_twice() {
    let shop = ten_coupons().await;
    let before = end(&shop).await;
    shop.at(old()).await;
    assert_eq!(prune(&shop, 1000).await, (u64::try_from(before).expect("a count"), 0));
    assert!(shop.events_behind(0, 100).await.is_empty());

    let shop = shop.restarted();
    assert_eq!(end(&shop).await, before);
    let page = shop.ledger.events(0, &EventFilter::default(), 100).await.expect("the ledger answers");
    assert_eq!(page.up_to, before);
    shop.ledger.create(&a_campaign("d")).await.expect("the ledger answers");
    let (next, _) = shop.events_behind(0, 100).await.first().cloned().expect("a campaign was created");
    assert!(next > before, "{next}");
}

#[tokio::test]
async fn events_are_kept_for_the_slowest_subscriber_but_not_for_ever() {
    let shop = ten_coupons().await;
    let (slow, fast, end) = (subscriber("slow"), subscriber("fast"), end(&shop).await);
    shop.ledger.subscribe(&slow, ONE, Some(3)).await.expect("the ledger answers");
    shop.ledger.subscribe(&fast, ONE, Some(end)).await.expect("the ledger answers");

    assert_eq!(prune(&shop, 1000).await, (0, 0), "nothing is old");
    shop.at(old()).await;
    assert_eq!(prune(&shop, 2).await, (2, 0));
    assert_eq!(prune(&shop, 1000).await, (1, 0));
    assert_eq!(prune(&shop, 1000).await, (0, 0));
    assert_eq!(shop.ledger.acknowledge_events(&slow, 5).await.expect("the ledger answers"), Some(5));
    assert_eq!(prune(&shop, 1000).await, (2, 0));

    shop.at(too_old()).await;
    assert_eq!(prune(&shop, 1).await, (1, 1));
    let left = u64::try_from(end - 6).expect("a count");
    assert_eq!(prune(&shop, 1000).await, (left, left));
}

#[tokio::test]
async fn a_subscriber_that_is_forgotten_holds_up_nothing() {
    let shop = ten_coupons().await;
    let slow = subscriber("slow");
    shop.ledger.subscribe(&slow, ONE, None).await.expect("the ledger answers");
    shop.at(old()).await;
    assert_eq!(prune(&shop, 1000).await, (0, 0));
    assert!(shop.ledger.unsubscribe(&slow).await.expect("the ledger answers"));
    assert!(!shop.ledger.unsubscribe(&slow).await.expect("the ledger answers"));
    assert_eq!(prune(&shop, 1000).await.1, 0);
    assert!(shop.events_behind(0, 100).await.is_empty());
}

#[tokio::test]
async fn one_session_reads_under_a_name_and_its_place_is_kept() {
    let shop = ten_coupons().await;
    let name = subscriber("till");
    let position = async |shop: &Shop, session| shop.ledger.position(&name, session).await.expect("the ledger answers");
    let subscribe = async |shop: &Shop, session, after| {
        shop.ledger.subscribe(&name, session, after).await.expect("the ledger answers")
    };
    assert_eq!(position(&shop, ONE).await, None);
    assert_eq!(shop.ledger.acknowledge_events(&name, 3).await.expect("the ledger answers"), None);
    assert_eq!(subscribe(&shop, ONE, None).await, 0);
    assert_eq!(shop.ledger.acknowledge_events(&name, 5).await.expect("the ledger answers"), Some(5));
    assert_eq!(shop.ledger.acknowledge_events(&name, 4).await.expect("the ledger answers"), Some(5));

    let shop = shop.restarted();
    assert_eq!(position(&shop, ONE).await, Some(5));
    shop.at(second(500)).await;
    assert_eq!(subscribe(&shop, TWO, None).await, 5);
    assert_eq!((position(&shop, ONE).await, position(&shop, TWO).await), (None, Some(5)));
    assert_eq!(subscribe(&shop, TWO, Some(2)).await, 2);
    let known = shop.ledger.subscribers().await.expect("the ledger answers");
    let till = Subscriber { name: name.clone(), position: 2, created_at: second(300), seen_at: second(500) };
    assert_eq!(known, [till]);
}

#[tokio::test]
async fn a_lease_is_one_sessions_until_it_runs_out() {
    let shop = Shop::with([round(1)]).await;
    let (name, span) = (subscriber("outlet"), Duration::from_secs(10));
    let lease = async |session| shop.ledger.lease(&name, session, span).await.expect("the ledger answers");
    assert_eq!(lease(ONE).await, Some(0));
    assert_eq!(lease(TWO).await, None);
    shop.at(second(9)).await;
    assert_eq!(lease(ONE).await, Some(0), "it is renewed");
    shop.at(second(18)).await;
    assert_eq!(lease(TWO).await, None);
    shop.at(second(19)).await;
    assert_eq!(lease(TWO).await, Some(0));
    assert_eq!(lease(ONE).await, None);
}
