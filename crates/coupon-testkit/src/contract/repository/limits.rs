//! Limits that the gate keeps, and behind it the ledger: more coupons than there may be are of another history.

use coupon_domain::campaign::{Rules, Scope};
use coupon_domain::model::CampaignHead;
use coupon_domain::ports::{LedgerError, NewCampaign, RecordError};
use coupon_domain::recording::{CouponRow, Recording};

use super::forks::forged;
use super::history::{History, events_after};
use crate::build::{a_campaign, head, round, round_id, rules_like, second, user, users};
use crate::under_test::LedgerUnderTest;

/// Of these rounds, with these serials, for these users.
type Coupons<'a> = &'a [(u32, u32, &'a str)];

/// A recording that brings these behind all that was recorded.
fn bringing(history: &History, coupons: Coupons<'_>) -> Recording {
    let row = |(&(round, serial, name), n)| {
        let (round, user, claimed_at, expires_at) = (round_id(round), user(name), second(520), second(9000));
        CouponRow { round, serial, user, claimed_at, expires_at, n }
    };
    forged(history, Vec::new(), coupons.iter().zip(history.fold.cursor.position.n + 1..).map(row).collect())
}

/// Of two coupons a user, three in one round, five in the campaign. Whole: the sound coupons before and behind it are not written either.
pub async fn a_recording_with_more_coupons_than_there_may_be_is_refused(ledger: LedgerUnderTest) {
    ledger.clock.set(second(600)).await;
    let like = CampaignHead { total_limit: Some(5), max_per_user: 2, ..head() };
    let new = NewCampaign { rules: rules_like(&like), ..a_campaign("c") };
    let mut history = History::begin(&ledger, &new).await;
    for (number, opens) in [(1, 300), (2, 400), (3, 500)] {
        history.open_round(round(number).claiming(opens..opens + 60).fixed(3), second(0));
    }
    history.claim(round_id(1), &["ada", "bob"].map(user), second(300));
    history.claim(round_id(2), &["ada"].map(user), second(400));
    history.tick(second(510));
    history.record(&ledger).await;

    let attempts: [(&str, Coupons<'_>); 4] = [
        ("a user's third", &[(3, 0, "eve"), (3, 1, "ada")]),
        ("a user's second and third at once", &[(2, 1, "bob"), (3, 0, "bob")]),
        ("a sixth", &[(3, 0, "eve"), (3, 1, "joe"), (2, 1, "kim")]),
        ("a round's fourth", &[(1, 2, "eve"), (1, 3, "joe")]),
    ];
    for (what, coupons) in attempts {
        let written = async || {
            let snapshot = ledger.records.snapshot(&new.id).await.expect("answers");
            let counts = ledger.records.coupon_counts(&new.id, None, 100).await.expect("answers");
            (snapshot, counts, events_after(&ledger, 0).await)
        };
        let before = written().await;
        let outcome = ledger.records.record(&new.id, &bringing(&history, coupons)).await;
        let refused = matches!(outcome, Err(RecordError::Fork(_) | RecordError::Ledger(LedgerError::Broken(_))));
        assert!(refused, "{what}: {outcome:?}");
        assert_eq!(written().await, before, "{what}");
    }
    history.claim(round_id(3), &["bob", "eve"].map(user), second(520));
    history.record(&ledger).await;
    assert_eq!(ledger.records.snapshot(&new.id).await.expect("answers").issued, 5, "the true history goes on");
}

/// They come in one recording with the coupons that need them.
pub async fn limits_that_a_recording_raises_count_for_its_coupons(ledger: LedgerUnderTest) {
    ledger.clock.set(second(600)).await;
    let once = Rules { total_limit: Some(1), ..a_campaign("c").rules };
    let mut history = History::begin(&ledger, &NewCampaign { rules: once, ..a_campaign("c") }).await;
    let like = CampaignHead { total_limit: Some(2), max_per_user: 2, ..head() };
    let revision = history.revise(Scope::Campaign, &rules_like(&like), None, second(0));
    for (number, opens) in [(1, 300), (2, 400)] {
        history.open_round(round(number).claiming(opens..opens + 60).fixed(1).of_revision(revision), second(1));
    }
    history.claim(round_id(1), &users(1), second(300));
    history.claim(round_id(2), &users(1), second(400));
    history.add_supply(None, 1, None, second(410));
    history.add_supply(Some(round_id(2)), 1, None, second(410));
    history.claim(round_id(2), &users(2), second(420));
    history.record(&ledger).await;

    let counts = ledger.records.coupon_counts(&history.campaign, None, 10).await.expect("answers");
    assert_eq!(counts, [(user("u-0"), 2), (user("u-1"), 1)]);
    assert_eq!(ledger.records.snapshot(&history.campaign).await.expect("answers"), history.fold.snapshot());
}
