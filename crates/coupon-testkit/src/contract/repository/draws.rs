//! Draws: every part is written once, and what came second learns of the first.

use coupon_domain::draw::merkle::TreeBuilder;
use coupon_domain::draw::{Hash, leaf};
use coupon_domain::ids::RoundId;
use coupon_domain::ports::{Conclusion, DrawRecord, DrawResult, DrawRoot, MAX_BATCH};
use tokio::task::JoinSet;

use super::history::History;
use crate::build::{a_campaign, keys, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

/// Campaign `c`, whose round 1 has so many places, a fifth of which wins; reservation has closed.
pub(super) async fn a_draw(ledger: &LedgerUnderTest, places: u32) -> History {
    ledger.clock.set(second(250)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    history.open_round(round(1).reserving(0..240).claiming(300..360).ratio(1, 5).drawn(), second(0));
    for batch in users(places).chunks(MAX_BATCH) {
        history.reserve(round_id(1), batch, second(1));
    }
    history.tick(second(240));
    history.record(ledger).await;
    history
}

/// What follows from the leaves of a round.
pub(super) fn root(history: &History, round: RoundId) -> DrawRoot {
    let tree = history.fold.rounds[&round].leaves.iter().copied().collect::<TreeBuilder>().finish();
    DrawRoot { places: tree.size, root: tree.root, subtrees: tree.blocks }
}

/// So many winners, the last one's score being of this byte alone.
fn result(winners: u32, score: u8) -> DrawResult {
    DrawResult { beacon: None, winners, last_score: (winners > 0).then(|| Hash::from([score; 32])) }
}

/// The last ticket is the best.
fn backwards(places: u32) -> Vec<u32> {
    (0..places).rev().collect()
}

async fn found(ledger: &LedgerUnderTest, round: RoundId) -> DrawRecord {
    ledger.draws.draw(round).await.expect("the ledger answers")
}

/// In order of tickets, which is not that of users; read in pages from anywhere. A round that is not drawn has none.
pub async fn leaves_of_a_drawn_round_are_kept_by_ticket(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).reserving(0..240).claiming(300..360).ratio(1, 5).drawn(), second(0));
    history.open_round(round(2).reserving(0..240).claiming(400..460).ratio(1, 5), second(0));
    for names in [&["zoe", "ada", "Zoe"][..], &["bob"], &["_", "9", "ada", "10"]] {
        for round in [1, 2] {
            history.reserve(round_id(round), &names.iter().map(|name| user(name)).collect::<Vec<_>>(), second(1));
        }
        history.record(&ledger).await;
    }
    let expected: Vec<_> = (0..)
        .zip(["zoe", "ada", "Zoe", "bob", "_", "9", "10"].map(user))
        .map(|(ticket, user)| {
            let receipt = keys().receipt(0, round_id(1), ticket, &user).expect("key 0 is there");
            leaf(ticket, &user, &receipt)
        })
        .collect();
    for from in 0..=8 {
        for limit in [1, 2, 3, 100] {
            let page = ledger.draws.leaves(round_id(1), from, limit).await.expect("answers");
            let wanted: Vec<_> = expected.iter().skip(from as usize).take(limit as usize).copied().collect();
            assert_eq!(page, wanted, "{limit} from {from}");
        }
    }
    for without in [2, 3].map(round_id) {
        assert_eq!(ledger.draws.leaves(without, 0, 100).await.expect("answers"), []);
    }
}

/// By the first, also of several at once; with its subtrees, of which the last one is not full.
pub async fn a_root_is_kept_once(ledger: LedgerUnderTest) {
    let history = a_draw(&ledger, 300).await;
    assert_eq!(found(&ledger, round_id(1)).await, DrawRecord::default());
    let root = root(&history, round_id(1));
    assert_eq!(root.subtrees.len(), 2);
    let roots: Vec<_> = (0..8).map(|i| DrawRoot { root: Hash::from([i; 32]), ..root.clone() }).collect();
    let mut calls = JoinSet::new();
    for root in roots.clone() {
        let draws = ledger.draws.clone();
        calls.spawn(async move { draws.keep_root(round_id(1), &root).await.expect("the ledger answers") });
    }
    calls.join_all().await;

    let kept = found(&ledger, round_id(1)).await;
    assert!(kept.root.as_ref().is_some_and(|kept| roots.contains(kept)), "{kept:?}");
    assert_eq!((&kept.beacon, &kept.result), (&None, &None));
    ledger.draws.keep_root(round_id(1), &root).await.expect("answers");
    assert_eq!(found(&ledger, round_id(1)).await, kept);
}

