//! What only the functions themselves promise: batch sizes, the cost of a user, the journal's end.

use coupon_domain::answer::Outcome;
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::model::{DrawConclusion, SupplyAdded, SupplyAddition, Transitioned};
use coupon_domain::ports::{Gate as _, GateError, Journal as _};
use coupon_testkit::build::{round, round_id, second, user, users};
use coupon_testkit::under_test::TestClock as _;
use uuid::Uuid;

use crate::support::{Rush, seen};

#[tokio::test]
async fn too_many_users_are_refused_by_the_function_too() {
    let rush = Rush::begin(round(1)).await;
    let users: Vec<_> = (0..501).map(|i| format!("u-{i}")).collect();
    for (count, answer) in [(501, "BATCH_TOO_LARGE\n501"), (500, "OK\n1")] {
        let mut words = vec!["FCALL", "claim_v1", "1", "{c:c}", "1", "0", "1", "1"];
        words.extend(users[..count].iter().map(String::as_str));
        let reply = rush.server.command(&words).await.expect("the function answers");
        assert!(reply.starts_with(answer), "{reply}");
    }
}

#[tokio::test]
async fn a_user_who_reserved_and_claimed_costs_at_most_120_bytes_beside_the_id() {
    const USERS: u32 = 20_000;
    let spec = round(1).reserving(0..240).fixed(USERS).build();
    let rush = Rush::begin(spec).await;
    let users = users(USERS);
    // No call has seen the claim window yet, so the clock may still go back.
    rush.server.clock().set(second(0)).await;
    for batch in users.chunks(500) {
        let places =
            rush.gate.reserve(&rush.campaign, round_id(1), batch, true, seen(0)).await.expect("an open gate answers");
        assert!(places.answers.iter().all(|answer| matches!(answer.outcome, Outcome::Granted(_))));
    }
    rush.server.clock().set(second(300)).await;
    for batch in users.chunks(500) {
        let coupons = rush.claim(batch).await.expect("an open gate answers");
        assert!(coupons.answers.iter().all(|answer| matches!(answer.outcome, Outcome::Granted(_))));
    }
    let memory = async |key| {
        let bytes = rush.server.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await.expect("the key is there");
        bytes.parse::<usize>().expect("a number")
    };
    let (seats, counts) = (memory("{c:c}:r:1:u").await, memory("{c:c}:users").await);
    let ids: usize = users.iter().map(|user| user.as_str().len()).sum();
    let (seat, count) = ((seats - ids) / USERS as usize, (counts - ids) / USERS as usize);
    assert!(seat <= 120 && seat + count <= 190, "{seat} bytes for a seat, {count} for the count");
}

#[tokio::test]
async fn an_id_that_is_a_large_number_takes_no_more_memory_than_its_bytes() {
    let rush = Rush::begin(round(1)).await;
    let ids = ["0".to_owned(), "4294967296".to_owned(), "9223372036854775807".to_owned(), "x".repeat(128)];
    let coupons = rush.claim(&ids.map(|id| user(&id))).await.expect("an open gate answers");
    assert!(coupons.answers.iter().all(|answer| matches!(answer.outcome, Outcome::Granted(_))));
    let keys = rush.server.command(&["KEYS", "*"]).await.expect("the server answers");
    for key in keys.lines() {
        let bytes = rush.server.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await.expect("the key is there");
        assert!(bytes.parse::<usize>().expect("a number") < 8 * 1024, "{key}: {bytes} bytes");
    }
}

#[tokio::test]
async fn the_journal_is_trimmed_up_to_what_is_recorded_and_old() {
    let rush = Rush::begin(round(1)).await;
    for (at, user) in (300..).zip(users(6)) {
        rush.server.clock().set(second(at)).await;
        rush.claim(&[user]).await.expect("an open gate answers");
    }
    let firsts = async |up_to, before| {
        rush.gate.trim(&rush.campaign, up_to, second(before)).await.expect("the journal is trimmed");
        let entries = rush.gate.read(&rush.campaign, 0, 100).await.expect("the journal answers");
        entries.iter().map(|entry| entry.first).collect::<Vec<_>>()
    };
    // Decision 1 opened the round, 2 and 3 are its phase and the first coupon, in one entry.
    assert_eq!(firsts(2, 999).await, [2, 4, 5, 6, 7, 8]);
    assert_eq!(firsts(5, 301).await, [4, 5, 6, 7, 8]);
    assert_eq!(firsts(5, 999).await, [6, 7, 8]);
    assert_eq!(firsts(100, 999).await, [0_u64; 0]);
    let next = rush.claim(&users(7)[6..]).await.expect("an open gate answers");
    assert_eq!(next.entry.map(|entry| entry.first), Some(9));
}

#[tokio::test]
async fn a_redis_whose_memory_is_full_can_still_be_recovered_and_cleared() {
    let rush = Rush::begin(round(1)).await;
    rush.server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.expect("set");

    assert!(matches!(rush.claim(&users(1)).await, Err(GateError::Unknown(_))), "a coupon needs memory");
    rush.gate.check().await.expect("a check writes nothing");
    let retiring = rush.gate.retire(&rush.campaign, round_id(1), 0, seen(0)).await.expect("an open gate answers");
    assert!(retiring.entry.is_none(), "{retiring:?}");
    rush.gate.tick(&rush.campaign, seen(0)).await.expect("an open gate answers");
    let addition = SupplyAddition { round: Some(round_id(1)), amount: 5, request: Some(Uuid::from_u128(1)) };
    let added = rush.gate.add_supply(&rush.campaign, &addition, seen(0)).await.expect("an open gate answers");
    assert_eq!(added.answers, SupplyAdded::Done);
    let draw = rush.gate.conclude_draw(&rush.campaign, round_id(1), &[], seen(0)).await.expect("an open gate answers");
    assert_eq!(draw.answers, DrawConclusion::NotDue);
    let end = rush.gate.transition(&rush.campaign, Transition::End, None, seen(0)).await.expect("an open gate answers");
    assert_eq!(end.answers, Transitioned::Done(CampaignState::Ended));
    rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes");
    rush.gate.reopen(&rush.campaign, 2).await.expect("nothing is missing");
}
