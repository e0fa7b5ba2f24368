//! The ledger: recording, and loading a gate from it.

use coupon_domain::campaign::{Revision, Rules, Scope, Transition};
use coupon_domain::model::{CampaignHead, LoadChunk, Transitioned};
use coupon_domain::ports::{
    CampaignRepository as _, CreateOutcome, EventKind, Gate as _, NewCampaign, RecordError, RecordRepository as _,
};
use coupon_domain::position::Position;
use coupon_domain::recording::{Recording, RoundChange};
use coupon_testkit::build::{a_campaign, campaign_id, coupon_id, head, round, round_id, rules, second, user, users};
use uuid::Uuid;

use crate::shop::Shop;

/// Ten places, two coupons; nothing is recorded yet.
async fn a_round_of_ten() -> Shop {
    let shop = Shop::with([round(1).reserving(0..240).ratio(1, 5)]).await;
    let seen = shop.seen();
    shop.gate.reserve(&shop.campaign, round_id(1), &users(10), true, seen).await.expect("decided");
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &users(3), true, seen).await.expect("decided");
    shop
}

async fn everything(shop: &Shop) -> String {
    let ledger = &shop.ledger;
    let snapshot = ledger.snapshot(&shop.campaign).await.expect("the ledger answers");
    let events = shop.events_behind(0, 10_000).await;
    let seats = ledger.seats(round_id(1), None, 10_000).await.expect("the ledger answers");
    format!("{snapshot:?} {events:?} {seats:?}")
}

#[tokio::test]
async fn a_gate_loaded_from_the_ledger_goes_on_like_the_one_before() {
    let shop = a_round_of_ten().await;
    let seen = shop.seen();
    let request = Uuid::from_u128(7);
    shop.gate.transition(&shop.campaign, Transition::Pause, Some(request), seen).await.expect("decided");
    shop.gate.transition(&shop.campaign, Transition::Resume, None, seen).await.expect("decided");
    shop.record().await;
    let before = shop.gate.tick(&shop.campaign, seen).await.expect("open");

    let shop = shop.restarted();
    let snapshot = shop.ledger.snapshot(&shop.campaign).await.expect("the ledger answers");
    let seats = shop.ledger.seats(round_id(1), None, 500).await.expect("the ledger answers");
    let counts = shop.ledger.coupon_counts(&shop.campaign, None, 500).await.expect("the ledger answers");
    shop.gate.freeze(&shop.campaign, 2).await.expect("frozen");
    let loaded = CampaignHead {
        position: Position { epoch: 2, n: snapshot.cursor.position.n },
        last_at: snapshot.cursor.last_at.expect("something was decided"),
        chain: snapshot.cursor.chain,
        state: snapshot.state,
        revision: snapshot.revision,
        issued: snapshot.issued,
        ..head()
    };
    let mut chunks = vec![LoadChunk::Head(loaded)];
    chunks.extend(snapshot.rounds.into_iter().map(LoadChunk::Round));
    chunks.extend([LoadChunk::Seats(round_id(1), seats), LoadChunk::Counts(counts)]);
    chunks.extend([LoadChunk::Requests(snapshot.requests), LoadChunk::Open]);
    for chunk in chunks {
        shop.gate.load(&shop.campaign, 2, chunk).await.expect("it is whole");
    }

    let seen = Position { epoch: 2, n: before.position.n };
    let after = shop.gate.tick(&shop.campaign, seen).await.expect("open");
    assert_eq!((after.answers, after.position.n), (before.answers, before.position.n));
    let again = shop.gate.transition(&shop.campaign, Transition::Pause, Some(request), seen).await.expect("decided");
    assert_eq!(again.answers, Transitioned::Repeated);
    let done = shop.ledger.request(request).await.expect("the ledger answers").expect("it was noted");
    assert_eq!((done.campaign.as_str(), done.verb.as_str()), ("c", "PAUSE"));
}

