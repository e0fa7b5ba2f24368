//! What must not touch: campaigns each other, and names each other, whatever they look like.

use coupon_domain::answer::{Issued, Outcome, Place};
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::journal::Row;
use coupon_domain::model::CampaignHead;
use coupon_domain::position::Position;

use crate::build::{head, round, round_id, second, user};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

/// Each has its own users, supply, limit, state, numbers, journal and epoch.
pub async fn campaigns_share_nothing(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(1), ..head() };
    let first = Scene::open(under_test, limited.clone(), second(300), [round(1).claiming(300..360)]).await;
    let other = first.beside("c:2", limited, [round(2).claiming(300..360)]).await;
    let ada = [user("ada")];

    for (scene, number) in [(&first, 1), (&other, 2)] {
        let claimed = scene.claim(round_id(number), &ada).await;
        assert!(matches!(only(&claimed), Outcome::Granted(Issued { serial: 0, .. })), "{claimed:?}");
        assert_eq!(claimed.position, Position { epoch: 1, n: 3 }, "round, phase, coupon");
        assert_eq!(scene.rows().await.len(), 3);
    }
    first.transition(Transition::Pause).await;
    first.freeze(2).await.expect("a later epoch freezes");

    let view = other.tick().await.answers;
    assert_eq!((view.state, view.issued), (CampaignState::Active, 1));
    assert!(matches!(only(&other.claim(round_id(2), &ada).await), Outcome::Replayed(_)));
    assert!(other.gate.claim(&other.campaign, round_id(1), &ada, true, other.seen()).await.is_err(), "not its round");
}

/// Numbers beyond 32 and 53 bits, names that read as the same number, names that differ in case, the longest one.
pub async fn user_ids_of_any_shape_are_alike(under_test: GateUnderTest) {
    let longest = "x".repeat(128);
    let almost = "x".repeat(127);
    let all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    let names = [
        "0",
        "00",
        "-0",
        "1",
        "1.0",
        "1e0",
        "01",
        "0x1",
        "10",
        "1e1",
        "0xA",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "nil",
        "true",
        "4294967295",
        "4294967296",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "ada",
        "Ada",
        "ADA",
        "ada:1",
        "ada-1",
        "a.b@c",
        ":",
        "-",
        "--",
        "_",
        ".",
        "@",
        "place",
        "coupon",
        &almost,
        &longest,
        all,
    ];
    let everyone = names.map(user).to_vec();
    let size = u32::try_from(everyone.len()).expect("few");
    let rush = round(1).reserving(0..240).claiming(300..360).ratio(1, 1);
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;

    let places = outcomes(&scene.reserve(round_id(1), &everyone).await);
    let expected: Vec<_> = (0..size).map(|ticket| Place { ticket, reserved_at: second(1) }).collect();
    assert_eq!(places, expected.iter().copied().map(Outcome::Granted).collect::<Vec<_>>());
    assert_eq!(
        outcomes(&scene.reserve(round_id(1), &everyone).await),
        expected.into_iter().map(Outcome::Replayed).collect::<Vec<_>>()
    );
    scene.at(second(300)).await;
    for (serial, who) in (0..size).zip(&everyone) {
        let coupon = Issued { serial, claimed_at: second(300) };
        assert_eq!(only(&scene.claim(round_id(1), std::slice::from_ref(who)).await), Outcome::Granted(coupon), "{who}");
        assert_eq!(
            only(&scene.claim(round_id(1), std::slice::from_ref(who)).await),
            Outcome::Replayed(coupon),
            "{who}"
        );
    }
    let reserved = Row::Places { round: round_id(1), first_ticket: 0, users: everyone };
    assert!(scene.rows().await.contains(&reserved), "the journal has them as they are");
}

/// So are campaigns' ids.
pub async fn campaign_ids_of_any_shape_are_alike(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(300)).await;
    let (long, longer) = ("c".repeat(127), "c".repeat(128));
    for (number, id) in (1..).zip(["0", "c", "C", "c:", "c:r", "c:users", "c:journal", "c-1", ".", "@", &long, &longer])
    {
        let campaign = scene.beside(id, head(), [round(number).claiming(300..360).fixed(1)]).await;
        let claimed = outcomes(&campaign.claim(round_id(number), &["ada", "bob"].map(user)).await);
        assert_eq!(granted(&claimed), 1, "{id}");
        assert_eq!(campaign.rows().await.len(), 3, "{id}");
    }
}
