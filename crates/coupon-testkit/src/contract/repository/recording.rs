//! The journal's way into the ledger: exactly once, whole or not at all.

use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::ports::{EventFilter, RecordError, RequestRecord, RoundRecord};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::history::{History, decided_events, events_after};
use crate::build::{a_campaign, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

/// A campaign of which everything was decided but nothing recorded: two rounds, places, coupons, phases and a pause.
async fn a_full_history(ledger: &LedgerUnderTest) -> History {
    ledger.clock.set(second(500)).await;
    let mut history = History::begin(ledger, &a_campaign("c")).await;
    history.open_round(round(1).reserving(0..240).claiming(300..360).ratio(1, 2), second(0));
    history.open_round(round(2).claiming(900..960).fixed(7), second(0));
    history.reserve(round_id(1), &users(10), second(1));
    history.claim(round_id(1), &users(3), second(300));
    history.transition(Transition::Pause, None, second(310));
    history
}

/// What was decided is there: round by round, row by row, with an event each.
pub async fn a_recording_brings_rows_events_and_cursor_at_once(ledger: LedgerUnderTest) {
    let mut history = a_full_history(&ledger).await;
    let id = history.campaign.clone();
    assert_eq!(decided_events(&ledger, &id).await, []);
    let recording = history.take();

    ledger.records.record(&id, &recording).await.expect("it follows what the ledger has");

    assert_eq!(ledger.records.cursor(&id).await.expect("answers"), recording.to);
    let mut snapshot = ledger.records.snapshot(&id).await.expect("answers");
    snapshot.rounds.sort_by_key(|round| round.view.spec.id);
    assert_eq!(snapshot, history.fold.snapshot());
    for (round, folded) in &history.fold.rounds {
        let record =
            RoundRecord { campaign: id.clone(), head: folded.head.clone(), left_at_close: folded.left_at_close };
        assert_eq!(ledger.campaigns.round(*round).await.expect("answers"), Some(record));
        let seats = ledger.records.seats(*round, None, 1000).await.expect("answers");
        assert_eq!(seats, folded.seats.clone().into_iter().collect::<Vec<_>>());
    }
    assert_eq!(decided_events(&ledger, &id).await, recording.events(&id));
}

/// The second time the cursor is elsewhere, and nothing is doubled.
pub async fn a_recording_is_written_once(ledger: LedgerUnderTest) {
    let mut history = a_full_history(&ledger).await;
    let recording = history.take();
    ledger.records.record(&history.campaign, &recording).await.expect("it follows what the ledger has");
    let events = events_after(&ledger, 0).await;

    let again = ledger.records.record(&history.campaign, &recording).await;

    assert!(matches!(&again, Err(RecordError::Moved(cursor)) if *cursor == recording.to), "{again:?}");
    assert_eq!(events_after(&ledger, 0).await, events);
}

/// Something is missing in between: it has to wait.
pub async fn a_recording_that_does_not_follow_is_refused(ledger: LedgerUnderTest) {
    let mut history = a_full_history(&ledger).await;
    let first = history.take();
    history.transition(Transition::Resume, None, second(320));
    let then = history.take();

    let ahead = ledger.records.record(&history.campaign, &then).await;
    assert!(matches!(&ahead, Err(RecordError::Moved(cursor)) if *cursor == first.from), "{ahead:?}");
    assert_eq!(decided_events(&ledger, &history.campaign).await, []);
    assert_eq!(ledger.records.cursor(&history.campaign).await.expect("answers"), first.from);

    for recording in [first, then] {
        ledger.records.record(&history.campaign, &recording).await.expect("now it follows");
    }
    assert_eq!(ledger.records.snapshot(&history.campaign).await.expect("answers").state, CampaignState::Active);
}

/// The others find it busy or done.
pub async fn of_recorders_at_once_one_writes(ledger: LedgerUnderTest) {
    let mut history = a_full_history(&ledger).await;
    let recording = history.take();
    let mut recorders = JoinSet::new();
    for _ in 0..8 {
        let (records, id, recording) = (ledger.records.clone(), history.campaign.clone(), recording.clone());
        recorders.spawn(async move { records.record(&id, &recording).await });
    }
    let outcomes = recorders.join_all().await;

    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
    for outcome in outcomes {
        assert!(matches!(&outcome, Ok(()) | Err(RecordError::Busy | RecordError::Moved(_))), "{outcome:?}");
    }
    let events = decided_events(&ledger, &history.campaign).await;
    assert_eq!(events, recording.events(&history.campaign));
}

/// The campaign shows it, its revision is raised, and the request is known by its verb.
pub async fn a_change_of_state_is_kept_with_its_request(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let id = history.campaign.clone();
    let created = ledger.campaigns.campaign(&id).await.expect("answers").expect("it is there");
    let (pause, resume) = (Uuid::new_v4(), Uuid::new_v4());
    history.transition(Transition::Pause, Some(pause), second(1));
    history.record(&ledger).await;
    ledger.clock.set(second(50)).await;

    let paused = ledger.campaigns.campaign(&id).await.expect("answers").expect("it is there");
    assert_eq!((paused.state, paused.created_at), (CampaignState::Paused, created.created_at));
    assert!(paused.revision > created.revision);
    assert_eq!(ledger.records.snapshot(&id).await.expect("answers").state, CampaignState::Paused);

    // Several in one recording: the last one stands.
    history.transition(Transition::Resume, Some(resume), second(2));
    history.transition(Transition::Pause, None, second(3));
    history.transition(Transition::Resume, None, second(4));
    history.record(&ledger).await;
    let resumed = ledger.campaigns.campaign(&id).await.expect("answers").expect("it is there");
    assert_eq!((resumed.state, resumed.updated_at), (CampaignState::Active, second(50)));
    for (request, verb) in [(pause, "PAUSE"), (resume, "RESUME")] {
        let record = RequestRecord { campaign: id.clone(), verb: verb.to_owned() };
        assert_eq!(ledger.campaigns.request(request).await.expect("answers"), Some(record));
    }
}

/// Whether it was opened in an earlier recording or in the same one; its leaving has no event.
pub async fn an_unused_round_is_forgotten(ledger: LedgerUnderTest) {
    ledger.clock.set(second(5000)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let id = history.campaign.clone();
    history.open_round(round(1).claiming(300..360), second(0));
    history.record(&ledger).await;
    history.tick(second(1000));
    history.retire(round_id(1), second(1000));
    history.open_round(round(2).claiming(1300..1360), second(1000));
    history.tick(second(3000));
    history.retire(round_id(2), second(3000));
    let recording = history.take();
    assert_eq!(recording.retired.len(), 2, "both leave");
    let before = events_after(&ledger, 0).await.len();

    ledger.records.record(&id, &recording).await.expect("it follows what the ledger has");

    for number in [1, 2] {
        assert_eq!(ledger.campaigns.round(round_id(number)).await.expect("answers"), None);
    }
    assert_eq!(ledger.campaigns.rounds(&id, None, 10).await.expect("answers"), []);
    assert_eq!(ledger.records.snapshot(&id).await.expect("answers"), history.fold.snapshot());
    let new = events_after(&ledger, 0).await.len() - before;
    assert!(new <= recording.events(&id).len(), "{new} events");
}

/// It leaves the gate only: seats, coupons and counts are still answered.
pub async fn a_used_round_stays_in_the_ledger(ledger: LedgerUnderTest) {
    ledger.clock.set(second(5000)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let id = history.campaign.clone();
    history.open_round(round(1).claiming(300..360), second(0));
    history.open_round(round(2).claiming(9300..9360), second(0));
    history.claim(round_id(1), &users(2), second(300));
    history.tick(second(4000));
    history.retire(round_id(1), second(4000));
    let recording = history.take();
    assert_eq!(recording.retired.len(), 1);

    ledger.records.record(&id, &recording).await.expect("it follows what the ledger has");

    let snapshot = ledger.records.snapshot(&id).await.expect("answers");
    assert_eq!((snapshot.issued, snapshot.rounds.len()), (2, 1));
    assert_eq!(snapshot, history.fold.snapshot());
    let kept = ledger.campaigns.round(round_id(1)).await.expect("answers").expect("it was used");
    assert_eq!(kept.head, history.fold.rounds[&round_id(1)].head);
    assert_eq!(ledger.campaigns.rounds(&id, None, 10).await.expect("answers").len(), 2);
    assert!(ledger.records.seat(round_id(1), &user("u-0")).await.expect("answers").coupon.is_some());
    assert_eq!(
        ledger.records.coupon_counts(&id, None, 10).await.expect("answers"),
        [(user("u-0"), 1), (user("u-1"), 1)]
    );
    assert_eq!(decided_events(&ledger, &id).await, recording.events(&id));
}

/// In the order in which the ledger got them: what was recorded first comes first.
pub async fn events_are_read_page_by_page(ledger: LedgerUnderTest) {
    let mut history = a_full_history(&ledger).await;
    history.record(&ledger).await;
    let first = events_after(&ledger, 0).await;
    history.transition(Transition::Resume, None, second(320));
    history.claim(round_id(1), &users(10), second(321));
    history.record(&ledger).await;
    let all = events_after(&ledger, 0).await;
    assert_eq!(all[..first.len()], first);

    for limit in [1, 3, 1000] {
        let mut paged = Vec::new();
        loop {
            let after = paged.last().map_or(0, |(place, _)| *place);
            let page = ledger.feed.events(after, &EventFilter::default(), limit).await.expect("answers").events;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize);
            paged.extend(page);
        }
        assert_eq!(paged, all);
    }
}
