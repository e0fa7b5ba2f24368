//! Coupons that an operator adds: exactly so many more, once.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::ids::UserId;
use coupon_domain::model::{CampaignHead, SupplyAdded, SupplyAddition};
use coupon_domain::supply::Supply;
use tokio::task::JoinSet;

use crate::build::{RoundBuilder, for_round, for_total, head, request, round, round_id, second, users, winners};
use crate::contract::scene::{Scene, granted, outcomes};
use crate::under_test::GateUnderTest;

fn of_places() -> RoundBuilder {
    round(1).reserving(0..240).claiming(300..360)
}

/// How many of these get a coupon of round 1; the others are told that none is left.
async fn get_coupons(scene: &Scene, users: &[UserId]) -> usize {
    let claimed = outcomes(&scene.claim(round_id(1), users).await);
    let sold_out = claimed.iter().filter(|o| **o == Outcome::Refused(Refusal::SoldOut)).count();
    let replayed = claimed.iter().filter(|o| matches!(o, Outcome::Replayed(_))).count();
    assert_eq!(granted(&claimed) + replayed + sold_out, users.len(), "{claimed:?}");
    granted(&claimed)
}

async fn changes_nothing(scene: &Scene, addition: SupplyAddition, answer: SupplyAdded) {
    let (view, before) = (scene.tick().await.answers, scene.seen());
    let added = scene.add_supply(addition).await;
    assert_eq!((added.answers, added.entry, added.position), (answer, None, before), "{addition:?}");
    assert_eq!(scene.tick().await.answers, view);
}

/// They go to those who come after it, and not one more.
pub async fn fifty_coupons_added_after_sold_out_are_exactly_fifty_more(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(300), [round(1).claiming(300..360).fixed(20)]).await;
    let all = users(100);
    assert_eq!(get_coupons(&scene, &all[..40]).await, 20);

    let added = scene.add_supply(SupplyAddition { request: Some(request(1)), ..for_round(1, 50) }).await;

    assert_eq!(added.answers, SupplyAdded::Done);
    let rows = added.entry.expect("an addition is a decision").rows;
    assert_eq!(rows, format!("supply r-1 50 50 70 {}", request(1)));
    assert_eq!(get_coupons(&scene, &all).await, 50);
    let view = scene.view(round_id(1)).await;
    assert_eq!((view.supply, view.added, view.issued), (Some(70), 50, 70));
    assert_eq!(view.spec.supply, Supply::Fixed(20), "the plan stays");

    let added = scene.add_supply(for_round(1, 3)).await;
    assert_eq!(added.entry.expect("an addition is a decision").rows, "supply r-1 3 53 73 -");
    assert_eq!(get_coupons(&scene, &all).await, 3);
}

/// The share comes to what it comes to, and they are on top; before that the supply is still unknown.
pub async fn coupons_added_before_the_share_is_known_are_on_top_of_it(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(-1), [of_places().ratio(1, 5)]).await;
    assert_eq!(scene.add_supply(for_round(1, 2)).await.entry.expect("a decision").rows, "supply r-1 2 2 - -");
    scene.at(second(1)).await;
    scene.reserve(round_id(1), &users(10)).await;
    assert_eq!(scene.add_supply(for_round(1, 1)).await.entry.expect("a decision").rows, "supply r-1 1 3 - -");
    let view = scene.view(round_id(1)).await;
    assert_eq!((view.supply, view.added), (None, 3));

    scene.at(second(240)).await;
    assert_eq!(scene.view(round_id(1)).await.supply, Some(5));
    scene.at(second(300)).await;
    assert_eq!(get_coupons(&scene, &users(10)).await, 5);
}

/// While places are waiting and while they claim.
pub async fn coupons_added_after_the_share_is_known_are_on_top_of_it(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [of_places().ratio(1, 5)]).await;
    scene.reserve(round_id(1), &users(10)).await;
    scene.at(second(240)).await;
    scene.tick().await;
    assert_eq!(scene.add_supply(for_round(1, 2)).await.entry.expect("a decision").rows, "supply r-1 2 2 4 -");
    scene.at(second(300)).await;
    assert_eq!(get_coupons(&scene, &users(10)).await, 4);

    assert_eq!(scene.add_supply(for_round(1, 1)).await.entry.expect("a decision").rows, "supply r-1 1 3 5 -");
    assert_eq!(get_coupons(&scene, &users(10)).await, 1);
}

