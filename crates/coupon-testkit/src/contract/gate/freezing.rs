//! Recovery: who may close and open a campaign, and when.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::model::{CampaignHead, DrawConclusion, LoadChunk, RoundHead, RoundView};
use coupon_domain::ports::{Frozen, GateError};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::Phase;
use tokio::task::JoinSet;

use crate::build::{for_round, for_total, head, round, round_id, rules, second, user, users, winners};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

async fn a_busy_campaign(under_test: GateUnderTest) -> Scene {
    let fifth = round(1).reserving(0..240).claiming(300..360).ratio(1, 2);
    let scene = Scene::open(under_test, head(), second(1), [fifth]).await;
    scene.reserve(round_id(1), &users(10)).await;
    scene
}

/// The number and the chain, whichever epoch the position names.
fn known(frozen: Frozen) -> (u64, Chain) {
    match frozen {
        Frozen::At(position, chain) => (position.n, chain),
        Frozen::Empty => panic!("the gate knows this campaign"),
    }
}

/// Neither callers of the epoch before nor of the one to come; nor is anything written.
pub async fn a_frozen_campaign_answers_nobody(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let n = scene.seen().n;
    scene.freeze(2).await.expect("a later epoch freezes");
    let (gate, campaign) = (&scene.gate, &scene.campaign);
    let labels = Revision { of: 1, scope: Scope::Labels, rules: rules(), request: None };
    for (seen, round) in [
        (Position { epoch: 1, n }, round_id(1)),
        (Position { epoch: 2, n }, round_id(1)),
        (Position { epoch: 1, n: n + 100 }, round_id(99)),
    ] {
        for error in [
            gate.reserve(campaign, round, &users(11), true, seen).await.err(),
            gate.claim(campaign, round, &users(11), true, seen).await.err(),
            gate.tick(campaign, seen).await.err(),
            gate.open_round(campaign, &crate::build::round(2).build(), seen).await.err(),
            gate.transition(campaign, Transition::Pause, None, seen).await.err(),
            gate.revise(campaign, &labels, seen).await.err(),
            gate.add_supply(campaign, &for_round(1, 1), seen).await.err(),
            gate.add_supply(campaign, &for_total(1), seen).await.err(),
            gate.conclude_draw(campaign, round, &[], seen).await.err(),
            gate.retire(campaign, round, n, seen).await.err(),
        ] {
            assert!(matches!(error, Some(GateError::Recovering)), "{error:?}");
        }
    }
    assert_eq!(scene.entries_after(n).await, []);
}

/// The last decision's number and the last entry's hash, to be compared with the ledger's.
pub async fn freezing_tells_how_far_the_gate_is(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let last = scene.entries_after(0).await.pop().expect("something was decided");

    let frozen = scene.freeze(2).await.expect("a later epoch freezes");

    assert_eq!(known(frozen), (last.last, last.chain()));
}

/// Who comes with an epoch that is not later learns the gate's, and the gate goes on.
pub async fn freezing_needs_a_later_epoch(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    scene.reopen(5).await;
    for epoch in [1, 4, 5] {
        let error = scene.freeze(epoch).await.err();
        assert!(matches!(error, Some(GateError::Fenced(5))), "{error:?} for {epoch}");
    }
    assert_eq!(granted(&outcomes(&scene.reserve(round_id(1), &users(12)).await)), 2);
}

/// It gets the same answer, the campaign stays closed, and can be opened.
pub async fn freezing_again_for_the_same_recovery_is_harmless(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let first = scene.freeze(2).await.expect("a later epoch freezes");
    let again = scene.freeze(2).await.expect("a repeat is harmless");
    assert_eq!(again, first);
    scene.reopen(2).await;
    assert_eq!(granted(&outcomes(&scene.reserve(round_id(1), &users(12)).await)), 2);

    let other = scene.of("other");
    for _ in 0..2 {
        assert_eq!(other.freeze(1).await.expect("never opened"), Frozen::Empty);
    }
}

/// The one before can do no harm any more.
pub async fn a_later_recovery_takes_over(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let first = scene.freeze(2).await.expect("a later epoch freezes");
    let later = scene.freeze(3).await.expect("a still later epoch freezes");
    assert_eq!(known(later), known(first));

    let head = LoadChunk::Head(CampaignHead { position: Position { epoch: 2, n: 0 }, ..head() });
    for error in [
        scene.freeze(2).await.err(),
        scene.load(2, [head]).await.err(),
        scene.load(2, [LoadChunk::Open]).await.err(),
        scene.gate.reopen(&scene.campaign, 2).await.err(),
    ] {
        assert!(matches!(error, Some(GateError::Fenced(3))), "{error:?}");
    }
    scene.reopen(3).await;
    assert!(matches!(only(&scene.reserve(round_id(1), &users(1)).await), Outcome::Replayed(_)));
}

/// What was answered is what the freeze tells, and not one more, with many callers at it.
pub async fn no_yes_is_given_after_the_freeze(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        let (gate, campaign, seen) = (scene.gate.clone(), scene.campaign.clone(), scene.seen());
        callers.spawn(async move {
            let mut highest = 0;
            for call in 0..100_000 {
                let who = [user(&format!("caller-{caller}-{call}"))];
                match gate.reserve(&campaign, round_id(1), &who, true, seen).await {
                    Ok(decided) => highest = decided.position.n,
                    Err(GateError::Recovering) => return highest,
                    Err(other) => panic!("{other:?}"),
                }
            }
            panic!("the gate was never frozen")
        });
    }
    // Some calls are answered first.
    while scene.tick().await.position.n < 40 {
        tokio::task::yield_now().await;
    }
    let (n, chain) = known(scene.freeze(2).await.expect("a later epoch freezes"));

    let highest = callers.join_all().await.into_iter().max();
    assert_eq!(highest, Some(n));
    let last = scene.entries_after(0).await.pop().expect("something was decided");
    assert_eq!((last.last, last.chain()), (n, chain));
}

