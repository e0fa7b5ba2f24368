//! Many users in one call.

use coupon_domain::answer::Outcome;
use coupon_domain::ids::RoundId;
use coupon_domain::ports::GateError;

use crate::build::{head, round, round_id, second, user, users};
use crate::contract::scene::{Scene, outcomes};
use crate::under_test::GateUnderTest;

async fn a_round_with_places_for_all(under_test: GateUnderTest) -> (Scene, RoundId) {
    let everyone = round(1).reserving(0..240).claiming(300..360).ratio(1, 1);
    (Scene::open(under_test, head(), second(10), [everyone]).await, round_id(1))
}

/// Tickets and serials follow the order of the users.
pub async fn five_hundred_users_are_one_batch(under_test: GateUnderTest) {
    let (scene, one) = a_round_with_places_for_all(under_test).await;
    let many = users(500);

    let places = scene.reserve(one, &many).await;
    scene.at(second(300)).await;
    let coupons = scene.claim(one, &many).await;

    let numbers = |answers: Vec<Option<u32>>| assert_eq!(answers, (0..500).map(Some).collect::<Vec<_>>());
    numbers(
        outcomes(&places).iter().map(|o| if let Outcome::Granted(p) = o { Some(p.ticket) } else { None }).collect(),
    );
    numbers(
        outcomes(&coupons).iter().map(|o| if let Outcome::Granted(c) = o { Some(c.serial) } else { None }).collect(),
    );
    let view = scene.view(one).await;
    assert_eq!((view.places, view.issued, view.supply), (500, 500, Some(500)));
    assert_eq!(coupons.entry.map(|e| e.last), Some(coupons.position.n), "one entry holds all of it");
}

/// The size is looked at before anything else, even before whether the campaign is here.
pub async fn five_hundred_and_one_are_too_many_and_change_nothing(under_test: GateUnderTest) {
    let (scene, one) = a_round_with_places_for_all(under_test).await;
    let (many, before) = (users(501), scene.seen());

    let reserved = scene.gate.reserve(&scene.campaign, one, &many, true, before).await;
    let claimed = scene.gate.claim(&scene.campaign, one, &many, true, before).await;
    let unknown = scene.gate.claim(&crate::build::campaign_id("unknown"), one, &many, true, before).await;

    assert!(matches!(reserved, Err(GateError::BatchTooLarge(501))), "{reserved:?}");
    assert!(matches!(claimed, Err(GateError::BatchTooLarge(501))), "{claimed:?}");
    assert!(matches!(unknown, Err(GateError::BatchTooLarge(501))), "{unknown:?}");
    assert_eq!(scene.entries_after(before.n).await, []);
    assert_eq!(scene.reserve(one, &many[..1]).await.answers[0].witness.position.n, before.n + 2, "phase, then place");
}

/// A batch is decided in order, and each decision knows those before it.
pub async fn the_same_user_twice_in_a_batch_gets_the_first_answer_again(under_test: GateUnderTest) {
    let (scene, one) = a_round_with_places_for_all(under_test).await;
    let (ada, bob) = (user("ada"), user("bob"));
    let batch = [ada.clone(), bob.clone(), ada.clone(), bob, ada];

    let places = outcomes(&scene.reserve(one, &batch).await);
    scene.at(second(300)).await;
    let coupons = outcomes(&scene.claim(one, &batch).await);

    let (Outcome::Granted(first), Outcome::Granted(second)) = (places[0], places[1]) else { panic!("{places:?}") };
    let (replay, other) = (Outcome::Replayed(first), Outcome::Replayed(second));
    assert_eq!(places, [places[0], places[1], replay, other, replay]);
    assert_eq!((first.ticket, second.ticket), (0, 1));

    let (Outcome::Granted(first), Outcome::Granted(second)) = (coupons[0], coupons[1]) else { panic!("{coupons:?}") };
    let (replay, other) = (Outcome::Replayed(first), Outcome::Replayed(second));
    assert_eq!(coupons, [coupons[0], coupons[1], replay, other, replay]);
    assert_eq!((first.serial, second.serial), (0, 1));
}

/// Nothing was asked but the time.
pub async fn an_empty_batch_is_answered_with_nothing(under_test: GateUnderTest) {
    let (scene, one) = a_round_with_places_for_all(under_test).await;
    scene.tick().await;
    let before = scene.seen();

    let (places, coupons) = (scene.reserve(one, &[]).await, scene.claim(one, &[]).await);

    assert_eq!((places.answers.len(), coupons.answers.len()), (0, 0));
    assert_eq!((places.entry, coupons.entry, coupons.position), (None, None, before));
}
