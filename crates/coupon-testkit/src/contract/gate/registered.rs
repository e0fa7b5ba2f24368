//! Rounds that only users of the registry may enter.

use coupon_domain::answer::{Outcome, Refusal};

use crate::build::{head, round, round_id, second, user, users};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

const UNKNOWN_USER: Refusal = Refusal::UnknownUser;

/// A no writes nothing, and whoever is registered after it gets a yes.
pub async fn a_round_for_registered_users_refuses_all_others(under_test: GateUnderTest) {
    let rush = round(1).reserving(0..240).claiming(300..360).fixed(5).registered_only();
    let scene = Scene::open(under_test, head(), second(1), [rush.clone()]).await;
    let (one, ada) = (round_id(1), [user("ada")]);
    assert_eq!(scene.view(one).await.spec, rush.build());
    let before = scene.seen();

    let refused = scene.reserve_unregistered(one, &ada).await;
    assert_eq!(only(&refused), Outcome::Refused(UNKNOWN_USER));
    assert_eq!((refused.entry, refused.position), (None, before));
    assert!(matches!(only(&scene.reserve(one, &ada).await), Outcome::Granted(_)));

    scene.at(second(300)).await;
    assert_eq!(only(&scene.claim_unregistered(one, &ada).await), Outcome::Refused(UNKNOWN_USER));
    assert!(matches!(only(&scene.claim(one, &ada).await), Outcome::Granted(_)));
}

/// Who was deleted from the registry keeps what they have, but gets no more.
pub async fn a_repeat_is_answered_to_a_user_who_is_not_registered_any_more(under_test: GateUnderTest) {
    let rush = round(1).reserving(0..240).claiming(300..360).fixed(5).registered_only();
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;
    let (one, both) = (round_id(1), ["ada", "bob"].map(user));
    let Outcome::Granted(place) = only(&scene.reserve(one, &both[..1]).await) else { panic!("there is a place") };
    let no = Outcome::Refused(UNKNOWN_USER);
    assert_eq!(outcomes(&scene.reserve_unregistered(one, &both).await), [Outcome::Replayed(place), no]);

    scene.at(second(300)).await;
    let Outcome::Granted(coupon) = only(&scene.claim(one, &both[..1]).await) else { panic!("there is a coupon") };
    let no = Outcome::Refused(UNKNOWN_USER);
    assert_eq!(outcomes(&scene.claim_unregistered(one, &both).await), [Outcome::Replayed(coupon), no]);
}

/// Each round asks for itself, whatever the rounds beside it want.
pub async fn a_round_for_everybody_does_not_ask_who_is_registered(under_test: GateUnderTest) {
    let rounds = [
        round(1).reserving(0..240).claiming(300..360).fixed(3),
        round(2).reserving(0..240).claiming(400..460).fixed(3).registered_only(),
    ];
    let scene = Scene::open(under_test, head(), second(1), rounds).await;
    let (all, new) = (users(6), [user("new")]);

    assert_eq!(granted(&outcomes(&scene.reserve_unregistered(round_id(1), &all).await)), 6);
    assert_eq!(granted(&outcomes(&scene.reserve_unregistered(round_id(2), &all).await)), 0);
    scene.at(second(300)).await;
    assert_eq!(granted(&outcomes(&scene.claim_unregistered(round_id(1), &all[..2]).await)), 2);
    assert_eq!(granted(&outcomes(&scene.claim(round_id(1), &all[2..]).await)), 1);
    assert_eq!(only(&scene.claim_unregistered(round_id(1), &new).await), Outcome::Refused(Refusal::NotReserved));
}