/// Repeats, counters, phases and numbers go on; new decisions are of the new epoch.
pub async fn a_reopened_campaign_has_lost_nothing(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let (one, ten) = (round_id(1), users(10));
    let (before, view) = (scene.seen(), scene.tick().await.answers);
    let last = scene.entries_after(0).await.pop().expect("something was decided");

    scene.reopen(2).await;

    assert_eq!(scene.tick().await.answers, view);
    assert!(scene.reserve(one, &ten).await.answers.iter().all(|a| matches!(a.outcome, Outcome::Replayed(_))));
    let next = scene.reserve(one, &[user("ada")]).await;
    let Outcome::Granted(place) = only(&next) else { panic!("{next:?}") };
    assert_eq!((place.ticket, next.position), (10, Position { epoch: 2, n: before.n + 1 }));
    let entry = next.entry.expect("a place is a decision");
    assert_eq!((entry.epoch, entry.first, entry.prev), (2, before.n + 1, last.chain()));

    scene.at(second(300)).await;
    let coupons = outcomes(&scene.claim(one, &ten).await);
    assert_eq!(granted(&coupons), 5);
    scene.reopen(3).await;
    let again = outcomes(&scene.claim(one, &ten).await);
    for (first, again) in coupons.iter().zip(&again) {
        match first {
            Outcome::Granted(coupon) => assert_eq!(*again, Outcome::Replayed(*coupon)),
            Outcome::Replayed(_) | Outcome::Refused(_) => assert_eq!(*again, Outcome::Refused(Refusal::SoldOut)),
        }
    }
    scene.entries_after(0).await;
}

/// Who won, by how much claims have moved, what was added.
pub async fn a_reopened_round_knows_its_draw(under_test: GateUnderTest) {
    let rush = round(1).reserving(0..240).claiming(300..360).ratio(1, 5).drawn();
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;
    let (one, all) = (round_id(1), users(10));
    scene.reserve(one, &all).await;
    scene.add_supply(for_round(1, 1)).await;
    scene.at(second(330)).await;
    scene.reopen(2).await;
    let awaited = outcomes(&scene.claim(one, &all).await);
    assert_eq!(awaited, [Outcome::Refused(Refusal::DrawPending); 10]);
    scene.conclude_draw(one, &winners(10, [2, 5, 9])).await;
    scene.claim(one, &all[5..6]).await;
    let view = scene.tick().await.answers;

    scene.reopen(3).await;

    assert_eq!(scene.tick().await.answers, view);
    assert_eq!(scene.conclude_draw(one, &winners(10, 0..3)).await.answers, DrawConclusion::AlreadyDrawn);
    scene.at(second(389)).await;
    let lost = Outcome::Refused(Refusal::NotDrawn);
    let claimed = outcomes(&scene.claim(one, &all).await);
    assert_eq!((granted(&claimed), claimed.iter().filter(|o| **o == lost).count()), (2, 7));
    assert!(matches!(claimed[5], Outcome::Replayed(_)));
}

/// It has to be loaded.
pub async fn there_is_nothing_to_reopen_in_an_empty_gate(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    assert_eq!(scene.freeze(1).await.expect("never opened"), Frozen::Empty);

    let reopened = scene.gate.reopen(&scene.campaign, 1).await;

    assert!(matches!(reopened, Err(GateError::NotLoaded)), "{reopened:?}");
    let seen = Position { epoch: 1, n: 0 };
    assert!(matches!(scene.gate.tick(&scene.campaign, seen).await, Err(GateError::Recovering | GateError::NotLoaded)));
}

/// A recoverer that died between two chunks: the next one must not find what looks like a whole campaign.
pub async fn a_half_loaded_campaign_is_never_taken_for_whole(under_test: GateUnderTest) {
    let scene = a_busy_campaign(under_test).await;
    let before = scene.seen();
    scene.freeze(2).await.expect("a later epoch freezes");
    let spec = round(1).reserving(0..240).claiming(300..360).ratio(1, 2).build();
    let view = RoundView { phase: Phase::Reserving, supply: None, places: 10, issued: 0, ..RoundView::planned(spec) };
    let chunks = [
        LoadChunk::Head(CampaignHead { position: Position { epoch: 2, n: before.n }, ..head() }),
        LoadChunk::Round(RoundHead { view, last_n: before.n }),
    ];
    scene.load(2, chunks).await.expect("chunks of this recovery");

    let reopened = scene.gate.reopen(&scene.campaign, 2).await;
    assert!(matches!(reopened, Err(GateError::NotLoaded)), "{reopened:?}");
    assert_eq!(scene.freeze(3).await.expect("a later epoch freezes"), Frozen::Empty);
    let reopened = scene.gate.reopen(&scene.campaign, 3).await;
    assert!(matches!(reopened, Err(GateError::NotLoaded)), "{reopened:?}");
}
