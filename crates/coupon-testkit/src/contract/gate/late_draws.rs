//! Draws that are not done when claims open: those who won lose no time by it.

use std::time::Duration;

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::ids::UserId;
use coupon_domain::journal::Row;
use coupon_domain::model::{DrawConclusion, Retirement};
use coupon_domain::position::Chain;
use coupon_domain::round::Phase;
use coupon_domain::time::Timestamp;

use crate::build::{head, microsecond, millisecond, round, round_id, second, users, winners};
use crate::contract::scene::{Scene, only};
use crate::under_test::GateUnderTest;

const HOUR: Duration = Duration::from_secs(3600);

/// Round 1 with ten places and five coupons for `u-0` to `u-4`, if it is drawn; its claims are planned for seconds 300 to 360.
async fn a_round_to_be_drawn(under_test: GateUnderTest) -> Scene {
    let rush = round(1).reserving(0..240).claiming(300..360).ratio(1, 2).drawn();
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;
    scene.reserve(round_id(1), &users(10)).await;
    scene
}

async fn conclude(scene: &Scene, at: Timestamp) -> DrawConclusion {
    scene.at(at).await;
    scene.conclude_draw(round_id(1), &winners(10, 0..5)).await.answers
}

async fn claim(scene: &Scene, at: Timestamp, who: &UserId) -> Result<u32, Refusal> {
    scene.at(at).await;
    match only(&scene.claim(round_id(1), std::slice::from_ref(who)).await) {
        Outcome::Granted(coupon) => Ok(coupon.serial),
        Outcome::Refused(refusal) => Err(refusal),
        Outcome::Replayed(coupon) => panic!("{who} claimed once and got {coupon:?} again"),
    }
}

/// The window moves by the delay, to the microsecond.
pub async fn a_draw_half_a_minute_late_leaves_claims_their_whole_minute(under_test: GateUnderTest) {
    let scene = a_round_to_be_drawn(under_test).await;
    let all = users(10);
    assert_eq!(claim(&scene, second(300), &all[0]).await, Err(Refusal::DrawPending));

    let delay = Duration::from_micros(30_000_001);
    assert_eq!(conclude(&scene, microsecond(330_000_001)).await, DrawConclusion::Drawn(delay));

    for (at, who, answer) in [
        (microsecond(330_000_001), 0, Ok(0)),
        (second(360), 1, Ok(1)),
        (second(360), 9, Err(Refusal::NotDrawn)),
        (second(390), 2, Ok(2)),
        (microsecond(390_000_001), 3, Err(Refusal::Closed)),
    ] {
        assert_eq!(claim(&scene, at, &all[who]).await, answer, "u-{who} at {at:?}");
    }
    let view = scene.view(round_id(1)).await;
    assert_eq!((view.delay, view.phase), (delay, Phase::Closed));
    assert_eq!((view.claim().opens, view.claim().closes), (microsecond(330_000_001), microsecond(390_000_001)));
    assert_eq!((view.spec.claim.opens, view.spec.claim.closes), (second(300), second(360)), "the plan stays");
    let digest = Chain::of(&[&winners(10, 0..5)]);
    assert!(scene.rows().await.contains(&Row::Drawn { round: round_id(1), winners: 5, digest, delay }));
}

/// The planned window is over, and still nobody is told that it has closed.
pub async fn claims_stay_open_while_the_draw_is_awaited(under_test: GateUnderTest) {
    let scene = a_round_to_be_drawn(under_test).await;
    let all = users(10);
    for at in [second(300), second(360), millisecond(419_999)] {
        assert_eq!(claim(&scene, at, &all[0]).await, Err(Refusal::DrawPending), "{at:?}");
        assert_eq!(scene.view(round_id(1)).await.phase, Phase::Claiming);
    }

    assert_eq!(conclude(&scene, second(420)).await, DrawConclusion::Drawn(Duration::from_secs(120)));

    for (at, who, answer) in
        [(second(420), 0, Ok(0)), (millisecond(479_999), 1, Ok(1)), (second(480), 2, Err(Refusal::Closed))]
    {
        assert_eq!(claim(&scene, at, &all[who]).await, answer, "u-{who} at {at:?}");
    }
    let phases = scene.rows().await.into_iter().filter(|row| matches!(row, Row::Phase { .. })).count();
    assert_eq!(phases, 3, "reserving, claiming, closed");
}

