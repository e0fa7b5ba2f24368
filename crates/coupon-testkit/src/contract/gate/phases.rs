//! Boundaries are passed once, whatever clocks do.

use coupon_domain::answer::{Issued, Outcome, Refusal};
use coupon_domain::journal::Row;
use coupon_domain::round::Phase;

use crate::build::{head, round, round_id, second, user, users};
use crate::contract::scene::{Scene, only};
use crate::under_test::GateUnderTest;

fn phase(number: u32, phase: Phase, places: u32, supply: Option<u32>) -> Row {
    Row::Phase { round: round_id(number), phase, places, supply, left: None }
}

async fn phases(scene: &Scene) -> Vec<Row> {
    scene.rows().await.into_iter().filter(|row| matches!(row, Row::Phase { .. })).collect()
}

/// With the places and the supply that follows from them; a refused call journals it too.
pub async fn each_phase_is_journaled_once_by_the_first_call_that_sees_it(under_test: GateUnderTest) {
    let fifth = round(1).reserving(0..240).claiming(300..360).ratio(1, 5);
    let scene = Scene::open(under_test, head(), second(-1), [fifth]).await;
    let (one, everyone) = (round_id(1), users(12));

    scene.tick().await;
    assert_eq!(phases(&scene).await, [], "nothing has begun");
    scene.at(second(0)).await;
    scene.reserve(one, &everyone[..6]).await;
    scene.reserve(one, &everyone[6..]).await;
    scene.at(second(240)).await;
    scene.reserve(one, &[user("late")]).await;
    scene.reserve(one, &[user("late")]).await;
    scene.at(second(300)).await;
    scene.claim(one, &[user("late")]).await;
    scene.tick().await;
    scene.at(second(360)).await;
    scene.tick().await;
    scene.claim(one, &everyone).await;

    let expected = [
        phase(1, Phase::Reserving, 0, None),
        phase(1, Phase::Waiting, 12, Some(2)),
        phase(1, Phase::Claiming, 12, Some(2)),
        phase(1, Phase::Closed, 12, Some(2)),
    ];
    assert_eq!(phases(&scene).await, expected);
    assert_eq!(scene.view(one).await.phase, Phase::Closed);
}

/// Nobody came for long: one step, and still the supply is worked out.
pub async fn boundaries_passed_unseen_are_one_phase(under_test: GateUnderTest) {
    let scene =
        Scene::open(under_test, head(), second(0), [round(1).reserving(0..240).claiming(300..360).ratio(1, 1)]).await;
    scene.reserve(round_id(1), &users(3)).await;
    scene.at(second(1000)).await;

    assert_eq!(only(&scene.claim(round_id(1), &users(1)).await), Outcome::Refused(Refusal::Closed));

    let expected = [phase(1, Phase::Reserving, 0, None), phase(1, Phase::Closed, 3, Some(3))];
    assert_eq!(phases(&scene).await, expected);
}

/// The first one who claims passes the boundary and is answered, in one entry.
pub async fn a_phase_stands_before_the_decisions_that_follow_it(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(0), [round(1).claiming(300..360).fixed(3)]).await;
    scene.at(second(300)).await;

    let decided = scene.claim(round_id(1), &users(2)).await;

    let rows = decided.entry.expect("two coupons are decisions").parse().expect("an entry can be read");
    let coupons = Row::Coupons { round: round_id(1), first_serial: 0, users: users(2) };
    assert_eq!(rows, [phase(1, Phase::Claiming, 0, Some(3)), coupons]);
}

/// A closed window stays closed, an open one open, and no second PHASE is written.
pub async fn a_phase_stays_when_the_clock_goes_back(under_test: GateUnderTest) {
    let scene =
        Scene::open(under_test, head(), second(0), [round(1).reserving(0..240).claiming(300..360).fixed(3)]).await;
    let (one, all) = (round_id(1), users(3));
    scene.reserve(one, &all[..2]).await;
    scene.at(second(300)).await;
    scene.claim(one, &all[..1]).await;

    scene.at(second(100)).await;
    assert_eq!(only(&scene.reserve(one, &all[2..]).await), Outcome::Refused(Refusal::Closed));
    assert_eq!(scene.view(one).await.phase, Phase::Claiming);
    let claimed = scene.claim(one, &all[1..2]).await;
    assert_eq!(
        only(&claimed),
        Outcome::Granted(Issued { serial: 1, claimed_at: second(300) }),
        "time does not go back"
    );
    assert_eq!((claimed.at, claimed.answers[0].witness.at), (second(300), second(300)));

    scene.at(second(360)).await;
    scene.tick().await;
    scene.at(second(310)).await;
    assert_eq!(only(&scene.claim(one, &all[2..]).await), Outcome::Refused(Refusal::Closed));
    assert_eq!(phases(&scene).await.len(), 3, "reserving, claiming, closed");
}

/// In the order of their numbers, each counted as a decision.
pub async fn a_tick_latches_the_phases_of_all_rounds_in_one_entry(under_test: GateUnderTest) {
    let rounds = [
        round(10).reserving(0..240).claiming(300..360).ratio(1, 2),
        round(9).reserving(100..340).claiming(400..460).ratio(1, 2),
        round(2).claiming(500..560).fixed(7),
    ];
    let scene = Scene::open(under_test, head(), second(120), rounds).await;
    let before = scene.seen();

    let first = scene.tick().await;
    let again = scene.tick().await;

    let entry = first.entry.expect("two rounds have begun");
    assert_eq!((entry.first, entry.last, entry.at), (before.n + 1, before.n + 2, second(120)));
    let expected = [phase(9, Phase::Reserving, 0, None), phase(10, Phase::Reserving, 0, None)];
    assert_eq!(entry.parse().expect("readable"), expected);
    assert_eq!((again.entry, again.position, &again.answers), (None, first.position, &first.answers));
    let stand: Vec<_> = again.answers.rounds.iter().map(|r| (r.spec.id.number(), r.phase, r.supply)).collect();
    assert_eq!(stand, [(2, Phase::Planned, Some(7)), (9, Phase::Reserving, None), (10, Phase::Reserving, None)]);
}
