//! Events in their order, none passed by.

use coupon_domain::ports::{CampaignRepository as _, EventKind, RecordRepository as _};
use coupon_testkit::build::{a_campaign, users};
use diesel_async::SimpleAsyncConnection as _;

use crate::shop::Shop;

#[tokio::test]
async fn an_event_is_not_told_while_one_before_it_is_still_to_come() {
    let shop = Shop::with_coupons(&users(2)).await;
    let told = shop.ledger.events(0, 100).await.expect("answers");
    let last = told.last().expect("events").0;

    let mut slow = shop
        .session_after(
            "BEGIN; INSERT INTO events (id, kind, campaign_id, at) VALUES ('slow', 'campaign.created', 'c', now())",
        )
        .await;
    shop.ledger.create(&a_campaign("d")).await.expect("created");
    assert_eq!(shop.ledger.events(last, 100).await.expect("answers"), []);

    slow.batch_execute("COMMIT").await.expect("committed");
    let both = shop.ledger.events(last, 100).await.expect("answers");
    let ids: Vec<_> = both.iter().map(|(_, event)| (event.id.as_str(), event.campaign.as_str())).collect();
    assert!(matches!(ids[..], [("slow", "c"), (_, "d")]), "{ids:?}");
}

#[tokio::test]
async fn events_come_in_the_order_of_the_decisions_page_by_page() {
    let shop = Shop::with_coupons(&users(5)).await;

    let mut events = Vec::new();
    let mut after = 0;
    while let page = shop.ledger.events(after, 3).await.expect("answers")
        && let Some((last, _)) = page.last()
    {
        after = *last;
        events.extend(page);
    }

    let kinds: Vec<_> = events.iter().map(|(_, event)| event.kind).collect();
    let mut expected = vec![EventKind::CampaignCreated, EventKind::RoundOpened, EventKind::RoundPhaseChanged];
    expected.extend([EventKind::CouponIssued; 5]);
    assert_eq!(kinds, expected);
    assert_eq!(events[7].1.id, "c-7");
}
