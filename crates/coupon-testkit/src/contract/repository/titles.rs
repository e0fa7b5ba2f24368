//! Title and end of validity together are of one campaign that has not ended.

use coupon_domain::campaign::{Rules, Scope, Transition, Validity};
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::{CreateOutcome, NewCampaign};
use tokio::task::JoinSet;

use super::history::History;
use crate::build::{a_campaign, campaign_id, second};
use crate::under_test::LedgerUnderTest;

/// The rules of every [`a_campaign`], under this title.
fn titled(title: &str) -> Rules {
    Rules { title: title.to_owned(), ..a_campaign("c").rules }
}

/// Who has it instead.
async fn keep(ledger: &LedgerUnderTest, campaign: &str, title: &str) -> Option<CampaignId> {
    let kept = ledger.campaigns.keep_title(&campaign_id(campaign), &titled(title)).await;
    kept.expect("the ledger answers")
}

async fn create(ledger: &LedgerUnderTest, id: &str, rules: Rules) -> CreateOutcome {
    let new = NewCampaign { rules, ..a_campaign(id) };
    ledger.campaigns.create(&new).await.expect("the ledger answers")
}

/// Whether a new campaign got it.
async fn is_created(ledger: &LedgerUnderTest, id: &str, title: &str) -> bool {
    matches!(create(ledger, id, titled(title)).await, CreateOutcome::Created(_))
}

/// A refused creation leaves nothing behind; what was kept for a change is free again too.
pub async fn a_title_is_taken_until_its_campaign_has_ended(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let until = |at| Rules { validity: Validity::At(second(at)), ..titled("Sale") };
    let mut first = History::begin(&ledger, &NewCampaign { rules: until(1000), ..a_campaign("c") }).await;
    assert_eq!(keep(&ledger, "c", "Next sale").await, None);

    let same = NewCampaign { rules: until(1000), ..a_campaign("d") };
    let taken = CreateOutcome::TitleTaken(first.campaign.clone());
    assert_eq!(ledger.campaigns.create(&same).await.expect("answers"), taken);
    assert_eq!(ledger.campaigns.campaign(&same.id).await.expect("answers"), None);
    let request = same.by.request.expect("it has one");
    assert_eq!(ledger.campaigns.request(request).await.expect("answers"), None, "what did nothing can be sent again");
    assert!(matches!(create(&ledger, "e", until(2000)).await, CreateOutcome::Created(_)), "valid until another day");

    first.transition(Transition::Pause, None, second(1));
    first.record(&ledger).await;
    assert_eq!(ledger.campaigns.create(&same).await.expect("answers"), taken, "a paused campaign has not ended");
    first.transition(Transition::End, None, second(2));
    first.record(&ledger).await;
    assert!(matches!(ledger.campaigns.create(&same).await.expect("answers"), CreateOutcome::Created(_)));
    assert_eq!(keep(&ledger, "d", "Next sale").await, None);
}

/// Against other changes and new campaigns; the campaign itself may ask again.
pub async fn a_title_is_kept_for_a_change_and_given_up(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let (c, d) = (campaign_id("c"), campaign_id("d"));
    for id in ["c", "d"] {
        assert!(is_created(&ledger, id, &format!("Sale {id}")).await);
    }
    assert_eq!(keep(&ledger, "c", "Sale c").await, None, "its own");
    for _ in 0..2 {
        assert_eq!(keep(&ledger, "c", "New").await, None);
    }
    assert_eq!(keep(&ledger, "d", "New").await, Some(c.clone()));
    assert_eq!(keep(&ledger, "d", "Sale c").await, Some(c.clone()), "it still has the old one");
    assert_eq!(create(&ledger, "e", titled("New")).await, CreateOutcome::TitleTaken(c.clone()));
    let another_day = Rules { validity: Validity::At(second(1000)), ..titled("New") };
    assert_eq!(ledger.campaigns.keep_title(&d, &another_day).await.expect("answers"), None);

    for _ in 0..2 {
        ledger.campaigns.give_up_titles(&c).await.expect("answers");
    }
    assert_eq!(keep(&ledger, "d", "Sale c").await, Some(c.clone()), "that of its rules is not given up");
    assert_eq!(keep(&ledger, "d", "New").await, None);
    ledger.campaigns.give_up_titles(&c).await.expect("answers");
    assert_eq!(keep(&ledger, "c", "New").await, Some(d), "nor is another campaign's");
}

