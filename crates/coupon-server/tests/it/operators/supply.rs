//! AddSupply: to a round, or to the total limit.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::RefusalReason as Reason;
use tonic::{Code, Status};

use super::calls::{fault, request_id};
use crate::shop::{
    On, Shop, a_fifth, assert_split, at, campaign, daily, eventually, fixed, instant, on_both, open_campaign, users,
};

on_both! {
    s12_fifty_more_after_sold_out_are_exactly_fifty
    supply_is_added_to_the_share_of_a_ratio_before_and_after_it_is_known
    the_limit_of_a_shared_pool_is_raised
    the_total_limit_bounds_what_was_added_to_a_round
    supply_that_cannot_be_added_is_refused_with_the_reason
    a_draft_and_a_paused_campaign_get_supply_too
}

/// Twenty callers at once with one request id, over all instances.
async fn add_by_twenty(shop: &Shop, c: &str, round: &str, amount: i64, id: &str) -> Vec<pb::AddSupplyResponse> {
    let operators = shop.instances.iter().cycle().take(20);
    let answers: Result<Vec<_>, Status> =
        join_all(operators.map(|operator| operator.add_supply(c, round, amount, id))).await.into_iter().collect();
    answers.expect("each is answered")
}

async fn s12_fifty_more_after_sold_out_are_exactly_fifty(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("fifty more", 50)).await;
    shop.set("23:00:00").await;
    let everybody = users(200);
    assert_split(&shop.all_claim(&c, &r, &everybody[..100]).await, 50, 50, Reason::SoldOut);

    for added in add_by_twenty(&shop, &c, &r, 50, &request_id(1)).await {
        let round = added.round.expect("the round");
        assert_eq!((round.supply, round.added, round.remaining), (Some(100), Some(50), Some(50)), "added once");
    }
    for instance in &mut shop.instances.clone() {
        let late = instance.claim(&c, &r, "user-0").await.expect("an answer");
        assert!(late.replayed || late.yes().is_some(), "no instance says SOLD_OUT any more");
    }
    let claims = shop.all_claim(&c, &r, &everybody).await;
    assert_split(&claims, 100, 100, Reason::SoldOut);

    let round = shop.round(&c, &r).await;
    assert_eq!((round.supply, round.issued, round.remaining), (Some(100), Some(100), Some(0)));
    shop.ledger_caught_up(&c).await;
    let seats = shop.seats(&r).await;
    let mut serials: Vec<_> = seats.iter().filter_map(|(_, seat)| Some(seat.coupon?.serial)).collect();
    serials.sort_unstable();
    assert_eq!(serials, (0..100).collect::<Vec<_>>());
    // A late repeat adds nothing.
    shop.instances[0].add_supply(&c, &r, 50, &request_id(1)).await.expect("harmless");
    assert_eq!(shop.claim(&c, &r, "somebody").await.reason(), Reason::SoldOut);
}

async fn supply_is_added_to_the_share_of_a_ratio_before_and_after_it_is_known(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, r) = shop.create(campaign("ratio", a_fifth(pb::Rounding::Floor))).await;
    shop.set("22:56:00").await;
    let everybody = users(50);
    shop.all_reserve(&c, &r, &everybody).await;
    let round = operator.add_supply(&c, &r, 3, "").await.expect("added").round.expect("the round");
    assert_eq!((round.supply, round.added), (None, Some(3)), "the share is not known yet");
    shop.set("22:59:00").await;
    assert_eq!(shop.round(&c, &r).await.supply, Some(13), "a fifth of 50, and 3");
    let round = operator.add_supply(&c, &r, 4, "").await.expect("added").round.expect("the round");
    assert_eq!((round.supply, round.added), (Some(17), Some(7)));
    shop.set("23:00:00").await;
    assert_split(&shop.all_claim(&c, &r, &everybody).await, 17, 33, Reason::SoldOut);
}

