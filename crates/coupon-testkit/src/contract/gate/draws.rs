//! Rounds whose places are drawn: who won may claim, and as many win as there are coupons.

use std::time::Duration;

use coupon_domain::answer::{Issued, Outcome, Refusal};
use coupon_domain::campaign::Transition;
use coupon_domain::model::{CampaignHead, DrawConclusion};
use coupon_domain::position::Chain;
use coupon_domain::supply::Rounding;
use tokio::task::JoinSet;

use crate::build::{RoundBuilder, head, round, round_id, second, user, users, winners};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

const IN_TIME: DrawConclusion = DrawConclusion::Drawn(Duration::ZERO);

fn of_places(number: u32) -> RoundBuilder {
    round(number).reserving(0..240).claiming(300..360).drawn()
}

/// Round 1 with so many places, user `u-<t>` with ticket t; reservation has closed and the gate knows it.
async fn closed_with(under_test: GateUnderTest, places: u32, rush: RoundBuilder) -> Scene {
    let scene = Scene::open(under_test, head(), second(1), [rush]).await;
    scene.reserve_all(round_id(1), &users(places)).await;
    scene.at(second(240)).await;
    scene.tick().await;
    scene
}

fn refused<T>(outcomes: &[Outcome<T>], refusal: Refusal) -> usize {
    outcomes.iter().filter(|o| matches!(o, Outcome::Refused(no) if *no == refusal)).count()
}

/// Nobody gets a coupon before; afterwards each winner one, in the order in which they come, and the others none.
pub async fn claims_wait_for_the_draw_and_then_only_winners_get_coupons(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 10, of_places(1).ratio(1, 5)).await;
    let (one, all) = (round_id(1), users(10));
    scene.at(second(300)).await;
    assert_eq!(outcomes(&scene.claim(one, &all).await), [Outcome::Refused(Refusal::DrawPending); 10]);
    assert!(!scene.view(one).await.drawn);

    assert_eq!(scene.conclude_draw(one, &winners(10, [3, 8])).await.answers, IN_TIME);
    let late_first: Vec<_> = all.iter().rev().cloned().collect();
    let claimed = outcomes(&scene.claim(one, &late_first).await);

    for (outcome, ticket) in claimed.iter().zip((0..10).rev()) {
        let coupon = |serial| Outcome::Granted(Issued { serial, claimed_at: second(300) });
        let expected = match ticket {
            8 => coupon(0),
            3 => coupon(1),
            _ => Outcome::Refused(Refusal::NotDrawn),
        };
        assert_eq!(*outcome, expected, "ticket {ticket}");
    }
    let again = outcomes(&scene.claim(one, &all).await);
    assert_eq!((granted(&again), refused(&again, Refusal::NotDrawn)), (0, 8));
    let view = scene.view(one).await;
    assert_eq!((view.drawn, view.supply, view.issued, view.delay), (true, Some(2), 2, Duration::ZERO));
}

/// From the very moment at which reservation closes, and claims open when they were to.
pub async fn a_draw_before_claims_open_moves_nothing(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 4, of_places(1).ratio(1, 2)).await;
    let (one, ada) = (round_id(1), [user("u-2")]);
    assert_eq!(scene.conclude_draw(one, &winners(4, [1, 2])).await.answers, IN_TIME);

    scene.at(second(299)).await;
    assert_eq!(only(&scene.claim(one, &ada).await), Outcome::Refused(Refusal::NotOpenYet));
    scene.at(second(300)).await;
    assert!(matches!(only(&scene.claim(one, &ada).await), Outcome::Granted(_)));
    let view = scene.view(one).await;
    assert_eq!((view.delay, view.claim()), (Duration::ZERO, view.spec.claim));
}

