//! Refusals come in the order of the rules: where several apply, the first one is told.

use std::time::Duration;

use coupon_domain::answer::{Outcome, Place, Refusal};
use coupon_domain::campaign::CampaignState::{self, Active, Draft, Ended, Paused};
use coupon_domain::campaign::Transition;
use coupon_domain::model::{CampaignHead, DrawConclusion, LoadChunk, RoundHead, RoundView, Seat};
use coupon_domain::round::{Phase, RoundSpec};
use coupon_domain::time::Timestamp;

use crate::build::{head, round, round_id, second, user, winners};
use crate::contract::scene::{Scene, only, outcomes};
use crate::under_test::GateUnderTest;

fn seat(ticket: u32) -> Seat {
    Seat { place: Some(Place { ticket, reserved_at: second(1) }), coupon: None }
}

/// A campaign of which the user `limited` has the only coupon, from a round before, with `placed` and `limited` in all its places.
fn everything_is_used_up(state: CampaignState, phase: Phase) -> Vec<LoadChunk> {
    let used_up = CampaignHead { state, total_limit: Some(1), issued: 1, last_at: second(-1000), ..head() };
    let spec: RoundSpec = round(2).reserving(0..240).claiming(300..360).fixed(5).max_places(2).registered_only().into();
    // Before it opens, a round has no place.
    let seats = match phase {
        Phase::Planned => vec![],
        Phase::Reserving | Phase::Waiting | Phase::Claiming | Phase::Closed => {
            vec![(user("placed"), seat(0)), (user("limited"), seat(1))]
        }
    };
    let places = seats.len().try_into().expect("few");
    let view = RoundView { phase, supply: Some(5), places, issued: 0, ..RoundView::planned(spec) };
    vec![
        LoadChunk::Head(used_up),
        LoadChunk::Round(RoundHead { view, last_n: 0 }),
        LoadChunk::Seats(round_id(2), seats),
        LoadChunk::Counts(vec![(user("limited"), 1), (user("limited-stranger"), 1)]),
        LoadChunk::Open,
    ]
}

const NOT_OPEN_YET: Refusal = Refusal::NotOpenYet;
const CLOSED: Refusal = Refusal::Closed;
const PAUSED: Refusal = Refusal::Paused;
const UNKNOWN_USER: Refusal = Refusal::UnknownUser;

async fn loaded(scene: &Scene, state: CampaignState, phase: Phase, at: Timestamp) -> Scene {
    scene.at(at).await;
    scene.beside_loaded(&format!("{state}-{phase}-{}", at.micros()), everything_is_used_up(state, phase)).await
}

/// Not open, closed, paused, unknown user, limit reached, full.
pub async fn reserve_refuses_in_the_order_of_the_rules(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    for (state, at, phase, refusal) in [
        (Draft, second(-1), Phase::Planned, Some(NOT_OPEN_YET)),
        (Draft, second(100), Phase::Reserving, Some(NOT_OPEN_YET)),
        (Draft, second(240), Phase::Waiting, Some(NOT_OPEN_YET)),
        (Ended, second(-1), Phase::Planned, Some(CLOSED)),
        (Ended, second(100), Phase::Reserving, Some(CLOSED)),
        (Active, second(-1), Phase::Planned, Some(NOT_OPEN_YET)),
        (Paused, second(-1), Phase::Planned, Some(NOT_OPEN_YET)),
        (Active, second(240), Phase::Reserving, Some(CLOSED)),
        (Paused, second(240), Phase::Reserving, Some(CLOSED)),
        (Paused, second(100), Phase::Reserving, Some(PAUSED)),
        (Active, second(100), Phase::Reserving, None),
    ] {
        let campaign = loaded(&scene, state, phase, at).await;
        for (name, own) in [("limited-stranger", Refusal::LimitReached), ("stranger", Refusal::Full)] {
            let who = [user(name)];
            let answer = only(&campaign.reserve(round_id(2), &who).await);
            assert_eq!(answer, Outcome::Refused(refusal.unwrap_or(own)), "{state} at {at:?} for {name}");
            let answer = only(&campaign.reserve_unregistered(round_id(2), &who).await);
            assert_eq!(answer, Outcome::Refused(refusal.unwrap_or(UNKNOWN_USER)), "{state} at {at:?} for {name}");
        }
    }
}

