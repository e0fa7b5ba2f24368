//! Two histories of one campaign: the second one is refused, and nothing of it is written.

use std::collections::BTreeMap;

use coupon_domain::ids::RoundId;
use coupon_domain::ports::RecordError;
use coupon_domain::position::{Chain, Position};
use coupon_domain::recording::{CouponRow, Cursor, PlaceRow, Recording, RoundChange};

use super::history::{History, events_after};
use crate::build::{a_campaign, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

/// Places 0 to 3 for `u-0` to `u-3`, coupons 0 and 1 for `u-0` and `u-1`.
async fn a_recorded_history(ledger: &LedgerUnderTest) -> History {
    ledger.clock.set(second(500)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    history.open_round(round(1).reserving(0..240).claiming(300..360).fixed(50), second(0));
    history.reserve(round_id(1), &users(4), second(1));
    history.claim(round_id(1), &users(2), second(300));
    history.record(ledger).await;
    history
}

fn place(ticket: u32, name: &str, n: u64) -> PlaceRow {
    PlaceRow { round: round_id(1), ticket, user: user(name), leaf: None, reserved_at: second(2), n }
}

fn coupon(serial: u32, name: &str, n: u64) -> CouponRow {
    let (claimed_at, expires_at) = (second(301), second(9000));
    CouponRow { round: round_id(1), serial, user: user(name), claimed_at, expires_at, n }
}

/// A recording that follows the cursor, with these rows.
pub(super) fn forged(history: &History, places: Vec<PlaceRow>, coupons: Vec<CouponRow>) -> Recording {
    let from = history.fold.cursor;
    let mut changes: BTreeMap<RoundId, RoundChange> = BTreeMap::new();
    for row in &places {
        let change = changes.entry(row.round).or_default();
        (change.places, change.last_n) = (change.places + 1, row.n);
    }
    for row in &coupons {
        let change = changes.entry(row.round).or_default();
        (change.issued, change.last_n) = (change.issued + 1, row.n);
    }
    let n = from.position.n + (places.len() + coupons.len()) as u64;
    let position = Position { n, ..from.position };
    let to = Cursor { position, chain: Chain::of(&[b"forged"]), last_at: from.last_at };
    Recording { from, to, epoch: position.epoch, places, coupons, changes, ..Recording::default() }
}

async fn is_a_fork(ledger: &LedgerUnderTest, history: &History, recording: Recording) {
    let (events, seats) = (events_after(ledger, 0).await, ledger.records.seats(round_id(1), None, 100).await);
    let snapshot = ledger.records.snapshot(&history.campaign).await.expect("answers");

    let outcome = ledger.records.record(&history.campaign, &recording).await;

    assert!(matches!(outcome, Err(RecordError::Fork(_))), "{outcome:?} for {recording:?}");
    assert_eq!(events_after(ledger, 0).await, events, "no event");
    assert_eq!(ledger.records.cursor(&history.campaign).await.expect("answers"), history.fold.cursor);
    assert_eq!(ledger.records.snapshot(&history.campaign).await.expect("answers"), snapshot);
    let after = ledger.records.seats(round_id(1), None, 100).await;
    assert_eq!(after.expect("answers"), seats.expect("answers"), "no row, nor the good ones beside the bad one");
}

/// With a sound row before it and behind it.
pub async fn a_ticket_or_a_place_is_not_given_twice(ledger: LedgerUnderTest) {
    let history = a_recorded_history(&ledger).await;
    let n = history.fold.cursor.position.n;
    for bad in [place(3, "other", n + 1), place(4, "u-2", n + 1)] {
        is_a_fork(&ledger, &history, forged(&history, vec![bad.clone(), place(5, "good", n + 2)], vec![])).await;
        is_a_fork(&ledger, &history, forged(&history, vec![place(5, "good", n + 1), bad], vec![])).await;
    }
}

/// With a sound row before it and behind it; afterwards the true history goes on.
pub async fn a_serial_or_a_coupon_is_not_given_twice(ledger: LedgerUnderTest) {
    let mut history = a_recorded_history(&ledger).await;
    let n = history.fold.cursor.position.n;
    for bad in [coupon(1, "u-3", n + 1), coupon(2, "u-0", n + 1)] {
        is_a_fork(&ledger, &history, forged(&history, vec![], vec![bad.clone(), coupon(3, "u-2", n + 2)])).await;
        is_a_fork(&ledger, &history, forged(&history, vec![place(4, "good", n + 1)], vec![bad])).await;
    }
    history.claim(round_id(1), &users(4), second(302));
    history.record(&ledger).await;
    assert_eq!(ledger.records.snapshot(&history.campaign).await.expect("answers").issued, 4);
}
