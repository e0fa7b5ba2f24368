//! Draws: one result, whatever comes at the same time, and what no draw allows.

use std::collections::BTreeMap;

use coupon_domain::answer::Refusal;
use coupon_domain::choice::Verb;
use coupon_domain::draw::Hash;
use coupon_domain::model::DrawConclusion;
use coupon_domain::ports::{
    BeaconOutcome, Conclusion, DrawRecord, DrawRepository as _, DrawResult, DrawRoot, Gate as _, LedgerError,
    StatisticsRepository as _, Tally,
};
use coupon_domain::round::RoundSpec;
use coupon_domain::stats::ArrivalBucket;
use coupon_testkit::build::{by, round, round_id, second, users};
use diesel::connection::SimpleConnection as _;
use tokio::task::JoinSet;

use crate::constraints::expect_refused;
use crate::shop::Shop;

fn drawn_round(number: u32) -> RoundSpec {
    let start = i64::from(number) * 1000;
    round(number).reserving(0..240).claiming(start..start + 60).ratio(1, 5).drawn().build()
}

fn root_over(places: u32) -> DrawRoot {
    let subtrees = vec![Hash::from([2; 32]); places.div_ceil(256) as usize];
    DrawRoot { places, root: Hash::from([1; 32]), subtrees }
}

fn result(winners: u32, beacon: Option<&[u8]>) -> DrawResult {
    let last_score = (winners > 0).then(|| Hash::from([3; 32]));
    DrawResult { beacon: beacon.map(<[u8]>::to_vec), winners, last_score }
}

