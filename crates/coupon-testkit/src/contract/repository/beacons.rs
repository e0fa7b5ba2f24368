//! A draw's beacon: set once, and never once it is too late.

use coupon_domain::campaign::Transition;
use coupon_domain::draw::Hash;
use coupon_domain::ids::RoundId;
use coupon_domain::ports::{BeaconOutcome, Conclusion, DrawResult, RequestRecord};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::draws::{a_draw, root};
use super::history::History;
use crate::build::{a_campaign, by, campaign_id, round, round_id, second, users};
use crate::under_test::LedgerUnderTest;

const BYTES: &[u8] = &[0, 255, 128, 0, 10, 39];
const OTHERS: &[u8] = &[0, 255, 128, 0, 10];

async fn set(ledger: &LedgerUnderTest, round: RoundId, bytes: &[u8], request: Option<Uuid>) -> BeaconOutcome {
    ledger.draws.set_beacon(&campaign_id("c"), round, bytes, &by(request)).await.expect("the ledger answers")
}

async fn beacon(ledger: &LedgerUnderTest, round: RoundId) -> Option<Vec<u8>> {
    ledger.draws.draw(round).await.expect("the ledger answers").beacon
}

/// Of a round with ten places.
async fn conclude(ledger: &LedgerUnderTest, round: RoundId, beacon: Option<&[u8]>) -> Conclusion {
    let (beacon, last_score) = (beacon.map(<[u8]>::to_vec), Some(Hash::from([1; 32])));
    let ranks: Vec<_> = (0..10).collect();
    let result = DrawResult { beacon, winners: 2, last_score };
    ledger.draws.conclude_draw(round, &result, &ranks).await.expect("the ledger answers")
}