/// More win, as long as nobody knows who; behind the close of reservation their number is fixed.
pub async fn a_drawn_round_takes_more_coupons_until_reservation_closes(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [of_places().ratio(1, 5).drawn()]).await;
    let one = round_id(1);
    scene.reserve(one, &users(10)).await;
    assert_eq!(scene.add_supply(for_round(1, 3)).await.answers, SupplyAdded::Done);

    scene.at(second(240)).await;
    for at in [second(240), second(300)] {
        scene.at(at).await;
        changes_nothing(&scene, for_round(1, 1), SupplyAdded::WinnersFixed).await;
    }
    assert_eq!(scene.view(one).await.supply, Some(5));
    scene.conclude_draw(one, &winners(10, 5..10)).await;
    changes_nothing(&scene, for_round(1, 1), SupplyAdded::WinnersFixed).await;
    assert_eq!(granted(&outcomes(&scene.claim(one, &users(10)).await)), 5);
}

/// What the round would give is bounded by places and by the total limit all the same.
pub async fn more_coupons_than_a_drawn_round_has_places_are_not_won(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(7), ..head() };
    let scene = Scene::open(under_test, limited, second(1), [of_places().fixed(2).drawn_within(Some(7))]).await;
    scene.reserve(round_id(1), &users(9)).await;
    let few = scene.beside("few", head(), [of_places().fixed(2).drawn()]).await;
    few.reserve(round_id(1), &users(4)).await;
    for campaign in [&scene, &few] {
        assert_eq!(
            campaign.add_supply(for_round(1, 100)).await.entry.expect("a decision").rows,
            "supply r-1 100 100 102 -"
        );
    }
    scene.at(second(240)).await;
    assert_eq!(scene.view(round_id(1)).await.supply, Some(7), "what the total limit leaves");
    assert_eq!(few.view(round_id(1)).await.supply, Some(4), "as many as places");
}

/// Such a round has no supply of its own: it is the total limit that can be raised.
pub async fn a_shared_pool_grows_by_the_total_limit_only(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(5), ..head() };
    let scene = Scene::open(under_test, limited, second(300), [round(1).claiming(300..360).shared_pool()]).await;
    assert_eq!(get_coupons(&scene, &users(10)).await, 5);
    changes_nothing(&scene, for_round(1, 3), SupplyAdded::NoOwnSupply).await;

    let added = scene.add_supply(SupplyAddition { request: Some(request(2)), ..for_total(3) }).await;

    assert_eq!(added.answers, SupplyAdded::Done);
    assert_eq!(added.entry.expect("an addition is a decision").rows, format!("total 3 8 {}", request(2)));
    assert_eq!(get_coupons(&scene, &users(10)).await, 3);
    let view = scene.tick().await.answers;
    assert_eq!((view.total_limit, view.issued), (Some(8), 8));
}

/// A round's own supply and the total limit hold both, and each is raised by itself.
pub async fn a_round_and_the_total_limit_are_raised_each_by_itself(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(5), ..head() };
    let scene = Scene::open(under_test, limited, second(300), [round(1).claiming(300..360).fixed(4)]).await;
    let all = users(20);
    assert_eq!(get_coupons(&scene, &all).await, 4);
    scene.add_supply(for_round(1, 10)).await;
    assert_eq!(get_coupons(&scene, &all).await, 1);
    scene.add_supply(for_total(20)).await;
    assert_eq!(get_coupons(&scene, &all).await, 9);
    assert_eq!(scene.tick().await.answers.total_limit, Some(25));
}

/// There is nothing to raise.
pub async fn a_campaign_without_a_total_limit_gets_none_by_an_addition(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(300), [round(1).claiming(300..360).fixed(4)]).await;
    changes_nothing(&scene, for_total(3), SupplyAdded::NoTotalLimit).await;
}

