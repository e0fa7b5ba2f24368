//! The recorder's side: once, whole, and one history.

use coupon_domain::ports::{CampaignRepository as _, RecordError, RecordRepository as _};
use coupon_testkit::build::{campaign_id, round, round_id, second, user, users};
use coupon_testkit::postgres::PostgresServer;

use crate::migrated_on;
use crate::shop::Shop;

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

    assert!(matches!(refused, Err(RecordError::Ledger(_))), "{refused:?}");
    assert_eq!(shop.count("coupons").await, 1);
}

#[tokio::test]
async fn what_a_gate_is_loaded_from_is_what_its_journal_says() {
    let mut shop = Shop::with_coupons(&[]).await;
    let names: Vec<_> = ["a", "B", "b", "A", "_", "-", "z9", "Z", ".", ":", "@"].map(user).into();
    let spec = round(8).reserving(400..460).claiming(500..560).ratio(1, 2).build();
    let mut entries = Vec::from_iter(shop.gate.open_round(&spec, second(301)).entry);
    entries.extend(shop.gate.reserve(round_id(8), &names, second(401)).expect("open").entry);
    entries.extend(shop.gate.tick(second(460)).entry);
    entries.extend(shop.gate.claim(round_id(8), &names[3..], second(500)).expect("open").entry);
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
