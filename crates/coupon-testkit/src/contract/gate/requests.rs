//! Operators' requests have ids: each is carried out once, however often it comes.

use coupon_domain::campaign::CampaignState::{self, Active, Draft, Paused};
use coupon_domain::campaign::{Revision, Scope, Transition};
use coupon_domain::model::{
    ADD_SUPPLY, CampaignHead, LoadChunk, Retirement, Revised, SupplyAdded, SupplyAddition, Transitioned, UPDATE,
};
use coupon_domain::ports::Frozen;
use coupon_domain::position::Position;
use uuid::Uuid;

use crate::build::{RoundBuilder, for_round, for_total, head, request, round, round_id, rules_like, second};
use crate::contract::scene::Scene;
use crate::under_test::GateUnderTest;

const NO_ROUNDS: [RoundBuilder; 0] = [];

/// What operators ask of a gate, with a state in which it is done.
const VERBS: [(&str, CampaignState); 6] = [
    ("ACTIVATE", Draft),
    ("PAUSE", Active),
    ("RESUME", Paused),
    ("END", Active),
    (UPDATE, Active),
    (ADD_SUPPLY, Active),
];

/// What became of a request, whatever its verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Done,
    Refused,
    Repeated,
    Used,
}

fn limited(state: CampaignState) -> CampaignHead {
    CampaignHead { state, total_limit: Some(100), ..head() }
}

/// A campaign asked by this request; unless it is done, nothing changes.
async fn asked(scene: &Scene, verb: &str, request: Uuid) -> Came {
    let (before, request) = (scene.tick().await.answers, Some(request));
    let transition = Transition::ALL.into_iter().find(|transition| transition.as_str() == verb);
    let (came, entry) = if let Some(transition) = transition {
        let decided = scene.transition_by(request, transition).await;
        let came = match decided.answers {
            Transitioned::Done(_) => Came::Done,
            Transitioned::Unchanged(_) | Transitioned::Refused(_) => Came::Refused,
            Transitioned::Repeated => Came::Repeated,
            Transitioned::RequestUsed => Came::Used,
        };
        (came, decided.entry)
    } else if verb == UPDATE {
        let rules = rules_like(&limited(before.state));
        let revision = Revision { of: before.revision, scope: Scope::Labels, rules, request };
        let decided = scene.revise(&revision).await;
        let came = match decided.answers {
            Revised::Done(_) => Came::Done,
            Revised::Outdated(_) | Revised::RoundInUse(_) | Revised::CampaignInUse | Revised::Ended => Came::Refused,
            Revised::Repeated => Came::Repeated,
            Revised::RequestUsed => Came::Used,
        };
        (came, decided.entry)
    } else {
        let decided = scene.add_supply(SupplyAddition { request, ..for_total(1) }).await;
        let came = match decided.answers {
            SupplyAdded::Done => Came::Done,
            SupplyAdded::Repeated => Came::Repeated,
            SupplyAdded::RequestUsed => Came::Used,
            other => panic!("{other:?}"),
        };
        (came, decided.entry)
    };
    assert_eq!(entry.is_some(), came == Came::Done);
    assert!(came == Came::Done || scene.tick().await.answers == before, "{verb} was {came:?} and changed something");
    came
}

/// Again and again, and also when it could be done once more.
pub async fn a_request_that_comes_again_is_carried_out_once(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    for (verb, state) in VERBS {
        let campaign = scene.beside(verb, limited(state), NO_ROUNDS).await;
        assert_eq!(asked(&campaign, verb, request(1)).await, Came::Done, "{verb}");
        for _ in 0..2 {
            assert_eq!(asked(&campaign, verb, request(1)).await, Came::Repeated, "{verb}");
        }
    }
    let campaign = scene.beside("to-and-fro", limited(Active), NO_ROUNDS).await;
    for (verb, number, came) in [
        ("PAUSE", 1, Came::Done),
        ("RESUME", 2, Came::Done),
        ("PAUSE", 1, Came::Repeated),
        ("PAUSE", 3, Came::Done),
        ("RESUME", 2, Came::Repeated),
    ] {
        assert_eq!(asked(&campaign, verb, request(number)).await, came, "{verb} by {number}");
    }
    assert_eq!(campaign.tick().await.answers.state, Paused);
}

/// Whatever it asks for now, possible or not.
pub async fn a_request_that_did_something_else_is_refused(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    for (first, state) in VERBS {
        let campaign = scene.beside(first, limited(state), NO_ROUNDS).await;
        assert_eq!(asked(&campaign, first, request(1)).await, Came::Done);
        for (other, _) in VERBS.into_iter().filter(|(other, _)| *other != first) {
            assert_eq!(asked(&campaign, other, request(1)).await, Came::Used, "{other} after {first}");
        }
    }
}

