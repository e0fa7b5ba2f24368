//! Rounds as people list them, and campaigns that still have some.

use coupon_domain::campaign::Transition;
use coupon_domain::ports::RoundRecord;

use super::history::History;
use crate::build::{a_campaign, round, round_id, second, users};
use crate::under_test::LedgerUnderTest;

fn numbers(page: &[RoundRecord]) -> Vec<u32> {
    page.iter().map(|record| record.head.view.spec.id.number()).collect()
}

/// By the start of claims, then by number; those that left the gate too. In pages of any size each one comes once.
pub async fn rounds_are_listed_latest_first_and_in_pages(ledger: LedgerUnderTest) {
    ledger.clock.set(second(5000)).await;
    let mut other = History::begin(&ledger, &a_campaign("other")).await;
    other.open_round(round(8).claiming(350..400), second(0));
    other.record(&ledger).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let id = history.campaign.clone();
    history.open_round(round(7).claiming(300..360), second(0));
    history.open_round(round(9).claiming(200..260), second(0));
    history.open_round(round(1).reserving(250..300).claiming(9000..9060), second(0));
    history.claim(round_id(7), &users(1), second(300));
    history.tick(second(4000));
    history.retire(round_id(7), second(4000));
    // Only a round that has left can have the start of another.
    history.open_round(round(2).claiming(300..360), second(4000));
    history.open_round(round(30).claiming(8000..8060), second(4000));
    history.record(&ledger).await;

    let all = ledger.campaigns.rounds(&id, None, 100).await.expect("answers");
    assert_eq!(numbers(&all), [1, 30, 7, 2, 9]);
    for record in &all {
        let number = record.head.view.spec.id;
        assert_eq!((&record.campaign, &record.head), (&id, &history.fold.rounds[&number].head));
        assert_eq!(ledger.campaigns.round(number).await.expect("answers").as_ref(), Some(record));
    }
    for limit in 1..=6 {
        let mut paged: Vec<RoundRecord> = Vec::new();
        loop {
            let after = paged.last().map(|record| record.head.view.spec.id);
            let page = ledger.campaigns.rounds(&id, after, limit).await.expect("answers");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize && paged.len() <= all.len());
            paged.extend(page);
        }
        assert_eq!(paged, all, "in pages of {limit}");
    }
}

/// The gate is still to be recovered for their repeats, and they are still to leave it.
pub async fn a_campaign_that_has_ended_stands_while_it_has_rounds_at_the_gate(ledger: LedgerUnderTest) {
    ledger.clock.set(second(5000)).await;
    History::begin(&ledger, &a_campaign("active")).await;
    let mut ended = History::begin(&ledger, &a_campaign("ended")).await;
    ended.transition(Transition::End, None, second(1));
    ended.record(&ledger).await;
    let mut history = History::begin(&ledger, &a_campaign("rounds")).await;
    let standing = async || {
        let standings = ledger.campaigns.standings().await.expect("answers");
        let mut ids: Vec<_> = standings.into_iter().map(|standing| standing.campaign.to_string()).collect();
        ids.sort();
        ids
    };
    history.open_round(round(1).claiming(300..360), second(0));
    history.open_round(round(2).claiming(400..460), second(0));
    history.claim(round_id(1), &users(1), second(300));
    history.transition(Transition::End, None, second(310));
    history.record(&ledger).await;
    assert_eq!(standing().await, ["active", "rounds"]);

    history.retire(round_id(2), second(320));
    history.record(&ledger).await;
    assert_eq!(standing().await, ["active", "rounds"], "the used one is still there");
    history.tick(second(4000));
    history.retire(round_id(1), second(4000));
    history.record(&ledger).await;
    assert_eq!(standing().await, ["active"]);
    let standing = ledger.campaigns.standing(&history.campaign).await.expect("answers").expect("whoever asks for it");
    assert_eq!(standing.cursor, history.fold.cursor);
}
