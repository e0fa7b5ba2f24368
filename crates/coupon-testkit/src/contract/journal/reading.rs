//! How the recorder reads.

use coupon_domain::journal::Entry;
use coupon_domain::position::Chain;

use crate::build::{campaign_id, head, round, round_id, second, users};
use crate::contract::scene::Scene;
use crate::under_test::GateUnderTest;

/// A journal of several entries: a round opened (1), a phase with five places (2 to 7), then three entries of two places each (8 to 13).
pub(super) async fn a_journal(under_test: GateUnderTest) -> (Scene, Vec<Entry>) {
    let scene = Scene::open(under_test, head(), second(0), [round(1).reserving(0..240).ratio(1, 5)]).await;
    let everyone = users(11);
    scene.reserve(round_id(1), &everyone[..5]).await;
    for pair in everyone[5..].chunks(2) {
        scene.at(second(scene.seen().n.try_into().expect("small"))).await;
        scene.reserve(round_id(1), pair).await;
    }
    let entries = scene.entries_after(0).await;
    assert_eq!(
        entries.iter().map(|e| (e.first, e.last)).collect::<Vec<_>>(),
        [(1, 1), (2, 7), (8, 9), (10, 11), (12, 13)]
    );
    (scene, entries)
}

/// There is nothing to tell of it.
pub async fn an_unknown_campaign_has_an_empty_journal(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    assert_eq!(scene.journal.read(&campaign_id("unknown"), 0, 100).await.expect("answers"), []);

    let opened = scene.beside("c", head(), [] as [coupon_domain::round::RoundSpec; 0]).await;
    assert_eq!(opened.entries_after(0).await, []);
    opened.journal.trim(&opened.campaign, 100, second(100)).await.expect("nothing to forget is no fault");
}

/// Behind the last one there is nothing.
pub async fn entries_are_read_from_behind_a_decision_on(under_test: GateUnderTest) {
    let (scene, entries) = a_journal(under_test).await;
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(scene.entries_after(entry.last).await, entries[index + 1..]);
    }
    assert_eq!(scene.entries_after(1000).await, []);
    assert_eq!(entries[0].prev, Chain::default(), "the first one follows forty zeros");
}

/// However small the limit, a reader gets on.
pub async fn a_limit_gives_whole_entries_but_at_least_one(under_test: GateUnderTest) {
    let (scene, entries) = a_journal(under_test).await;
    for (after, limit, count) in
        [(0, 1, 1), (0, 6, 1), (0, 7, 2), (0, 8, 2), (0, 9, 3), (0, 13, 5), (0, 0, 1), (1, 1, 1), (7, 3, 1), (7, 4, 2)]
    {
        let read = scene.journal.read(&scene.campaign, after, limit).await.expect("the journal answers");
        let from = entries.iter().position(|e| e.first == after + 1).expect("an entry begins there");
        assert_eq!(read, entries[from..from + count], "{limit} decisions behind {after}");
    }
}

/// The number goes on, the epoch is raised, the chain holds.
pub async fn entries_of_a_later_epoch_come_after_those_of_an_earlier_one(under_test: GateUnderTest) {
    let (scene, before) = a_journal(under_test).await;
    for epoch in [2, 10] {
        scene.reopen(epoch).await;
        scene.reserve(round_id(1), &[crate::build::user(&format!("late-{epoch}"))]).await;
    }

    let entries = scene.entries_after(0).await;

    assert_eq!(entries[..5], before);
    assert_eq!(
        entries[5..].iter().map(|e| (e.epoch, e.first, e.last)).collect::<Vec<_>>(),
        [(2, 14, 14), (10, 15, 15)]
    );
    assert_eq!(scene.entries_after(13).await, entries[5..]);
    assert_eq!(scene.entries_after(14).await, entries[6..]);
}
