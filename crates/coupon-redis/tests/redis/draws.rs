//! Draws: winners that come in parts, stay over a restart and come back from the ledger.

use std::time::Duration;

use coupon_domain::answer::{Outcome, Place, Refusal};
use coupon_domain::ids::UserId;
use coupon_domain::model::{CampaignHead, DrawConclusion, LoadChunk, Retirement, RoundHead, RoundView, Seat};
use coupon_domain::ports::{Frozen, Gate as _, GateError, Journal as _};
use coupon_domain::position::Position;
use coupon_domain::round::{Phase, RoundSpec};
use coupon_testkit::build::{head, round, round_id, second, users, winners};
use coupon_testkit::under_test::TestClock as _;

use crate::support::{Rush, not_loaded, seen};

/// A quarter of the places win.
fn plan() -> RoundSpec {
    round(1).reserving(0..240).ratio(1, 4).drawn().build()
}

/// A round with so many places, in order of the users, whose reservation has closed.
async fn reserved(places: u32) -> Rush {
    let rush = Rush::begin(plan()).await;
    rush.server.clock().set(second(0)).await;
    for batch in users(places).chunks(500) {
        rush.gate.reserve(&rush.campaign, round_id(1), batch, true, seen(0)).await.expect("an open gate answers");
    }
    rush.server.clock().set(second(240)).await;
    rush
}

/// Each fourth place of so many.
fn a_quarter(places: u32) -> Vec<u8> {
    winners(places, (3..places).step_by(4))
}

impl Rush {
    async fn conclude(&self, epoch: u64, winners: &[u8]) -> DrawConclusion {
        let seen = Position { epoch, n: 0 };
        let concluded = self.gate.conclude_draw(&self.campaign, round_id(1), winners, seen).await;
        concluded.expect("an open gate answers").answers
    }

    /// Sends one part by hand, as somebody would who is cut off behind it.
    async fn put(&self, length: &str, first: usize, part: &str) -> String {
        let words = ["FCALL", "put_winners_v1", "1", "{c:c}", "1", "0", "1", length, &first.to_string(), part];
        self.server.command(&words).await.expect("the function answers")
    }

    /// Whose claims are granted, or were.
    async fn winners_among(&self, epoch: u64, users: &[UserId]) -> Vec<u32> {
        let mut winners = Vec::new();
        for (batch, first) in users.chunks(500).zip((0..).step_by(500)) {
            let claimed = self.claim_in(epoch, batch).await.expect("an open gate answers");
            for (answer, ticket) in claimed.answers.iter().zip(first..) {
                match answer.outcome {
                    Outcome::Granted(_) | Outcome::Replayed(_) => winners.push(ticket),
                    Outcome::Refused(no) => assert_eq!(no, Refusal::NotDrawn),
                }
            }
        }
        winners
    }

    async fn memory(&self, key: &str) -> usize {
        let bytes = self.server.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).await.expect("redis tells");
        bytes.parse().expect("the key is there")
    }
}

#[tokio::test]
async fn a_draw_that_was_cut_off_between_its_parts_is_not_concluded_and_can_be_repeated() {
    let mut rush = reserved(80).await;
    let journal = async |rush: &Rush| rush.gate.read(&rush.campaign, 0, 1000).await.expect("the journal answers");
    let before = journal(&rush).await;

    // Six of ten parts, with other winners than those that come at last.
    for first in 0..6 {
        assert_eq!(rush.put("10", first, "A").await, "OK\nKEPT");
    }
    rush.server.restart().await.expect("it starts again");
    not_loaded(&rush).await;
    rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes");
    rush.gate.reopen(&rush.campaign, 2).await.expect("nothing is missing");

    assert_eq!(journal(&rush).await, before, "nothing is decided");
    rush.server.clock().set(second(300)).await;
    let early = rush.claim_in(2, &users(80)).await.expect("an open gate answers");
    assert!(early.answers.iter().all(|answer| answer.outcome == Outcome::Refused(Refusal::DrawPending)));
    rush.server.clock().set(second(310)).await;
    assert_eq!(rush.conclude(2, &a_quarter(80)).await, DrawConclusion::Drawn(Duration::from_secs(10)));
    assert_eq!(rush.conclude(2, &a_quarter(80)).await, DrawConclusion::AlreadyDrawn);
    assert_eq!(rush.winners_among(2, &users(80)).await, (3..80).step_by(4).collect::<Vec<_>>());
}

