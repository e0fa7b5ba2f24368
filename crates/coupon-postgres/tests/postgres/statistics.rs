//! Counts of rounds, from many instances at once.

use std::collections::BTreeMap;

use coupon_domain::answer::Refusal;
use coupon_domain::choice::Verb;
use coupon_domain::ports::{StatisticsRepository as _, Tally};
use coupon_domain::stats::ArrivalBucket;
use coupon_testkit::build::{round_id, users};
use diesel_async::SimpleAsyncConnection as _;

use crate::shop::Shop;

fn tally(times: u64) -> Tally {
    let refusals = BTreeMap::from_iter(
        [(Verb::Claim, Refusal::SoldOut), (Verb::Claim, Refusal::NotOpenYet), (Verb::Reserve, Refusal::SoldOut)]
            .map(|key| (key, times)),
    );
    let arrivals = (0..100).map(|bucket| ArrivalBucket { bucket, won: times, lost: 2 * times }).collect();
    Tally { refusals, arrivals }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_eight_instances_add_at_once_adds_up() {
    let shop = Shop::with_coupons(&users(1)).await;

    let calls: Vec<_> = (0..8)
        .map(|_| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    ledger.add_tally(round_id(7), &tally(1)).await.expect("answers");
                }
            })
        })
        .collect();
    for call in calls {
        call.await.expect("no panic");
    }

    assert_eq!(shop.ledger.tally(round_id(7)).await.expect("answers"), tally(40));
}

#[tokio::test]
async fn counts_of_a_round_that_is_forgotten_at_this_moment_are_dropped() {
    let mut shop = Shop::with_coupons(&[]).await;
    let entries = shop.claims(&[]);
    assert!(entries.is_empty(), "the round is there and unused");
    shop.ledger.add_tally(round_id(7), &tally(1)).await.expect("answers");
    let mut recorder = shop.session_after("BEGIN; DELETE FROM rounds").await;

    let ledger = shop.ledger.clone();
    let call = tokio::spawn(async move { ledger.add_tally(round_id(7), &tally(1)).await });
    shop.somebody_waits().await;
    recorder.batch_execute("COMMIT").await.expect("committed");

    call.await.expect("no panic").expect("answers");
    assert_eq!(shop.ledger.tally(round_id(7)).await.expect("answers"), Tally::default());
    assert_eq!((shop.count("round_refusals").await, shop.count("round_arrivals").await), (0, 0));
}
