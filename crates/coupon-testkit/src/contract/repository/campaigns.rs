//! Creating and listing campaigns.

use std::collections::BTreeSet;

use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::ports::{CreateOutcome, EventKind, NewCampaign, RequestRecord};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::history::{History, events_after};
use crate::build::{a_campaign, by, campaign_id, second};
use crate::under_test::LedgerUnderTest;

/// The first to name a key says what its check value is.
pub async fn a_master_key_is_told_from_another(ledger: LedgerUnderTest) {
    for (id, check, known) in [(0, "a1", "a1"), (0, "a1", "a1"), (0, "b2", "a1"), (15, "b2", "b2")] {
        assert_eq!(ledger.campaigns.master_key(id, check).await.expect("the ledger answers"), known, "{id} {check}");
    }
}

/// Whoever asks, at once too.
pub async fn an_installation_keeps_its_id(ledger: LedgerUnderTest) {
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let campaigns = ledger.campaigns.clone();
        calls.spawn(async move { campaigns.installation().await.expect("the ledger answers") });
    }
    let ids: BTreeSet<_> = calls.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert!(!ids.contains(&Uuid::nil()));
    ledger.clock.set(second(77)).await;
    assert_eq!(ledger.campaigns.now().await.expect("the ledger answers"), second(77));
}

/// A repeat gets the first answer, whatever id it brings; there is one event.
pub async fn a_campaign_is_created_once_a_request(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let new = a_campaign("c");
    let request = new.by.request.expect("it has one");
    assert_eq!(ledger.campaigns.request(request).await.expect("answers"), None);

    let created = ledger.campaigns.create(&new).await.expect("answers");
    ledger.clock.set(second(10)).await;
    let repeated = ledger.campaigns.create(&NewCampaign { id: campaign_id("d"), ..new.clone() }).await;

    let CreateOutcome::Created(campaign) = created else { panic!("{created:?}") };
    assert_eq!((&campaign.id, &campaign.rules, campaign.state), (&new.id, &new.rules, new.state));
    assert_eq!((campaign.created_at, campaign.updated_at), (second(0), second(0)));
    assert_eq!(ledger.campaigns.campaign(&new.id).await.expect("answers"), Some(campaign.clone()));
    assert_eq!(repeated.expect("answers"), CreateOutcome::Repeated(campaign));
    assert_eq!(ledger.campaigns.campaign(&campaign_id("d")).await.expect("answers"), None);
    let record = RequestRecord { campaign: new.id.clone(), verb: "CREATE".to_owned() };
    assert_eq!(ledger.campaigns.request(request).await.expect("answers"), Some(record));
    let events: Vec<_> = events_after(&ledger, 0).await.into_iter().map(|(_, e)| (e.kind, e.campaign, e.at)).collect();
    assert_eq!(events, [(EventKind::CampaignCreated, new.id, second(0))]);
}

/// The same request, or the same title: one campaign.
pub async fn a_campaign_created_twice_at_once_is_there_once(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let one = a_campaign("c");
    let mut calls = JoinSet::new();
    for call in 0..16 {
        let campaigns = ledger.campaigns.clone();
        // Half of them repeat one request, half of them ask for another campaign of that title.
        let request = if call % 2 == 0 { one.by.request } else { Some(Uuid::new_v4()) };
        let new = NewCampaign { id: campaign_id(&format!("c-{call}")), by: by(request), ..one.clone() };
        calls.spawn(async move { campaigns.create(&new).await.expect("the ledger answers") });
    }
    let outcomes = calls.join_all().await;

    let created: Vec<_> =
        outcomes.iter().filter_map(|o| if let CreateOutcome::Created(c) = o { Some(c) } else { None }).collect();
    let [campaign] = created[..] else { panic!("{outcomes:?}") };
    for outcome in &outcomes {
        match outcome {
            CreateOutcome::Created(c) | CreateOutcome::Repeated(c) => assert_eq!(c, campaign),
            CreateOutcome::TitleTaken(id) => assert_eq!(*id, campaign.id),
            CreateOutcome::RequestUsed => panic!("every request asked for a campaign"),
        }
    }
    assert_eq!(ledger.campaigns.campaigns(None, None, 100).await.expect("answers").len(), 1);
}

/// It paused a campaign.
pub async fn a_request_that_did_something_else_creates_nothing(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let request = Uuid::new_v4();
    history.transition(Transition::Pause, Some(request), second(1));
    history.record(&ledger).await;

    let outcome = ledger.campaigns.create(&NewCampaign { by: by(Some(request)), ..a_campaign("d") }).await;

    assert_eq!(outcome.expect("answers"), CreateOutcome::RequestUsed);
    assert_eq!(ledger.campaigns.campaign(&campaign_id("d")).await.expect("answers"), None);
}

/// In pages of any size each one comes once, also those of one instant.
pub async fn campaigns_are_listed_newest_first(ledger: LedgerUnderTest) {
    for (at, id, state) in [
        (10, "b", CampaignState::Active),
        (20, "a", CampaignState::Draft),
        (20, "d", CampaignState::Active),
        (20, "c", CampaignState::Draft),
        (30, "e", CampaignState::Draft),
    ] {
        ledger.clock.set(second(at)).await;
        let outcome = ledger.campaigns.create(&NewCampaign { state, ..a_campaign(id) }).await.expect("answers");
        assert!(matches!(outcome, CreateOutcome::Created(_)), "{outcome:?}");
    }
    let all = ledger.campaigns.campaigns(None, None, 100).await.expect("answers");
    let times: Vec<_> = all.iter().map(|c| c.created_at).collect();
    assert_eq!(times, [30, 20, 20, 20, 10].map(second));

    for limit in 1..=5 {
        let mut paged = Vec::new();
        loop {
            let after = paged.last().map(|c: &coupon_domain::campaign::Campaign| c.id.clone());
            let page = ledger.campaigns.campaigns(None, after.as_ref(), limit).await.expect("answers");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize && paged.len() <= all.len());
            paged.extend(page);
        }
        assert_eq!(paged, all, "in pages of {limit}");
    }
    let drafts = ledger.campaigns.campaigns(Some(CampaignState::Draft), None, 100).await.expect("answers");
    assert_eq!(drafts, all.into_iter().filter(|c| c.state == CampaignState::Draft).collect::<Vec<_>>());
    let ended = ledger.campaigns.campaigns(Some(CampaignState::Ended), None, 100).await.expect("answers");
    assert_eq!(ended, []);
}
