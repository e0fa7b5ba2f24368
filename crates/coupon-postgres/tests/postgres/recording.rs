//! The recorder's side: once, whole, and one history.

use coupon_domain::campaign::{Revision, Rules, Scope};
use coupon_domain::model::{CampaignHead, SupplyAddition};
use coupon_domain::ports::{CampaignRepository as _, LedgerError, RecordError, RecordRepository as _, Snapshot};
use coupon_testkit::build::{a_campaign, campaign_id, head, round, round_id, rules_like, second, user, users};
use coupon_testkit::postgres::PostgresServer;
use uuid::Uuid;

use crate::shop::Shop;
use crate::{migrated, migrated_on};

#[tokio::test]
async fn of_eight_recorders_at_once_one_writes() {
    let server = PostgresServer::shared().await.expect("a server");
    let mut shop = Shop::on(migrated_on(server).await).await;
    let entries = shop.claims(&users(200));
    let recording = shop.fold.recording(&entries).expect("they follow");

    let recorders: Vec<_> = (0..8)
        .map(|_| {
            let (ledger, recording) = (shop.ledger.clone(), recording.clone());
            tokio::spawn(async move { ledger.record(&campaign_id("c"), &recording).await })
        })
        .collect();
    let mut written = 0;
    for recorder in recorders {
        match recorder.await.expect("no panic") {
            Ok(()) => written += 1,
            Err(RecordError::Busy) => {}
            Err(RecordError::Moved(cursor)) => assert_eq!(cursor, recording.to),
            Err(error) => panic!("{error:?}"),
        }
    }

    assert_eq!(written, 1);
    assert_eq!((shop.count("rounds").await, shop.count("coupons").await), (1, 200));
    // Created, opened, a phase, and the coupons.
    assert_eq!(shop.count("events").await, 203);
}

#[tokio::test]
async fn a_recorder_does_not_wait_for_another() {
    let mut shop = Shop::with_coupons(&users(1)).await;
    let entries = shop.claims(&[user("late")]);
    let recording = shop.fold.recording(&entries).expect("they follow");
    let other = shop.session_after("BEGIN; SELECT 1 FROM journal_cursors FOR UPDATE").await;

    let busy = shop.ledger.record(&campaign_id("c"), &recording).await;
    assert!(matches!(busy, Err(RecordError::Busy)), "{busy:?}");

    drop(other);
    while let Err(error) = shop.ledger.record(&campaign_id("c"), &recording).await {
        assert!(matches!(error, RecordError::Busy), "{error:?}");
    }
    assert_eq!(shop.count("coupons").await, 2);
}

#[tokio::test]
async fn another_history_is_a_fork_that_names_the_key_and_writes_nothing() {
    let mut shop = Shop::with_coupons(&users(3)).await;
    let entries = shop.claims(&[user("ada"), user("bob")]);
    let mut falsified = shop.fold.recording(&entries).expect("they follow");
    falsified.coupons[1].user = user("u-0");

    let fork = shop.ledger.record(&campaign_id("c"), &falsified).await;

    assert!(matches!(&fork, Err(RecordError::Fork(key)) if key.contains("coupons_round_user")), "{fork:?}");
    assert_eq!(shop.count("coupons").await, 3);
    assert_eq!(shop.ledger.cursor(&campaign_id("c")).await.expect("answers"), shop.fold.cursor);
}

#[tokio::test]
async fn a_cursor_that_was_set_back_is_a_fork_too() {
    let mut shop = Shop::on(migrated_on(PostgresServer::shared().await.expect("a server")).await).await;
    let first = {
        let entries = shop.claims(&users(3));
        shop.fold.recording(&entries)
    }
    .expect("they follow");
    shop.ledger.record(&campaign_id("c"), &first).await.expect("recorded");

    let back = "UPDATE journal_cursors SET epoch = 0, n = 0, chain = repeat('0', 40), last_at = NULL";
    shop.database.psql(back).await.expect("done");
    let fork = shop.ledger.record(&campaign_id("c"), &first).await;

    assert!(matches!(&fork, Err(RecordError::Fork(key)) if key.contains("rounds_pkey")), "{fork:?}");
    assert_eq!(shop.count("events").await, 6);
}

#[tokio::test]
async fn more_coupons_than_supply_are_never_recorded() {
    let mut shop = Shop::with_coupons(&users(1)).await;
    let entries = shop.claims(&users(5)[1..]);
    let recording = shop.fold.recording(&entries).expect("they follow");
    shop.database.psql("UPDATE rounds SET supply = 4").await.expect("done");

    let refused = shop.ledger.record(&campaign_id("c"), &recording).await;

    assert!(matches!(refused, Err(RecordError::Ledger(LedgerError::Broken(_)))), "{refused:?}");
    assert_eq!(shop.count("coupons").await, 1);
}

#[tokio::test]
async fn more_coupons_than_the_total_limit_are_never_recorded() {
    // A gate that does not know of the limit.
    let rules = Rules { total_limit: Some(4), ..a_campaign("c").rules };
    let mut shop = Shop::offering(migrated().await, rules, &head()).await;
    let entries = shop.claims(&users(4));
    shop.record(&entries).await;
    let entries = shop.claims(&[user("late")]);
    let recording = shop.fold.recording(&entries).expect("they follow");

    let refused = shop.ledger.record(&campaign_id("c"), &recording).await;

    assert!(matches!(refused, Err(RecordError::Ledger(LedgerError::Broken(_)))), "{refused:?}");
    assert_eq!((shop.count("coupons").await, shop.count("events").await), (4, 7));
    assert_eq!(shop.ledger.snapshot(&campaign_id("c")).await.expect("answers"), shop.fold.snapshot());
}

