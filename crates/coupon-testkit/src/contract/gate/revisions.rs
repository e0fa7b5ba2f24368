//! Changes of a campaign's rules: made for the revision it has, as long as what they change was not used.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::{CampaignState, Revision, Rules, Scope, Transition};
use coupon_domain::journal::{Row, Spelled as _};
use coupon_domain::model::{CampaignHead, Retirement, Revised, RoundOpening, RoundView};
use coupon_domain::ports::GateError;
use coupon_domain::round::Phase;

use crate::build::{
    RoundBuilder, for_round, for_total, head, request, round, round_id, rules, rules_like, second, user, users,
};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

const NO_ROUNDS: [RoundBuilder; 0] = [];
const SCOPES: [Scope; 3] = [Scope::Labels, Scope::Rounds, Scope::Campaign];

/// A change of the campaign's revision 1 to rules with the limits that [`head`] has.
fn revision(scope: Scope) -> Revision {
    Revision { of: 1, scope, rules: rules_like(&head()), request: None }
}

async fn changes_nothing(scene: &Scene, revision: &Revision, answer: Revised) {
    let (view, before) = (scene.tick().await.answers, scene.seen());
    let revised = scene.revise(revision).await;
    assert_eq!((revised.answers, revised.entry, revised.position), (answer, None, before), "{:?}", revision.scope);
    assert_eq!(scene.tick().await.answers, view);
}

fn numbers(rounds: &[RoundView]) -> Vec<u32> {
    rounds.iter().map(|round| round.spec.id.number()).collect()
}

/// In every state but one, with rounds in use, which stay as they are.
pub async fn labels_can_change_until_the_campaign_has_ended(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(1)).await;
    for state in [CampaignState::Draft, CampaignState::Active, CampaignState::Paused] {
        let rounds = [round(1).reserving(0..240), round(2).claiming(900..960)];
        let campaign = scene.beside(state.as_str(), CampaignHead { state, ..head() }, rounds).await;
        campaign.reserve(round_id(1), &users(2)).await;
        let before = campaign.tick().await.answers;

        assert_eq!(campaign.revise(&revision(Scope::Labels)).await.answers, Revised::Done(2));

        let after = campaign.tick().await.answers;
        assert_eq!((after.revision, after.rounds, after.state), (2, before.rounds, state));
        campaign.transition(Transition::End).await;
        for scope in SCOPES {
            changes_nothing(&campaign, &Revision { of: 3, ..revision(scope) }, Revised::Ended).await;
        }
    }
}

/// To the byte, whatever is in them, with the request or without.
pub async fn new_rules_are_journaled_as_they_came(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), NO_ROUNDS).await;
    let mut rules = rules_like(&head());
    rules.title = "50% off \"spring\" \\ 'sale' {} [] -- %s \u{2028} Frühling 春 🌸".to_owned();
    rules.metadata.insert("a key".to_owned(), "\"}\\u0000 1e5 0.1 null".to_owned());
    for (of, request) in [(1, Some(request(9))), (2, None)] {
        let revised = scene.revise(&Revision { of, scope: Scope::Labels, rules: rules.clone(), request }).await;
        let entry = revised.entry.expect("new rules are a decision");
        let id = request.map_or_else(|| "-".to_owned(), |id| id.to_string());
        assert_eq!(entry.rows, format!("rules {id} {}", rules.to_json()));
        let row = Row::Rules { rules: Box::new(rules.clone()), request };
        assert_eq!(entry.parse().expect("an entry can be read"), [row]);
    }
}