#[tokio::test]
async fn parts_are_kept_only_while_a_draw_is_due_and_only_of_its_length() {
    let rush = reserved(80).await;
    rush.server.clock().set(second(239)).await;
    assert_eq!(rush.put("10", 0, "A").await, "OK\nNOT_WANTED", "reservation is open");
    rush.server.clock().set(second(240)).await;
    for (length, first, part) in [("9", 0, "A"), ("11", 0, "A"), ("10", 9, "AA"), ("10", 10, "A")] {
        assert_eq!(rush.put(length, first, part).await, "OK\nNOT_WANTED", "{length} {first} {part}");
    }
    assert_eq!(rush.conclude(1, &a_quarter(80)).await, DrawConclusion::Drawn(Duration::ZERO));
    assert_eq!(rush.put("10", 0, "A").await, "OK\nNOT_WANTED", "it is drawn");

    rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes");
    assert_eq!(rush.put("10", 0, "A").await, "RECOVERING");
}

#[tokio::test]
async fn winners_that_somebody_else_has_overwritten_are_not_concluded() {
    let rush = reserved(80).await;
    rush.put("10", 0, "AAAAAAAAAA").await;

    let digest = "0123456789012345678901234567890123456789";
    let words = ["FCALL", "conclude_draw_v1", "1", "{c:c}", "1", "0", "1", "10", digest];
    let answer = rush.server.command(&words).await.expect("the function answers");
    assert_eq!(answer.lines().last(), Some("WINNERS_NOT_THERE"));

    assert_eq!(rush.conclude(1, &a_quarter(80)).await, DrawConclusion::Drawn(Duration::ZERO));
}

#[tokio::test]
async fn winners_survive_a_restart() {
    let mut rush = reserved(1_200).await;
    rush.conclude(1, &a_quarter(1_200)).await;
    rush.server.clock().set(second(300)).await;
    let won: Vec<_> = (3..1_200).step_by(4).collect();
    assert_eq!(rush.winners_among(1, &users(600)).await, won[..150]);

    rush.server.restart().await.expect("it starts again");
    not_loaded(&rush).await;
    let frozen = rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes");
    assert!(matches!(frozen, Frozen::At(..)), "{frozen:?}");
    rush.gate.reopen(&rush.campaign, 2).await.expect("nothing is missing");

    assert_eq!(rush.conclude(2, &winners(1_200, 0..300)).await, DrawConclusion::AlreadyDrawn);
    assert_eq!(rush.winners_among(2, &users(1_200)).await, won);
}

#[tokio::test]
async fn a_round_that_has_lost_its_winners_is_loaded_anew_with_them() {
    let rush = reserved(80).await;
    rush.conclude(1, &a_quarter(80)).await;
    rush.server.command(&["UNLINK", "{c:c}:r:1:winners"]).await.expect("gone");
    assert_eq!(rush.gate.freeze(&rush.campaign, 2).await.expect("a later epoch freezes"), Frozen::Empty);
    reloaded(&rush).await;
}

#[tokio::test]
async fn a_flushed_redis_gets_its_winners_back() {
    let rush = reserved(80).await;
    rush.conclude(1, &a_quarter(80)).await;
    rush.server.command(&["FLUSHALL"]).await.expect("flushed");
    assert_eq!(rush.gate.freeze(&rush.campaign, 2).await.expect("nothing is there"), Frozen::Empty);
    reloaded(&rush).await;
}