async fn the_limit_of_a_shared_pool_is_raised(on: On) {
    let shop = Shop::with_company(on).await;
    let operator = &shop.instances[0];
    let pool = pb::Campaign { supply: None, total_limit: Some(10), ..open_campaign("pool", 1) };
    let (c, r) = shop.create(daily(pool, "0,10 21 * * *")).await;
    shop.set("21:00:00").await;
    let before = operator.campaign(&c).await;
    let everybody = users(40);
    assert_split(&shop.all_claim(&c, "", &everybody[..15]).await, 10, 5, Reason::SoldOut);
    let refused = operator.add_supply(&c, &r, 5, "").await;
    let status = fault(refused, Code::FailedPrecondition, "SUPPLY_REFUSED");
    assert!(status.message().contains("total limit"), "{status:?}");

    for added in add_by_twenty(&shop, &c, "", 5, &request_id(1)).await {
        let after = added.campaign.expect("the campaign");
        assert_eq!((after.total_limit, &added.round), (Some(15), &None), "added once");
        assert_ne!(after.etag, before.etag);
    }
    assert_split(&shop.all_claim(&c, "", &everybody[15..19]).await, 4, 0, Reason::SoldOut);
    shop.set("21:10:00").await;
    // One is left for the next round.
    assert_split(&shop.all_claim(&c, "", &everybody[19..]).await, 1, 20, Reason::SoldOut);
    assert_eq!(shop.gate(&c).await.answers.issued, 15);
    shop.ledger_caught_up(&c).await;
    let recorded: i64 = operator.rounds(&c, 50).await.expect("a list").iter().filter_map(|round| round.issued).sum();
    assert_eq!((recorded, operator.campaign(&c).await.total_limit), (15, Some(15)));
}

async fn the_total_limit_bounds_what_was_added_to_a_round(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let limited = pb::Campaign { total_limit: Some(12), ..open_campaign("bounded", 10) };
    let (c, r) = shop.create(limited).await;
    shop.set("23:00:00").await;
    let round = operator.add_supply(&c, &r, 10, "").await.expect("added").round.expect("the round");
    assert_eq!((round.supply, round.remaining), (Some(20), Some(12)), "no more than the total limit leaves");
    let everybody = users(30);
    assert_split(&shop.all_claim(&c, &r, &everybody[..15]).await, 12, 3, Reason::SoldOut);
    operator.add_supply(&c, "", 100, "").await.expect("raised");
    assert_split(&shop.all_claim(&c, &r, &everybody[15..]).await, 8, 7, Reason::SoldOut);
}

async fn supply_that_cannot_be_added_is_refused_with_the_reason(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, first) = shop.create(daily(open_campaign("refused", 10), "0 23 * * *")).await;
    let (other, others) = shop.create(pb::Campaign { total_limit: Some(10), ..campaign("another", fixed(5)) }).await;
    let refused = |answer: Result<pb::AddSupplyResponse, Status>, why: &str| {
        let status = fault(answer, Code::FailedPrecondition, "SUPPLY_REFUSED");
        assert!(status.message().contains(why), "{status:?}");
    };
    refused(operator.add_supply(&c, "", 1, "").await, "no total_limit");
    refused(operator.add_supply(&c, &first, 200_000_000, "").await, "at most 200000000");
    refused(operator.add_supply(&other, "", 199_999_991, "").await, "at most 200000000");
    fault(operator.add_supply(&c, &others, 1, "").await, Code::NotFound, "ROUND_NOT_FOUND");
    fault(operator.add_supply(&c, "r-999", 1, "").await, Code::NotFound, "ROUND_NOT_FOUND");
    fault(operator.add_supply("no-such-campaign", "", 1, "").await, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    let before = shop.gate(&c).await;

    shop.set("23:00:59.999").await;
    shop.claim(&c, &first, "ada").await.granted();
    operator.add_supply(&c, &first, 1, "").await.expect("it claims still");
    shop.set("23:01:00").await;
    refused(operator.add_supply(&c, &first, 1, "").await, "over");
    // Once the round has left the gate as well.
    shop.set("25 00:01:00.001").await;
    eventually(|| async {
        let there = shop.gate(&c).await.answers.rounds.iter().any(|round| round.spec.id.to_string() == first);
        (!there).then_some(())
    })
    .await;
    refused(operator.add_supply(&c, &first, 1, "").await, "over");
    let next = operator.get_round(&c, "").await.expect("a round");
    assert_eq!(next.claim_opens_at, Some(instant(at("25 23:00:00"))));
    assert_eq!((next.supply, next.added), (Some(10), None), "what was added to one round is that round's");
    assert_eq!(before.answers.rounds[0].added, 0, "what was refused was not added");
}

async fn a_draft_and_a_paused_campaign_get_supply_too(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (draft, r) = operator.draft(open_campaign("prepared", 1)).await.expect("created");
    let c = draft.id;
    operator.add_supply(&c, &r.id, 1, "").await.expect("added");
    operator.activate(&c).await.expect("active");
    operator.pause(&c).await.expect("paused");
    operator.add_supply(&c, &r.id, 1, "").await.expect("added");
    operator.resume(&c).await.expect("resumed");
    shop.set("23:00:00").await;
    assert_split(&shop.all_claim(&c, &r.id, &users(5)).await, 3, 2, Reason::SoldOut);
}
