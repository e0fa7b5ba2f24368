//! Counts of rounds, for people.

use coupon_domain::answer::Refusal;
use coupon_domain::choice::Verb;
use coupon_domain::ids::RoundId;
use coupon_domain::ports::Tally;
use coupon_domain::stats::ArrivalBucket;
use tokio::task::JoinSet;

use super::history::History;
use crate::build::{a_campaign, round, round_id, second, users};
use crate::under_test::LedgerUnderTest;

async fn found(ledger: &LedgerUnderTest, round: RoundId) -> Tally {
    ledger.statistics.tally(round).await.expect("the ledger answers")
}

async fn add(ledger: &LedgerUnderTest, round: RoundId, tally: &Tally) {
    ledger.statistics.add_tally(round, tally).await.expect("the ledger answers");
}

fn tally(refusals: &[(Verb, Refusal, u64)], arrivals: &[(u32, u64, u64)]) -> Tally {
    Tally {
        refusals: refusals.iter().map(|(verb, reason, count)| ((*verb, *reason), *count)).collect(),
        arrivals: arrivals.iter().map(|&(bucket, won, lost)| ArrivalBucket { bucket, won, lost }).collect(),
    }
}

/// Every refusal of both calls has a count of its own, and so has every bucket; other rounds have theirs.
pub async fn tallies_add_up_call_by_call(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    for (number, opens) in [(1, 300), (2, 400)] {
        history.open_round(round(number).claiming(opens..opens + 60), second(0));
    }
    history.record(&ledger).await;
    assert_eq!(found(&ledger, round_id(1)).await, Tally::default());

    let kinds = [Verb::Reserve, Verb::Claim].into_iter().flat_map(|verb| Refusal::ALL.map(|reason| (verb, reason)));
    let all: Vec<_> = kinds.zip(1..).map(|((verb, reason), count)| (verb, reason, count)).collect();
    add(&ledger, round_id(1), &tally(&all, &[(0, 5, 0), (7, 0, 3)])).await;
    assert_eq!(found(&ledger, round_id(1)).await, tally(&all, &[(0, 5, 0), (7, 0, 3)]));
    add(&ledger, round_id(1), &tally(&[], &[(3, 1, 1), (7, 2, 5_000_000_000), (9_999, 1, 0)])).await;
    add(&ledger, round_id(1), &tally(&all[3..5], &[])).await;
    add(&ledger, round_id(1), &Tally::default()).await;
    add(&ledger, round_id(2), &tally(&[(Verb::Claim, Refusal::Closed, 9)], &[(3, 4, 4)])).await;

    let mut sums = all.clone();
    sums[3..5].iter_mut().for_each(|(.., count)| *count *= 2);
    let arrivals = [(0, 5, 0), (3, 1, 1), (7, 2, 5_000_000_003), (9_999, 1, 0)];
    assert_eq!(found(&ledger, round_id(1)).await, tally(&sums, &arrivals));
    let other = tally(&[(Verb::Claim, Refusal::Closed, 9)], &[(3, 4, 4)]);
    assert_eq!(found(&ledger, round_id(2)).await, other);
}

/// Each brings its own counts, in whatever order.
pub async fn tallies_of_instances_at_once_add_up(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360), second(0));
    history.record(&ledger).await;
    let mut calls = JoinSet::new();
    for instance in 0..8_u32 {
        let statistics = ledger.statistics.clone();
        calls.spawn(async move {
            for second in 0..5 {
                let refusals = [Refusal::SoldOut, Refusal::Closed].map(|reason| (Verb::Claim, reason, 1));
                let arrivals = [(second, 1, 2), (100 + instance, 3, 0), (1000 - instance, 0, 1)];
                let some = tally(&refusals, &arrivals);
                statistics.add_tally(round_id(1), &some).await.expect("the ledger answers");
            }
        });
    }
    calls.join_all().await;

    let shared = (0..5).map(|bucket| (bucket, 8, 16));
    let own = (100..108).map(|bucket| (bucket, 15, 0)).chain((993..=1000).map(|bucket| (bucket, 0, 5)));
    let refusals = [Refusal::SoldOut, Refusal::Closed].map(|reason| (Verb::Claim, reason, 40));
    assert_eq!(found(&ledger, round_id(1)).await, tally(&refusals, &shared.chain(own).collect::<Vec<_>>()));
}

/// Those that come late too; a round that was used keeps its own, and still counts after it has left the gate.
pub async fn tallies_of_a_forgotten_round_are_dropped(ledger: LedgerUnderTest) {
    ledger.clock.set(second(5000)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360), second(0));
    history.open_round(round(2).claiming(400..460), second(0));
    history.claim(round_id(1), &users(1), second(300));
    history.record(&ledger).await;
    let [used, unused] = [1, 2].map(round_id);
    let some = tally(&[(Verb::Reserve, Refusal::Closed, 2)], &[(4, 1, 1)]);
    for round in [used, unused] {
        add(&ledger, round, &some).await;
        assert_eq!(found(&ledger, round).await, some);
    }
    history.tick(second(4000));
    for round in [used, unused] {
        history.retire(round, second(4000));
    }
    history.record(&ledger).await;

    for round in [used, unused] {
        add(&ledger, round, &some).await;
    }
    assert_eq!(found(&ledger, unused).await, Tally::default());
    assert_eq!(found(&ledger, used).await, tally(&[(Verb::Reserve, Refusal::Closed, 4)], &[(4, 2, 2)]));
}