/// The share or the number, but no more than places, than the total limit at planning, and than it leaves when reservation closes.
pub async fn as_many_win_as_there_are_coupons_places_and_what_the_total_limit_leaves(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(1)).await;
    let fifth = |rounding| of_places(1).ratio_rounded(1, 5, rounding);
    let limited = |total_limit, issued| CampaignHead { total_limit: Some(total_limit), issued, ..head() };
    for (case, head, rush, places, expected) in [
        ("a fifth, down", head(), fifth(Rounding::Floor), 9, 1),
        ("a fifth, up", head(), fifth(Rounding::Ceil), 6, 2),
        ("a fifth, half up", head(), fifth(Rounding::Nearest), 8, 2),
        ("a fifth, less than half", head(), fifth(Rounding::Nearest), 7, 1),
        ("a fifth of too few", head(), fifth(Rounding::Floor), 4, 0),
        ("all of them", head(), of_places(1).ratio(1, 1), 8, 8),
        ("a number", head(), of_places(1).fixed(3), 10, 3),
        ("more coupons than places", head(), of_places(1).fixed(30), 10, 10),
        ("half, within the limit at planning", limited(9, 0), of_places(1).ratio(1, 2).drawn_within(Some(4)), 10, 4),
        ("half, within what is left", limited(9, 6), of_places(1).ratio(1, 2).drawn_within(Some(9)), 10, 3),
        ("a number, within what is left", limited(9, 7), of_places(1).fixed(6).drawn_within(Some(9)), 10, 2),
        ("a number, whatever the limit at planning", limited(9, 0), of_places(1).fixed(6).drawn_within(Some(4)), 10, 6),
        ("nothing left", limited(9, 9), of_places(1).fixed(6).drawn_within(Some(9)), 10, 0),
    ] {
        scene.at(second(1)).await;
        let campaign = scene.beside(&case.replace([' ', ','], "-"), head, [rush]).await;
        campaign.reserve(round_id(1), &users(places)).await;
        scene.at(second(240)).await;
        assert_eq!(campaign.view(round_id(1)).await.supply, Some(expected), "{case}");
        for wrong in [expected.checked_sub(1), Some(expected + 1)].into_iter().flatten().filter(|w| *w <= places) {
            let concluded = campaign.conclude_draw(round_id(1), &winners(places, 0..wrong)).await;
            assert_eq!(concluded.answers, DrawConclusion::NotWhole, "{case}, {wrong} winners");
        }
        let last = places - expected..places;
        assert_eq!(campaign.conclude_draw(round_id(1), &winners(places, last)).await.answers, IN_TIME, "{case}");

        scene.at(second(300)).await;
        let claimed = outcomes(&campaign.claim(round_id(1), &users(places)).await);
        let (lost, won) = claimed.split_at((places - expected) as usize);
        assert_eq!(granted(won), expected as usize, "{case}: {won:?}");
        assert_eq!(refused(lost, Refusal::NotDrawn), lost.len(), "{case}: {lost:?}");
        assert_eq!(campaign.view(round_id(1)).await.issued, expected, "{case}");
    }
}

/// Who reserves afterwards would have no chance. A round that is not drawn has no draw at any time.
pub async fn a_draw_is_not_due_before_reservation_has_closed(under_test: GateUnderTest) {
    let rounds = [of_places(1).fixed(1), round(2).reserving(0..240).claiming(400..460).fixed(1)];
    let scene = Scene::open(under_test, head(), second(-1), rounds).await;
    let not_due = async |number: u32| {
        scene.tick().await;
        let before = scene.seen();
        let concluded = scene.conclude_draw(round_id(number), &winners(2, [0])).await;
        assert_eq!((concluded.answers, concluded.entry, concluded.position), (DrawConclusion::NotDue, None, before));
    };
    not_due(1).await;
    scene.at(second(0)).await;
    scene.reserve(round_id(1), &users(2)).await;
    scene.reserve(round_id(2), &users(2)).await;
    for at in [second(0), second(239)] {
        scene.at(at).await;
        not_due(1).await;
        not_due(2).await;
    }
    scene.at(second(240)).await;
    assert_eq!(scene.conclude_draw(round_id(1), &winners(2, [0])).await.answers, IN_TIME);
    for at in [second(240), second(400), second(500)] {
        scene.at(at).await;
        not_due(2).await;
    }
}

/// Whatever is brought then, right or wrong, the same or others.
pub async fn a_draw_is_concluded_once(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 10, of_places(1).ratio(1, 5)).await;
    let one = round_id(1);
    scene.conclude_draw(one, &winners(10, [3, 8])).await;
    let before = scene.seen();

    for again in [winners(10, [3, 8]), winners(10, [0, 1]), winners(10, []), vec![]] {
        let concluded = scene.conclude_draw(one, &again).await;
        let nothing = (DrawConclusion::AlreadyDrawn, None, before);
        assert_eq!((concluded.answers, concluded.entry, concluded.position), nothing, "{again:?}");
    }
    scene.at(second(300)).await;
    let claimed = outcomes(&scene.claim(one, &["u-0", "u-1", "u-3", "u-8"].map(user)).await);
    assert_eq!((refused(&claimed[..2], Refusal::NotDrawn), granted(&claimed[2..])), (2, 2));
}