/// Nobody came before the draw: claims open by it, and with its delay.
pub async fn a_late_draw_that_sees_claims_open_first_still_moves_them(under_test: GateUnderTest) {
    let scene = a_round_to_be_drawn(under_test).await;
    let before = scene.seen();

    assert_eq!(conclude(&scene, second(310)).await, DrawConclusion::Drawn(Duration::from_secs(10)));

    let [entry] = &scene.entries_after(before.n).await[..] else { panic!("phase and draw are one entry") };
    let digest = Chain::of(&[&winners(10, 0..5)]);
    assert_eq!(entry.rows, format!("phase r-1 CLAIMING 10 5 -\ndrawn r-1 5 {digest} 10000000"));
    assert_eq!(claim(&scene, millisecond(369_999), &users(1)[0]).await, Ok(0));
}

/// The window moves by an hour and no further, so that what is left of it is shorter.
pub async fn a_draw_more_than_an_hour_late_moves_claims_by_an_hour(under_test: GateUnderTest) {
    let scene = a_round_to_be_drawn(under_test).await;
    let all = users(10);

    assert_eq!(conclude(&scene, second(3930)).await, DrawConclusion::Drawn(HOUR));

    for (at, who, answer) in
        [(second(3930), 0, Ok(0)), (millisecond(3_959_999), 1, Ok(1)), (second(3960), 2, Err(Refusal::Closed))]
    {
        assert_eq!(claim(&scene, at, &all[who]).await, answer, "u-{who} at {at:?}");
    }
}

/// An hour later than planned; winners that come then are known, but too late for them.
pub async fn a_round_that_is_not_drawn_closes_an_hour_later_than_planned(under_test: GateUnderTest) {
    let scene = a_round_to_be_drawn(under_test).await;
    let winner = &users(1)[0];
    assert_eq!(claim(&scene, millisecond(3_959_999), winner).await, Err(Refusal::DrawPending));
    assert_eq!(claim(&scene, second(3960), winner).await, Err(Refusal::Closed));

    assert_eq!(conclude(&scene, second(3970)).await, DrawConclusion::Drawn(HOUR));

    assert_eq!(claim(&scene, second(3970), winner).await, Err(Refusal::Closed));
    let view = scene.view(round_id(1)).await;
    assert_eq!((view.phase, view.drawn, view.issued), (Phase::Closed, true, 0));
}

/// With and without places: a late draw keeps its round in the gate by as much as it was late.
pub async fn a_round_that_was_drawn_late_leaves_later(under_test: GateUnderTest) {
    let scene = a_round_to_be_drawn(under_test).await;
    conclude(&scene, second(420)).await;
    let unused = scene.beside("unused", head(), [round(1).reserving(0..240).claiming(300..360).fixed(5).drawn()]).await;
    unused.conclude_draw(round_id(1), &[]).await;

    for (campaign, leaves) in [(&unused, 480 + 600), (&scene, 480 + 3600)] {
        for early in [second(leaves - 120), millisecond(leaves * 1000 - 1)] {
            scene.at(early).await;
            campaign.tick().await;
            assert_eq!(campaign.retire(round_id(1), campaign.seen().n).await.answers, Retirement::Kept, "{early:?}");
        }
        scene.at(second(leaves)).await;
        assert_eq!(campaign.retire(round_id(1), campaign.seen().n).await.answers, Retirement::Retired);
    }
}