/// The others are told which.
pub async fn of_campaigns_at_once_one_keeps_a_title(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let ids: Vec<_> = (0..8).map(|i| format!("c-{i}")).collect();
    for id in &ids {
        assert!(is_created(&ledger, id, &format!("Sale {id}")).await);
    }
    let mut calls = JoinSet::new();
    for id in ids {
        let (campaigns, id) = (ledger.campaigns.clone(), campaign_id(&id));
        calls.spawn(async move {
            let holder = campaigns.keep_title(&id, &titled("New")).await.expect("the ledger answers");
            (id, holder)
        });
    }
    let outcomes = calls.join_all().await;

    let keepers: Vec<_> = outcomes.iter().filter(|(_, holder)| holder.is_none()).map(|(id, _)| id).collect();
    let [keeper] = keepers[..] else { panic!("{outcomes:?}") };
    assert!(outcomes.iter().all(|(id, holder)| id == keeper || holder.as_ref() == Some(keeper)), "{outcomes:?}");
    assert_eq!(create(&ledger, "d", titled("New")).await, CreateOutcome::TitleTaken(keeper.clone()));
}

/// From then on the new one is taken, whether or not it was kept before.
pub async fn recorded_rules_free_the_old_title(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let new = NewCampaign { rules: titled("First"), ..a_campaign("c") };
    let mut history = History::begin(&ledger, &new).await;
    let c = history.campaign.clone();
    assert_eq!(keep(&ledger, "c", "Second").await, None);
    assert_eq!(keep(&ledger, "c", "Not this one").await, None);

    history.revise(Scope::Labels, &titled("Second"), None, second(1));
    history.record(&ledger).await;
    ledger.campaigns.give_up_titles(&c).await.expect("answers");
    assert_eq!(create(&ledger, "d", titled("Second")).await, CreateOutcome::TitleTaken(c.clone()));
    assert!(is_created(&ledger, "e", "Not this one").await);
    assert!(is_created(&ledger, "f", "First").await);

    history.revise(Scope::Labels, &titled("Third"), None, second(2));
    history.record(&ledger).await;
    assert_eq!(create(&ledger, "d", titled("Third")).await, CreateOutcome::TitleTaken(c.clone()));
    assert!(is_created(&ledger, "g", "Second").await);

    let metadata = [("shop".to_owned(), "Berlin".to_owned())].into();
    history.revise(Scope::Labels, &Rules { metadata, ..titled("Third") }, None, second(3));
    history.record(&ledger).await;
    assert_eq!(create(&ledger, "d", titled("Third")).await, CreateOutcome::TitleTaken(c), "the title did not change");
}

/// The gate has decided; whose title it is stays as it was.
pub async fn recorded_rules_with_the_title_of_another_campaign_are_kept(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    assert!(is_created(&ledger, "d", "Sale").await);

    history.revise(Scope::Labels, &titled("Sale"), None, second(1));
    history.record(&ledger).await;

    let campaign = ledger.campaigns.campaign(&history.campaign).await.expect("answers").expect("it is there");
    assert_eq!(campaign.rules, titled("Sale"));
    assert_eq!(keep(&ledger, "d", "Sale").await, None, "its own");
    assert_eq!(create(&ledger, "e", titled("Sale")).await, CreateOutcome::TitleTaken(campaign_id("d")));
    assert_eq!(keep(&ledger, "d", &a_campaign("c").rules.title).await, None, "the old one is free");
}