#[tokio::test]
async fn every_decision_has_one_event_in_the_order_of_the_decisions() {
    let shop = a_round_of_ten().await;
    shop.record().await;

    let events = shop.events_behind(0, 1000).await;

    let ids: Vec<_> = events[1..].iter().map(|(_, e)| e.id.clone()).collect();
    assert_eq!(ids, (1..=15).map(|n| format!("c-{n}")).collect::<Vec<_>>());
    assert_eq!(events[0].1.kind, EventKind::CampaignCreated);
    let (seq, last) = events.last().expect("there are events");
    assert_eq!(
        (last.kind, last.coupon, &last.user),
        (EventKind::CouponIssued, Some(coupon_id(1, 1)), &Some(user("u-1")))
    );
    assert_eq!(shop.events_behind(*seq - 1, 1000).await, events[15..]);
    assert_eq!(shop.events_behind(0, 3).await, events[..3]);
}

#[tokio::test]
async fn a_recording_from_elsewhere_is_told_where_the_cursor_is() {
    let shop = a_round_of_ten().await;
    let recording = shop.unrecorded().await;
    shop.record().await;
    let before = everything(&shop).await;

    let again = shop.ledger.record(&shop.campaign, &recording).await;

    assert!(matches!(again, Err(RecordError::Moved(cursor)) if cursor == recording.to), "{again:?}");
    assert_eq!(everything(&shop).await, before);
}

#[tokio::test]
async fn a_falsified_recording_is_a_fork_and_nothing_of_it_is_written() {
    let shop = a_round_of_ten().await;
    shop.record().await;
    let seen = shop.seen();
    shop.at(second(310)).await;
    shop.gate.open_round(&shop.campaign, &round(2).claiming(1000..1060).build(), seen).await.expect("decided");
    shop.at(second(1000)).await;
    shop.gate.claim(&shop.campaign, round_id(2), &[user("late"), user("later")], true, seen).await.expect("decided");
    let honest = shop.unrecorded().await;
    let before = everything(&shop).await;

    let falsify: [fn(&mut Recording); 7] = [
        |r| r.coupons[1].serial = 0,
        |r| r.coupons[1].user = user("late"),
        |r| r.coupons[1].round = round_id(99),
        |r| (r.coupons[1].round, r.coupons[1].serial) = (round_id(1), 1),
        |r| r.rounds[0].spec.id = round_id(1),
        |r| r.changes.extend([(round_id(99), RoundChange::default())]),
        |r| r.coupons[1].n = 3,
    ];
    for (index, falsify) in falsify.into_iter().enumerate() {
        let mut recording = honest.clone();
        falsify(&mut recording);
        let recorded = shop.ledger.record(&shop.campaign, &recording).await;
        assert!(matches!(recorded, Err(RecordError::Fork(_))), "{index}: {recorded:?}");
        assert_eq!(everything(&shop).await, before, "{index}");
    }
    shop.ledger.record(&shop.campaign, &honest).await.expect("the honest one is recorded");
}

#[tokio::test]
async fn an_unused_round_is_forgotten_and_a_used_one_is_kept() {
    let shop = Shop::with([round(1), round(2).claiming(400..460)]).await;
    let seen = shop.seen();
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &users(1), true, seen).await.expect("decided");
    shop.at(second(5000)).await;
    let closed = shop.gate.tick(&shop.campaign, seen).await.expect("open");
    shop.record().await;
    for round in [1, 2] {
        shop.gate.retire(&shop.campaign, round_id(round), closed.position.n, seen).await.expect("decided");
    }
    shop.record().await;

    let snapshot = shop.ledger.snapshot(&shop.campaign).await.expect("the ledger answers");
    assert_eq!((snapshot.rounds, snapshot.issued), (vec![], 1));
    assert!(shop.ledger.round(round_id(1)).await.expect("the ledger answers").is_some());
    assert_eq!(shop.ledger.round(round_id(2)).await.expect("the ledger answers"), None);
    let rounds = shop.ledger.rounds(&shop.campaign, None, 9).await.expect("the ledger answers");
    assert_eq!(rounds.iter().map(|round| &round.head.view.spec).collect::<Vec<_>>(), [&round(1).build()]);
    let seat = shop.ledger.seat(round_id(1), &user("u-0")).await.expect("the ledger answers");
    assert!(seat.coupon.is_some());
}

