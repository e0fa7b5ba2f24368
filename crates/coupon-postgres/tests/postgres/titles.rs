//! Titles: one campaign each, also while rules change.

use coupon_domain::campaign::{Revision, Rules, Scope, Transition};
use coupon_domain::ports::{CampaignRepository as _, CreateOutcome, NewCampaign};
use coupon_testkit::build::{a_campaign, campaign_id, second};
use diesel_async::SimpleAsyncConnection as _;

use crate::migrated;
use crate::shop::Shop;

fn titled(title: &str) -> Rules {
    Rules { title: title.to_owned(), ..a_campaign("c").rules }
}

impl Shop {
    async fn titles(&self) -> String {
        let titles = "SELECT string_agg(title || ' of ' || campaign_id, ', ' ORDER BY title) FROM titles";
        self.database.psql(titles).await.expect("answers")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_campaigns_that_want_a_title_at_once_one_gets_it() {
    let shop = Shop::on(migrated().await).await;
    for id in ["c-0", "c-1", "c-2", "c-3"] {
        shop.ledger.create(&a_campaign(id)).await.expect("created");
    }

    let calls: Vec<_> = (0..8)
        .map(|call| {
            let (ledger, id) = (shop.ledger.clone(), campaign_id(&format!("c-{call}")));
            tokio::spawn(async move {
                if call < 4 {
                    return ledger
                        .keep_title(&id, &titled("Summer"))
                        .await
                        .expect("answers")
                        .map_or(id, |holder| holder);
                }
                match ledger.create(&NewCampaign { rules: titled("Summer"), ..a_campaign(id.as_str()) }).await {
                    Ok(CreateOutcome::Created(campaign)) => campaign.id,
                    Ok(CreateOutcome::TitleTaken(holder)) => holder,
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut holders = Vec::new();
    for call in calls {
        holders.push(call.await.expect("no panic"));
    }

    assert!(holders.iter().all(|holder| *holder == holders[0]), "{holders:?}");
    assert_eq!(shop.count("titles WHERE title = 'Summer'").await, 1);
}

#[tokio::test]
async fn giving_up_waits_for_a_recording_that_makes_the_title_the_rules() {
    let shop = Shop::on(migrated().await).await;
    assert_eq!(shop.ledger.keep_title(&campaign_id("c"), &titled("Summer")).await.expect("answers"), None);
    let mut recorder = shop
        .session_after("BEGIN; UPDATE campaigns SET rules = rules || '{\"title\": \"Summer\"}' WHERE id = 'c'")
        .await;

    let ledger = shop.ledger.clone();
    let given_up = tokio::spawn(async move { ledger.give_up_titles(&campaign_id("c")).await });
    shop.somebody_waits().await;
    recorder.batch_execute("COMMIT").await.expect("committed");

    given_up.await.expect("no panic").expect("answers");
    assert_eq!(shop.titles().await, "Summer of c");
}

#[tokio::test]
async fn a_title_kept_for_a_campaign_that_has_ended_is_free() {
    let mut shop = Shop::on(migrated().await).await;
    let entries = Vec::from_iter(shop.gate.transition(Transition::End, None, second(0)).entry);
    shop.record(&entries).await;
    assert_eq!(shop.titles().await, "");
    // Somebody asked for a change just before the end, and went away.
    assert_eq!(shop.ledger.keep_title(&campaign_id("c"), &titled("Summer")).await.expect("answers"), None);

    let outcome = shop.ledger.create(&NewCampaign { rules: titled("Summer"), ..a_campaign("d") }).await;

    assert!(matches!(outcome, Ok(CreateOutcome::Created(_))), "{outcome:?}");
    assert_eq!(shop.titles().await, "Summer of d");
}

#[tokio::test]
async fn recorded_rules_take_their_title_and_leave_the_one_before() {
    let mut shop = Shop::on(migrated().await).await;
    let rules = titled("Summer");
    for wanted in ["Summer", "Winter"] {
        assert_eq!(shop.ledger.keep_title(&campaign_id("c"), &titled(wanted)).await.expect("answers"), None);
    }
    let revision = Revision { of: 1, scope: Scope::of(&shop.fold.rules, &rules), rules, request: None };
    let entries = Vec::from_iter(shop.gate.revise(&revision, second(0)).entry);

    shop.record(&entries).await;

    assert_eq!(shop.titles().await, "Summer of c");
}