/// The rounds of campaign `c` with these numbers, each with ten places and a root; reservation has closed.
async fn rounds_to_draw(ledger: &LedgerUnderTest, numbers: std::ops::Range<u32>) -> History {
    ledger.clock.set(second(250)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    for number in numbers.clone() {
        let opens = 300 + 100 * i64::from(number);
        history.open_round(round(number).reserving(0..240).claiming(opens..opens + 60).ratio(1, 5).drawn(), second(0));
        history.reserve(round_id(number), &users(10), second(1));
    }
    history.tick(second(240));
    history.record(ledger).await;
    for number in numbers.map(round_id) {
        ledger.draws.keep_root(number, &root(&history, number)).await.expect("answers");
    }
    history
}

/// A repeat is harmless, with its own request, another one or none; what did nothing is not kept. It may come before the root.
pub async fn a_beacon_is_set_once(ledger: LedgerUnderTest) {
    let history = a_draw(&ledger, 10).await;
    let [request, another, late] = [(); 3].map(|()| Some(Uuid::new_v4()));
    assert_eq!(set(&ledger, round_id(1), BYTES, request).await, BeaconOutcome::Set);
    for request in [request, another, None] {
        assert_eq!(set(&ledger, round_id(1), BYTES, request).await, BeaconOutcome::Repeated);
    }
    for request in [late, None] {
        assert_eq!(set(&ledger, round_id(1), OTHERS, request).await, BeaconOutcome::SetOtherwise);
    }
    let root = root(&history, round_id(1));
    ledger.draws.keep_root(round_id(1), &root).await.expect("answers");
    let draw = ledger.draws.draw(round_id(1)).await.expect("answers");
    assert_eq!((draw.beacon.as_deref(), draw.root, draw.result), (Some(BYTES), Some(root), None));

    let record = RequestRecord { campaign: history.campaign.clone(), verb: "SET_BEACON".to_owned() };
    for (id, known) in [(request, Some(record)), (another, None), (late, None)] {
        assert_eq!(ledger.campaigns.request(id.expect("it has one")).await.expect("answers"), known);
    }
    let snapshot = ledger.records.snapshot(&history.campaign).await.expect("answers");
    assert!(snapshot.requests.contains(&(request.expect("it has one"), "SET_BEACON".to_owned())), "{snapshot:?}");

    assert_eq!(conclude(&ledger, round_id(1), Some(BYTES)).await, Conclusion::Kept);
    assert_eq!(set(&ledger, round_id(1), BYTES, request).await, BeaconOutcome::Repeated);
    assert_eq!(set(&ledger, round_id(1), OTHERS, None).await, BeaconOutcome::SetOtherwise);
    let result = ledger.draws.draw(round_id(1)).await.expect("answers").result.expect("it is drawn");
    assert_eq!(result.beacon.as_deref(), Some(BYTES));
}

/// Of eight bytes one; of one request's repeats the first.
pub async fn of_beacons_at_once_one_is_set(ledger: LedgerUnderTest) {
    rounds_to_draw(&ledger, 1..3).await;
    let request = Uuid::new_v4();
    let mut calls = JoinSet::new();
    for i in 0..16_u8 {
        let draws = ledger.draws.clone();
        let (round, bytes, request) = if i < 8 { (1, [i], None) } else { (2, [0], Some(request)) };
        calls.spawn(async move {
            let outcome = draws.set_beacon(&campaign_id("c"), round_id(round), &bytes, &by(request)).await;
            (round, bytes, outcome.expect("the ledger answers"))
        });
    }
    let outcomes = calls.join_all().await;

    for (round, turned_away) in [(1, BeaconOutcome::SetOtherwise), (2, BeaconOutcome::Repeated)] {
        let of_round = || outcomes.iter().filter(|(of, ..)| *of == round);
        let set: Vec<_> = of_round().filter(|(.., outcome)| *outcome == BeaconOutcome::Set).collect();
        let [(_, bytes, _)] = set[..] else { panic!("{outcomes:?}") };
        assert_eq!(of_round().filter(|(.., outcome)| *outcome == turned_away).count(), 7, "{outcomes:?}");
        assert_eq!(beacon(&ledger, round_id(round)).await.as_deref(), Some(&bytes[..]));
    }
}

/// It created or paused a campaign, or set the beacon of another campaign or of another round.
pub async fn a_request_that_did_something_else_sets_no_beacon(ledger: LedgerUnderTest) {
    let mut history = rounds_to_draw(&ledger, 1..3).await;
    let [paused, of_other_campaign, of_other_round] = [(); 3].map(|()| Some(Uuid::new_v4()));
    history.transition(Transition::Pause, paused, second(245));
    history.record(&ledger).await;
    let created = a_campaign("d");
    let mut other = History::begin(&ledger, &created).await;
    other.open_round(round(3).reserving(0..240).claiming(300..360).ratio(1, 5).drawn(), second(0));
    other.record(&ledger).await;
    let there = ledger.draws.set_beacon(&other.campaign, round_id(3), BYTES, &by(of_other_campaign)).await;
    assert_eq!(there.expect("answers"), BeaconOutcome::Set);
    assert_eq!(set(&ledger, round_id(2), BYTES, of_other_round).await, BeaconOutcome::Set);

    for request in [paused, created.by.request, of_other_campaign, of_other_round] {
        assert_eq!(set(&ledger, round_id(1), BYTES, request).await, BeaconOutcome::RequestUsed);
        assert_eq!(beacon(&ledger, round_id(1)).await, None);
    }
    let record = RequestRecord { campaign: history.campaign, verb: "PAUSE".to_owned() };
    let known = ledger.campaigns.request(paused.expect("it has one")).await.expect("answers");
    assert_eq!(known, Some(record));
}

/// Once it is drawn without one; the request can be sent again for something else.
pub async fn a_beacon_after_the_draw_is_too_late(ledger: LedgerUnderTest) {
    rounds_to_draw(&ledger, 1..2).await;
    assert_eq!(conclude(&ledger, round_id(1), None).await, Conclusion::Kept);
    let request = Uuid::new_v4();
    for _ in 0..2 {
        assert_eq!(set(&ledger, round_id(1), BYTES, Some(request)).await, BeaconOutcome::TooLate);
    }
    assert_eq!(ledger.campaigns.request(request).await.expect("answers"), None);
    let draw = ledger.draws.draw(round_id(1)).await.expect("answers");
    assert_eq!((draw.beacon, draw.result.expect("it is drawn").beacon), (None, None));
}

/// Drawn without it, with other bytes, or with bytes that nobody set: draw again.
pub async fn a_draw_with_another_beacon_is_not_concluded(ledger: LedgerUnderTest) {
    rounds_to_draw(&ledger, 1..2).await;
    assert_eq!(conclude(&ledger, round_id(1), Some(BYTES)).await, Conclusion::OtherBeacon);
    assert_eq!(set(&ledger, round_id(1), BYTES, None).await, BeaconOutcome::Set);
    for wrong in [None, Some(OTHERS)] {
        assert_eq!(conclude(&ledger, round_id(1), wrong).await, Conclusion::OtherBeacon);
    }
    assert_eq!(ledger.draws.draw(round_id(1)).await.expect("answers").result, None);
    assert_eq!(ledger.draws.ranks(round_id(1), 0, 10).await.expect("answers"), [0; 0]);

    assert_eq!(conclude(&ledger, round_id(1), Some(BYTES)).await, Conclusion::Kept);
    assert_eq!(conclude(&ledger, round_id(1), None).await, Conclusion::Earlier, "there is a result already");
}

/// Whichever is first turns the other away, round by round.
pub async fn a_beacon_and_a_draw_without_it_exclude_each_other(ledger: LedgerUnderTest) {
    rounds_to_draw(&ledger, 1..17).await;
    for round in (1..17).map(round_id) {
        let (setting, concluding) = tokio::join!(set(&ledger, round, BYTES, None), conclude(&ledger, round, None));
        let draw = ledger.draws.draw(round).await.expect("answers");
        match (setting, concluding) {
            (BeaconOutcome::Set, Conclusion::OtherBeacon) => {
                assert_eq!((draw.beacon.as_deref(), draw.result), (Some(BYTES), None));
            }
            (BeaconOutcome::TooLate, Conclusion::Kept) => {
                assert_eq!((draw.beacon, draw.result.expect("it is drawn").beacon), (None, None));
            }
            both => panic!("{both:?} of {draw:?}"),
        }
    }
}