#[tokio::test]
async fn seats_are_paged_in_order_of_the_users_bytes() {
    let shop = Shop::with([round(1).reserving(0..240).ratio(1, 1)]).await;
    let (seen, one) = (shop.seen(), round_id(1));
    let names = ["b", "B", "a", "_", "aa", ".", "10", "9"].map(user);
    shop.gate.reserve(&shop.campaign, one, &names, true, seen).await.expect("decided");
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, one, &names[..4], true, seen).await.expect("decided");
    shop.record().await;

    let mut seats = Vec::new();
    loop {
        let after = seats.last().map(|(user, _)| user).cloned();
        let page = shop.ledger.seats(one, after.as_ref(), 3).await.expect("the ledger answers");
        if page.is_empty() {
            break;
        }
        seats.extend(page);
    }

    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(seats.iter().map(|(user, _)| user.clone()).collect::<Vec<_>>(), sorted);
    assert_eq!(seats.iter().filter(|(_, seat)| seat.coupon.is_some()).count(), 4);
    for (user, seat) in &seats {
        assert_eq!(shop.ledger.seat(one, user).await.expect("the ledger answers"), *seat);
    }
    let counts = shop.ledger.coupon_counts(&shop.campaign, Some(&user("B")), 2).await.expect("the ledger answers");
    assert_eq!(counts, [(user("_"), 1), (user("a"), 1)]);
}

#[tokio::test]
async fn a_title_that_was_kept_for_a_campaign_until_it_ended_is_free() {
    let shop = Shop::closed().await;
    shop.open(head()).await;
    let next = Rules { title: "Summer sale".to_owned(), ..rules() };
    assert_eq!(shop.ledger.keep_title(&shop.campaign, &next).await.expect("the ledger answers"), None);
    shop.gate.transition(&shop.campaign, Transition::End, None, shop.seen()).await.expect("decided");
    shop.record().await;
    // As whoever kept the first one may do, before the gate has told it.
    assert_eq!(shop.ledger.keep_title(&shop.campaign, &next).await.expect("the ledger answers"), None);

    for title in [rules(), next] {
        let id = campaign_id(&format!("of-{}", title.title.replace(' ', "-")));
        let new = NewCampaign { id: id.clone(), rules: title.clone(), ..a_campaign("x") };
        let created = shop.ledger.create(&new).await.expect("the ledger answers");
        assert!(matches!(created, CreateOutcome::Created(_)), "{created:?}");
        let holder = shop.ledger.keep_title(&shop.campaign, &title).await.expect("the ledger answers");
        assert_eq!(holder, Some(id));
    }
}

#[tokio::test]
async fn a_change_that_is_on_its_way_keeps_its_title_while_others_are_recorded() {
    let shop = Shop::closed().await;
    shop.open(head()).await;
    let next = Rules { title: "Summer sale".to_owned(), ..rules() };
    shop.ledger.keep_title(&shop.campaign, &next).await.expect("the ledger answers");

    shop.gate.transition(&shop.campaign, Transition::Pause, None, shop.seen()).await.expect("decided");
    shop.record().await;

    let new = NewCampaign { rules: next, ..a_campaign("x") };
    let created = shop.ledger.create(&new).await.expect("the ledger answers");
    assert_eq!(created, CreateOutcome::TitleTaken(shop.campaign.clone()));
    shop.ledger.give_up_titles(&shop.campaign).await.expect("the ledger answers");
    let created = shop.ledger.create(&new).await.expect("the ledger answers");
    assert!(matches!(created, CreateOutcome::Created(_)), "{created:?}");
}

#[tokio::test]
async fn a_title_that_another_campaign_has_got_meanwhile_does_not_stop_the_recorder() {
    let shop = Shop::closed().await;
    shop.open(head()).await;
    let next = Rules { title: "Summer sale".to_owned(), ..rules() };
    let other = NewCampaign { rules: next.clone(), ..a_campaign("x") };
    shop.ledger.create(&other).await.expect("the ledger answers");

    let revision = Revision { of: 1, scope: Scope::Labels, rules: next.clone(), request: None };
    shop.gate.revise(&shop.campaign, &revision, shop.seen()).await.expect("decided");
    shop.record().await;

    let campaign = shop.ledger.campaign(&shop.campaign).await.expect("the ledger answers").expect("it is there");
    assert_eq!((campaign.rules, campaign.revision), (next.clone(), 2));
    let holder = shop.ledger.keep_title(&shop.campaign, &next).await.expect("the ledger answers");
    assert_eq!(holder, Some(other.id));
}