/// The first result stays, with its ranks.
pub async fn a_draw_is_concluded_once(ledger: LedgerUnderTest) {
    let history = a_draw(&ledger, 10).await;
    let round = round_id(1);
    let root = root(&history, round);
    ledger.draws.keep_root(round, &root).await.expect("answers");
    assert_eq!(ledger.draws.ranks(round, 0, 10).await.expect("answers"), [0; 0]);
    let (first, ranks) = (result(2, 1), backwards(10));
    assert_eq!(ledger.draws.conclude_draw(round, &first, &ranks).await.expect("answers"), Conclusion::Kept);

    let forwards: Vec<_> = (0..10).collect();
    for (other, ranks) in [(first.clone(), &ranks), (result(3, 2), &forwards), (result(0, 0), &forwards)] {
        let again = ledger.draws.conclude_draw(round, &other, ranks).await.expect("answers");
        assert_eq!(again, Conclusion::Earlier);
    }
    let expected = DrawRecord { root: Some(root), beacon: None, result: Some(first) };
    assert_eq!(found(&ledger, round).await, expected);
    assert_eq!(ledger.draws.ranks(round, 0, 100).await.expect("answers"), ranks);
}

/// Result and ranks are those of one and the same.
pub async fn of_conclusions_at_once_one_is_kept(ledger: LedgerUnderTest) {
    let history = a_draw(&ledger, 10).await;
    let round = round_id(1);
    ledger.draws.keep_root(round, &root(&history, round)).await.expect("answers");
    let ranks = |i: u32| (0..10).map(|ticket| (ticket + i) % 10).collect::<Vec<u32>>();
    let mut calls = JoinSet::new();
    for i in 1..9 {
        let draws = ledger.draws.clone();
        calls.spawn(async move {
            let score = u8::try_from(i).expect("small");
            draws.conclude_draw(round, &result(i, score), &ranks(i)).await.expect("the ledger answers")
        });
    }
    let outcomes = calls.join_all().await;

    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Conclusion::Kept).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Conclusion::Earlier).count(), 7, "{outcomes:?}");
    let kept = found(&ledger, round).await.result.expect("it is drawn");
    assert_eq!(kept, result(kept.winners, u8::try_from(kept.winners).expect("small")));
    assert_eq!(ledger.draws.ranks(round, 0, 10).await.expect("answers"), ranks(kept.winners));
}

/// A page may begin and end anywhere, beyond the last ticket too.
pub async fn ranks_are_read_from_anywhere(ledger: LedgerUnderTest) {
    let history = a_draw(&ledger, 5000).await;
    let round = round_id(1);
    ledger.draws.keep_root(round, &root(&history, round)).await.expect("answers");
    let ranks = backwards(5000);
    let kept = ledger.draws.conclude_draw(round, &result(1000, 1), &ranks).await.expect("answers");
    assert_eq!(kept, Conclusion::Kept);

    for (from, limit) in [(0, 1), (0, 5000), (0, u32::MAX), (255, 3), (1, 4999), (4999, 1), (4999, 5), (2047, 1000)] {
        let page = ledger.draws.ranks(round, from, limit).await.expect("answers");
        let wanted: Vec<_> = ranks.iter().skip(from as usize).take(limit as usize).copied().collect();
        assert_eq!(page, wanted, "{limit} from {from}");
    }
    for (round, from) in [(round, 5000), (round, u32::MAX), (round_id(2), 0)] {
        assert_eq!(ledger.draws.ranks(round, from, 10).await.expect("answers"), [0; 0]);
    }
    let leaves = ledger.draws.leaves(round, 4090, 20).await.expect("answers");
    assert_eq!(leaves, history.fold.rounds[&round].leaves[4090..4110]);
}

/// Nobody wins, and that is known as of any other round; once the round is forgotten, nothing is.
pub async fn a_round_without_places_is_drawn_and_its_draw_forgotten_with_it(ledger: LedgerUnderTest) {
    let mut history = a_draw(&ledger, 0).await;
    let round = round_id(1);
    let root = root(&history, round);
    assert_eq!((root.places, root.subtrees.len()), (0, 0));
    assert_eq!(ledger.draws.leaves(round, 0, 10).await.expect("answers"), []);
    ledger.draws.keep_root(round, &root).await.expect("answers");
    let kept = ledger.draws.conclude_draw(round, &result(0, 0), &[]).await.expect("answers");
    assert_eq!(kept, Conclusion::Kept);
    let again = ledger.draws.conclude_draw(round, &result(0, 0), &[]).await.expect("answers");
    assert_eq!(again, Conclusion::Earlier);
    let expected = DrawRecord { root: Some(root), beacon: None, result: Some(result(0, 0)) };
    assert_eq!(found(&ledger, round).await, expected);
    assert_eq!(ledger.draws.ranks(round, 0, 10).await.expect("answers"), [0; 0]);

    history.conclude_draw(round, &[], second(250));
    history.record(&ledger).await;
    assert_eq!(found(&ledger, round).await, expected);
    history.tick(second(360));
    history.retire(round, second(960));
    history.record(&ledger).await;
    assert_eq!(ledger.campaigns.round(round).await.expect("answers"), None);
    assert_eq!(found(&ledger, round).await, DrawRecord::default());
}
