//! The feed of events: one order, from which nothing is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use coupon_domain::checkout::Hold;
use coupon_domain::ports::{Event, EventFilter, EventKind};
use tokio::task::JoinSet;

use super::desk::{IntoCall as _, ask, back, hold_of, redeem_of, release, rollback, ten_coupons};
use super::history::{History, events_after};
use crate::build::{a_campaign, campaign_id, coupon_id, eur, round, round_id, second, users};
use crate::under_test::LedgerUnderTest;

/// All events that a filter takes, page by page; every page goes on from where the one before said.
async fn filtered(ledger: &LedgerUnderTest, filter: &EventFilter, limit: u32) -> (Vec<(i64, Event)>, i64) {
    let (mut all, mut after) = (Vec::<(i64, Event)>::new(), 0);
    loop {
        let page = ledger.feed.events(after, filter, limit).await.expect("the ledger answers");
        assert!(page.events.len() <= limit as usize);
        assert!(page.up_to >= after, "{} is before {after}", page.up_to);
        for (position, _) in &page.events {
            assert!((after + 1..=page.up_to).contains(position), "{position} from {after} to {}", page.up_to);
        }
        let done = page.up_to == after;
        all.extend(page.events);
        after = page.up_to;
        if done {
            return (all, after);
        }
    }
}

/// Two campaigns with events of many kinds.
async fn two_campaigns(ledger: &LedgerUnderTest) {
    ten_coupons(ledger).await;
    let mut history = History::begin(ledger, &a_campaign("d")).await;
    history.open_round(round(2).claiming(300..360), second(0));
    history.claim(round_id(2), &users(10), second(300));
    history.record(ledger).await;
    for serial in 0..5 {
        let id = format!("o-{serial}");
        ask(ledger, &hold_of(serial, &id)).await;
        ask(ledger, &redeem_of(serial, &id, eur(2000))).await;
        ask(ledger, &rollback(back(serial, &id))).await;
    }
}

/// By both at once, in pages of any size.
pub async fn the_feed_is_filtered_by_kind_and_by_campaign(ledger: LedgerUnderTest) {
    two_campaigns(&ledger).await;
    let all = events_after(&ledger, 0).await;
    let (c, d) = (Some(campaign_id("c")), Some(campaign_id("d")));
    let two = vec![EventKind::CouponHeld, EventKind::CouponIssued];
    for (kinds, campaign, count) in [
        (vec![], c.clone(), 28),
        (two.clone(), None, 25),
        (two, c.clone(), 15),
        (vec![EventKind::CouponRolledBack], c.clone(), 5),
        (vec![EventKind::CouponRolledBack], d, 0),
        (vec![EventKind::CampaignCreated], None, 2),
        (EventKind::ALL.to_vec(), c, 28),
        (vec![], Some(campaign_id("x")), 0),
    ] {
        let filter = EventFilter { kinds, campaign };
        let expected: Vec<_> = all.iter().filter(|(_, event)| filter.takes(event)).cloned().collect();
        for limit in [1, 4, 1000] {
            let (found, _) = filtered(&ledger, &filter, limit).await;
            assert_eq!(found, expected, "{filter:?} in pages of {limit}");
        }
        assert_eq!(expected.len(), count, "{filter:?}");
    }
}

/// So that nobody looks again and again at what is not for them.
pub async fn a_page_goes_on_past_what_its_filter_leaves_out(ledger: LedgerUnderTest) {
    two_campaigns(&ledger).await;
    let last = events_after(&ledger, 0).await.last().expect("there are some").0;
    let rare = |kind| EventFilter { kinds: vec![kind], campaign: None };
    for filter in [rare(EventKind::CampaignCreated), rare(EventKind::RoundDrawn), EventFilter::default()] {
        for limit in [1, 1000] {
            let (_, up_to) = filtered(&ledger, &filter, limit).await;
            assert!(up_to >= last, "{filter:?} ended at {up_to}, before {last}");
        }
    }
    let behind = ledger.feed.events(last, &EventFilter::default(), 10).await.expect("answers");
    assert_eq!((behind.events.len(), behind.up_to >= last), (0, true));
}

