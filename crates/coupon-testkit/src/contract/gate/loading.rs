//! A gate that lost its state gets it back from the ledger, and goes on as if nothing had happened.

use std::time::Duration;

use coupon_domain::answer::{Issued, Outcome, Place, Refusal};
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::ids::UserId;
use coupon_domain::model::{
    CampaignHead, CampaignView, DrawConclusion, LoadChunk, LoadError, RoundHead, RoundView, Seat, Transitioned,
};
use coupon_domain::ports::{Frozen, GateError};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::Phase;

use crate::build::{head, request, round, round_id, second, user, users, winners};
use crate::contract::scene::{Scene, granted, only, outcomes};
use crate::under_test::GateUnderTest;

fn seat(ticket: u32, serial: Option<u32>) -> Seat {
    let place = Some(Place { ticket, reserved_at: second(10 + i64::from(ticket)) });
    Seat { place, coupon: serial.map(|serial| Issued { serial, claimed_at: second(300) }) }
}

/// In the middle of its claims, in epoch 4 at decision 1000: three places, a supply of two, one coupon issued.
fn round_head() -> RoundHead {
    let spec = round(6).reserving(0..240).claiming(300..360).ratio(2, 3).max_places(3).build();
    RoundHead {
        view: RoundView { phase: Phase::Claiming, supply: Some(2), places: 3, issued: 1, ..RoundView::planned(spec) },
        last_n: 990,
    }
}

fn campaign_head() -> CampaignHead {
    CampaignHead {
        position: Position { epoch: 4, n: 1000 },
        last_at: second(310),
        chain: Chain::of(&[b"the entry before"]),
        total_limit: Some(50),
        max_per_user: 2,
        issued: 41,
        ..head()
    }
}

fn seats() -> Vec<(UserId, Seat)> {
    vec![(user("ada"), seat(1, Some(0))), (user("bob"), seat(0, None)), (user("eve"), seat(2, None))]
}

/// Bob has used up his two in rounds that have left.
fn counts() -> Vec<(UserId, u32)> {
    vec![(user("ada"), 1), (user("bob"), 2), (user("zoe"), 1)]
}

fn whole() -> Vec<LoadChunk> {
    vec![
        LoadChunk::Head(campaign_head()),
        LoadChunk::Round(round_head()),
        LoadChunk::Seats(round_id(6), seats()[..1].to_vec()),
        LoadChunk::Seats(round_id(6), seats()[1..].to_vec()),
        LoadChunk::Counts(counts()),
        LoadChunk::Open,
    ]
}

/// A gate that knows nothing of it, frozen for epoch 4, the clock behind the last decision.
async fn frozen_empty(under_test: GateUnderTest) -> Scene {
    let scene = Scene::unopened(under_test, second(305)).await;
    assert_eq!(scene.freeze(4).await.expect("never opened"), Frozen::Empty);
    scene.learn(Position { epoch: 4, n: 1000 });
    scene
}

async fn is_closed(scene: &Scene) {
    for epoch in [3, 4] {
        let ticked = scene.gate.tick(&scene.campaign, Position { epoch, n: 0 }).await;
        assert!(matches!(ticked, Err(GateError::Recovering)), "{ticked:?}");
    }
}