/// A no is not remembered: when it can be done, it is done.
pub async fn a_request_that_was_refused_may_come_again(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, limited(Draft), second(0), [round(1).claiming(300..360).shared_pool()]).await;
    let addition = |round, amount| SupplyAddition { round, amount, request: Some(request(2)) };
    assert_eq!(asked(&scene, "PAUSE", request(1)).await, Came::Refused);
    assert_eq!(scene.add_supply(addition(Some(round_id(1)), 1)).await.answers, SupplyAdded::NoOwnSupply);
    assert_eq!(scene.add_supply(addition(None, u32::MAX)).await.answers, SupplyAdded::TooMany);
    let revision =
        |of| Revision { of, scope: Scope::Labels, rules: rules_like(&limited(Draft)), request: Some(request(3)) };
    assert_eq!(scene.revise(&revision(7)).await.answers, Revised::Outdated(1));

    scene.transition(Transition::Activate).await;
    assert_eq!(asked(&scene, "PAUSE", request(1)).await, Came::Done);
    assert_eq!(scene.add_supply(addition(None, 1)).await.answers, SupplyAdded::Done);
    assert_eq!(scene.revise(&revision(4)).await.answers, Revised::Done(5));
}

/// Its first answer counts, whatever else it says now, and also when its round has left.
pub async fn a_request_is_known_by_its_id_and_verb_alone(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, limited(Active), second(0), [round(1).claiming(300..360).fixed(3)]).await;
    let addition = |round, amount| SupplyAddition { round, amount, request: Some(request(1)) };
    assert_eq!(scene.add_supply(addition(Some(round_id(1)), 2)).await.answers, SupplyAdded::Done);
    scene.at(second(9000)).await;
    scene.tick().await;
    assert_eq!(scene.retire(round_id(1), scene.seen().n).await.answers, Retirement::Retired);

    for round in [Some(round_id(1)), Some(round_id(2)), None] {
        for amount in [2, 5] {
            assert_eq!(scene.add_supply(addition(round, amount)).await.answers, SupplyAdded::Repeated);
        }
    }
    assert_eq!(scene.tick().await.answers.total_limit, Some(100));
    let used =
        Revision { of: 99, scope: Scope::Campaign, rules: rules_like(&limited(Active)), request: Some(request(1)) };
    assert_eq!(scene.revise(&used).await.answers, Revised::RequestUsed);
}

/// Who gives no id wants it done as often as it comes.
pub async fn what_comes_without_an_id_is_done_each_time(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, limited(Active), second(0), [round(1).claiming(300..360).fixed(3)]).await;
    for times in 1..=2 {
        assert_eq!(scene.add_supply(for_round(1, 5)).await.answers, SupplyAdded::Done);
        assert_eq!(scene.add_supply(for_total(1)).await.answers, SupplyAdded::Done);
        let view = scene.tick().await.answers;
        assert_eq!((view.rounds[0].added, view.total_limit), (5 * times, Some(100 + times)));
    }
}

/// The gate still has them.
pub async fn requests_are_known_after_a_reopening(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, limited(Draft), second(0), NO_ROUNDS).await;
    let verbs = ["ACTIVATE", "PAUSE", UPDATE, ADD_SUPPLY];
    for (verb, number) in verbs.into_iter().zip(1..) {
        assert_eq!(asked(&scene, verb, request(number)).await, Came::Done);
    }
    scene.reopen(2).await;
    for (verb, number) in verbs.into_iter().zip(1..) {
        assert_eq!(asked(&scene, verb, request(number)).await, Came::Repeated, "{verb}");
        assert_eq!(asked(&scene, "END", request(number)).await, Came::Used, "{verb}");
    }
}

/// From the ledger, in many chunks, and with them the request that created the campaign.
pub async fn requests_that_were_loaded_are_known(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    assert_eq!(scene.freeze(3).await.expect("never opened"), Frozen::Empty);
    let created = Uuid::from_u128(7);
    let all = VERBS.into_iter().zip(1..).map(|((verb, _), number)| (request(number), verb.to_owned()));
    let others = (1000..2200).map(|number| (Uuid::from_u128(number), "PAUSE".to_owned()));
    let requests: Vec<_> = all.chain([(created, "CREATE".to_owned())]).chain(others).collect();
    let position = Position { epoch: 3, n: 0 };
    let mut chunks = vec![LoadChunk::Head(CampaignHead { position, ..limited(Active) })];
    chunks.extend(requests.chunks(500).map(|some| LoadChunk::Requests(some.to_vec())));
    chunks.push(LoadChunk::Open);
    scene.load(3, chunks).await.expect("it is whole");
    scene.learn(position);

    for ((verb, _), number) in VERBS.into_iter().zip(1..) {
        assert_eq!(asked(&scene, verb, request(number)).await, Came::Repeated, "{verb}");
        assert_eq!(asked(&scene, verb, created).await, Came::Used, "{verb}");
    }
    for known in [1000, 1499, 1500, 2199] {
        assert_eq!(asked(&scene, "PAUSE", Uuid::from_u128(known)).await, Came::Repeated, "{known}");
    }
    assert_eq!(asked(&scene, "PAUSE", Uuid::from_u128(2200)).await, Came::Done);
}

/// What one campaign did by an id is no concern of another's gate; the ledger knows.
pub async fn each_campaign_knows_its_own_requests(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, limited(Active), second(0), NO_ROUNDS).await;
    let other = scene.beside("other", limited(Active), NO_ROUNDS).await;
    assert_eq!(asked(&scene, "PAUSE", request(1)).await, Came::Done);
    assert_eq!(asked(&other, "END", request(1)).await, Came::Done);
    assert_eq!(asked(&scene, "PAUSE", request(1)).await, Came::Repeated);
}