/// Loads a frozen campaign with eighty places and their winners, once without a part of them.
async fn reloaded(rush: &Rush) {
    rush.server.clock().set(second(300)).await;
    let seat = |ticket| Seat { place: Some(Place { ticket, reserved_at: second(1) }), coupon: None };
    let seats = users(80).into_iter().zip((0..).map(seat)).collect();
    let view = RoundView {
        phase: Phase::Waiting,
        supply: Some(20),
        places: 80,
        drawn: true,
        delay: Duration::from_secs(1),
        ..RoundView::planned(plan())
    };
    let winners = a_quarter(80);
    let part = |first: u32, bytes: &[u8]| LoadChunk::Winners(round_id(1), first, bytes.to_vec());
    let load = async |chunk| rush.gate.load(&rush.campaign, 2, chunk).await;
    let position = Position { epoch: 2, n: 83 };
    load(LoadChunk::Head(CampaignHead { position, ..head() })).await.expect("it is frozen");
    load(LoadChunk::Round(RoundHead { view, last_n: 83 })).await.expect("its head is there");
    load(LoadChunk::Seats(round_id(1), seats)).await.expect("its round is there");
    load(part(6, &winners[6..])).await.expect("its round is there");
    assert!(matches!(load(LoadChunk::Open).await, Err(GateError::Load(_))), "most winners are missing");
    load(part(0, &winners[..7])).await.expect("its round is there");
    load(LoadChunk::Open).await.expect("it is whole");

    let delayed = rush.claim_in(2, &users(1)).await.expect("an open gate answers");
    assert_eq!(delayed.answers[0].outcome, Outcome::Refused(Refusal::NotOpenYet));
    rush.server.clock().set(second(301)).await;
    assert_eq!(rush.winners_among(2, &users(80)).await, (3..80).step_by(4).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_round_whose_draw_came_after_its_close_leaves_once_that_is_recorded() {
    let rush = reserved(80).await;
    rush.server.clock().set(second(360 + 3600)).await;
    assert_eq!(rush.conclude(1, &a_quarter(80)).await, DrawConclusion::Drawn(RoundSpec::LONGEST_DELAY));
    rush.server.clock().set(second(360 + 2 * 3600)).await;
    let last = rush.gate.tick(&rush.campaign, seen(0)).await.expect("an open gate answers").position.n;
    for (recorded, answer) in [(last - 1, Retirement::Kept), (last, Retirement::Retired)] {
        let retired = rush.gate.retire(&rush.campaign, round_id(1), recorded, seen(0)).await;
        assert_eq!(retired.expect("an open gate answers").answers, answer);
    }
}

#[tokio::test]
async fn winners_among_a_million_places_cost_a_bit_each_and_leave_with_the_round() {
    const PLACES: u32 = 1_000_000;
    let rush = reserved(1).await;
    // As if so many had come.
    rush.server.command(&["HSET", "{c:c}:r:1", "places", &PLACES.to_string()]).await.expect("set");
    let winners = a_quarter(PLACES);

    assert_eq!(rush.conclude(1, &winners).await, DrawConclusion::Drawn(Duration::ZERO));

    let memory = rush.memory("{c:c}:r:1:winners").await;
    assert!((winners.len()..winners.len() + 40_000).contains(&memory), "{memory} bytes for {} of bits", winners.len());
    rush.server.clock().set(second(10_000)).await;
    let tick = rush.gate.tick(&rush.campaign, seen(0)).await.expect("an open gate answers");
    rush.gate.retire(&rush.campaign, round_id(1), tick.position.n, seen(0)).await.expect("an open gate answers");
    assert_eq!(rush.server.command(&["KEYS", "{c:c}:r:*"]).await.expect("redis tells"), "");
}

#[tokio::test]
async fn winners_among_ten_million_places_come_in_several_parts() {
    const PLACES: u32 = 10_000_000;
    let rush = reserved(1).await;
    rush.server.command(&["HSET", "{c:c}:r:1", "places", &PLACES.to_string()]).await.expect("set");
    let winners = a_quarter(PLACES);

    assert_eq!(rush.conclude(1, &winners).await, DrawConclusion::Drawn(Duration::ZERO));

    let count = rush.server.command(&["BITCOUNT", "{c:c}:r:1:winners"]).await.expect("redis tells");
    assert_eq!(count, "2500000");
    let calls = rush.server.command(&["INFO", "commandstats"]).await.expect("redis tells");
    assert!(calls.contains("cmdstat_setrange:calls=5,"), "{calls}");
}