/// Too short, too long, too few, too many, of tickets that nobody has: the draw is still awaited.
pub async fn winners_that_do_not_fit_change_nothing(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 12, of_places(1).ratio(1, 4)).await;
    let one = round_id(1);
    scene.at(second(300)).await;
    scene.tick().await;
    let before = scene.seen();

    for wrong in [
        vec![],
        vec![0b1110_0000],
        vec![0b1110_0000, 0, 0],
        winners(12, []),
        winners(12, [0, 11]),
        winners(12, [0, 5, 6, 11]),
        vec![0b1100_0000, 0b0000_1000],
        vec![0b1110_0000, 0b0000_0001],
        vec![0b1000_0000, 0b0001_0001],
    ] {
        let concluded = scene.conclude_draw(one, &wrong).await;
        let nothing = (DrawConclusion::NotWhole, None, before);
        assert_eq!((concluded.answers, concluded.entry, concluded.position), nothing, "{wrong:?}");
        assert_eq!(only(&scene.claim(one, &users(1)).await), Outcome::Refused(Refusal::DrawPending));
    }
    assert_eq!(scene.conclude_draw(one, &winners(12, [0, 7, 11])).await.answers, IN_TIME);
    assert_eq!(granted(&outcomes(&scene.claim(one, &users(12)).await)), 3);
}

/// Nobody reserved: there is nothing to wait for, and nobody wins.
pub async fn a_draw_of_no_places_has_no_winners(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 0, of_places(1).fixed(5)).await;
    let one = round_id(1);
    assert_eq!(scene.conclude_draw(one, &[0]).await.answers, DrawConclusion::NotWhole);

    let concluded = scene.conclude_draw(one, &[]).await;

    assert_eq!(concluded.answers, IN_TIME);
    let rows = concluded.entry.expect("a draw is a decision").rows;
    assert_eq!(rows, "drawn r-1 0 da39a3ee5e6b4b0d3255bfef95601890afd80709 0");
    scene.at(second(300)).await;
    assert_eq!(only(&scene.claim(one, &users(1)).await), Outcome::Refused(Refusal::NotReserved));
    let view = scene.view(one).await;
    assert_eq!((view.drawn, view.supply, view.places), (true, Some(0), 0));
}

/// Each batch of 500 asks for its first user twice.
pub async fn two_thousand_places_are_drawn_and_claimed_in_batches(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 2000, of_places(1).ratio(1, 5)).await;
    let one = round_id(1);
    let everyone: Vec<_> = users(2000).into_iter().zip(0..).collect();
    assert_eq!(scene.conclude_draw(one, &winners(2000, (3..2000).step_by(5))).await.answers, IN_TIME);
    scene.at(second(300)).await;

    let mut serials = Vec::new();
    for batch in everyone.chunks(499) {
        let twice = [batch, &batch[..1]].concat();
        let names: Vec<_> = twice.iter().map(|(name, _)| name.clone()).collect();
        let claimed = outcomes(&scene.claim(one, &names).await);
        for ((name, ticket), outcome) in twice.iter().zip(&claimed) {
            match outcome {
                Outcome::Granted(coupon) => serials.push(coupon.serial),
                Outcome::Replayed(_) | Outcome::Refused(_) => {}
            }
            let won = matches!(outcome, Outcome::Granted(_) | Outcome::Replayed(_));
            assert_eq!(won, ticket % 5 == 3, "{name}: {outcome:?}");
            assert!(won || *outcome == Outcome::Refused(Refusal::NotDrawn), "{name}: {outcome:?}");
        }
        let last = claimed.len() - 1;
        assert!(!matches!(claimed[last], Outcome::Granted(_)), "the first of the batch was asked for again");
    }
    assert_eq!(serials, (0..400).collect::<Vec<_>>());
    assert_eq!(scene.view(one).await.issued, 400);
}