/// Repeats, counters, users' counts, the supply left, the number, the time and the chain.
pub async fn what_was_loaded_is_answered_like_before(under_test: GateUnderTest) {
    let scene = frozen_empty(under_test).await;
    let chunks = whole();
    scene.load(4, chunks[..5].to_vec()).await.expect("chunks of this recovery");
    is_closed(&scene).await;
    scene.load(4, [LoadChunk::Open]).await.expect("it is whole");

    let six = round_id(6);
    let view = CampaignView {
        state: CampaignState::Active,
        revision: 1,
        issued: 41,
        total_limit: Some(50),
        rounds: vec![round_head().view],
    };
    let ticked = scene.tick().await;
    assert_eq!((ticked.answers, ticked.position), (view, Position { epoch: 4, n: 1000 }));

    for (who, seat) in seats() {
        let place = only(&scene.reserve(six, &[who]).await);
        assert_eq!(Some(place), seat.place.map(Outcome::Replayed));
    }
    let claimed = scene.claim(six, &["ada", "bob", "eve", "zoe"].map(user)).await;
    let expected = [
        Outcome::Replayed(Issued { serial: 0, claimed_at: second(300) }),
        Outcome::Refused(Refusal::LimitReached),
        Outcome::Granted(Issued { serial: 1, claimed_at: second(310) }),
        Outcome::Refused(Refusal::NotReserved),
    ];
    assert_eq!(outcomes(&claimed), expected);
    let entry = claimed.entry.expect("a coupon is a decision");
    assert_eq!((entry.epoch, entry.first, entry.last, entry.at), (4, 1001, 1001, second(310)));
    assert_eq!((entry.prev, entry.rows.as_str()), (campaign_head().chain, "coupon r-6 1 eve"));
    assert_eq!(scene.entries_after(1000).await, [entry]);
}

/// More than one batch holds, places and coupons.
pub async fn many_seats_come_in_many_chunks(under_test: GateUnderTest) {
    let scene = frozen_empty(under_test).await;
    let everyone = users(1234);
    let spec = round(6).reserving(0..240).claiming(300..360).ratio(1, 1).build();
    let view =
        RoundView { phase: Phase::Claiming, supply: Some(1234), places: 1234, issued: 617, ..RoundView::planned(spec) };
    let seats: Vec<_> = everyone.iter().cloned().zip((0..).map(|i| seat(i, (i % 2 == 0).then_some(i / 2)))).collect();
    let counts: Vec<_> = everyone.iter().step_by(2).map(|who| (who.clone(), 1)).collect();
    let once = CampaignHead { max_per_user: 1, total_limit: None, issued: 617, ..campaign_head() };
    let mut chunks = vec![LoadChunk::Head(once), LoadChunk::Round(RoundHead { view, last_n: 999 })];
    chunks.extend(seats.chunks(500).map(|some| LoadChunk::Seats(round_id(6), some.to_vec())));
    chunks.extend(counts.chunks(500).map(|some| LoadChunk::Counts(some.to_vec())));
    chunks.push(LoadChunk::Open);

    scene.load(4, chunks).await.expect("it is whole");

    for batch in everyone.chunks(500) {
        for (index, outcome) in outcomes(&scene.reserve(round_id(6), batch).await).into_iter().enumerate() {
            assert!(matches!(outcome, Outcome::Replayed(_)), "{outcome:?} for {}", batch[index]);
        }
    }
    let mut new = 0;
    for batch in everyone.chunks(500) {
        new += granted(&outcomes(&scene.claim(round_id(6), batch).await));
    }
    assert_eq!((new, scene.view(round_id(6)).await.issued), (617, 1234));
}

/// A hundred places of which every fifth won; claims are half a minute late, and `u-3` has come.
fn a_drawn_round() -> RoundHead {
    let spec = round(6).reserving(0..240).claiming(300..360).fixed(18).drawn().registered_only().build();
    let (phase, supply, delay) = (Phase::Claiming, Some(20), Duration::from_micros(30_000_001));
    let (places, issued, added, drawn) = (100, 1, 2, true);
    RoundHead { view: RoundView { phase, supply, places, issued, added, drawn, delay, spec }, last_n: 999 }
}

/// Its parts with these bits set among the winners', in chunks of so many bytes.
fn drawn(tickets: impl IntoIterator<Item = u32>, size: usize) -> Vec<LoadChunk> {
    let seats = users(100).into_iter().zip((0..).map(|i| seat(i, (i == 3).then_some(0)))).collect();
    let mut chunks = vec![
        LoadChunk::Head(CampaignHead { max_per_user: 1, issued: 1, ..campaign_head() }),
        LoadChunk::Round(a_drawn_round()),
        LoadChunk::Seats(round_id(6), seats),
    ];
    let firsts = (0..).step_by(size);
    let winners = winners(100, tickets);
    chunks.extend(
        winners.chunks(size).zip(firsts).map(|(part, first)| LoadChunk::Winners(round_id(6), first, part.to_vec())),
    );
    chunks.extend([LoadChunk::Counts(vec![(user("u-3"), 1)]), LoadChunk::Open]);
    chunks
}

