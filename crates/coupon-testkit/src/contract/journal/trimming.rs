//! What the journal forgets: only what the ledger has, and only when it is old.

use coupon_domain::model::Decided;
use coupon_domain::ports::Frozen;
use coupon_domain::time::Timestamp;

use super::reading::a_journal;
use crate::build::{millisecond, round_id, second, user};
use crate::under_test::GateUnderTest;

/// Whole entries, and again without harm.
pub async fn what_was_recorded_and_is_old_is_forgotten(under_test: GateUnderTest) {
    let (scene, entries) = a_journal(under_test).await;
    for _ in 0..2 {
        scene.journal.trim(&scene.campaign, 9, second(1000)).await.expect("the journal answers");
        let left = scene.journal.read(&scene.campaign, 0, 1000).await.expect("the journal answers");
        assert_eq!(left, entries[3..]);
        assert_eq!(scene.entries_after(9).await, entries[3..]);
    }
}

/// An entry of which one decision is not recorded; one that is as old as the limit, but not older.
pub async fn what_is_not_recorded_or_not_old_is_kept(under_test: GateUnderTest) {
    let (scene, entries) = a_journal(under_test).await;
    let times: Vec<Timestamp> = entries.iter().map(|entry| entry.at).collect();
    assert_eq!(times, [second(0), second(0), second(7), second(9), second(11)]);
    for (up_to, before, left) in [
        (0, second(1000), 0),
        (13, second(-1000), 0),
        (13, second(0), 0),
        (6, second(1000), 1),
        (13, second(7), 2),
        (8, second(1000), 2),
        (9, second(9), 3),
        (13, millisecond(9_001), 4),
        (12, second(1000), 4),
    ] {
        scene.journal.trim(&scene.campaign, up_to, before).await.expect("the journal answers");
        let kept = scene.journal.read(&scene.campaign, 0, 1000).await.expect("the journal answers");
        assert_eq!(kept, entries[left..], "recorded up to {up_to}, older than {before:?}");
    }
}

/// Number and chain are the gate's, not what is left of the journal; also over a recovery.
pub async fn a_gate_goes_on_behind_what_was_forgotten(under_test: GateUnderTest) {
    let (scene, entries) = a_journal(under_test).await;
    scene.journal.trim(&scene.campaign, 13, second(1000)).await.expect("the journal answers");
    assert_eq!(scene.journal.read(&scene.campaign, 0, 1000).await.expect("the journal answers"), []);

    let chain = entries[4].chain();
    let frozen = scene.freeze(2).await.expect("a later epoch freezes");
    assert!(matches!(frozen, Frozen::At(position, found) if position.n == 13 && found == chain), "{frozen:?}");
    scene.reopen(2).await;
    let Decided { entry, .. } = scene.reserve(round_id(1), &[user("late")]).await;

    let entry = entry.expect("a place is a decision");
    assert_eq!((entry.epoch, entry.first, entry.prev), (2, 14, chain));
    assert_eq!(scene.entries_after(13).await, [entry]);
}