/// Each byte there is, in one bitmap: winners are bytes, not text.
pub async fn winners_may_be_any_bits(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 2048, of_places(1).ratio(1, 2)).await;
    let (one, bitmap) = (round_id(1), (0..=255).collect::<Vec<u8>>());

    let concluded = scene.conclude_draw(one, &bitmap).await;

    assert_eq!(concluded.answers, IN_TIME);
    let rows = concluded.entry.expect("a draw is a decision").rows;
    assert_eq!(rows, format!("drawn r-1 1024 {} 0", Chain::of(&[&bitmap])));
    scene.at(second(300)).await;
    let everyone: Vec<_> = users(2048).into_iter().zip(bitmap.iter().flat_map(|byte| bits(*byte))).collect();
    for batch in everyone.chunks(500) {
        let names: Vec<_> = batch.iter().map(|(name, _)| name.clone()).collect();
        for ((name, won), outcome) in batch.iter().zip(outcomes(&scene.claim(one, &names).await)) {
            assert_eq!(matches!(outcome, Outcome::Granted(_)), *won, "{name}: {outcome:?}");
        }
    }
}

/// From the most significant one on.
fn bits(byte: u8) -> impl Iterator<Item = bool> {
    (0..8).rev().map(move |bit| byte >> bit & 1 == 1)
}

/// Two instances that come to different winners, which no draw does: those of one of them count.
pub async fn of_many_conclusions_at_once_one_counts(under_test: GateUnderTest) {
    let scene = closed_with(under_test, 40, of_places(1).ratio(1, 4)).await;
    let one = round_id(1);
    let mut calls = JoinSet::new();
    for first in 0..30 {
        let (gate, campaign, seen) = (scene.gate.clone(), scene.campaign.clone(), scene.seen());
        calls.spawn(async move {
            let concluded = gate.conclude_draw(&campaign, one, &winners(40, first..first + 10), seen).await;
            (concluded.expect("an open gate answers").answers, first)
        });
    }
    let answers = calls.join_all().await;

    let [first] =
        answers.iter().filter(|(answer, _)| *answer == IN_TIME).map(|(_, first)| *first).collect::<Vec<_>>()[..]
    else {
        panic!("one counts: {answers:?}")
    };
    assert!(answers.iter().all(|(answer, _)| [IN_TIME, DrawConclusion::AlreadyDrawn].contains(answer)), "{answers:?}");
    scene.at(second(300)).await;
    for (ticket, outcome) in (0..).zip(outcomes(&scene.claim(one, &users(40)).await)) {
        assert_eq!(matches!(outcome, Outcome::Granted(_)), (first..first + 10).contains(&ticket), "ticket {ticket}");
    }
}

/// How many won, the SHA-1 of who, and no delay; a boundary that nobody had seen is passed first, in the same entry.
pub async fn a_draw_is_journaled_behind_the_phase_it_sees_first(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [of_places(1).ratio(1, 5)]).await;
    let one = round_id(1);
    scene.reserve(one, &users(10)).await;
    let before = scene.seen();
    scene.at(second(240)).await;

    let concluded = scene.conclude_draw(one, &winners(10, [3, 8])).await;

    let entry = concluded.entry.expect("a draw is a decision");
    assert_eq!((entry.first, entry.last), (before.n + 1, before.n + 2));
    assert_eq!(entry.rows, "phase r-1 WAITING 10 2 -\ndrawn r-1 2 ecb9c59f6f5f374698a3d55b86f61a389662f1b0 0");
    assert_eq!(scene.entries_after(before.n).await, [entry]);
}

/// The draw is about places that were given; whether coupons are given is another matter.
pub async fn a_round_is_drawn_whatever_the_campaigns_state(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(1)).await;
    for (transition, refusal) in [(Transition::Pause, Refusal::Paused), (Transition::End, Refusal::Closed)] {
        scene.at(second(1)).await;
        let campaign = scene.beside(transition.as_str(), head(), [of_places(1).ratio(1, 2)]).await;
        campaign.reserve(round_id(1), &users(4)).await;
        campaign.transition(transition).await;
        scene.at(second(300)).await;
        assert_eq!(campaign.conclude_draw(round_id(1), &winners(4, [0, 1])).await.answers, IN_TIME);
        assert_eq!(outcomes(&campaign.claim(round_id(1), &users(4)).await), [Outcome::Refused(refusal); 4]);
        campaign.transition(Transition::Resume).await;
        let resumed = granted(&outcomes(&campaign.claim(round_id(1), &users(4)).await));
        assert_eq!(resumed, if transition == Transition::Pause { 2 } else { 0 });
    }
}
