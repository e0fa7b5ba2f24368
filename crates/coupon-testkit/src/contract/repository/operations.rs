//! What operators do comes with the recording, and back into a gate.

use std::time::Duration;

use coupon_domain::campaign::{CampaignState, Rules, Scope, Transition};
use coupon_domain::ids::RoundId;
use coupon_domain::model::{ADD_SUPPLY, CampaignHead, RoundView, UPDATE};
use coupon_domain::ports::{CreateOutcome, NewCampaign, RequestRecord};
use coupon_domain::round::Phase;
use uuid::Uuid;

use super::history::{History, decided_events};
use crate::build::{a_campaign, by, campaign_id, head, round, round_id, rules_like, second, users};
use crate::under_test::LedgerUnderTest;

/// A campaign of many starts with this total limit.
fn with_limit(id: &str, total_limit: u32) -> NewCampaign {
    let like = CampaignHead { total_limit: Some(total_limit), ..head() };
    let title = format!("Campaign {id}");
    NewCampaign { rules: Rules { title, ..rules_like(&like) }, ..a_campaign(id) }
}

/// The last ones, and each counts: whether they come one by one or at once.
pub async fn rules_limit_and_revision_come_with_the_recording(ledger: LedgerUnderTest) {
    for (id, one_by_one) in [("c", true), ("d", false)] {
        ledger.clock.set(second(0)).await;
        let new = with_limit(id, 100);
        let mut history = History::begin(&ledger, &new).await;
        let limited = |limit| Rules { total_limit: Some(limit), ..new.rules.clone() };
        let labelled = Rules { metadata: [("shop".to_owned(), "Zürich".to_owned())].into(), ..limited(150) };
        ledger.clock.set(second(50)).await;
        let steps = [limited(107), limited(150), labelled.clone(), Rules { total_limit: Some(151), ..labelled }];
        for (step, rules) in (0..).zip(steps) {
            match step {
                0 => history.add_supply(None, 7, None, second(1)),
                3 => history.add_supply(None, 1, None, second(2)),
                _ => {
                    history.revise(Scope::Campaign, &rules, None, second(1));
                }
            }
            if one_by_one || step == 3 {
                history.record(&ledger).await;
                let campaign = ledger.campaigns.campaign(&new.id).await.expect("answers").expect("it is there");
                assert_eq!((campaign.rules, campaign.revision), (rules, 2 + step), "{id} {step}");
                assert_eq!((campaign.state, campaign.updated_at), (CampaignState::Active, second(50)));
                assert_eq!(ledger.records.snapshot(&new.id).await.expect("answers"), history.fold.snapshot());
            }
        }
        assert_eq!(decided_events(&ledger, &new.id).await.len(), 4, "one for each");
    }
}

/// That of the campaign's creation too, in order of their ids' bytes.
pub async fn requests_come_with_the_recording_and_in_the_snapshot(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    // The order of their bytes is neither that of their coming nor that of signed numbers.
    let [created, paused, resumed, added, raised, updated] =
        [0x7f, 0xff, 0x01, 0x80, 0x00, 0x9f].map(|first| Uuid::from_u128((first << 120) + 5));
    let new = NewCampaign { by: by(Some(created)), ..with_limit("c", 100) };
    let mut history = History::begin(&ledger, &new).await;
    history.transition(Transition::Pause, Some(paused), second(1));
    history.transition(Transition::Resume, Some(resumed), second(2));
    history.record(&ledger).await;
    history.open_round(round(1).claiming(300..360).of_revision(3), second(3));
    history.add_supply(Some(round_id(1)), 7, Some(added), second(4));
    history.add_supply(None, 7, Some(raised), second(5));
    let rules = Rules { title: "Winter sale".to_owned(), total_limit: Some(107), ..new.rules.clone() };
    history.revise(Scope::Labels, &rules, Some(updated), second(6));
    history.transition(Transition::Pause, None, second(7));
    history.record(&ledger).await;

    let expected = [
        (raised, ADD_SUPPLY),
        (resumed, "RESUME"),
        (created, "CREATE"),
        (added, ADD_SUPPLY),
        (updated, UPDATE),
        (paused, "PAUSE"),
    ];
    let expected = expected.map(|(id, verb)| (id, verb.to_owned()));
    let snapshot = ledger.records.snapshot(&new.id).await.expect("answers");
    assert_eq!(snapshot.requests, expected);
    assert_eq!(snapshot, history.fold.snapshot());
    for (id, verb) in expected {
        let record = RequestRecord { campaign: new.id.clone(), verb };
        assert_eq!(ledger.campaigns.request(id).await.expect("answers"), Some(record));
    }
}