/// In parts of any size: winners go on claiming until the delayed close, losers and strangers to the registry are told so.
pub async fn winners_come_in_chunks_of_any_size(under_test: GateUnderTest) {
    let gate = Scene::unopened(under_test, second(335)).await;
    let (six, all) = (round_id(6), users(100));
    for size in [1, 3, 500] {
        let scene = gate.of(&format!("by-{size}"));
        scene.freeze(4).await.expect("never opened");
        scene.load(4, drawn((3..100).step_by(5), size)).await.expect("it is whole");
        scene.learn(Position { epoch: 4, n: 1000 });

        scene.at(second(335)).await;
        assert_eq!(scene.tick().await.answers.rounds, [a_drawn_round().view]);
        let concluded = scene.conclude_draw(six, &winners(100, 0..20)).await;
        assert_eq!(concluded.answers, DrawConclusion::AlreadyDrawn);
        assert_eq!(only(&scene.claim_unregistered(six, &all[8..9]).await), Outcome::Refused(Refusal::UnknownUser));
        scene.at(second(390)).await;
        let claimed = outcomes(&scene.claim(six, &all).await);
        assert_eq!(claimed[3], Outcome::Replayed(Issued { serial: 0, claimed_at: second(300) }));
        for (ticket, outcome) in claimed.iter().enumerate().filter(|(ticket, _)| *ticket != 3) {
            let won = matches!(outcome, Outcome::Granted(_));
            assert_eq!(won, ticket % 5 == 3, "ticket {ticket}: {outcome:?}");
            assert!(won || *outcome == Outcome::Refused(Refusal::NotDrawn), "ticket {ticket}: {outcome:?}");
        }
    }
}

/// One too few, one too many, a part missing; nor do winners come before their round.
pub async fn a_drawn_round_without_its_winners_is_not_opened(under_test: GateUnderTest) {
    let scene = frozen_empty(under_test).await;
    let mut without_part = drawn((3..100).step_by(5), 5);
    without_part.remove(4);
    let without_any = drawn([], 5);
    let one_less = drawn((8..100).step_by(5), 5);
    let one_more = drawn((3..100).step_by(5).chain([99]), 5);
    for wrong in [without_part, without_any, one_less, one_more] {
        let loaded = scene.load(4, wrong).await;
        assert!(
            matches!(&loaded, Err(GateError::Load(LoadError::RoundNotWhole(id))) if *id == round_id(6)),
            "{loaded:?}"
        );
        is_closed(&scene).await;
    }
    let early = [LoadChunk::Head(campaign_head()), LoadChunk::Winners(round_id(6), 0, vec![0xff])];
    let loaded = scene.load(4, early).await;
    assert!(matches!(&loaded, Err(GateError::Load(LoadError::RoundNotWhole(id))) if *id == round_id(6)), "{loaded:?}");
    scene.load(4, drawn((3..100).step_by(5), 5)).await.expect("it is whole");
}

/// Users and requests of the state before are gone, of the gate's own and of a load that was broken off.
pub async fn a_head_makes_the_gate_forget_what_it_had(under_test: GateUnderTest) {
    let scene =
        Scene::open(under_test, head(), second(1), [round(6).reserving(0..240), round(7).claiming(900..960)]).await;
    scene.reserve(round_id(6), &["old", "zoe"].map(user)).await;
    scene.transition_by(Some(request(2)), Transition::Pause).await;
    scene.freeze(4).await.expect("a later epoch freezes");
    let broken_off = [
        LoadChunk::Head(campaign_head()),
        LoadChunk::Round(round_head()),
        LoadChunk::Seats(round_id(6), vec![(user("ghost"), seat(3, None))]),
        LoadChunk::Counts(vec![(user("eve"), 2)]),
        LoadChunk::Requests(vec![(request(1), "END".to_owned())]),
    ];
    scene.load(4, broken_off).await.expect("chunks of this recovery");

    scene.load(4, whole()).await.expect("it is whole");
    scene.learn(Position { epoch: 4, n: 1000 });

    assert_eq!(scene.tick().await.answers.rounds, [round_head().view]);
    let claimed = scene.claim(round_id(6), &["ghost", "old", "zoe", "eve"].map(user)).await;
    let no = Outcome::Refused(Refusal::NotReserved);
    assert_eq!(outcomes(&claimed), [no, no, no, Outcome::Granted(Issued { serial: 1, claimed_at: second(310) })]);
    for (number, transition) in [(1, Transition::Pause), (2, Transition::Resume)] {
        let by = scene.transition_by(Some(request(number)), transition).await;
        assert_eq!(by.answers, Transitioned::Done(transition.to()), "request {number} did nothing so far");
    }
}