/// What was written before is at or before it, what comes later is behind it.
pub async fn the_end_of_the_feed_is_behind_all_that_was_written(ledger: LedgerUnderTest) {
    let empty = ledger.feed.end_of_feed().await.expect("answers");
    assert_eq!(events_after(&ledger, empty).await, []);
    ten_coupons(&ledger).await;
    for serial in 0..3 {
        let end = ledger.feed.end_of_feed().await.expect("answers");
        assert_eq!(events_after(&ledger, end).await, []);
        ask(&ledger, &hold_of(serial, &format!("o-{serial}"))).await;
        let [(_, new)] = &events_after(&ledger, end).await[..] else { panic!("one event") };
        assert_eq!(new.coupon, Some(coupon_id(1, serial)));
    }
}

/// Whatever their instants, and whether one call or several changed it.
pub async fn events_of_a_coupon_come_in_the_order_of_its_changes(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    ask(&ledger, &hold_of(0, "o-1")).await;
    ask(&ledger, &release(back(0, "o-1"))).await;
    // The ledger's clock goes back, and once a hold has run out long ago.
    ledger.clock.set(second(390)).await;
    let brief = Hold { ttl: Duration::from_secs(5), ..hold_of(0, "o-2") };
    ask(&ledger, &brief).await;
    ledger.clock.set(second(420)).await;
    let calls = [redeem_of(0, "o-3", eur(2000)).call(), rollback(back(0, "o-3")), hold_of(0, "o-4").call()];
    ledger.coupons.carry_out(&calls).await.expect("answers");

    let events = events_after(&ledger, 0).await.into_iter().map(|(_, event)| event);
    let own: Vec<_> = events.filter(|e| e.coupon == Some(coupon_id(1, 0))).map(|e| (e.kind, e.at)).collect();
    let expected = [
        (EventKind::CouponIssued, 300),
        (EventKind::CouponHeld, 400),
        (EventKind::CouponReleased, 400),
        (EventKind::CouponHeld, 390),
        (EventKind::CouponReleased, 395),
        (EventKind::CouponRedeemed, 420),
        (EventKind::CouponRolledBack, 420),
        (EventKind::CouponHeld, 420),
    ];
    assert_eq!(own, expected.map(|(kind, at)| (kind, second(at))));
}

/// Nothing appears behind what was told: each event once, in the order of positions, and of each coupon in that of its changes.
pub async fn a_reader_misses_nothing_while_events_are_written(ledger: LedgerUnderTest) {
    const ROUNDS: usize = 12;
    ten_coupons(&ledger).await;
    let begin = ledger.feed.end_of_feed().await.expect("answers");
    let done = Arc::new(AtomicBool::new(false));
    let (feed, told) = (ledger.feed.clone(), Arc::clone(&done));
    let reader = tokio::spawn(async move {
        let (mut all, mut after) = (Vec::new(), begin);
        loop {
            let last = told.load(Ordering::SeqCst);
            let page = feed.events(after, &EventFilter::default(), 7).await.expect("the ledger answers");
            if page.up_to == after && last {
                return all;
            }
            all.extend(page.events);
            after = page.up_to;
            tokio::task::yield_now().await;
        }
    });
    let mut writers = JoinSet::new();
    for serial in 0..10 {
        let coupons = ledger.coupons.clone();
        writers.spawn(async move {
            for i in 0..ROUNDS {
                let id = format!("o-{serial}-{i}");
                for call in [hold_of(serial, &id).call(), release(back(serial, &id))] {
                    coupons.carry_out(&[call]).await.expect("the ledger answers");
                }
            }
        });
    }
    writers.join_all().await;
    done.store(true, Ordering::SeqCst);
    let seen = reader.await.expect("it reads to the end");

    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0), "the places ascend");
    assert_eq!(seen, events_after(&ledger, begin).await);
    let mut keys = BTreeMap::<_, Vec<_>>::new();
    seen.iter().for_each(|(_, event)| keys.entry(event.key()).or_default().push(event.kind));
    assert_eq!(keys.len(), 10);
    let expected = [EventKind::CouponHeld, EventKind::CouponReleased].repeat(ROUNDS);
    assert!(keys.values().all(|kinds| *kinds == expected), "{keys:?}");
}
