//! Who may recover a campaign, and numbers that are given once.

use std::collections::BTreeSet;

use coupon_domain::model::RoundHead;
use coupon_domain::ports::{RecordError, Snapshot, Standing};
use coupon_domain::position::Position;
use coupon_domain::recording::Cursor;
use tokio::task::JoinSet;

use super::history::History;
use crate::build::{a_campaign, campaign_id, second};
use crate::under_test::LedgerUnderTest;

/// Epoch 0, not open, nothing recorded.
pub async fn a_campaign_stands_at_nothing_before_it_is_opened(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let new = a_campaign("c");
    for new in [&new, &a_campaign("d")] {
        ledger.campaigns.create(new).await.expect("answers");
    }
    let standing =
        |id| Standing { campaign: campaign_id(id), epoch: 0, open: false, cursor: Cursor::default(), acknowledged: 0 };

    assert_eq!(ledger.campaigns.standing(&campaign_id("c")).await.expect("answers"), Some(standing("c")));
    assert_eq!(ledger.campaigns.standing(&campaign_id("x")).await.expect("answers"), None);
    let mut all = ledger.campaigns.standings().await.expect("answers");
    all.sort_by(|a, b| a.campaign.cmp(&b.campaign));
    assert_eq!(all, [standing("c"), standing("d")]);
    assert_eq!(ledger.records.cursor(&campaign_id("c")).await.expect("answers"), Cursor::default());
    let nothing = Snapshot {
        cursor: Cursor::default(),
        state: new.state,
        rules: new.rules.clone(),
        revision: 1,
        requests: vec![(new.by.request.expect("it has one"), "CREATE".to_owned())],
        issued: 0,
        rounds: Vec::<RoundHead>::new(),
    };
    assert_eq!(ledger.records.snapshot(&campaign_id("c")).await.expect("answers"), nothing);
}

/// From the epoch that it has, by exactly one caller.
pub async fn an_epoch_is_raised_by_one_of_those_who_try(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let new = a_campaign("c");
    ledger.campaigns.create(&new).await.expect("answers");
    for from in [1, 2, 7] {
        assert_eq!(ledger.campaigns.raise_epoch(&new.id, from).await.expect("answers"), None);
    }
    assert_eq!(ledger.campaigns.raise_epoch(&campaign_id("x"), 0).await.expect("answers"), None);
    for from in 0..3 {
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            let (campaigns, id) = (ledger.campaigns.clone(), new.id.clone());
            calls.spawn(async move { campaigns.raise_epoch(&id, from).await.expect("the ledger answers") });
        }
        let raised: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
        assert_eq!(raised, [from + 1]);
    }
    assert_eq!(ledger.campaigns.raise_epoch(&new.id, 2).await.expect("answers"), None);
}

/// Opened by the epoch that is the last one; every new recovery closes it, what was recorded stays.
pub async fn a_campaign_is_open_until_the_next_recovery(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let id = history.campaign.clone();
    let campaigns = &ledger.campaigns;
    let stands = async || {
        let standing = campaigns.standing(&id).await.expect("answers").expect("it is there");
        (standing.epoch, standing.open)
    };
    assert!(!campaigns.mark_open(&id, 1).await.expect("answers"), "it has epoch 0");
    assert_eq!(campaigns.raise_epoch(&id, 0).await.expect("answers"), Some(1));
    assert_eq!(stands().await, (1, false));
    assert!(campaigns.mark_open(&id, 1).await.expect("answers"));
    assert!(campaigns.mark_open(&id, 1).await.expect("answers"), "a repeat is answered alike");
    assert_eq!(stands().await, (1, true));

    history.open_round(crate::build::round(1), second(1));
    history.record(&ledger).await;
    assert_eq!(stands().await, (1, true), "recording changes neither");

    assert_eq!(campaigns.raise_epoch(&id, 1).await.expect("answers"), Some(2));
    assert_eq!(stands().await, (2, false));
    assert!(!campaigns.mark_open(&id, 1).await.expect("answers"));
    assert_eq!(stands().await, (2, false));
    assert!(campaigns.mark_open(&id, 2).await.expect("answers"));
    let standing = campaigns.standing(&id).await.expect("answers").expect("it is there");
    assert_eq!((standing.epoch, standing.open, standing.cursor), (2, true, history.fold.cursor));
    assert_eq!(standing.seen(), Position { epoch: 2, n: 1 });
}

/// The highest of what anybody was told stays.
pub async fn what_was_acknowledged_stays_acknowledged(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let id = a_campaign("c").id;
    ledger.campaigns.create(&a_campaign("c")).await.expect("answers");
    for (n, highest) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
        ledger.campaigns.acknowledge(&id, n).await.expect("answers");
        let standing = ledger.campaigns.standing(&id).await.expect("answers").expect("it is there");
        assert_eq!(standing.acknowledged, highest);
    }
}

/// They were all drained before it was opened.
pub async fn entries_older_than_the_epoch_of_an_open_campaign_are_another_history(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let (id, campaigns) = (history.campaign.clone(), &ledger.campaigns);
    for epoch in 0..2 {
        campaigns.raise_epoch(&id, epoch).await.expect("answers");
    }
    assert!(campaigns.mark_open(&id, 2).await.expect("answers"));
    let before = ledger.records.cursor(&id).await.expect("answers");
    history.open_round(crate::build::round(1), second(1));
    let refused = history.try_record(&ledger).await.expect_err("of epoch 1");
    assert!(matches!(refused, RecordError::Fork(_)), "{refused:?}");
    assert_eq!(ledger.records.cursor(&id).await.expect("answers"), before);
}

/// Not to callers at once either.
pub async fn round_numbers_are_never_given_twice(ledger: LedgerUnderTest) {
    let mut calls = JoinSet::new();
    for count in [1, 3, 5, 7, 20, 1, 1, 2] {
        let campaigns = ledger.campaigns.clone();
        calls.spawn(async move {
            let ids = campaigns.new_round_ids(count).await.expect("the ledger answers");
            assert_eq!(ids.len(), count as usize);
            ids
        });
    }
    let mut all = calls.join_all().await.concat();
    all.extend(ledger.campaigns.new_round_ids(2).await.expect("answers"));
    assert_eq!(all.len(), 42);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 42, "{all:?}");
    assert_eq!(ledger.campaigns.new_round_ids(0).await.expect("answers"), []);
}