/// Not open, closed, paused, unknown user, not reserved, limit reached, sold out.
pub async fn claim_refuses_in_the_order_of_the_rules(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    for (state, at, phase, refusal) in [
        (Draft, second(299), Phase::Waiting, Some(NOT_OPEN_YET)),
        (Draft, second(300), Phase::Claiming, Some(NOT_OPEN_YET)),
        (Draft, second(360), Phase::Closed, Some(NOT_OPEN_YET)),
        (Ended, second(299), Phase::Waiting, Some(CLOSED)),
        (Ended, second(300), Phase::Claiming, Some(CLOSED)),
        (Active, second(299), Phase::Waiting, Some(NOT_OPEN_YET)),
        (Paused, second(299), Phase::Waiting, Some(NOT_OPEN_YET)),
        (Active, second(360), Phase::Claiming, Some(CLOSED)),
        (Paused, second(360), Phase::Claiming, Some(CLOSED)),
        (Paused, second(300), Phase::Claiming, Some(PAUSED)),
        (Active, second(300), Phase::Claiming, None),
        (Active, second(300), Phase::Waiting, None),
    ] {
        let campaign = loaded(&scene, state, phase, at).await;
        for (name, own) in [
            ("limited-stranger", Refusal::NotReserved),
            ("stranger", Refusal::NotReserved),
            ("limited", Refusal::LimitReached),
            ("placed", Refusal::SoldOut),
        ] {
            let who = [user(name)];
            let answer = only(&campaign.claim(round_id(2), &who).await);
            assert_eq!(answer, Outcome::Refused(refusal.unwrap_or(own)), "{state} at {at:?} for {name}");
            let answer = only(&campaign.claim_unregistered(round_id(2), &who).await);
            assert_eq!(answer, Outcome::Refused(refusal.unwrap_or(UNKNOWN_USER)), "{state} at {at:?} for {name}");
        }
    }
}

/// Not open, closed, paused, unknown user, not reserved, limit reached, draw pending or not drawn, sold out.
pub async fn claim_refuses_in_the_order_of_the_rules_where_places_are_drawn(under_test: GateUnderTest) {
    let (drawn, before) = (round_id(1), round_id(2));
    let rounds = [
        round(1).reserving(0..100).claiming(300..360).fixed(1).drawn().registered_only(),
        round(2).claiming(200..260).fixed(2),
    ];
    let scene = Scene::open(under_test, CampaignHead { total_limit: Some(2), ..head() }, second(1), rounds).await;
    let everyone = ["winner", "limited", "loser", "stranger"].map(user);
    scene.reserve(drawn, &everyone[..3]).await;
    scene.at(second(100)).await;
    scene.tick().await;
    // Another round gives away all that the total limit leaves, before the winner comes.
    scene.at(second(200)).await;
    scene.claim(before, &["limited", "other"].map(user)).await;
    let claimed = async |registered: bool| {
        let claimed = if registered {
            scene.claim(drawn, &everyone).await
        } else {
            scene.claim_unregistered(drawn, &everyone).await
        };
        outcomes(&claimed)
    };
    let [early, closed, paused, unknown] =
        [NOT_OPEN_YET, CLOSED, PAUSED, UNKNOWN_USER].map(|no| [Outcome::Refused(no); 4]);
    let own = |winner, loser| [winner, Refusal::LimitReached, loser, Refusal::NotReserved].map(Outcome::Refused);

    scene.at(second(299)).await;
    assert_eq!((claimed(true).await, claimed(false).await), (early.to_vec(), early.to_vec()));
    scene.at(second(300)).await;
    assert_eq!(claimed(true).await, own(Refusal::DrawPending, Refusal::DrawPending));
    assert_eq!(claimed(false).await, unknown);
    scene.transition(Transition::Pause).await;
    assert_eq!((claimed(true).await, claimed(false).await), (paused.to_vec(), paused.to_vec()));
    scene.transition(Transition::Resume).await;

    assert_eq!(scene.conclude_draw(drawn, &winners(3, [0])).await.answers, DrawConclusion::Drawn(Duration::ZERO));
    assert_eq!(claimed(true).await, own(Refusal::SoldOut, Refusal::NotDrawn));
    assert_eq!(claimed(false).await, unknown);
    scene.transition(Transition::Pause).await;
    assert_eq!((claimed(true).await, claimed(false).await), (paused.to_vec(), paused.to_vec()));
    scene.at(second(360)).await;
    assert_eq!((claimed(true).await, claimed(false).await), (closed.to_vec(), closed.to_vec()));
}

