//! What a Redis that was restarted, emptied or replaced answers, and how it gets back.

use coupon_domain::answer::Outcome;
use coupon_domain::ports::{Frozen, Gate as _, GateError, Journal as _};
use coupon_domain::position::Position;
use coupon_testkit::build::{head, round, users};

use crate::support::{Rush, not_loaded};

#[tokio::test]
async fn after_a_restart_nobody_is_answered_until_the_gate_was_recovered_and_nothing_is_lost() {
    let mut rush = Rush::begin(round(1)).await;
    let before = rush.claim(&users(300)).await.expect("an open gate answers");
    let entry = before.entry.expect("three hundred coupons are journaled");

    rush.server.restart().await.expect("it starts again");
    not_loaded(&rush).await;
    let frozen = rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes");
    assert_eq!(frozen, Frozen::At(before.position, entry.chain()));
    rush.gate.reopen(&rush.campaign, 2).await.expect("nothing is missing");

    assert_eq!(rush.gate.journal_len().await, 2, "the round and the coupons");
    let again = rush.claim_in(2, &users(300)).await.expect("an open gate answers");
    assert_eq!(again.entry, None);
    for (first, repeat) in before.answers.iter().zip(&again.answers) {
        let (Outcome::Granted(first) | Outcome::Replayed(first), Outcome::Replayed(repeat)) =
            (first.outcome, repeat.outcome)
        else {
            assert_eq!(first.outcome, repeat.outcome, "a refusal stays one");
            continue;
        };
        assert_eq!(first, repeat);
    }
}

#[tokio::test]
async fn a_flushed_redis_is_not_loaded_and_begins_anew() {
    let rush = Rush::begin(round(1)).await;
    rush.claim(&users(3)).await.expect("an open gate answers");

    rush.server.command(&["FLUSHALL"]).await.expect("flushed");

    not_loaded(&rush).await;
    assert_eq!(rush.gate.freeze(&rush.campaign, 2).await.expect("nothing is there"), Frozen::Empty);
    rush.load(coupon_domain::model::CampaignHead { position: Position { epoch: 2, n: 9 }, ..head() }).await;
    assert!(matches!(rush.claim_in(2, &users(3)).await, Err(GateError::NoSuchRound(_))));
}

#[tokio::test]
async fn an_emptied_redis_gets_the_functions_again_when_it_is_recovered() {
    let mut rush = Rush::begin(round(1)).await;

    rush.server.restart_empty().await.expect("it starts again");

    not_loaded(&rush).await;
    assert_eq!(rush.gate.freeze(&rush.campaign, 2).await.expect("the functions are loaded"), Frozen::Empty);
    assert!(matches!(rush.claim(&users(1)).await, Err(GateError::Recovering)));
}

#[tokio::test]
async fn functions_that_were_loaded_anew_have_forgotten_what_was_open() {
    let rush = Rush::begin(round(1)).await;
    rush.gate.check().await.expect("a check changes nothing");
    rush.claim(&users(1)).await.expect("an open gate answers");

    rush.server.command(&["FUNCTION", "DELETE", "coupon_v1"]).await.expect("deleted");
    not_loaded(&rush).await;
    rush.gate.check().await.expect("the functions are loaded");

    not_loaded(&rush).await;
}

#[tokio::test]
async fn a_campaign_that_has_lost_a_round_is_loaded_anew() {
    let rush = Rush::begin(round(1)).await;
    rush.server.command(&["UNLINK", "{c:c}:r:1"]).await.expect("gone");

    assert_eq!(rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes"), Frozen::Empty);
    rush.load(coupon_domain::model::CampaignHead { position: Position { epoch: 2, n: 9 }, ..head() }).await;
    rush.gate.tick(&rush.campaign, Position { epoch: 2, n: 9 }).await.expect("an open gate answers");
}

/// For assertions only.
trait JournalLength {
    async fn journal_len(&self) -> usize;
}

impl JournalLength for coupon_redis::RedisGate {
    async fn journal_len(&self) -> usize {
        self.read(&coupon_testkit::build::campaign_id("c"), 0, 1_000_000).await.expect("the journal answers").len()
    }
}
