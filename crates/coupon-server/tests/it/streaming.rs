//! ReserveStream and ClaimStream: many users on one call, each answered as if asked alone.

use std::collections::HashSet;

use coupon_proto::v1 as pb;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use pb::claim_stream_response::Answer;
use pb::reserve_stream_response::Answer as Reserved;
use pb::{RefusalReason as Reason, claim_response, reserve_response};
use tonic::Code;
use tonic_types::pb as rpc;

use crate::shop::{Instance, On, Shop, a_fifth, campaign, claim_request, on_both, open_campaign, users};

on_both! {
    streams_answer_in_order_and_give_exactly_a_fifth
    a_wrong_request_is_that_items_fault_and_the_others_are_answered
    a_user_who_asks_twice_on_a_stream_has_one_coupon
    requests_without_a_round_get_the_one_that_is_chosen_for_them
    streams_end_when_the_service_stops
}

fn asking(c: &str, r: &str, user: &str) -> pb::ClaimStreamRequest {
    pb::ClaimStreamRequest { tag: format!("tag-{user}"), claim: Some(claim_request(c, r, user)) }
}

/// All answers to these requests, on one stream.
async fn claims(instance: &Instance, requests: Vec<pb::ClaimStreamRequest>) -> Vec<pb::ClaimStreamResponse> {
    let answers = instance.coupons.clone().claim_stream(stream::iter(requests)).await.expect("a stream").into_inner();
    answers.map(|answer| answer.expect("no fault of the stream")).collect().await
}

fn coupon(answer: &pb::ClaimStreamResponse) -> Result<pb::Coupon, Reason> {
    match &answer.answer {
        Some(Answer::Claim(claim)) => match claim.outcome.as_ref().expect("an outcome") {
            claim_response::Outcome::Coupon(coupon) => Ok(coupon.clone()),
            claim_response::Outcome::Refusal(refusal) => Err(refusal.reason()),
        },
        other => panic!("{other:?}"),
    }
}