/// No place, no coupon: nothing changes, and a place in another round does not help.
pub async fn a_claim_without_a_place_is_refused(under_test: GateUnderTest) {
    let rounds = [
        round(1).reserving(0..240).claiming(300..360).fixed(5),
        round(2).reserving(0..240).claiming(400..460).fixed(5),
    ];
    let scene = Scene::open(under_test, head(), second(1), rounds).await;
    scene.reserve(round_id(2), &[user("ada")]).await;
    scene.at(second(300)).await;
    scene.tick().await;
    let before = scene.seen();

    let decided = scene.claim(round_id(1), &[user("ada"), user("bob")]).await;

    assert!(decided.answers.iter().all(|a| a.outcome == Outcome::Refused(Refusal::NotReserved)), "{decided:?}");
    assert_eq!((decided.position, decided.entry), (before, None));
}

/// The place after the last one is refused, and no ticket is lost by it.
pub async fn places_end_at_the_cap(under_test: GateUnderTest) {
    let rush = round(1).reserving(0..240).claiming(300..360).fixed(5).max_places(2);
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;
    let names = ["ada", "bob", "eve", "ada"].map(user);

    let places = scene.reserve(round_id(1), &names).await;

    let at = second(1);
    let [zero, one] = [0, 1].map(|ticket| Place { ticket, reserved_at: at });
    let expected =
        [Outcome::Granted(zero), Outcome::Granted(one), Outcome::Refused(Refusal::Full), Outcome::Replayed(zero)];
    assert_eq!(places.answers.iter().map(|a| a.outcome).collect::<Vec<_>>(), expected);
}

/// One coupon a round always, so many a campaign as its rules say; who has them all is refused a place already.
pub async fn a_user_has_no_more_coupons_than_the_campaign_allows(under_test: GateUnderTest) {
    let two_each = CampaignHead { max_per_user: 2, ..head() };
    let rounds = [1, 2, 3, 4].map(|i| {
        let start = i64::from(i) * 1000;
        round(i).reserving(start - 300..start - 60).claiming(start..start + 60).fixed(5)
    });
    let scene = Scene::open(under_test, two_each, second(0), rounds).await;
    let ada = [user("ada")];

    // A place taken before the limit was used up is no coupon.
    for (number, reserved, claimed) in [(1, true, true), (2, true, true), (3, false, false)] {
        scene.at(second(i64::from(number) * 1000 - 300)).await;
        let place = only(&scene.reserve(round_id(number), &ada).await);
        assert_eq!(matches!(place, Outcome::Granted(_)), reserved, "{place:?}");
        assert!(reserved || place == Outcome::Refused(Refusal::LimitReached));
        scene.at(second(i64::from(number) * 1000)).await;
        let coupon = only(&scene.claim(round_id(number), &ada).await);
        assert_eq!(matches!(coupon, Outcome::Granted(_)), claimed, "{coupon:?}");
        assert!(claimed || coupon == Outcome::Refused(Refusal::NotReserved));
        assert!(!claimed || matches!(only(&scene.claim(round_id(number), &ada).await), Outcome::Replayed(_)));
    }
}

/// Places in two rounds at a time, one coupon allowed: the second claim is refused.
pub async fn a_place_does_not_help_against_the_limit(under_test: GateUnderTest) {
    let rounds = [
        round(1).reserving(0..240).claiming(300..360).fixed(5),
        round(2).reserving(0..240).claiming(400..460).fixed(5),
    ];
    let scene = Scene::open(under_test, head(), second(1), rounds).await;
    let ada = [user("ada")];
    scene.reserve(round_id(1), &ada).await;
    scene.reserve(round_id(2), &ada).await;

    scene.at(second(300)).await;
    assert!(matches!(only(&scene.claim(round_id(1), &ada).await), Outcome::Granted(_)));
    scene.at(second(400)).await;
    assert_eq!(only(&scene.claim(round_id(2), &ada).await), Outcome::Refused(Refusal::LimitReached));
    assert!(matches!(only(&scene.claim(round_id(1), &ada).await), Outcome::Replayed(_)));
}