/// So many rounds in the ledger, each with a root over so many places.
async fn rounds_with_roots(rounds: u32, places: u32) -> Shop {
    let shop = Shop::with((1..=rounds).map(drawn_round)).await;
    shop.record().await;
    for number in 1..=rounds {
        shop.ledger.keep_root(round_id(number), &root_over(places)).await.expect("the ledger answers");
    }
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn of_conclusions_at_once_one_is_kept_with_its_ranks() {
    let shop = rounds_with_roots(1, 10).await;
    let mut callers = JoinSet::new();
    for winners in 0..8_u32 {
        let ledger = shop.ledger.clone();
        callers.spawn(async move {
            let concluded = ledger.conclude_draw(round_id(1), &result(winners, None), &[winners; 10]).await;
            (concluded.expect("the ledger answers"), winners)
        });
    }
    let outcomes = callers.join_all().await;

    let kept: Vec<_> = outcomes.iter().filter(|(outcome, _)| *outcome == Conclusion::Kept).collect();
    let [(_, kept)] = kept[..] else { panic!("{outcomes:?}") };
    assert_eq!(outcomes.iter().filter(|(outcome, _)| *outcome == Conclusion::Earlier).count(), 7);
    let draw = shop.ledger.draw(round_id(1)).await.expect("the ledger answers");
    assert_eq!(draw, DrawRecord { root: Some(root_over(10)), beacon: None, result: Some(result(*kept, None)) });
    assert_eq!(shop.ledger.ranks(round_id(1), 0, 100).await.expect("the ledger answers"), [*kept; 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beacon_set_while_a_draw_concludes_is_in_it_or_too_late() {
    let shop = rounds_with_roots(40, 10).await;
    let mut callers = JoinSet::new();
    for number in 1..=40 {
        let (setter, drawer, campaign) = (shop.ledger.clone(), shop.ledger.clone(), shop.campaign.clone());
        callers.spawn(async move {
            let set =
                tokio::spawn(async move { setter.set_beacon(&campaign, round_id(number), b"b", &by(None)).await });
            let without = drawer.conclude_draw(round_id(number), &result(2, None), &[0; 10]).await;
            let set = set.await.expect("no panic").expect("the ledger answers");
            (number, set, without.expect("the ledger answers"))
        });
    }
    for (number, set, without) in callers.join_all().await {
        let draw = shop.ledger.draw(round_id(number)).await.expect("the ledger answers");
        match (set, without) {
            (BeaconOutcome::Set, Conclusion::OtherBeacon) => {
                assert_eq!((draw.beacon.as_deref(), draw.result), (Some(&b"b"[..]), None));
                let with = result(2, Some(b"b"));
                let again = shop.ledger.conclude_draw(round_id(number), &with, &[0; 10]).await;
                assert_eq!(again.expect("the ledger answers"), Conclusion::Kept);
            }
            (BeaconOutcome::TooLate, Conclusion::Kept) => {
                assert_eq!((draw.beacon, draw.result), (None, Some(result(2, None))));
            }
            other => panic!("round {number}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn ranks_are_read_in_parts() {
    let shop = rounds_with_roots(1, 100_000).await;
    let ranks: Vec<u32> = (0..100_000).rev().collect();
    let concluded = shop.ledger.conclude_draw(round_id(1), &result(20_000, None), &ranks).await;
    assert_eq!(concluded.expect("the ledger answers"), Conclusion::Kept);

    let shop = shop.restarted();
    let part = async |from, limit| shop.ledger.ranks(round_id(1), from, limit).await.expect("the ledger answers");
    assert_eq!(part(0, 3).await, [99_999, 99_998, 99_997]);
    assert_eq!(part(70_000, 20_000).await, ranks[70_000..90_000]);
    assert_eq!(part(99_999, u32::MAX).await, [0]);
    assert!(part(100_000, 1).await.is_empty());
    assert!(part(u32::MAX, u32::MAX).await.is_empty());
}

#[tokio::test]
async fn a_draw_without_a_root_is_not_kept() {
    let shop = Shop::with([drawn_round(1)]).await;
    shop.record().await;
    let concluded = shop.ledger.conclude_draw(round_id(1), &result(1, None), &[0, 1]).await;
    assert!(matches!(concluded, Err(LedgerError::Broken(_))), "{concluded:?}");
    assert_eq!(shop.ledger.draw(round_id(1)).await.expect("the ledger answers"), DrawRecord::default());
}

#[tokio::test]
async fn a_draw_that_no_rule_allows_is_refused() {
    let (shop, one) = (Shop::with([drawn_round(1)]).await, round_id(1));
    shop.gate.reserve(&shop.campaign, one, &users(10), true, shop.seen()).await.expect("decided");
    shop.at(second(240)).await;
    let told = shop.gate.conclude_draw(&shop.campaign, one, &[0b1100_0000, 0], shop.seen()).await.expect("decided");
    assert!(matches!(told.answers, DrawConclusion::Drawn(_)), "{told:?}");
    shop.record().await;
    assert_eq!(shop.ledger.leaves(one, 0, 100).await.expect("the ledger answers").len(), 10);
    shop.ledger.keep_root(one, &root_over(10)).await.expect("the ledger answers");
    shop.ledger.conclude_draw(one, &result(2, None), &[0; 10]).await.expect("the ledger answers");
    expect_refused(
        &mut shop.beside(),
        &[
            ("INSERT INTO draws (round_no) VALUES (1)", "UNIQUE"),
            ("INSERT INTO draws (round_no) VALUES (7)", "FOREIGN KEY"),
            ("UPDATE draws SET places = 10000001", "places BETWEEN"),
            ("UPDATE draws SET root = zeroblob(31)", "length(root)"),
            ("UPDATE draws SET root = NULL", "root IS NULL"),
            ("UPDATE draws SET subtrees = zeroblob(64)", "length(subtrees)"),
            ("UPDATE draws SET subtrees = NULL", "subtrees IS NULL"),
            ("UPDATE draws SET winners = 11", "winners BETWEEN"),
            ("UPDATE draws SET places = NULL, root = NULL, subtrees = NULL", "places IS NOT NULL"),
            ("UPDATE draws SET last_score = zeroblob(31)", "length(last_score)"),
            ("UPDATE draws SET last_score = NULL", "last_score IS NULL"),
            ("UPDATE draws SET winners = 0", "last_score IS NULL"),
            ("UPDATE draws SET ranks = zeroblob(41)", "length(ranks)"),
            ("UPDATE draws SET ranks = NULL", "ranks IS NULL"),
            ("UPDATE draws SET beacon = x'00'", "used_beacon IS"),
            ("UPDATE draws SET used_beacon = x'00'", "used_beacon IS"),
            ("UPDATE rounds SET supply = NULL", "supply <= places"),
            ("UPDATE rounds SET supply = 11", "supply <= places"),
            ("UPDATE rounds SET delay = 3600000001", "delay BETWEEN"),
            ("UPDATE rounds SET drawn = 2", "drawn IN"),
            ("UPDATE rounds SET phase = 'RESERVING'", "drawn = 0 OR"),
            ("UPDATE rounds SET spec = json_remove(spec, '$.draw')", "drawn = 0 OR"),
            ("UPDATE rounds SET spec = json_remove(spec, '$.reserve')", "reserve_opens_at IS NOT NULL"),
        ],
    );
}

#[tokio::test]
async fn what_is_known_of_a_round_goes_with_it() {
    let shop = rounds_with_roots(1, 10).await;
    let refusals = BTreeMap::from([((Verb::Claim, Refusal::NotDrawn), 8)]);
    let tally = Tally { refusals, arrivals: vec![ArrivalBucket { bucket: 0, won: 2, lost: 8 }] };
    shop.ledger.add_tally(round_id(1), &tally).await.expect("the ledger answers");
    assert_eq!(shop.ledger.tally(round_id(1)).await.expect("the ledger answers"), tally);

    shop.beside().batch_execute("DELETE FROM rounds").expect("nobody used it");

    assert_eq!(shop.ledger.draw(round_id(1)).await.expect("the ledger answers"), DrawRecord::default());
    shop.ledger.add_tally(round_id(1), &tally).await.expect("the ledger answers");
    assert_eq!(shop.ledger.tally(round_id(1)).await.expect("the ledger answers"), Tally::default());
}