fn fault(answer: &pb::ClaimStreamResponse) -> &rpc::Status {
    match &answer.answer {
        Some(Answer::Fault(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

async fn streams_answer_in_order_and_give_exactly_a_fifth(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(campaign("streamed", a_fifth(pb::Rounding::Floor))).await;
    shop.set("22:56:00").await;
    let users = users(3000);
    let lots: Vec<_> = users.chunks(750).zip(shop.instances.iter().cycle()).collect();
    let tickets = join_all(lots.iter().map(|(users, instance)| reserved(instance, &c, &r, users))).await.concat();
    assert_eq!(tickets.iter().collect::<HashSet<_>>().len(), 3000);
    shop.set("23:00:00").await;
    let asked = lots.iter().map(|(users, instance)| {
        let (c, r) = (&c, &r);
        async move { claims(instance, users.iter().map(|user| asking(c, r, user)).collect()).await }
    });
    let answers = join_all(asked).await.concat();
    let tags: Vec<_> = answers.iter().map(|answer| answer.tag.as_str()).collect();
    assert_eq!(tags, users.iter().map(|user| format!("tag-{user}")).collect::<Vec<_>>());
    let (yes, no): (Vec<_>, Vec<_>) = answers.iter().map(coupon).partition(Result::is_ok);
    assert!(no.iter().all(|no| matches!(no, Err(Reason::SoldOut))), "{no:?}");
    let serials: HashSet<_> = yes.iter().flatten().map(|coupon| coupon.serial).collect();
    assert_eq!((yes.len(), serials.len()), (600, 600));
    // Unary calls and another stream are answered as the first time.
    let again = claims(&shop.instances[0], users.iter().map(|user| asking(&c, &r, user)).collect()).await;
    let answers: Vec<_> = answers.iter().map(coupon).collect();
    assert_eq!(again.iter().map(coupon).collect::<Vec<_>>(), answers);
    let winner = answers.iter().flatten().next().expect("a coupon");
    assert_eq!(shop.claim(&c, &r, &winner.user_id).await.granted().code, winner.code);
}

async fn reserved(instance: &Instance, c: &str, r: &str, users: &[String]) -> Vec<i64> {
    let requests = users.iter().map(|user| pb::ReserveStreamRequest {
        tag: user.clone(),
        reserve: Some(pb::ReserveRequest { campaign_id: c.to_owned(), round_id: r.to_owned(), user_id: user.clone() }),
    });
    let requests = stream::iter(requests.collect::<Vec<_>>());
    let answers = instance.coupons.clone().reserve_stream(requests).await.expect("a stream").into_inner();
    let tickets = answers.zip(stream::iter(users)).map(|(answer, user)| {
        let answer = answer.expect("no fault of the stream");
        assert_eq!(&answer.tag, user);
        match answer.answer {
            Some(Reserved::Reserve(pb::ReserveResponse { outcome: Some(outcome), .. })) => match outcome {
                reserve_response::Outcome::Place(place) => place.ticket.expect("a ticket"),
                reserve_response::Outcome::Refusal(refusal) => panic!("{refusal:?}"),
            },
            other => panic!("{other:?}"),
        }
    });
    tickets.collect().await
}

async fn a_wrong_request_is_that_items_fault_and_the_others_are_answered(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("faulty", 100)).await;
    shop.set("23:00:00").await;
    let long = "x".repeat(129);
    let requests = vec![
        asking(&c, &r, "ada"),
        asking(&c, &r, "'; --"),
        asking("no-such-campaign", "", "bob"),
        asking(&c, "r-99999", "bob"),
        pb::ClaimStreamRequest { tag: long.clone(), ..asking(&c, &r, "bob") },
        pb::ClaimStreamRequest { tag: "nothing".to_owned(), claim: None },
        asking(&c, &r, &"y".repeat(5000)),
        asking(&c, &r, "lost:1"),
        asking(&c, &r, "eve"),
    ];
    let answers = claims(&shop.instances[0], requests).await;
    assert_eq!(answers.len(), 9);
    let codes: Vec<_> = answers[1..8].iter().map(|answer| Code::from_i32(fault(answer).code)).collect();
    use Code::{InvalidArgument, NotFound};
    let wrong = InvalidArgument;
    assert_eq!(codes, [wrong, NotFound, NotFound, wrong, wrong, wrong, wrong]);
    for (index, part) in [(1, "user_id"), (4, "tag must have at most 128"), (5, "claim is required"), (6, "4096 bytes")]
    {
        assert!(fault(&answers[index]).message.contains(part), "{:?}", answers[index]);
    }
    assert!(answers[1..8].iter().all(|answer| fault(answer).details.len() >= 2), "a reason and a request id");
    assert_eq!(answers[4].tag, long);
    let serials: Vec<_> = [0, 8].map(|index| coupon(&answers[index]).expect("a coupon").serial).into();
    assert_eq!(serials, [Some(0), Some(1)]);
}

async fn a_user_who_asks_twice_on_a_stream_has_one_coupon(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("twice", 100)).await;
    shop.set("23:00:00").await;
    let requests = ["ada", "ada", "bob", "ada"].map(|user| asking(&c, &r, user)).to_vec();
    let answers = claims(&shop.instances[0], requests).await;
    let serials: Vec<_> = answers.iter().map(|answer| coupon(answer).expect("a coupon").serial).collect();
    assert_eq!(serials, [Some(0), Some(0), Some(1), Some(0)]);
    let replayed = answers.iter().map(|answer| match &answer.answer {
        Some(Answer::Claim(claim)) => claim.replayed,
        other => panic!("{other:?}"),
    });
    assert_eq!(replayed.collect::<Vec<_>>(), [false, true, false, true]);
}

async fn requests_without_a_round_get_the_one_that_is_chosen_for_them(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("chosen", 100)).await;
    let early = claims(&shop.instances[0], vec![asking(&c, "", "ada"), asking(&c, "", "bob")]).await;
    assert!(early.iter().all(|answer| coupon(answer) == Err(Reason::NotOpenYet)), "{early:?}");
    shop.set("23:00:00").await;
    let answers = claims(&shop.instances[0], vec![asking(&c, "", "ada"), asking(&c, "", "ada")]).await;
    assert!(answers.iter().all(|answer| coupon(answer).is_ok_and(|coupon| coupon.round_id == r)), "{answers:?}");
    shop.set("23:01:00").await;
    let late = claims(&shop.instances[0], vec![asking(&c, "", "bob")]).await;
    assert_eq!(coupon(&late[0]), Err(Reason::Closed));
}

async fn streams_end_when_the_service_stops(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("stopped", 100)).await;
    shop.set("23:00:00").await;
    let requests = stream::iter([asking(&c, &r, "ada")]).chain(stream::pending());
    let mut client = shop.instances[0].coupons.clone();
    let mut answers = client.claim_stream(requests).await.expect("a stream").into_inner();
    assert!(coupon(&answers.message().await.expect("no fault").expect("an answer")).is_ok());
    shop.instances[0].stop.cancel();
    let end = answers.message().await.expect_err("it ends");
    assert_eq!(end.code(), Code::Unavailable);
}
