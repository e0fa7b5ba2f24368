//! When a round gives places and coupons.

use coupon_domain::answer::{Issued, Outcome, Place, Refusal};

use crate::build::{head, millisecond, round, round_id, second, user};
use crate::contract::scene::{Scene, only};
use crate::under_test::GateUnderTest;

/// Half-open windows: the opening is in, the closing is out.
pub async fn both_windows_open_and_close_to_the_millisecond(under_test: GateUnderTest) {
    let daily = round(1).reserving(0..240).claiming(300..360).ratio(1, 1);
    let scene = Scene::open(under_test, head(), second(-10), [daily]).await;
    let (ada, bob, eve) = (user("ada"), user("bob"), user("eve"));
    let one = round_id(1);

    for (at, who, answer) in [
        (millisecond(-1), &ada, Outcome::Refused(Refusal::NotOpenYet)),
        (second(0), &ada, Outcome::Granted(Place { ticket: 0, reserved_at: second(0) })),
        (millisecond(239_999), &bob, Outcome::Granted(Place { ticket: 1, reserved_at: millisecond(239_999) })),
        (second(240), &eve, Outcome::Refused(Refusal::Closed)),
    ] {
        scene.at(at).await;
        assert_eq!(only(&scene.reserve(one, std::slice::from_ref(who)).await), answer, "{who} reserves at {at:?}");
    }
    for (at, who, answer) in [
        (millisecond(299_999), &ada, Outcome::Refused(Refusal::NotOpenYet)),
        (second(300), &ada, Outcome::Granted(Issued { serial: 0, claimed_at: second(300) })),
        (millisecond(359_999), &bob, Outcome::Granted(Issued { serial: 1, claimed_at: millisecond(359_999) })),
        (second(360), &eve, Outcome::Refused(Refusal::Closed)),
    ] {
        scene.at(at).await;
        assert_eq!(only(&scene.claim(one, std::slice::from_ref(who)).await), answer, "{who} claims at {at:?}");
    }
}

/// Such a round has no place to give, early or late.
pub async fn a_round_without_reservation_is_claimed_without_a_place(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(0), [round(1).claiming(300..360).fixed(1)]).await;
    let (one, ada) = (round_id(1), [user("ada")]);

    for at in [second(0), second(300), second(360)] {
        scene.at(at).await;
        assert_eq!(only(&scene.reserve(one, &ada).await), Outcome::Refused(Refusal::Closed));
    }
    let scene = scene.beside("d", head(), [round(2).claiming(400..460).fixed(1)]).await;
    scene.at(second(400)).await;
    let coupon = Issued { serial: 0, claimed_at: second(400) };
    assert_eq!(only(&scene.claim(round_id(2), &ada).await), Outcome::Granted(coupon));
}