/// In one entry with the new rules; their numbers are gone, and rounds by the new rules take their starts.
pub async fn rounds_ahead_that_nobody_used_are_dropped(under_test: GateUnderTest) {
    let rounds = [
        round(3).reserving(0..90).claiming(100..160).fixed(5),
        round(9).claiming(200..260).fixed(5),
        round(4).reserving(0..9000).claiming(9100..9160),
        round(10).claiming(9200..9260),
    ];
    let scene = Scene::open(under_test, head(), second(1), rounds).await;
    scene.reserve(round_id(3), &users(1)).await;
    scene.at(second(300)).await;
    scene.tick().await;
    let before = scene.seen();

    let revised = scene.revise(&revision(Scope::Rounds)).await;

    assert_eq!(revised.answers, Revised::Done(2));
    let entry = revised.entry.expect("new rules are a decision");
    let rules = rules_like(&head()).to_json();
    assert_eq!(entry.rows, format!("retired r-4 0\nretired r-10 0\nrules - {rules}"));
    assert_eq!((entry.first, entry.last), (before.n + 1, before.n + 3));
    assert_eq!(numbers(&scene.tick().await.answers.rounds), [3, 9], "closed ones stay, used or not");
    for gone in [4, 10] {
        let reserved = scene.gate.reserve(&scene.campaign, round_id(gone), &users(1), true, scene.seen()).await;
        assert!(matches!(&reserved, Err(GateError::NoSuchRound(no)) if no.0 == round_id(gone)), "{reserved:?}");
    }
    let anew = scene.open_round(round(11).reserving(0..9000).claiming(9100..9160).of_revision(2)).await;
    assert_eq!(anew.answers, RoundOpening::Opened);
    assert!(matches!(only(&scene.reserve(round_id(11), &users(1)).await), Outcome::Granted(_)));
}

/// In whatever phase they are.
pub async fn rounds_in_any_phase_are_dropped_as_long_as_nobody_used_them(under_test: GateUnderTest) {
    let rounds = [
        round(1).claiming(250..360).fixed(5),
        round(2).reserving(0..290).claiming(400..460),
        round(3).reserving(0..420).claiming(500..560).fixed(5).drawn(),
        round(4).claiming(600..660).shared_pool(),
    ];
    let scene = Scene::open(under_test, head(), second(300), rounds).await;
    let phases: Vec<_> = scene.tick().await.answers.rounds.iter().map(|round| round.phase).collect();
    assert_eq!(phases, [Phase::Claiming, Phase::Waiting, Phase::Reserving, Phase::Planned]);

    assert_eq!(scene.revise(&revision(Scope::Campaign)).await.answers, Revised::Done(2));

    assert_eq!(scene.tick().await.answers.rounds, []);
}

/// By a place or by a coupon; the one with the lowest number is named, and the rounds beside it stay.
pub async fn rounds_cannot_change_while_one_is_in_use(under_test: GateUnderTest) {
    let rounds = [
        round(2).claiming(100..160).fixed(5),
        round(10).reserving(0..900).claiming(1000..1060),
        round(11).claiming(9000..9060),
    ];
    let scene = Scene::open(under_test, head(), second(100), rounds).await;
    let ada = [user("ada")];
    scene.reserve(round_id(10), &ada).await;
    for scope in [Scope::Rounds, Scope::Campaign] {
        changes_nothing(&scene, &revision(scope), Revised::RoundInUse(round_id(10))).await;
    }
    scene.claim(round_id(2), &ada).await;
    for scope in [Scope::Rounds, Scope::Campaign] {
        changes_nothing(&scene, &revision(scope), Revised::RoundInUse(round_id(2))).await;
    }
    assert_eq!(numbers(&scene.tick().await.answers.rounds), [2, 10, 11]);
}

/// What counts over all rounds is not changed behind a round that was used, nor behind one that has left.
pub async fn what_counts_over_all_rounds_cannot_change_after_the_first_use(under_test: GateUnderTest) {
    let rounds = [round(1).claiming(100..160).fixed(5), round(2).claiming(9000..9060)];
    let scene = Scene::open(under_test, head(), second(100), rounds).await;
    scene.claim(round_id(1), &users(1)).await;
    scene.at(second(5000)).await;
    scene.tick().await;
    changes_nothing(&scene, &revision(Scope::Campaign), Revised::RoundInUse(round_id(1))).await;
    assert_eq!(scene.retire(round_id(1), scene.seen().n).await.answers, Retirement::Retired);

    changes_nothing(&scene, &revision(Scope::Campaign), Revised::CampaignInUse).await;

    assert_eq!(scene.revise(&revision(Scope::Rounds)).await.answers, Revised::Done(2), "rounds to come may");
    assert_eq!(scene.tick().await.answers.rounds, []);
}

