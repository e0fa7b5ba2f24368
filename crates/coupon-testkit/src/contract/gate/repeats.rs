//! A repeat is answered like the first time, whenever it comes.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::Transition;
use tokio::task::JoinSet;

use crate::build::{head, round, round_id, second, user};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

async fn a_round_with_one_coupon(under_test: GateUnderTest) -> Scene {
    let rush = round(1).reserving(0..240).claiming(300..360).fixed(1).max_places(2);
    Scene::open(under_test, head(), second(1), [rush]).await
}

/// One new yes, and the same again ninety-nine times.
pub async fn one_user_a_hundred_times_at_once_gets_one_place_and_one_coupon(under_test: GateUnderTest) {
    let scene = a_round_with_one_coupon(under_test).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (gate, campaign, seen) = (scene.gate.clone(), scene.campaign.clone(), scene.seen());
        calls.spawn(async move {
            only(&gate.reserve(&campaign, round_id(1), &[user("ada")], true, seen).await.expect("an open gate answers"))
        });
    }
    let places = calls.join_all().await;
    scene.at(second(300)).await;
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (gate, campaign, seen) = (scene.gate.clone(), scene.campaign.clone(), scene.seen());
        calls.spawn(async move {
            only(&gate.claim(&campaign, round_id(1), &[user("ada")], true, seen).await.expect("an open gate answers"))
        });
    }
    let coupons = calls.join_all().await;

    assert_eq!((granted(&places), granted(&coupons)), (1, 1));
    for place in places {
        assert!(matches!(place, Outcome::Granted(p) | Outcome::Replayed(p) if p.ticket == 0), "{place:?}");
    }
    for coupon in coupons {
        assert!(matches!(coupon, Outcome::Granted(c) | Outcome::Replayed(c) if c.serial == 0), "{coupon:?}");
    }
    let view = scene.view(round_id(1)).await;
    assert_eq!((view.places, view.issued), (1, 1));
}

/// Who came too late is told so, beside it in the same batch.
pub async fn a_repeat_is_answered_after_its_window_has_closed(under_test: GateUnderTest) {
    let scene = a_round_with_one_coupon(under_test).await;
    let (one, both) = (round_id(1), [user("ada"), user("eve")]);
    let Outcome::Granted(place) = only(&scene.reserve(one, &both[..1]).await) else { panic!("ada is the first") };
    scene.at(second(240)).await;
    assert_eq!(
        outcomes(&scene.reserve(one, &both).await),
        [Outcome::Replayed(place), Outcome::Refused(Refusal::Closed)]
    );

    scene.at(second(300)).await;
    let Outcome::Granted(coupon) = only(&scene.claim(one, &both[..1]).await) else { panic!("ada has a place") };
    scene.at(second(100_000)).await;

    assert_eq!(
        outcomes(&scene.claim(one, &both).await),
        [Outcome::Replayed(coupon), Outcome::Refused(Refusal::Closed)]
    );
    assert_eq!(
        outcomes(&scene.reserve(one, &both).await),
        [Outcome::Replayed(place), Outcome::Refused(Refusal::Closed)]
    );
    assert_eq!((place.reserved_at, coupon.claimed_at), (second(1), second(300)));
}

/// A pause stops new yeses, not old ones; afterwards they go on where they stopped.
pub async fn a_repeat_is_answered_while_the_campaign_is_paused(under_test: GateUnderTest) {
    let scene = a_round_with_one_coupon(under_test).await;
    let (one, both) = (round_id(1), [user("ada"), user("bob")]);
    let Outcome::Granted(place) = only(&scene.reserve(one, &both[..1]).await) else { panic!("ada is the first") };
    let paused = Outcome::Refused(Refusal::Paused);

    scene.transition(Transition::Pause).await;
    assert_eq!(outcomes(&scene.reserve(one, &both).await), [Outcome::Replayed(place), paused]);
    scene.transition(Transition::Resume).await;
    assert_eq!(granted(&outcomes(&scene.reserve(one, &both).await)), 1);

    scene.at(second(300)).await;
    let Outcome::Granted(coupon) = only(&scene.claim(one, &both[..1]).await) else { panic!("ada has a place") };
    scene.transition(Transition::Pause).await;
    assert_eq!(
        outcomes(&scene.claim(one, &both).await),
        [Outcome::Replayed(coupon), Outcome::Refused(Refusal::Paused)]
    );
}