/// Seats or coupons missing or too many: the campaign stays closed until a whole one is loaded.
pub async fn what_is_not_whole_is_not_opened(under_test: GateUnderTest) {
    let scene = frozen_empty(under_test).await;
    let without_coupon = vec![(user("ada"), seat(1, None)), seats()[1].clone(), seats()[2].clone()];
    let one_more = [seats(), vec![(user("zoe"), seat(3, None))]].concat();
    for wrong in [vec![], seats()[1..].to_vec(), without_coupon, one_more] {
        let parts = [
            LoadChunk::Head(campaign_head()),
            LoadChunk::Round(round_head()),
            LoadChunk::Seats(round_id(6), wrong),
            LoadChunk::Counts(counts()),
        ];
        scene.load(4, parts).await.expect("what is missing shows at the end");
        let opened = scene.load(4, [LoadChunk::Open]).await;
        assert!(
            matches!(&opened, Err(GateError::Load(LoadError::RoundNotWhole(id))) if *id == round_id(6)),
            "{opened:?}"
        );
        is_closed(&scene).await;
        let reopened = scene.gate.reopen(&scene.campaign, 4).await;
        assert!(matches!(reopened, Err(GateError::NotLoaded)), "{reopened:?}");
    }
    scene.load(4, whole()).await.expect("it is whole");
    assert_eq!(scene.tick().await.answers.issued, 41);
}

/// The order of the parts is held to.
pub async fn a_round_needs_its_head_and_seats_their_round(under_test: GateUnderTest) {
    let scene = frozen_empty(under_test).await;
    let requests = LoadChunk::Requests(vec![(request(1), "PAUSE".to_owned())]);
    let winners = LoadChunk::Winners(round_id(6), 0, vec![0xff]);
    for first in [LoadChunk::Round(round_head()), winners, requests, LoadChunk::Counts(counts()), LoadChunk::Open] {
        let loaded = scene.load(4, [first.clone()]).await;
        assert!(matches!(loaded, Err(GateError::Load(LoadError::NoHead))), "{loaded:?} for {first:?}");
    }
    let loaded = scene.load(4, [LoadChunk::Head(campaign_head()), LoadChunk::Seats(round_id(6), seats())]).await;
    assert!(matches!(&loaded, Err(GateError::Load(LoadError::RoundNotWhole(id))) if *id == round_id(6)), "{loaded:?}");
    is_closed(&scene).await;
    scene.load(4, whole()).await.expect("it is whole");
}

/// Not one of another epoch, and not into a campaign that is open.
pub async fn only_the_recovery_that_froze_may_load(under_test: GateUnderTest) {
    let scene = frozen_empty(under_test).await;
    for epoch in [1, 3, 5] {
        for chunk in whole() {
            let loaded = scene.load(epoch, [chunk]).await;
            assert!(matches!(loaded, Err(GateError::Fenced(4))), "{loaded:?}");
        }
    }
    scene.load(4, whole()).await.expect("it is whole");
    for chunk in whole() {
        let loaded = scene.load(4, [chunk.clone()]).await;
        assert!(loaded.is_err(), "an open campaign took {chunk:?}");
    }
    let claimed = scene.claim(round_id(6), &["ada", "eve"].map(user)).await;
    assert_eq!(granted(&outcomes(&claimed)), 1, "it goes on as it was");
}