/// Two gates cannot know of one another; neither campaign's recording may stop for it.
pub async fn a_request_recorded_for_two_campaigns_belongs_to_the_first(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let [mut first, mut other] =
        [History::begin(&ledger, &a_campaign("c")).await, History::begin(&ledger, &a_campaign("d")).await];
    let created = a_campaign("e");
    let outcome = ledger.campaigns.create(&created).await.expect("answers");
    assert!(matches!(outcome, CreateOutcome::Created(_)), "{outcome:?}");
    let shared = Uuid::new_v4();
    first.transition(Transition::Pause, Some(shared), second(1));
    first.record(&ledger).await;
    other.transition(Transition::Pause, Some(shared), second(2));
    other.transition(Transition::Resume, created.by.request, second(3));
    other.transition(Transition::Pause, None, second(4));
    other.record(&ledger).await;

    for (request, campaign, verb) in [(Some(shared), "c", "PAUSE"), (created.by.request, "e", "CREATE")] {
        let record = RequestRecord { campaign: campaign_id(campaign), verb: verb.to_owned() };
        assert_eq!(ledger.campaigns.request(request.expect("it has one")).await.expect("answers"), Some(record));
    }
    let known = async |id: &str| ledger.records.snapshot(&campaign_id(id)).await.expect("answers").requests;
    assert!(known("c").await.contains(&(shared, "PAUSE".to_owned())));
    let of_other = known("d").await;
    assert!(of_other.iter().all(|(id, _)| *id != shared && Some(*id) != created.by.request), "{of_other:?}");
    let paused = ledger.campaigns.campaign(&campaign_id("d")).await.expect("answers").expect("it is there");
    assert_eq!((paused.state, paused.revision), (CampaignState::Paused, 4), "what they did is done all the same");
}

/// A round as the ledger tells it, by its number and in its campaign's snapshot.
async fn view(ledger: &LedgerUnderTest, history: &History, round: RoundId) -> RoundView {
    let record = ledger.campaigns.round(round).await.expect("answers").expect("it was opened");
    let snapshot = ledger.records.snapshot(&history.campaign).await.expect("answers");
    assert!(snapshot.rounds.contains(&record.head), "{record:?}");
    assert_eq!(record.head, history.fold.rounds[&round].head);
    record.head.view
}

/// To the microsecond; whether they come one by one or at once.
pub async fn supply_that_was_added_and_a_late_draw_are_kept(ledger: LedgerUnderTest) {
    ledger.clock.set(second(1000)).await;
    for (id, drawn, first_come, one_by_one) in [("c", 1, 2, true), ("d", 3, 4, false)] {
        let mut history = History::begin(&ledger, &a_campaign(id)).await;
        let (drawn, first_come) = (round_id(drawn), round_id(first_come));
        let delay = Duration::from_micros(30_000_001);
        let rush = round(drawn.number()).reserving(0..240).claiming(300..360).ratio(1, 5).drawn();
        history.open_round(rush, second(0));
        history.open_round(round(first_come.number()).claiming(500..560).fixed(7), second(0));
        history.reserve(drawn, &users(10), second(1));
        for step in 0..5 {
            match step {
                0 => history.add_supply(Some(drawn), 3, None, second(100)),
                1 => history.tick(second(240)),
                2 => history.conclude_draw(drawn, &[0b1111_0000, 0b0100_0000], second(300).plus(delay)),
                3 => history.add_supply(Some(first_come), 5, None, second(400)),
                _ => history.add_supply(Some(first_come), 2, None, second(510)),
            }
            if one_by_one || step == 4 {
                history.record(&ledger).await;
            }
            if one_by_one && step == 0 {
                let view = view(&ledger, &history, drawn).await;
                assert_eq!((view.added, view.supply, view.drawn, view.delay), (3, None, false, Duration::ZERO));
            }
        }
        let view_drawn = view(&ledger, &history, drawn).await;
        assert_eq!((view_drawn.added, view_drawn.supply, view_drawn.drawn), (3, Some(5), true), "{id}");
        assert_eq!((view_drawn.delay, view_drawn.phase), (delay, Phase::Claiming));
        let view_other = view(&ledger, &history, first_come).await;
        assert_eq!((view_other.added, view_other.supply, view_other.drawn), (7, Some(14), false), "{id}");
    }
}

/// In one recording or several: later phases find less, and that is not what the draw was about.
pub async fn what_the_limit_left_when_reservation_closed_is_kept(ledger: LedgerUnderTest) {
    ledger.clock.set(second(1000)).await;
    for (id, reserved, open, one_by_one) in [("c", 1, 2, true), ("d", 3, 4, false)] {
        let mut history = History::begin(&ledger, &with_limit(id, 10)).await;
        let (reserved, open) = (round_id(reserved), round_id(open));
        history.open_round(round(reserved.number()).reserving(0..240).claiming(300..360).fixed(5), second(0));
        history.open_round(round(open.number()).claiming(100..290).fixed(5), second(0));
        history.reserve(reserved, &users(3), second(1));
        let left = async |round| ledger.campaigns.round(round).await.expect("answers").map(|round| round.left_at_close);
        if one_by_one {
            history.record(&ledger).await;
            assert_eq!((left(reserved).await, left(open).await), (Some(None), Some(None)), "they have not closed");
        }
        for (at, claimants) in [(100, 2), (240, 2), (250, 4), (300, 4), (360, 4)] {
            // At second 100 the open round claims, with 10 left; at 240 reservation closes, with 8 left; then there are 6.
            if at < 290 {
                history.claim(open, &users(claimants), second(at));
            }
            history.tick(second(at));
            if one_by_one || at == 360 {
                history.record(&ledger).await;
            }
        }
        assert_eq!((left(reserved).await, left(open).await), (Some(Some(8)), Some(Some(10))), "{id}");
        assert_eq!(ledger.records.snapshot(&history.campaign).await.expect("answers").issued, 4);
    }
    let mut unlimited = History::begin(&ledger, &a_campaign("e")).await;
    unlimited.open_round(round(5).reserving(0..240).claiming(300..360), second(0));
    unlimited.tick(second(240));
    unlimited.record(&ledger).await;
    let record = ledger.campaigns.round(round_id(5)).await.expect("answers").expect("it was opened");
    assert_eq!((record.left_at_close, record.head.view.phase), (None, Phase::Waiting));
}
