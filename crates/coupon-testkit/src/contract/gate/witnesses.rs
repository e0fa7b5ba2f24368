//! What an answer proves, and what is written for it.

use coupon_domain::answer::{Answer, Outcome, Refusal, Witness};
use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::journal::Spelled as _;
use coupon_domain::model::CampaignHead;
use coupon_domain::position::{Chain, Position};

use crate::build::{
    for_round, for_total, head, millisecond, round, round_id, rules_like, second, user, users, winners,
};
use crate::contract::scene::Scene;
use crate::under_test::GateUnderTest;

fn numbers<T>(answers: &[Answer<T>]) -> Vec<(u64, u64)> {
    answers.iter().map(|a| (a.witness.position.epoch, a.witness.position.n)).collect()
}

/// A new yes has a number of its own, in order; a repeat or a no stands behind the decision before it.
pub async fn a_yes_has_its_own_number_and_a_no_that_of_the_decision_before(under_test: GateUnderTest) {
    let rush = round(1).reserving(0..240).claiming(300..360).fixed(2).max_places(3);
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;
    let [ada, bob, eve, dan] = ["ada", "bob", "eve", "dan"].map(user);

    // Decision 1 opened the round, 2 is the phase.
    let places = scene.reserve(round_id(1), &[ada.clone(), ada.clone(), bob.clone(), eve.clone(), dan.clone()]).await;
    assert_eq!(numbers(&places.answers), [(1, 3), (1, 3), (1, 4), (1, 5), (1, 5)]);
    assert_eq!(places.position, Position { epoch: 1, n: 5 });

    scene.at(second(300)).await;
    // 6 is the phase: dan's no stands behind it.
    let coupons = scene.claim(round_id(1), &[dan, eve, ada, bob]).await;
    assert_eq!(numbers(&coupons.answers), [(1, 6), (1, 7), (1, 8), (1, 8)]);
    assert_eq!(coupons.answers[3].outcome, Outcome::Refused(Refusal::SoldOut));
    assert!(coupons.answers.iter().all(|a| a.witness.at == second(300)));
}

/// No decision, no number, no entry; the witness has the time of the call.
pub async fn refusals_and_repeats_write_nothing(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [round(1).reserving(0..240).fixed(1).max_places(1)]).await;
    let all = users(3);
    scene.reserve(round_id(1), &all).await;
    let (before, written) = (scene.seen(), scene.entries_after(0).await.len());
    scene.at(millisecond(2500)).await;

    let again = scene.reserve(round_id(1), &all).await;
    let early = scene.claim(round_id(1), &all).await;

    assert_eq!((&again.entry, again.position, again.at), (&None, before, millisecond(2500)));
    assert_eq!((&early.entry, early.position, early.at), (&None, before, millisecond(2500)));
    let witness = Witness { position: before, at: millisecond(2500) };
    assert!(again.answers.iter().all(|a| a.witness == witness), "{again:?}");
    assert!(early.answers.iter().all(|a| a.witness == witness), "{early:?}");
    assert_eq!(scene.entries_after(0).await.len(), written);
}

/// Callers keep the entry until the ledger has it, so it must be the journal's own, to the byte.
pub async fn the_entry_returned_is_the_one_in_the_journal(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(9), ..head() };
    let rush = round(7).reserving(0..240).claiming(300..360).ratio(1, 2).drawn();
    let scene = Scene::open(under_test, limited.clone(), second(1), [rush]).await;
    let (seven, all, rules) = (round_id(7), users(4), rules_like(&limited));
    let mut returned = vec![];

    returned.extend(scene.reserve(seven, &all[..3]).await.entry);
    returned.extend(scene.transition(Transition::Pause).await.entry);
    returned.extend(scene.reserve(seven, &all[3..]).await.entry);
    returned.extend(scene.transition(Transition::Resume).await.entry);
    returned.extend(scene.add_supply(for_round(7, 1)).await.entry);
    returned.extend(scene.add_supply(for_total(2)).await.entry);
    let labels = Revision { of: 4, scope: Scope::Labels, rules: rules.clone(), request: None };
    returned.extend(scene.revise(&labels).await.entry);
    scene.at(second(300)).await;
    returned.extend(scene.tick().await.entry);
    returned.extend(scene.conclude_draw(seven, &winners(3, [0, 2])).await.entry);
    returned.extend(scene.claim(seven, &all).await.entry);
    returned.extend(scene.open_round(round(8).claiming(900..960).of_revision(5)).await.entry);

    assert_eq!(returned, scene.entries_after(1).await);
    let rows: Vec<_> = returned.iter().map(|entry| entry.rows.as_str()).collect();
    let opened = format!("round {}", round(8).claiming(900..960).of_revision(5).build().to_json());
    let expected = [
        "phase r-7 RESERVING 0 - 9\nplace r-7 0 u-0 u-1 u-2",
        "state PAUSED PAUSE -",
        "state ACTIVE RESUME -",
        "supply r-7 1 1 - -",
        "total 2 11 -",
        &format!("rules - {}", rules.to_json()),
        "phase r-7 CLAIMING 3 2 11",
        &format!("drawn r-7 2 {} 0", Chain::of(&[&[0b1010_0000]])),
        "coupon r-7 0 u-0 u-2",
        &opened,
    ];
    assert_eq!(rows, expected);
}