#[tokio::test]
async fn a_raised_total_limit_is_recorded_together_with_the_coupons_that_it_allows() {
    let limits = CampaignHead { total_limit: Some(2), ..head() };
    let mut shop = Shop::offering(migrated().await, rules_like(&limits), &limits).await;
    let mut entries = shop.claims(&users(3));
    let addition = SupplyAddition { round: None, amount: 1, request: Some(Uuid::new_v4()) };
    entries.extend(shop.gate.add_supply(&addition, second(301)).expect("no round").entry);
    entries.extend(shop.claims(&users(3)));

    shop.record(&entries).await;

    assert_eq!(shop.count("coupons").await, 3);
    assert_eq!(shop.ledger.snapshot(&campaign_id("c")).await.expect("answers"), shop.fold.snapshot());
}

#[tokio::test]
async fn more_coupons_a_user_than_the_rules_say_are_never_recorded() {
    // A gate that allows two where the rules say one.
    let mut shop =
        Shop::offering(migrated().await, rules_like(&head()), &CampaignHead { max_per_user: 2, ..head() }).await;
    let entries = shop.claims(&users(3));
    shop.record(&entries).await;
    let spec = round(8).claiming(400..460).build();
    let mut entries = Vec::from_iter(shop.gate.open_round(&spec, second(301)).entry);
    entries.extend(shop.gate.claim(round_id(8), &[user("late"), user("u-1")], true, second(400)).expect("open").entry);
    let recording = shop.fold.recording(&entries).expect("they follow");

    let refused = shop.ledger.record(&campaign_id("c"), &recording).await;

    assert!(matches!(refused, Err(RecordError::Ledger(LedgerError::Broken(_)))), "{refused:?}");
    assert_eq!((shop.count("rounds").await, shop.count("coupons").await), (1, 3));
}

#[tokio::test]
async fn new_rules_count_for_the_coupons_that_are_recorded_with_them() {
    let mut shop = Shop::offering(migrated().await, rules_like(&head()), &head()).await;
    let rules = Rules { max_per_user: Some(2), ..rules_like(&head()) };
    let scope = Scope::of(&shop.fold.rules, &rules);
    let revision = Revision { of: 1, scope, rules, request: None };
    let mut entries = Vec::from_iter(shop.gate.revise(&revision, second(0)).entry);
    for (number, start) in [(7, 300), (8, 400)] {
        let spec = round(number).claiming(start..start + 60).of_revision(2).build();
        entries.extend(shop.gate.open_round(&spec, second(1)).entry);
    }
    for (number, start) in [(7, 300), (8, 400)] {
        entries.extend(shop.gate.claim(round_id(number), &users(3), true, second(start)).expect("open").entry);
    }

    shop.record(&entries).await;

    assert_eq!(shop.count("coupons").await, 6);
}

#[tokio::test]
async fn what_a_gate_is_loaded_from_is_what_its_journal_says() {
    let mut shop = Shop::with_coupons(&[]).await;
    let names: Vec<_> = ["a", "B", "b", "A", "_", "-", "z9", "Z", ".", ":", "@"].map(user).into();
    let spec = round(8).reserving(400..460).claiming(500..560).ratio(1, 2).build();
    let mut entries = Vec::from_iter(shop.gate.open_round(&spec, second(301)).entry);
    entries.extend(shop.gate.reserve(round_id(8), &names, true, second(401)).expect("open").entry);
    entries.extend(shop.gate.tick(second(460)).entry);
    entries.extend(shop.gate.claim(round_id(8), &names[3..], true, second(500)).expect("open").entry);
    shop.record(&entries).await;

    let snapshot = shop.ledger.snapshot(&campaign_id("c")).await.expect("answers");
    let mut seats = Vec::new();
    while let page = shop.ledger.seats(round_id(8), seats.last().map(|(user, _)| user), 2).await.expect("answers")
        && !page.is_empty()
    {
        seats.extend(page);
    }
    let mut counts = Vec::new();
    while let page =
        shop.ledger.coupon_counts(&campaign_id("c"), counts.last().map(|(user, _)| user), 2).await.expect("answers")
        && !page.is_empty()
    {
        counts.extend(page);
    }

    assert_eq!(snapshot, shop.fold.snapshot());
    let expected = &shop.fold.rounds[&round_id(8)];
    assert_eq!(seats, expected.seats.clone().into_iter().collect::<Vec<_>>());
    assert_eq!(counts, shop.fold.counts().into_iter().collect::<Vec<_>>());
    assert_eq!(shop.ledger.round(round_id(8)).await.expect("answers").map(|r| r.head), Some(expected.head.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_taken_while_coupons_are_recorded_is_of_one_instant() {
    let mut shop = Shop::with_coupons(&[]).await;
    let recordings: Vec<_> = users(50)
        .chunks(1)
        .map(|users| {
            let entries = shop.claims(users);
            let recording = shop.fold.recording(&entries).expect("they follow");
            shop.fold.apply(&recording);
            recording
        })
        .collect();

    let ledger = shop.ledger.clone();
    let recorder = tokio::spawn(async move {
        for recording in recordings {
            ledger.record(&campaign_id("c"), &recording).await.expect("recorded");
        }
    });
    while !recorder.is_finished() {
        let Snapshot { cursor, issued, rounds, .. } = shop.ledger.snapshot(&campaign_id("c")).await.expect("answers");
        let [round] = &rounds[..] else { panic!("{rounds:?}") };
        assert_eq!((u64::from(round.view.issued), round.last_n), (issued, cursor.position.n));
        // Round and phase come before the coupons.
        assert_eq!(cursor.position.n, issued + 2);
    }
    recorder.await.expect("no panic");
    assert_eq!(shop.ledger.snapshot(&campaign_id("c")).await.expect("answers"), shop.fold.snapshot());
}
