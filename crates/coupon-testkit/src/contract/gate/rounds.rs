//! Opening rounds.

use coupon_domain::answer::{Outcome, Place};
use coupon_domain::campaign::CampaignState;
use coupon_domain::journal::Row;
use coupon_domain::model::{CampaignHead, RoundOpening};
use coupon_domain::round::Phase;

use crate::build::{head, round, round_id, second, user};
use crate::contract::scene::{Scene, only};
use crate::under_test::GateUnderTest;

/// The same number or the same start: it is there already, nothing is written, and it stays as it was.
pub async fn a_round_is_opened_once(under_test: GateUnderTest) {
    let first = round(1).reserving(0..240).claiming(300..360).fixed(5);
    let scene = Scene::open(under_test, head(), second(0), [first.clone()]).await;
    let before = scene.seen();

    for same in [
        first.clone(),
        first.clone().fixed(6),
        round(1).claiming(9000..9060),
        round(2).claiming(300..360),
        // The same start is told before an overlap.
        round(3).claiming(300..301),
    ] {
        let opening = scene.open_round(same).await;
        assert_eq!(opening.answers, RoundOpening::AlreadyThere(round_id(1)));
        assert_eq!((opening.entry, opening.position), (None, before));
    }
    assert_eq!(scene.rows().await, [Row::Round(first.clone().build())]);
    assert_eq!(scene.view(round_id(1)).await.spec, first.build());
}

/// Half-open: one may begin where another ends. Reservation may overlap with anything.
pub async fn rounds_that_would_claim_at_the_same_time_are_refused(under_test: GateUnderTest) {
    let rounds = [round(5).claiming(300..360), round(4).claiming(400..460)];
    let scene = Scene::open(under_test, head(), second(0), rounds).await;
    let before = scene.seen();

    for (claims, other) in [(359..400, 5), (299..301, 5), (310..311, 5), (0..1000, 4), (399..401, 4), (459..500, 4)] {
        let opening = scene.open_round(round(6).claiming(claims)).await;
        assert_eq!(opening.answers, RoundOpening::Overlaps(round_id(other)));
        assert_eq!((opening.entry, opening.position), (None, before));
    }
    for between in
        [round(6).claiming(360..400), round(7).claiming(290..300), round(8).reserving(0..460).claiming(460..461)]
    {
        assert_eq!(scene.open_round(between).await.answers, RoundOpening::Opened);
    }
}

/// A draft is prepared, a paused one goes on later; an ended one is over.
pub async fn a_round_can_be_opened_before_the_campaign_is_active_and_not_after_its_end(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    for (state, answer) in [
        (CampaignState::Draft, RoundOpening::Opened),
        (CampaignState::Active, RoundOpening::Opened),
        (CampaignState::Paused, RoundOpening::Opened),
        (CampaignState::Ended, RoundOpening::CampaignEnded),
    ] {
        let none: [crate::build::RoundBuilder; 0] = [];
        let campaign = scene.beside(state.as_str(), CampaignHead { state, ..head() }, none).await;
        let opening = campaign.open_round(round(1)).await;
        assert_eq!((opening.answers, opening.entry.is_some()), (answer, answer == RoundOpening::Opened), "{state}");
    }
}

/// It is planned until the first call looks at the clock.
pub async fn a_round_opened_late_is_at_once_where_the_clock_is(under_test: GateUnderTest) {
    let rounds = [round(1).reserving(0..240).claiming(300..360), round(2).reserving(0..240).claiming(400..460)];
    let scene = Scene::open(under_test, head(), second(100), rounds).await;

    let place = only(&scene.reserve(round_id(1), &[user("ada")]).await);

    assert_eq!(place, Outcome::Granted(Place { ticket: 0, reserved_at: second(100) }));
    let phases: Vec<_> = scene
        .rows()
        .await
        .into_iter()
        .filter_map(|r| if let Row::Phase { round, .. } = r { Some(round) } else { None })
        .collect();
    assert_eq!(phases, [round_id(1)], "a call looks at its own round only");
    assert_eq!(scene.view(round_id(2)).await.phase, Phase::Reserving);
}
