//! What a caller has seen is checked before anything is decided.

use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::ids::RoundId;
use coupon_domain::model::SupplyAddition;
use coupon_domain::ports::GateError;
use coupon_domain::position::Position;

use crate::build::{for_round, for_total, head, round, round_id, rules, second, users};
use crate::contract::scene::Scene;
use crate::under_test::GateUnderTest;

async fn a_campaign_in_epoch_three(under_test: GateUnderTest) -> Scene {
    let scene = Scene::open(under_test, head(), second(1), [round(1).reserving(0..240).fixed(5)]).await;
    scene.reopen(3).await;
    scene.reserve(round_id(1), &users(2)).await;
    scene
}

fn labels() -> Revision {
    Revision { of: 1, scope: Scope::Labels, rules: rules(), request: None }
}

/// What every verb answers to a caller who has seen this.
async fn errors(scene: &Scene, round_in_gate: RoundId, seen: Position) -> Vec<GateError> {
    let (gate, campaign, one) = (&scene.gate, &scene.campaign, round_in_gate);
    let errors = [
        gate.reserve(campaign, one, &users(1), true, seen).await.err(),
        gate.claim(campaign, one, &users(1), true, seen).await.err(),
        gate.tick(campaign, seen).await.err(),
        gate.open_round(campaign, &round(9).claiming(9000..9060).build(), seen).await.err(),
        gate.transition(campaign, Transition::Pause, None, seen).await.err(),
        gate.revise(campaign, &labels(), seen).await.err(),
        gate.add_supply(campaign, &SupplyAddition { round: Some(one), amount: 1, request: None }, seen).await.err(),
        gate.add_supply(campaign, &for_total(1), seen).await.err(),
        gate.conclude_draw(campaign, one, &[], seen).await.err(),
        gate.retire(campaign, one, u64::MAX >> 12, seen).await.err(),
    ];
    errors.into_iter().map(|error| error.expect("it is refused")).collect()
}

/// Nothing is known of it, and asking does not change that.
pub async fn a_campaign_that_was_never_opened_is_not_loaded(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(1)).await;
    for _ in 0..2 {
        for error in errors(&scene, round_id(1), Position { epoch: 1, n: 0 }).await {
            assert!(matches!(error, GateError::NotLoaded), "{error:?}");
        }
    }
    assert_eq!(scene.entries_after(0).await, []);
    assert_eq!(scene.freeze(1).await.expect("never opened"), coupon_domain::ports::Frozen::Empty);
}

/// It has lost decisions: it tells where it is, so that a recovery is begun.
pub async fn a_gate_behind_what_was_seen_is_stale(under_test: GateUnderTest) {
    let scene = a_campaign_in_epoch_three(under_test).await;
    let at = scene.seen();
    for ahead in [Position { n: at.n + 1, ..at }, Position { n: at.n + 1_000_000, ..at }] {
        for round in [round_id(1), round_id(99)] {
            for error in errors(&scene, round, ahead).await {
                assert!(matches!(error, GateError::Stale(position) if position == at), "{error:?}");
            }
        }
    }
    assert_eq!(scene.tick().await.position, at, "nothing was changed");
}

/// Such a gate was opened by nobody in that epoch.
pub async fn a_gate_of_an_earlier_epoch_than_was_seen_is_stale(under_test: GateUnderTest) {
    let scene = a_campaign_in_epoch_three(under_test).await;
    let at = scene.seen();
    for ahead in [Position { epoch: 4, n: 0 }, Position { epoch: 4, n: at.n }] {
        for error in errors(&scene, round_id(1), ahead).await {
            assert!(matches!(error, GateError::Stale(position) if position == at), "{error:?}");
        }
    }
    assert_eq!(scene.tick().await.position, at, "nothing was changed");
}

/// Such a caller has slept over a recovery; the epoch is looked at before the number and the round.
pub async fn a_caller_of_an_earlier_epoch_is_fenced(under_test: GateUnderTest) {
    let scene = a_campaign_in_epoch_three(under_test).await;
    let at = scene.seen();
    for old in [Position { epoch: 1, n: 0 }, Position { epoch: 2, n: at.n }, Position { epoch: 2, n: 1_000_000 }] {
        for round in [round_id(1), round_id(99)] {
            for error in errors(&scene, round, old).await {
                assert!(matches!(error, GateError::Fenced(3)), "{error:?}");
            }
        }
    }
    assert_eq!(scene.tick().await.position, at, "nothing was changed");
}

/// A caller who knows less than the gate is answered.
pub async fn a_caller_behind_the_gate_is_answered(under_test: GateUnderTest) {
    let scene = a_campaign_in_epoch_three(under_test).await;
    let ticked = scene.gate.tick(&scene.campaign, Position { epoch: 3, n: 0 }).await;
    assert_eq!(ticked.expect("an open gate answers").position, scene.seen());
}

/// It never was here.
pub async fn a_round_that_is_not_in_the_gate_is_named(under_test: GateUnderTest) {
    let scene = a_campaign_in_epoch_three(under_test).await;
    let (at, other) = (scene.seen(), round_id(99));
    let refused = [
        scene.gate.reserve(&scene.campaign, other, &users(1), true, at).await.err(),
        scene.gate.claim(&scene.campaign, other, &users(1), true, at).await.err(),
        scene.gate.add_supply(&scene.campaign, &for_round(99, 1), at).await.err(),
        scene.gate.conclude_draw(&scene.campaign, other, &[], at).await.err(),
        scene.gate.retire(&scene.campaign, other, at.n, at).await.err(),
    ];
    for error in refused {
        assert!(matches!(&error, Some(GateError::NoSuchRound(no)) if no.0 == other), "{error:?}");
    }
    assert_eq!(scene.tick().await.position, at, "nothing was changed");
}
