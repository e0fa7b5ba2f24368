//! Draws: one result for all who try, whatever comes between.

use coupon_domain::draw::Hash;
use coupon_domain::draw::merkle::{Tree, TreeBuilder};
use coupon_domain::ports::{BeaconOutcome, Conclusion, DrawRepository as _, DrawResult, DrawRoot, LedgerError};
use coupon_postgres::PostgresLedger;
use coupon_testkit::build::{by, campaign_id, round_id, second, users};
use diesel_async::SimpleAsyncConnection as _;
use uuid::Uuid;

use crate::shop::Shop;

fn result(winners: u32, beacon: Option<&[u8]>) -> DrawResult {
    let last_score = (winners > 0).then(|| Hash::from([9; 32]));
    DrawResult { beacon: beacon.map(<[u8]>::to_vec), winners, last_score }
}

/// The root of the round's leaves as the ledger has them.
async fn root(ledger: &PostgresLedger) -> DrawRoot {
    let leaves = ledger.leaves(round_id(8), 0, u32::MAX).await.expect("answers");
    let Tree { root, size, blocks } = leaves.into_iter().collect::<TreeBuilder>().finish();
    DrawRoot { places: size, root, subtrees: blocks }
}

/// Round 8 with so many places and its root.
async fn ready_to_be_drawn(places: u32) -> Shop {
    let shop = Shop::with_places(&users(places)).await;
    let root = root(&shop.ledger).await;
    assert_eq!(root.places, places);
    shop.ledger.keep_root(round_id(8), &root).await.expect("kept");
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_results_at_once_one_is_kept_with_its_ranks() {
    let shop = ready_to_be_drawn(8).await;

    let draws: Vec<_> = (0..8)
        .map(|first| {
            let ledger = shop.ledger.clone();
            let ranks: Vec<_> = (0..8).map(|ticket| (ticket + first) % 8).collect();
            tokio::spawn(async move { ledger.conclude_draw(round_id(8), &result(first, None), &ranks).await })
        })
        .collect();
    let mut kept = Vec::new();
    for (first, draw) in (0..).zip(draws) {
        match draw.await.expect("no panic").expect("answers") {
            Conclusion::Kept => kept.push(first),
            outcome => assert_eq!(outcome, Conclusion::Earlier),
        }
    }

    let [first] = kept[..] else { panic!("{kept:?}") };
    let draw = shop.ledger.draw(round_id(8)).await.expect("answers");
    assert_eq!(draw.result, Some(result(first, None)));
    let ranks: Vec<_> = (0..8).map(|ticket| (ticket + first) % 8).collect();
    assert_eq!(shop.ledger.ranks(round_id(8), 0, 8).await.expect("answers"), ranks);
}

#[tokio::test]
async fn a_draw_that_waits_for_a_beacon_being_set_is_to_be_done_again_with_it() {
    let shop = ready_to_be_drawn(2).await;
    let mut other = shop.session_after("BEGIN; UPDATE draws SET beacon = 'heads'").await;

    let ledger = shop.ledger.clone();
    let drawn = tokio::spawn(async move { ledger.conclude_draw(round_id(8), &result(1, None), &[1, 0]).await });
    shop.somebody_waits().await;
    other.batch_execute("COMMIT").await.expect("committed");

    assert_eq!(drawn.await.expect("no panic").expect("answers"), Conclusion::OtherBeacon);
    let with_it = result(1, Some(b"heads"));
    let again = shop.ledger.conclude_draw(round_id(8), &with_it, &[0, 1]).await;
    assert_eq!(again.expect("answers"), Conclusion::Kept);
    assert_eq!(shop.ledger.draw(round_id(8)).await.expect("answers").result, Some(with_it));
}

#[tokio::test]
async fn a_beacon_that_waits_for_a_draw_comes_too_late_and_its_request_did_nothing() {
    let shop = ready_to_be_drawn(2).await;
    let drawing = "BEGIN; UPDATE draws SET winners = 0, ranks = '\\x0000000000000001'";
    let mut other = shop.session_after(drawing).await;

    let ledger = shop.ledger.clone();
    let request = Some(Uuid::new_v4());
    let set =
        tokio::spawn(async move { ledger.set_beacon(&campaign_id("c"), round_id(8), b"heads", &by(request)).await });
    shop.somebody_waits().await;
    other.batch_execute("COMMIT").await.expect("committed");

    assert_eq!(set.await.expect("no panic").expect("answers"), BeaconOutcome::TooLate);
    assert_eq!(shop.ledger.draw(round_id(8)).await.expect("answers").result, Some(result(0, None)));
    assert_eq!(shop.count("requests WHERE verb = 'SET_BEACON'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_beacons_at_once_one_is_set() {
    let shop = Shop::with_places(&users(2)).await;

    let calls: Vec<_> = (0..8)
        .map(|byte| {
            let ledger = shop.ledger.clone();
            tokio::spawn(async move { ledger.set_beacon(&campaign_id("c"), round_id(8), &[byte], &by(None)).await })
        })
        .collect();
    let mut set = Vec::new();
    for (byte, call) in (0..).zip(calls) {
        match call.await.expect("no panic").expect("answers") {
            BeaconOutcome::Set => set.push(byte),
            outcome => assert_eq!(outcome, BeaconOutcome::SetOtherwise),
        }
    }

    assert_eq!(set.len(), 1);
    assert_eq!(shop.ledger.draw(round_id(8)).await.expect("answers").beacon, Some(set));
}

#[tokio::test]
async fn a_request_that_set_one_rounds_beacon_does_not_set_anothers() {
    let mut shop = ready_to_be_drawn(2).await;
    let spec = coupon_testkit::build::round(9).claiming(900..960).build();
    let entries = Vec::from_iter(shop.gate.open_round(&spec, second(201)).entry);
    shop.record(&entries).await;
    let request = Some(Uuid::new_v4());
    let set = async |round| shop.ledger.set_beacon(&campaign_id("c"), round_id(round), b"heads", &by(request)).await;

    assert_eq!(set(8).await.expect("answers"), BeaconOutcome::Set);
    assert_eq!(set(9).await.expect("answers"), BeaconOutcome::RequestUsed);
    assert_eq!(set(8).await.expect("answers"), BeaconOutcome::Repeated);
}

#[tokio::test]
async fn leaves_and_ranks_of_many_places_are_read_in_parts() {
    const PLACES: u32 = 3000;
    let shop = ready_to_be_drawn(PLACES).await;
    let ranks: Vec<u32> = (0..PLACES).rev().collect();
    shop.ledger.conclude_draw(round_id(8), &result(1, None), &ranks).await.expect("answers");
    let leaves = shop.ledger.leaves(round_id(8), 0, PLACES).await.expect("answers");
    assert_eq!(leaves, shop.fold.rounds[&round_id(8)].leaves);

    for (from, limit) in [(0, 1), (255, 258), (2990, 100), (2999, 1), (PLACES, 10), (u32::MAX, u32::MAX)] {
        let part =
            |length: usize| (from as usize).min(length)..(from as usize).saturating_add(limit as usize).min(length);
        let told = shop.ledger.leaves(round_id(8), from, limit).await.expect("answers");
        assert_eq!(told, leaves[part(leaves.len())], "{limit} leaves from {from}");
        let told = shop.ledger.ranks(round_id(8), from, limit).await.expect("answers");
        assert_eq!(told, ranks[part(ranks.len())], "{limit} ranks from {from}");
    }
    let compressed = "SELECT string_agg(attname, ' ') FROM pg_attribute
        WHERE attrelid = 'draws'::regclass AND attname IN ('ranks', 'subtrees') AND attstorage <> 'e'";
    assert_eq!(shop.database.psql(compressed).await.expect("answers"), "", "a part of these cannot be read by itself");
}

#[tokio::test]
async fn a_missing_leaf_is_never_passed_over() {
    let shop = Shop::with_places(&users(5)).await;
    shop.database.psql("DELETE FROM places WHERE ticket = 2").await.expect("done");

    let damaged = shop.ledger.leaves(round_id(8), 1, 3).await;

    assert!(matches!(damaged, Err(LedgerError::Broken(_))), "{damaged:?}");
    assert_eq!(shop.ledger.leaves(round_id(8), 3, 10).await.expect("answers").len(), 2);
}

#[tokio::test]
async fn a_result_without_a_root_is_refused() {
    let shop = Shop::with_places(&users(2)).await;

    let refused = shop.ledger.conclude_draw(round_id(8), &result(1, None), &[1, 0]).await;

    assert!(matches!(refused, Err(LedgerError::Broken(_))), "{refused:?}");
}
