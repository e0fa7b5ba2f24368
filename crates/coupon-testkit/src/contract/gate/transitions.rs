//! The operator's changes of a campaign's state, decided in one order with places and coupons.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::journal::Row;
use coupon_domain::model::{CampaignHead, Retirement, RoundOpening, Transitioned};
use coupon_domain::position::{Chain, Position};
use uuid::Uuid;

use crate::build::{RoundBuilder, head, round, round_id, second, user};
use crate::contract::scene::{Scene, only, outcomes};
use crate::under_test::GateUnderTest;

/// The way of every campaign: frozen empty, loaded with nothing, its round opened, activated; then it gives places.
pub async fn a_new_campaign_is_opened_loaded_and_activated(under_test: GateUnderTest) {
    let draft = CampaignHead { state: CampaignState::Draft, ..head() };
    let scene = Scene::open(under_test, draft, second(1), [round(1).reserving(0..240)]).await;
    let ada = [user("ada")];
    assert_eq!(scene.seen(), Position { epoch: 1, n: 1 });
    assert_eq!(only(&scene.reserve(round_id(1), &ada).await), Outcome::Refused(Refusal::NotOpenYet));

    let activated = scene.transition(Transition::Activate).await;

    assert_eq!(activated.answers, Transitioned::Done(CampaignState::Active));
    assert!(matches!(only(&scene.reserve(round_id(1), &ada).await), Outcome::Granted(_)));
    let entries = scene.entries_after(0).await;
    assert_eq!(entries[0].prev, Chain::default());
    assert!(entries.iter().all(|entry| entry.epoch == 1));
}

/// Done from there, unchanged where it leads to, refused elsewhere; only what is done is written.
pub async fn each_transition_starts_from_one_state(under_test: GateUnderTest) {
    use CampaignState::{Active, Draft, Ended, Paused};
    use Transitioned::{Done, Refused, Unchanged};
    let scene = Scene::unopened(under_test, second(0)).await;
    for (state, transition, answer) in [
        (Draft, Transition::Activate, Done(Active)),
        (Draft, Transition::Pause, Refused(Draft)),
        (Draft, Transition::Resume, Refused(Draft)),
        (Draft, Transition::End, Done(Ended)),
        (Active, Transition::End, Done(Ended)),
        (Paused, Transition::End, Done(Ended)),
        (Ended, Transition::End, Unchanged(Ended)),
        (Active, Transition::Activate, Unchanged(Active)),
        (Active, Transition::Pause, Done(Paused)),
        (Active, Transition::Resume, Unchanged(Active)),
        (Paused, Transition::Activate, Refused(Paused)),
        (Paused, Transition::Pause, Unchanged(Paused)),
        (Paused, Transition::Resume, Done(Active)),
        (Ended, Transition::Activate, Refused(Ended)),
        (Ended, Transition::Pause, Refused(Ended)),
        (Ended, Transition::Resume, Refused(Ended)),
    ] {
        let none: [RoundBuilder; 0] = [];
        let id = format!("{state}-{}", transition.as_str());
        let campaign = scene.beside(&id, CampaignHead { state, ..head() }, none).await;
        let decided = campaign.transition(transition).await;
        assert_eq!(decided.answers, answer, "{transition:?} from {state}");
        let n = u64::from(matches!(answer, Done(_)));
        assert_eq!((decided.position.n, decided.entry.is_some()), (n, n == 1));
        let (Done(now) | Unchanged(now) | Refused(now)) = answer else { panic!("{answer:?}") };
        assert_eq!(campaign.tick().await.answers.state, now);
    }
}

/// So that the ledger can tell the operator's repeat from a new request.
pub async fn a_transition_is_journaled_with_its_request(under_test: GateUnderTest) {
    let none: [RoundBuilder; 0] = [];
    let scene = Scene::open(under_test, head(), second(5), none).await;
    let request = Uuid::from_u128(0x0190_a8f0_1111_7222_8333_4444_5555_6666);

    scene.transition_by(Some(request), Transition::Pause).await;
    scene.transition(Transition::Resume).await;

    let state = |state, verb: &str, request| Row::State { state, verb: verb.to_owned(), request };
    let expected = [state(CampaignState::Paused, "PAUSE", Some(request)), state(CampaignState::Active, "RESUME", None)];
    assert_eq!(scene.rows().await, expected);
    assert_eq!(scene.entries_after(0).await[0].rows, format!("state PAUSED PAUSE {request}"));
}

/// From whichever state: what was given stays, nothing more is given, and nothing brings it back.
pub async fn an_ended_campaign_is_over_for_good(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(1)).await;
    let (one, both) = (round_id(1), ["ada", "bob"].map(user));
    let (no_place, no_coupon) = (Outcome::Refused(Refusal::Closed), Outcome::Refused(Refusal::Closed));
    for leads_to in [vec![], vec![Transition::Pause]] {
        scene.at(second(1)).await;
        let id = format!("{}-transitions", leads_to.len());
        let rush = round(1).reserving(0..240).claiming(300..360).fixed(5);
        let campaign = scene.beside(&id, head(), [rush, round(2).claiming(900..960)]).await;
        let place = only(&campaign.reserve(one, &both[..1]).await);
        scene.at(second(300)).await;
        let coupon = only(&campaign.claim(one, &both[..1]).await);
        let (Outcome::Granted(place), Outcome::Granted(coupon)) = (place, coupon) else {
            panic!("{place:?} {coupon:?}")
        };
        for transition in leads_to {
            campaign.transition(transition).await;
        }

        let ended = campaign.transition(Transition::End).await;

        assert_eq!(ended.answers, Transitioned::Done(CampaignState::Ended));
        assert_eq!(ended.entry.expect("a decision").rows, "state ENDED END -");
        assert_eq!(outcomes(&campaign.reserve(one, &both).await), [Outcome::Replayed(place), no_place]);
        assert_eq!(outcomes(&campaign.claim(one, &both).await), [Outcome::Replayed(coupon), no_coupon]);
        for transition in [Transition::Activate, Transition::Pause, Transition::Resume] {
            assert_eq!(campaign.transition(transition).await.answers, Transitioned::Refused(CampaignState::Ended));
        }
        let revision = campaign.tick().await.answers.revision;
        let opening = campaign.open_round(round(3).claiming(5000..5060).of_revision(revision)).await;
        assert_eq!(opening.answers, RoundOpening::CampaignEnded);
        // A round that nobody used has nothing to wait for.
        assert_eq!(campaign.retire(round_id(2), campaign.seen().n).await.answers, Retirement::Retired);
        assert_eq!(campaign.retire(one, campaign.seen().n).await.answers, Retirement::Kept);
    }
    let rush = [round(1).reserving(0..240).claiming(300..360).fixed(5)];
    let draft = scene.beside("draft", CampaignHead { state: CampaignState::Draft, ..head() }, rush).await;
    draft.transition(Transition::End).await;
    for at in [second(1), second(300)] {
        scene.at(at).await;
        assert_eq!(outcomes(&draft.reserve(one, &both).await), [no_place; 2]);
        assert_eq!(outcomes(&draft.claim(one, &both).await), [no_coupon; 2]);
    }
}
