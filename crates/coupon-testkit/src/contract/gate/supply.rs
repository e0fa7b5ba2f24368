//! How many coupons a round and a campaign give: never one too many, never one too few.

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::model::CampaignHead;
use coupon_domain::supply::Rounding;
use tokio::task::JoinSet;

use crate::build::{head, round, round_id, second, user, users};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

fn sold_out<T>(outcomes: &[Outcome<T>]) -> usize {
    outcomes.iter().filter(|o| matches!(o, Outcome::Refused(Refusal::SoldOut))).count()
}

/// All reserve, all claim: a fifth gets one.
pub async fn three_hundred_users_get_exactly_sixty_coupons(under_test: GateUnderTest) {
    let fifth = round(1).reserving(0..240).claiming(300..360).ratio(1, 5);
    let scene = Scene::open(under_test, head(), second(1), [fifth]).await;
    let everyone = users(300);

    let places = scene.reserve_all(round_id(1), &everyone).await;
    scene.at(second(300)).await;
    let coupons = outcomes(&scene.claim(round_id(1), &everyone).await);

    assert_eq!((granted(&places), granted(&coupons), sold_out(&coupons)), (300, 60, 240));
    let view = scene.view(round_id(1)).await;
    assert_eq!((view.places, view.supply, view.issued), (300, Some(60), 60));
}

async fn a_fifth(under_test: GateUnderTest, rounding: Rounding, expected: [u32; 9]) {
    let scene = Scene::unopened(under_test, second(1)).await;
    for (places, supply) in [0, 1, 4, 5, 6, 9, 10, 299, 301].into_iter().zip(expected) {
        let one = round_id(1 + places);
        let fifth = round(one.number()).reserving(0..240).claiming(300..360).ratio_rounded(1, 5, rounding);
        scene.at(second(1)).await;
        let campaign = scene.beside(&format!("c-{places}"), head(), [fifth]).await;
        let everyone = users(places);
        campaign.reserve_all(one, &everyone).await;
        scene.at(second(300)).await;
        let coupons = outcomes(&campaign.claim(one, &everyone).await);
        assert_eq!((granted(&coupons), sold_out(&coupons)), (supply as usize, (places - supply) as usize));
        assert_eq!(campaign.view(one).await.supply, Some(supply), "{rounding:?} of {places} places");
    }
}

/// One coupon a full share.
pub async fn a_fifth_of_the_places_is_rounded_down(under_test: GateUnderTest) {
    a_fifth(under_test, Rounding::Floor, [0, 0, 0, 1, 1, 1, 2, 59, 60]).await;
}

/// One coupon a begun share.
pub async fn a_fifth_of_the_places_is_rounded_up(under_test: GateUnderTest) {
    a_fifth(under_test, Rounding::Ceil, [0, 1, 1, 1, 2, 2, 2, 60, 61]).await;
}

/// Half up.
pub async fn a_fifth_of_the_places_is_rounded_to_the_nearest(under_test: GateUnderTest) {
    a_fifth(under_test, Rounding::Nearest, [0, 0, 1, 1, 1, 2, 2, 60, 60]).await;
}

/// Many callers, batches and single calls mixed, users asked for more than once: serials are dense and no two are alike.
pub async fn claims_at_once_never_oversell(under_test: GateUnderTest) {
    let rush = round(1).claiming(300..360).fixed(37);
    let scene = Scene::open(under_test, head(), second(300), [rush]).await;
    let mut calls = JoinSet::new();
    for call in 0..40 {
        let (gate, campaign, seen) = (scene.gate.clone(), scene.campaign.clone(), scene.seen());
        let size = if call % 4 == 0 { 1 } else { 10 };
        let batch: Vec<_> = (0..size).map(|i| user(&format!("u-{}", (call * 5 + i) % 150))).collect();
        calls.spawn(async move {
            let decided = gate.claim(&campaign, round_id(1), &batch, true, seen).await.expect("an open gate answers");
            batch.into_iter().zip(outcomes(&decided)).collect::<Vec<_>>()
        });
    }
    let answers = calls.join_all().await.concat();

    let mut serials: Vec<_> =
        answers.iter().filter_map(|(_, o)| if let Outcome::Granted(c) = o { Some(c.serial) } else { None }).collect();
    serials.sort_unstable();
    assert_eq!(serials, (0..37).collect::<Vec<_>>());
    for (who, outcome) in &answers {
        if let Outcome::Replayed(again) = outcome {
            assert!(
                answers.contains(&(who.clone(), Outcome::Granted(*again))),
                "{who} got {again:?} without a first yes"
            );
        }
    }
    assert_eq!(scene.view(round_id(1)).await.issued, 37);
}

/// Rounds with a supply of their own still stop at the campaign's limit.
pub async fn the_total_limit_holds_over_all_rounds(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(5), ..head() };
    let rounds = [round(1).claiming(300..360).fixed(3), round(2).claiming(400..460).fixed(3)];
    let scene = Scene::open(under_test, limited, second(300), rounds).await;
    let everyone = users(10);

    let first = outcomes(&scene.claim(round_id(1), &everyone[..5]).await);
    scene.at(second(400)).await;
    let then = outcomes(&scene.claim(round_id(2), &everyone[5..]).await);

    assert_eq!((granted(&first), sold_out(&first)), (3, 2));
    assert_eq!((granted(&then), sold_out(&then)), (2, 3));
    let view = scene.tick().await.answers;
    assert_eq!((view.issued, view.total_limit), (5, Some(5)));
}

/// What one round leaves, the next one gives.
pub async fn rounds_without_a_supply_share_one_pool(under_test: GateUnderTest) {
    let limited = CampaignHead { total_limit: Some(5), ..head() };
    let rounds =
        [round(1).claiming(300..360).shared_pool(), round(2).reserving(0..240).claiming(400..460).shared_pool()];
    let scene = Scene::open(under_test, limited, second(1), rounds).await;
    let everyone = users(10);
    scene.reserve(round_id(2), &everyone[1..]).await;

    scene.at(second(300)).await;
    let first = scene.claim(round_id(1), &everyone[..1]).await;
    scene.at(second(400)).await;
    let then = outcomes(&scene.claim(round_id(2), &everyone[1..]).await);

    assert!(matches!(only(&first), Outcome::Granted(_)));
    assert_eq!((granted(&then), sold_out(&then)), (4, 5));
    assert_eq!(scene.view(round_id(2)).await.supply, None, "only the total limit bounds it");
}
