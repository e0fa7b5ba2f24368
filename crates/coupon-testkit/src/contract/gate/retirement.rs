//! Rounds leave the gate when they are over for long enough and the ledger has all of them.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::journal::Row;
use coupon_domain::model::{CampaignHead, Retirement};
use coupon_domain::ports::GateError;

use crate::build::{head, millisecond, round, round_id, second, user, users};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

async fn has_left(scene: &Scene, number: u32) {
    let round = round_id(number);
    let reserved = scene.gate.reserve(&scene.campaign, round, &users(1), true, scene.seen()).await;
    let claimed = scene.gate.claim(&scene.campaign, round, &users(1), true, scene.seen()).await;
    let retired = scene.gate.retire(&scene.campaign, round, scene.seen().n, scene.seen()).await;
    for error in [reserved.err(), claimed.err(), retired.err()] {
        assert!(matches!(&error, Some(GateError::NoSuchRound(no)) if no.0 == round), "{error:?}");
    }
    assert!(scene.tick().await.answers.rounds.iter().all(|r| r.spec.id != round));
}

async fn stays(scene: &Scene, number: u32, recorded: u64) {
    let before = scene.seen();
    let decided = scene.retire(round_id(number), recorded).await;
    assert_eq!((decided.answers, decided.entry, decided.position), (Retirement::Kept, None, before));
}

/// To the millisecond, and only once its closing was journaled.
pub async fn a_round_nobody_used_leaves_ten_minutes_after_its_close(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(0), [round(1).reserving(0..240).claiming(300..360)]).await;
    scene.at(second(960)).await;
    stays(&scene, 1, 1000).await;

    scene.at(millisecond(959_999)).await;
    scene.tick().await;
    stays(&scene, 1, 1000).await;
    scene.at(second(960)).await;
    let retired = scene.retire(round_id(1), scene.seen().n).await;

    assert_eq!(retired.answers, Retirement::Retired);
    let rows = retired.entry.expect("leaving is a decision").parse().expect("readable");
    assert_eq!(rows, [Row::Retired { round: round_id(1), used: false }]);
    has_left(&scene, 1).await;
}

/// A place alone is use.
pub async fn a_used_round_leaves_an_hour_after_its_close(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(0), [round(1).reserving(0..240).claiming(300..360)]).await;
    scene.reserve(round_id(1), &users(1)).await;
    for early in [second(359), second(960), millisecond(3_959_999)] {
        scene.at(early).await;
        scene.tick().await;
        stays(&scene, 1, 1000).await;
    }

    scene.at(second(3960)).await;
    let retired = scene.retire(round_id(1), scene.seen().n).await;

    assert_eq!(retired.answers, Retirement::Retired);
    let rows = retired.entry.expect("leaving is a decision").parse().expect("readable");
    assert_eq!(rows, [Row::Retired { round: round_id(1), used: true }]);
    has_left(&scene, 1).await;
}

/// Decisions of other rounds do not hold it.
pub async fn a_round_stays_until_the_ledger_has_all_of_it(under_test: GateUnderTest) {
    let rounds = [round(1).claiming(300..360).fixed(5), round(2).reserving(0..9000).claiming(9000..9060)];
    let scene = Scene::open(under_test, head(), second(300), rounds).await;
    scene.claim(round_id(1), &users(3)).await;
    scene.at(second(4000)).await;
    scene.claim(round_id(1), &[user("late")]).await;
    let last = scene.seen().n;
    scene.reserve(round_id(2), &users(10)[3..]).await;

    for recorded in [0, 1, last - 1] {
        stays(&scene, 1, recorded).await;
    }
    assert_eq!(scene.retire(round_id(1), last).await.answers, Retirement::Retired);
    has_left(&scene, 1).await;
    assert_eq!(scene.view(round_id(2)).await.places, 7);
}

/// For the total limit and for each user's.
pub async fn what_a_retired_round_issued_still_counts(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(3), ..head() };
    let rounds = [round(1).claiming(300..360).fixed(2), round(2).claiming(9000..9060).fixed(2)];
    let scene = Scene::open(under_test, limited, second(300), rounds).await;
    let everyone = users(4);
    scene.claim(round_id(1), &everyone[..2]).await;
    scene.at(second(9000)).await;
    scene.claim(round_id(1), &[]).await;
    assert_eq!(scene.retire(round_id(1), scene.seen().n).await.answers, Retirement::Retired);

    assert_eq!(only(&scene.claim(round_id(2), &everyone[..1]).await), Outcome::Refused(Refusal::LimitReached));
    assert_eq!(granted(&outcomes(&scene.claim(round_id(2), &everyone[2..]).await)), 1);
    assert_eq!(scene.tick().await.answers.issued, 3);
}