/// The total limit, coupons a user may have, and whether they are counted over rounds: from then on the new ones hold.
pub async fn new_limits_hold_from_then_on(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(1)).await;
    let once = CampaignHead { counts_users: false, ..head() };
    let two_each = CampaignHead { max_per_user: 2, total_limit: Some(5), ..head() };
    for (case, before, after, coupons) in [
        ("counted", once.clone(), two_each.clone(), [3, 2, 0]),
        ("limited", head(), two_each.clone(), [3, 2, 0]),
        ("freed", two_each.clone(), head(), [3, 0, 0]),
        ("not-counted", two_each, once, [3, 3, 3]),
    ] {
        scene.at(second(1)).await;
        let campaign = scene.beside(case, before, [round(9).claiming(900..960)]).await;
        let taken = Revision { rules: rules_like(&after), ..revision(Scope::Campaign) };
        assert_eq!(campaign.revise(&taken).await.answers, Revised::Done(2));
        assert_eq!(campaign.tick().await.answers.total_limit, after.total_limit);
        for (number, coupons) in (1..=3).zip(coupons) {
            let start = i64::from(number) * 100;
            let opening = campaign.open_round(round(number).claiming(start..start + 60).of_revision(2)).await;
            assert_eq!(opening.answers, RoundOpening::Opened);
            scene.at(second(start)).await;
            let claimed = outcomes(&campaign.claim(round_id(number), &users(3)).await);
            assert_eq!(granted(&claimed), coupons, "{case}, round {number}: {claimed:?}");
        }
    }
}

/// A change of what is no more, or not yet: the revision is told for which it would have to be made.
pub async fn a_change_for_another_revision_is_outdated(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [round(1).claiming(900..960)]).await;
    let for_revision = |of, scope| Revision { of, ..revision(scope) };
    for scope in SCOPES {
        for of in [0, 2, 7, u64::MAX >> 12] {
            changes_nothing(&scene, &for_revision(of, scope), Revised::Outdated(1)).await;
        }
    }
    assert_eq!(scene.revise(&for_revision(1, Scope::Labels)).await.answers, Revised::Done(2));
    changes_nothing(&scene, &for_revision(1, Scope::Labels), Revised::Outdated(2)).await;
    scene.transition(Transition::Pause).await;
    changes_nothing(&scene, &for_revision(2, Scope::Labels), Revised::Outdated(3)).await;
    assert_eq!(scene.revise(&for_revision(3, Scope::Rounds)).await.answers, Revised::Done(4));
}

/// Known by its request, ended, outdated, in use: the first is told.
pub async fn a_change_is_refused_in_the_order_of_the_rules(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(100), [round(1).claiming(100..160).fixed(5)]).await;
    scene.claim(round_id(1), &users(1)).await;
    let by = |number, of| Revision { of, request: Some(request(number)), ..revision(Scope::Campaign) };
    assert_eq!(scene.revise(&Revision { scope: Scope::Labels, ..by(1, 1) }).await.answers, Revised::Done(2));

    changes_nothing(&scene, &by(2, 2), Revised::RoundInUse(round_id(1))).await;
    changes_nothing(&scene, &by(2, 1), Revised::Outdated(2)).await;
    scene.transition_by(Some(request(3)), Transition::End).await;
    changes_nothing(&scene, &by(2, 1), Revised::Ended).await;
    changes_nothing(&scene, &by(1, 1), Revised::Repeated).await;
    changes_nothing(&scene, &by(3, 1), Revised::RequestUsed).await;
}

