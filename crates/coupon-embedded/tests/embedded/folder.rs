//! The data folder: who owns it, and what it keeps.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use coupon_domain::ports::{
    CampaignRepository as _, Frozen, Gate as _, GateError, Journal as _, RecordRepository as _,
};
use coupon_embedded::{Embedded, OpenError};
use coupon_testkit::build::{round, round_id, second, users};
use coupon_testkit::under_test::StandingClock;

use crate::shop::Shop;

#[tokio::test]
async fn a_folder_that_is_owned_is_refused_by_its_name_and_its_owners() {
    let shop = Shop::closed().await;

    let second = Embedded::open(shop.path(), Arc::new(StandingClock::default()));

    let Err(error @ OpenError::Owned { .. }) = second else { panic!("it was opened twice") };
    let text = error.to_string();
    assert!(text.contains(&shop.path().display().to_string()), "{text}");
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
    shop.restarted();
}

#[tokio::test]
async fn a_folder_is_made_for_its_owner_alone() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("var/data");

    let embedded = Embedded::open(&folder, Arc::new(StandingClock::default())).expect("it is made");

    let mode = std::fs::metadata(&folder).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    embedded.gate.check().await.expect("the gate is alive");
}

#[tokio::test]
async fn what_cannot_be_a_folder_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().expect("a file");

    let Err(error) = Embedded::open(file.path(), Arc::new(StandingClock::default())) else { panic!("it was opened") };

    assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
}

#[tokio::test]
async fn journal_and_ledger_outlive_a_restart_and_the_gate_does_not() {
    let shop = Shop::with([round(1)]).await;
    let (everyone, seen) = (users(10), shop.seen());
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &everyone[..5], true, seen).await.expect("decided");
    shop.record().await;
    shop.gate.claim(&shop.campaign, round_id(1), &everyone[5..], true, seen).await.expect("decided");
    let installation = shop.ledger.installation().await.expect("the ledger answers");
    let before = shop.gate.read(&shop.campaign, 0, usize::MAX).await.expect("the journal answers");
    let numbers = shop.ledger.new_round_ids(3).await.expect("the ledger answers");

    let shop = shop.restarted();

    assert!(matches!(shop.gate.tick(&shop.campaign, seen).await, Err(GateError::NotLoaded)));
    assert_eq!(shop.gate.freeze(&shop.campaign, 2).await.expect("frozen"), Frozen::Empty);
    assert_eq!(shop.gate.read(&shop.campaign, 0, usize::MAX).await.expect("the journal answers"), before);
    assert_eq!(shop.ledger.installation().await.expect("the ledger answers"), installation);
    assert_eq!(shop.ledger.snapshot(&shop.campaign).await.expect("the ledger answers").issued, 5);
    shop.record().await;
    assert_eq!(shop.ledger.snapshot(&shop.campaign).await.expect("the ledger answers").issued, 10);
    let next = shop.ledger.new_round_ids(1).await.expect("the ledger answers");
    assert_eq!(numbers.into_iter().chain(next).map(|r| r.number()).collect::<Vec<_>>(), [1, 2, 3, 4]);
}