/// Two hundred million, for a round with what it has and for the campaign, to the last one.
pub async fn more_than_there_may_be_are_not_added(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(Supply::MAX - 10), ..head() };
    let rounds =
        [round(1).claiming(300..360).fixed(Supply::MAX - 5), round(2).reserving(0..240).claiming(400..460).ratio(1, 5)];
    let scene = Scene::open(under_test, limited, second(1), rounds).await;

    for amount in [6, Supply::MAX, u32::MAX] {
        changes_nothing(&scene, for_round(1, amount), SupplyAdded::TooMany).await;
    }
    for amount in [11, u32::MAX] {
        changes_nothing(&scene, for_total(amount), SupplyAdded::TooMany).await;
    }
    changes_nothing(&scene, for_round(2, Supply::MAX + 1), SupplyAdded::TooMany).await;
    for fits in [for_round(1, 5), for_total(10), for_round(2, Supply::MAX)] {
        assert_eq!(scene.add_supply(fits).await.answers, SupplyAdded::Done, "{fits:?}");
    }
    for one_more in [for_round(1, 1), for_total(1), for_round(2, 1)] {
        changes_nothing(&scene, one_more, SupplyAdded::TooMany).await;
    }
    let view = scene.tick().await.answers;
    assert_eq!((view.total_limit, view.rounds[0].supply), (Some(Supply::MAX), Some(Supply::MAX)));
}

/// A round that has closed, and every round of a campaign that has ended; drafts and paused ones take them.
pub async fn what_is_over_takes_no_more_coupons(under_test: GateUnderTest) {
    let scene = Scene::unopened(under_test, second(0)).await;
    for (state, transition, answer) in [
        (CampaignState::Draft, None, SupplyAdded::Done),
        (CampaignState::Active, None, SupplyAdded::Done),
        (CampaignState::Paused, None, SupplyAdded::Done),
        (CampaignState::Active, Some(Transition::End), SupplyAdded::Closed),
    ] {
        scene.at(second(300)).await;
        let limited = CampaignHead { state, total_limit: Some(5), ..head() };
        let rounds = [round(1).claiming(300..360).fixed(4), round(2).claiming(400..460).shared_pool()];
        let campaign = scene.beside(&format!("{state}-{transition:?}").replace(['(', ')'], "-"), limited, rounds).await;
        if let Some(transition) = transition {
            campaign.transition(transition).await;
        }
        for addition in [for_round(1, 1), for_total(1)] {
            assert_eq!(campaign.add_supply(addition).await.answers, answer, "{addition:?} in {state}, {transition:?}");
        }
        scene.at(second(500)).await;
        changes_nothing(&campaign, for_round(1, 1), SupplyAdded::Closed).await;
        changes_nothing(&campaign, for_round(2, 1), SupplyAdded::Closed).await;
    }
}

/// The boundary was passed when the coupons came, though nobody had seen it: it is journaled first, and the addition judged behind it.
pub async fn a_boundary_passed_unseen_comes_before_an_addition(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(1), [of_places().ratio(1, 5)]).await;
    scene.reserve(round_id(1), &users(10)).await;
    let drawn = scene.beside("drawn", head(), [of_places().ratio(1, 5).drawn()]).await;
    drawn.reserve(round_id(1), &users(10)).await;
    let row = async |campaign: &Scene| {
        let added = campaign.add_supply(for_round(1, 1)).await;
        (added.answers, added.entry.map(|entry| entry.rows))
    };
    let rows = |rows: &str| Some(rows.to_owned());

    scene.at(second(240)).await;
    let both = rows("phase r-1 WAITING 10 2 -\nsupply r-1 1 1 3 -");
    assert_eq!(row(&scene).await, (SupplyAdded::Done, both));
    let refused = rows("phase r-1 WAITING 10 2 -");
    assert_eq!(row(&drawn).await, (SupplyAdded::WinnersFixed, refused));

    scene.at(second(360)).await;
    assert_eq!(row(&scene).await, (SupplyAdded::Closed, rows("phase r-1 CLOSED 10 3 -")));
    assert_eq!(row(&scene).await, (SupplyAdded::Closed, None));
}

/// A hundred callers with one request: one of them adds.
pub async fn one_request_a_hundred_times_at_once_adds_once(under_test: GateUnderTest) {
    let scene = Scene::open(under_test, head(), second(300), [round(1).claiming(300..360).fixed(4)]).await;
    let addition = SupplyAddition { request: Some(request(1)), ..for_round(1, 7) };
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (gate, campaign, seen) = (scene.gate.clone(), scene.campaign.clone(), scene.seen());
        calls.spawn(
            async move { gate.add_supply(&campaign, &addition, seen).await.expect("an open gate answers").answers },
        );
    }
    let answers = calls.join_all().await;

    let counted = |answer| answers.iter().filter(|a| **a == answer).count();
    assert_eq!((counted(SupplyAdded::Done), counted(SupplyAdded::Repeated)), (1, 99));
    assert_eq!(scene.view(round_id(1)).await.supply, Some(11));
}
