//! Events in their order, none passed by.

use coupon_domain::ports::{CampaignRepository as _, EventFilter, EventKind, FeedPage, FeedRepository as _};
use coupon_testkit::build::{a_campaign, campaign_id, users};
use diesel_async::SimpleAsyncConnection as _;

use crate::shop::Shop;

#[tokio::test]
async fn an_event_is_not_told_while_one_before_it_is_still_to_come() {
    let shop = Shop::with_coupons(&users(2)).await;
    let all = EventFilter::default();
    let last = shop.events().await.last().expect("events").0;

    let mut slow = shop
        .session_after(
            "BEGIN; INSERT INTO events (id, kind, campaign_id, at) VALUES ('slow', 'campaign.created', 'c', now())",
        )
        .await;
    shop.ledger.create(&a_campaign("d")).await.expect("created");
    let nothing = shop.ledger.events(last, &all, 100).await.expect("answers");
    assert_eq!(nothing, FeedPage { events: Vec::new(), up_to: last });

    slow.batch_execute("COMMIT").await.expect("committed");
    let both = shop.ledger.events(last, &all, 100).await.expect("answers").events;
    let ids: Vec<_> = both.iter().map(|(_, event)| (event.id.as_str(), event.campaign.as_str())).collect();
    assert!(matches!(ids[..], [("slow", "c"), (_, "d")]), "{ids:?}");
}

#[tokio::test]
async fn events_come_in_the_order_of_the_decisions_page_by_page() {
    let shop = Shop::with_coupons(&users(5)).await;

    let mut events = Vec::new();
    let mut after = 0;
    while let FeedPage { events: page, up_to } =
        shop.ledger.events(after, &EventFilter::default(), 3).await.expect("answers")
        && up_to > after
    {
        after = up_to;
        events.extend(page);
    }

    let kinds: Vec<_> = events.iter().map(|(_, event)| event.kind).collect();
    let mut expected = vec![EventKind::CampaignCreated, EventKind::RoundOpened, EventKind::RoundPhaseChanged];
    expected.extend([EventKind::CouponIssued; 5]);
    assert_eq!(kinds, expected);
    assert_eq!(events[7].1.id, "c-7");
}

#[tokio::test]
async fn what_a_filter_leaves_out_is_passed_by_once() {
    let shop = Shop::with_coupons(&users(5)).await;
    shop.ledger.create(&a_campaign("d")).await.expect("created");
    let filter = EventFilter { kinds: vec![EventKind::CampaignCreated], campaign: Some(campaign_id("d")) };

    let page = shop.ledger.events(0, &filter, 1).await.expect("answers");
    let rest = shop.ledger.events(page.up_to, &filter, 1).await.expect("answers");

    let [(position, event)] = &page.events[..] else { panic!("{page:?}") };
    assert_eq!((event.campaign.as_str(), page.up_to), ("d", *position));
    assert_eq!(rest, FeedPage { events: Vec::new(), up_to: page.up_to });
    assert_eq!(shop.ledger.end_of_feed().await.expect("answers"), page.up_to);
}

#[tokio::test]
async fn a_page_that_picks_from_very_many_events_ends_somewhere() {
    let shop = Shop::with_coupons(&users(1)).await;
    let many = "INSERT INTO events (id, kind, campaign_id, at) SELECT 'x-' || i, 'campaign.updated', 'c', now() FROM generate_series(1, 25000) i";
    shop.database.psql(many).await.expect("written");
    let filter = EventFilter { kinds: vec![EventKind::CouponIssued], ..EventFilter::default() };

    let (mut after, mut found, mut pages) = (0, 0, 0);
    while let FeedPage { events, up_to } = shop.ledger.events(after, &filter, 100).await.expect("answers")
        && up_to > after
    {
        (after, found, pages) = (up_to, found + events.len(), pages + 1);
    }

    assert_eq!((found, pages), (1, 3));
    assert_eq!(after, shop.ledger.end_of_feed().await.expect("answers"));
}