/// A planner that has not heard of a change plans nothing by what was before it.
pub async fn a_round_planned_by_another_revision_is_outdated(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [round(1).claiming(300..360)]).await;
    let open = async |revision| {
        let opening = scene.open_round(round(2).claiming(900..960).of_revision(revision)).await;
        (opening.answers, opening.entry.is_some())
    };
    assert_eq!(open(2).await, (RoundOpening::Outdated(1), false));
    scene.revise(&revision(Scope::Rounds)).await;
    assert_eq!(open(1).await, (RoundOpening::Outdated(2), false));
    scene.transition(Transition::Pause).await;
    assert_eq!(open(2).await, (RoundOpening::Outdated(3), false));
    // It is told before a round in the way, and behind the campaign's end.
    assert_eq!(open(3).await, (RoundOpening::Opened, true));
    assert_eq!(open(2).await, (RoundOpening::Outdated(3), false));
    assert_eq!(open(3).await, (RoundOpening::AlreadyThere(round_id(2)), false));
    scene.transition(Transition::End).await;
    assert_eq!(open(3).await, (RoundOpening::CampaignEnded, false));
}

/// Of rules and state, each once; what changes neither does not count.
pub async fn the_revision_counts_changes_of_rules_and_state(under_test: GateUnderTest) {
    let limited = CampaignHead { state: CampaignState::Draft, total_limit: Some(9), revision: 4, ..head() };
    let scene = Scene::open(under_test, limited, second(1), [round(1).reserving(0..240).fixed(5).of_revision(4)]).await;
    let revised = async || scene.tick().await.answers.revision;
    assert_eq!(revised().await, 4);
    for (transition, revision) in [
        (Transition::Pause, 4),
        (Transition::Activate, 5),
        (Transition::Activate, 5),
        (Transition::Pause, 6),
        (Transition::Resume, 7),
    ] {
        scene.transition(transition).await;
        assert_eq!(revised().await, revision, "{transition:?}");
    }
    scene.reserve(round_id(1), &users(3)).await;
    scene.open_round(round(2).claiming(900..960).of_revision(7)).await;
    scene.add_supply(for_round(1, 5)).await;
    assert_eq!(revised().await, 7, "neither rules nor state");
    scene.add_supply(for_total(5)).await;
    assert_eq!(revised().await, 8);
    scene.reopen(2).await;
    let limits = Rules { total_limit: Some(14), ..rules() };
    scene.revise(&Revision { of: 8, rules: limits, ..revision(Scope::Labels) }).await;
    assert_eq!(revised().await, 9);
    scene.transition(Transition::End).await;
    assert_eq!(revised().await, 10);
}

/// A round may be over though nobody has seen it: that is journaled first, and the change judged behind it.
pub async fn a_boundary_passed_unseen_comes_before_a_change_of_rules(under_test: GateUnderTest) {
    let rounds = [round(1).claiming(100..160).fixed(5), round(2).reserving(200..290).claiming(300..360).fixed(5)];
    let scene = Scene::open(under_test, head(), second(100), rounds).await;
    scene.claim(round_id(1), &users(1)).await;
    scene.at(second(200)).await;

    let revised = scene.revise(&revision(Scope::Rounds)).await;

    assert_eq!(revised.answers, Revised::Done(2));
    let rules = rules_like(&head()).to_json();
    let expected = format!("phase r-1 CLOSED 0 5 -\nphase r-2 RESERVING 0 5 -\nretired r-2 0\nrules - {rules}");
    assert_eq!(revised.entry.expect("a decision").rows, expected);

    let other = round(3).reserving(200..290).claiming(300..360).fixed(5).of_revision(2);
    assert_eq!(scene.open_round(other).await.answers, RoundOpening::Opened);
    let refused = scene.revise(&revision(Scope::Rounds)).await;
    assert_eq!(refused.answers, Revised::Outdated(2));
    assert_eq!(refused.entry.expect("a decision").rows, "phase r-3 RESERVING 0 5 -", "a refusal journals it too");
    assert_eq!(only(&scene.claim(round_id(1), &[user("late")]).await), Outcome::Refused(Refusal::Closed));
}
