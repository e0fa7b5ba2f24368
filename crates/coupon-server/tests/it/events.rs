//! The feed of events: nothing is lost, nothing comes out of order, and each reader keeps its place. Each on both sets of adapters.

use std::collections::{HashMap, HashSet};

use coupon_proto::v1 as pb;
use futures::future::join_all;
use futures::poll;
use pb::EventKind as Kind;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::operators::calls::{change, fault};
use crate::shop::{
    On, Shop, Told, at, campaign, days, eventually, everything, fixed, instant, named, on_both, open_campaign, tell,
    users, valid_for,
};

on_both! {
    the_events_of_a_coupons_whole_life_are_its_changes
    the_events_of_a_campaigns_whole_life_are_its_changes
    under_load_events_are_the_changes_and_come_in_order
    a_reader_without_a_name_is_told_from_now_on_or_from_where_it_says
    a_subscriber_goes_on_behind_what_it_has_acknowledged
    a_subscriber_is_told_no_more_than_it_wants_to_have_unacknowledged
    who_subscribes_again_takes_over
    readers_are_told_of_the_kinds_and_campaigns_they_asked_for
    subscribers_are_listed_and_deleted
    subscribers_go_on_after_a_restart
    streams_end_when_the_service_stops
    bad_positions_are_refused
}

/// Cancels an order that nobody knows: one event.
async fn one_event(shop: &Shop, c: &str, n: usize) {
    shop.nth(n).rollback(c, &format!("order-{n}"), "ada").await.expect("an answer");
}

async fn some_events(shop: &Shop, c: &str, numbers: std::ops::Range<usize>) {
    for n in numbers {
        one_event(shop, c, n).await;
    }
}

fn orders(events: &[(i64, pb::Event)]) -> Vec<&str> {
    events.iter().map(|(_, event)| event.order_id.as_str()).collect()
}

/// Notices go out when the service comes to it.
fn is_of_coupon(event: &pb::Event) -> bool {
    !event.coupon_id.is_empty() && event.kind() != Kind::CouponExpiring
}

/// A campaign, and all that was told before it.
async fn quiet_campaign(shop: &Shop, title: &str) -> (String, i64) {
    let (c, _) = shop.create(open_campaign(title, 100)).await;
    one_event(shop, &c, 999).await;
    let request = pb::SubscribeRequest { campaign_id: c.clone(), ..everything() };
    let mut told = shop.nth(0).subscribe(request).await.expect("a stream");
    loop {
        let (position, event) = told.next().await;
        if event.kind() == Kind::OrderCancelled {
            return (c, position);
        }
    }
}

async fn the_events_of_a_coupons_whole_life_are_its_changes(on: On) {
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, r) = shop.create(valid_for("a life", 10, days(8))).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let withdrawn = shop.claim(&c, &r, "bob").await.granted();
    shop.hold(&coupon.code, "ada", "one").await.granted();
    shop.release(&c, "one", "ada").await;
    shop.hold_for(&coupon.code, "ada", "two", 60).await.granted();
    shop.set("23:10:00").await;
    shop.redeem(&coupon.code, "ada", "three", 1000).await.granted();
    shop.rollback(&c, "three", "ada").await;
    shop.rollback(&c, "four", "ada").await;
    shop.void(&withdrawn.id).await;
    shop.set_to(at("23:00:00").plus(days(2))).await;
    eventually(|| async { (!shop.events_like(&c, Kind::CouponExpiring).await.is_empty()).then_some(()) }).await;
    shop.set_to(at("23:00:00").plus(days(8))).await;
    eventually(|| async { (!shop.events_like(&c, Kind::CouponExpired).await.is_empty()).then_some(()) }).await;

    let events = shop.feed(&c).await;
    let ids: HashSet<_> = events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), events.len(), "each once");
    let of_coupon: Vec<_> = events.iter().filter(|event| event.coupon_id == coupon.id).map(tell).collect();
    let expected = [
        (Kind::CouponIssued, "", "ISSUED", ""),
        (Kind::CouponHeld, "one", "HELD", ""),
        (Kind::CouponReleased, "one", "ISSUED", "another coupon"),
        (Kind::CouponHeld, "two", "HELD", ""),
        (Kind::CouponReleased, "two", "ISSUED", "LAPSED"),
        (Kind::CouponRedeemed, "three", "REDEEMED", ""),
        (Kind::CouponRolledBack, "three", "ISSUED", "payment failed"),
        (Kind::CouponExpiring, "", "", ""),
        (Kind::CouponExpired, "", "EXPIRED", ""),
    ];
    // Of an issue the state goes without saying.
    let of_coupon: Vec<_> = of_coupon
        .into_iter()
        .map(|(kind, order, state, reason)| {
            (kind, order, if kind == Kind::CouponIssued { "ISSUED" } else { state }, reason)
        })
        .collect();
    assert_eq!(of_coupon, expected);
    let of_other: Vec<_> = events.iter().filter(|event| event.coupon_id == withdrawn.id).map(|e| e.kind()).collect();
    assert_eq!(of_other, [Kind::CouponIssued, Kind::CouponVoided]);
    let cancelled: Vec<_> = events.iter().filter(|event| event.kind() == Kind::OrderCancelled).collect();
    assert_eq!(cancelled.len(), 1);
    assert_eq!((&*cancelled[0].order_id, &*cancelled[0].user_id, &*cancelled[0].state), ("four", "ada", "CANCELLED"));
    let codes = [&coupon.code, &withdrawn.code];
    let spelled = format!("{events:?}");
    assert!(codes.iter().all(|code| !spelled.contains(code.as_str())), "no event has a code");
}

async fn the_events_of_a_campaigns_whole_life_are_its_changes(on: On) {
    let shop = Shop::with_company(on).await;
    let operator = shop.another();
    let (drafted, round) = operator.draft(campaign("a life", fixed(10))).await.expect("created");
    let (c, r) = (drafted.id, round.id);
    operator.activate(&c).await.expect("active");
    let title = pb::Campaign { title: "renamed".to_owned(), ..Default::default() };
    operator.update(change(&c, &["title"], title)).await.expect("renamed");
    operator.add_supply(&c, &r, 5, "").await.expect("added");
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "ada").await.granted();
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    operator.pause(&c).await.expect("paused");
    operator.resume(&c).await.expect("resumed");
    operator.end(&c).await.expect("ended");

    let events = shop.events(&c).await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind()).collect();
    let count = |kind| kinds.iter().filter(|other| **other == kind).count();
    assert_eq!((kinds[0], count(Kind::CampaignCreated), count(Kind::CampaignUpdated)), (Kind::CampaignCreated, 1, 1));
    let states: Vec<_> =
        events.iter().filter(|event| event.kind() == Kind::CampaignStateChanged).map(|event| &*event.state).collect();
    assert_eq!(states, ["ACTIVE", "PAUSED", "ACTIVE", "ENDED"]);
    assert_eq!((count(Kind::RoundOpened), count(Kind::RoundSupplyAdded)), (1, 1));
    let phases: Vec<_> =
        events.iter().filter(|event| event.kind() == Kind::RoundPhaseChanged).map(|event| &*event.state).collect();
    assert!(phases.starts_with(&["RESERVING"]) && phases.contains(&"CLAIMING"), "{phases:?}");
    assert_eq!((count(Kind::PlaceReserved), count(Kind::CouponIssued)), (1, 1));
    let place = kinds.iter().position(|kind| *kind == Kind::PlaceReserved);
    let coupon = kinds.iter().position(|kind| *kind == Kind::CouponIssued);
    assert!(place < coupon);
}

async fn under_load_events_are_the_changes_and_come_in_order(on: On) {
    const USERS: usize = 64;
    const ROUNDS: usize = 5;
    let shop = Shop::with_busy_upkeep(on).await;
    let (c, _) = shop.create(open_campaign("under load", 1000)).await;
    // A reader is there from the start, and one comes later.
    let request = pb::SubscribeRequest { campaign_id: c.clone(), max_unacknowledged: 10, ..named("reader") };
    let mut told = shop.another().subscribe(request).await.expect("a stream");
    shop.set("23:00:00").await;
    let story = async {
        join_all(users(USERS).iter().enumerate().map(|(n, user)| {
            let (mut instance, c) = (shop.nth(n), &c);
            async move {
                let coupon = instance.claim(c, "", user).await.expect("an answer").granted();
                for round in 0..ROUNDS {
                    let order = format!("{user}-{round}");
                    let hold = crate::shop::hold_request(&coupon.code, user, &order);
                    instance.hold(hold).await.expect("an answer").granted();
                    instance.redeem(&coupon.code, user, &order, 1000).await.expect("an answer").granted();
                    instance.rollback(c, &order, user).await.expect("an answer");
                }
            }
        }))
        .await;
        shop.ledger_caught_up(&c).await;
        one_event(&shop, &c, 0).await;
    };
    let listen = async {
        let mut events = Vec::new();
        loop {
            let (position, event) = told.next().await;
            shop.nth(events.len()).acknowledge("reader", position).await.expect("acknowledged");
            let is_last = event.kind() == Kind::OrderCancelled;
            events.push((position, event));
            if is_last {
                return events;
            }
        }
    };
    let ((), events) = tokio::join!(story, listen);
    assert!(events.is_sorted_by(|a, b| a.0 < b.0), "positions rise");
    let later = shop.nth(0).subscribe(pb::SubscribeRequest { campaign_id: c.clone(), ..everything() }).await;
    let later = later.expect("a stream").take(events.len()).await;
    assert_eq!(later, events, "whoever reads later is told the same");

    let mut lives: HashMap<String, Vec<Kind>> = HashMap::new();
    for (_, event) in events.into_iter().filter(|(_, event)| is_of_coupon(event)) {
        lives.entry(event.coupon_id.clone()).or_default().push(event.kind());
    }
    let one_round = [Kind::CouponHeld, Kind::CouponRedeemed, Kind::CouponRolledBack];
    let mut life = vec![Kind::CouponIssued];
    life.extend(one_round.repeat(ROUNDS));
    assert_eq!(lives.len(), USERS);
    for (coupon, lived) in lives {
        assert_eq!(lived, life, "{coupon}");
    }
}

async fn a_reader_without_a_name_is_told_from_now_on_or_from_where_it_says(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "tail").await;
    some_events(&shop, &c, 0..3).await;
    let mut behind = shop
        .nth(0)
        .subscribe(pb::SubscribeRequest { after: Some(before), ..Default::default() })
        .await
        .expect("a stream");
    let three = behind.take(3).await;
    assert_eq!(orders(&three), ["order-0", "order-1", "order-2"]);
    let mut tail = shop.another().subscribe(pb::SubscribeRequest::default()).await.expect("a stream");
    some_events(&shop, &c, 3..5).await;
    assert_eq!(orders(&tail.take(2).await), ["order-3", "order-4"], "from now on");
    assert_eq!(orders(&behind.take(2).await), ["order-3", "order-4"]);
    let after = Some(three[1].0);
    let mut again =
        shop.another().subscribe(pb::SubscribeRequest { after, ..Default::default() }).await.expect("a stream");
    assert_eq!(orders(&again.take(3).await), ["order-2", "order-3", "order-4"]);
    assert_eq!(shop.nth(0).subscribers().await, [], "nothing is kept for them");
}

async fn a_subscriber_goes_on_behind_what_it_has_acknowledged(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "goes on").await;
    some_events(&shop, &c, 0..4).await;
    let from = pb::SubscribeRequest { after: Some(before), ..named("mailer") };
    let mut told = shop.nth(0).subscribe(from).await.expect("a stream");
    let first = told.take(4).await;
    assert_eq!(orders(&first), ["order-0", "order-1", "order-2", "order-3"]);
    // By another instance than the one that tells.
    assert_eq!(shop.another().acknowledge("mailer", first[1].0).await.expect("acknowledged"), first[1].0);
    assert_eq!(
        shop.nth(0).acknowledge("mailer", first[0].0).await.expect("harmless"),
        first[1].0,
        "it never goes back"
    );
    drop(told);
    let mut told = shop.another().subscribe(named("mailer")).await.expect("a stream");
    assert_eq!(told.take(2).await, first[2..], "the same events, with the same ids");
    one_event(&shop, &c, 4).await;
    assert_eq!(told.next().await.1.order_id, "order-4");
    // A place is moved, forwards and back.
    let moved = pb::SubscribeRequest { after: Some(before), ..named("mailer") };
    assert_eq!(shop.nth(0).subscribe(moved).await.expect("a stream").take(1).await, first[..1]);
    let moved = pb::SubscribeRequest { after: Some(first[2].0), ..named("mailer") };
    drop(shop.nth(0).subscribe(moved).await.expect("a stream"));
    assert_eq!(shop.another().subscribe(named("mailer")).await.expect("a stream").take(1).await, first[3..]);
    // A new one begins with the first event that is kept.
    let newcomer = shop.another().subscribe(named("newcomer")).await.expect("a stream").next().await.1;
    assert_eq!(newcomer.kind(), Kind::CampaignCreated);
}

async fn a_subscriber_is_told_no_more_than_it_wants_to_have_unacknowledged(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "two ahead").await;
    let request = pb::SubscribeRequest { after: Some(before), max_unacknowledged: 2, ..named("slow") };
    let mut slow = shop.nth(0).subscribe(request).await.expect("a stream");
    let mut witness = shop
        .nth(0)
        .subscribe(pb::SubscribeRequest { after: Some(before), ..Default::default() })
        .await
        .expect("a stream");
    some_events(&shop, &c, 0..5).await;
    let two = slow.take(2).await;
    assert_eq!(orders(&two), ["order-0", "order-1"]);
    witness.take(5).await;
    assert!(poll!(Box::pin(slow.0.message())).is_pending(), "two are not acknowledged");
    shop.another().acknowledge("slow", two[0].0).await.expect("acknowledged");
    let third = slow.next().await;
    assert_eq!(third.1.order_id, "order-2");
    one_event(&shop, &c, 5).await;
    witness.take(1).await;
    assert!(poll!(Box::pin(slow.0.message())).is_pending(), "again two are not acknowledged");
    shop.nth(0).acknowledge("slow", third.0).await.expect("acknowledged");
    assert_eq!(orders(&slow.take(2).await), ["order-3", "order-4"]);
}

async fn who_subscribes_again_takes_over(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "taken over").await;
    let from = pb::SubscribeRequest { after: Some(before), ..named("one") };
    let mut first = shop.nth(0).subscribe(from).await.expect("a stream");
    one_event(&shop, &c, 0).await;
    let (position, _) = first.next().await;
    let mut second = shop.another().subscribe(named("one")).await.expect("a stream");
    let taken = first.fault().await;
    fault(Err::<(), _>(taken), Code::Aborted, "SUBSCRIBER_TAKEN_OVER");
    assert_eq!(second.next().await.0, position, "it was not acknowledged");
    // On the same instance, too.
    let mut third = shop.another().subscribe(named("one")).await.expect("a stream");
    fault(Err::<(), _>(second.fault().await), Code::Aborted, "SUBSCRIBER_TAKEN_OVER");
    shop.nth(0).acknowledge("one", position).await.expect("acknowledged");
    assert_eq!(third.next().await.0, position, "it was told before");
    one_event(&shop, &c, 1).await;
    assert_eq!(third.next().await.1.order_id, "order-1");
    // Others are left alone.
    drop(shop.nth(0).subscribe(named("another")).await.expect("a stream"));
    one_event(&shop, &c, 2).await;
    assert_eq!(third.next().await.1.order_id, "order-2");
}

async fn readers_are_told_of_the_kinds_and_campaigns_they_asked_for(on: On) {
    let shop = Shop::with_company(on).await;
    let (a, r) = shop.create(open_campaign("a", 100)).await;
    let (b, _) = shop.create(open_campaign("b", 100)).await;
    let read = async |kinds: &[Kind], campaign: &str, name: &str| {
        let kinds = kinds.iter().map(|kind| i32::from(*kind)).collect();
        let request = pb::SubscribeRequest { kinds, campaign_id: campaign.to_owned(), after: Some(0), ..named(name) };
        shop.another().subscribe(request).await.expect("a stream")
    };
    let mut redeemed: Told = read(&[Kind::CouponRedeemed], "", "redeemed").await;
    let mut of_b = read(&[Kind::CouponRedeemed, Kind::CouponHeld], &b, "").await;
    shop.set("23:00:00").await;
    for (n, user) in users(3).iter().enumerate() {
        let one = shop.claim(&a, &r, user).await.granted();
        let other = shop.claim(&b, "", user).await.granted();
        shop.redeem(&one.code, user, &format!("a-{n}"), 1000).await.granted();
        shop.hold(&other.code, user, &format!("b-{n}")).await.granted();
        shop.redeem(&other.code, user, &format!("b-{n}"), 1000).await.granted();
    }
    let told = redeemed.take(6).await;
    assert_eq!(orders(&told), ["a-0", "b-0", "a-1", "b-1", "a-2", "b-2"]);
    assert!(told.iter().all(|(_, event)| event.kind() == Kind::CouponRedeemed));
    let told = of_b.take(6).await;
    assert_eq!(orders(&told), ["b-0", "b-0", "b-1", "b-1", "b-2", "b-2"]);
    assert!(told.iter().all(|(_, event)| event.campaign_id == b));
    // What a subscriber has not asked for does not hold it back: it has nothing left to be told of, and its place moves on.
    let last = shop.nth(0).acknowledge("redeemed", told[5].0).await.expect("acknowledged");
    some_events(&shop, &a, 0..5).await;
    eventually(|| async {
        let subscribers = shop.nth(0).subscribers().await;
        let place = subscribers.iter().find(|s| s.name == "redeemed").expect("there");
        (place.position > last && place.behind == 0).then_some(())
    })
    .await;
}

async fn subscribers_are_listed_and_deleted(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "list").await;
    assert_eq!(shop.nth(0).subscribers().await, []);
    let mut streams = Vec::new();
    for (name, time) in [("beta", "20:10:00"), ("Alpha", "20:20:00")] {
        shop.set(time).await;
        let from = pb::SubscribeRequest { after: Some(before), ..named(name) };
        streams.push(shop.nth(streams.len()).subscribe(from).await.expect("a stream"));
    }
    some_events(&shop, &c, 0..3).await;
    let told = streams[0].take(3).await;
    shop.set("20:30:00").await;
    shop.another().acknowledge("beta", told[2].0).await.expect("acknowledged");
    let all = shop.another().subscribers().await;
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Alpha", "beta"], "byte for byte");
    let (alpha, beta) = (&all[0], &all[1]);
    assert_eq!((alpha.position, beta.position, beta.behind), (before, told[2].0, 0));
    assert!(alpha.behind >= 3, "{alpha:?}");
    assert_eq!(alpha.created_at, Some(instant(at("20:20:00"))));
    assert_eq!(beta.created_at, Some(instant(at("20:10:00"))));
    assert_eq!(beta.seen_at, Some(instant(at("20:30:00"))));

    shop.another().delete_subscriber("beta").await.expect("deleted");
    shop.another().delete_subscriber("beta").await.expect("one that is not there is no error");
    assert_eq!(shop.nth(0).subscribers().await.len(), 1);
    fault(shop.nth(0).acknowledge("beta", told[2].0).await, Code::NotFound, "SUBSCRIBER_NOT_FOUND");
    fault(shop.nth(0).acknowledge("nobody", told[2].0).await, Code::NotFound, "SUBSCRIBER_NOT_FOUND");
    // Under the same name somebody new begins with the first event that is kept.
    let anew = shop.nth(0).subscribe(named("beta")).await.expect("a stream").next().await.1;
    assert_eq!(anew.kind(), Kind::CampaignCreated);
}

async fn subscribers_go_on_after_a_restart(on: On) {
    let mut shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "restart").await;
    let from = pb::SubscribeRequest { after: Some(before), ..named("kept") };
    let mut told = shop.nth(0).subscribe(from).await.expect("a stream");
    some_events(&shop, &c, 0..3).await;
    let three = told.take(3).await;
    shop.nth(0).acknowledge("kept", three[0].0).await.expect("acknowledged");
    shop.down_until(at("20:05:00")).await;
    let mut told = shop.another().subscribe(named("kept")).await.expect("a stream");
    assert_eq!(told.take(2).await, three[1..]);
    one_event(&shop, &c, 3).await;
    assert_eq!(told.next().await.1.order_id, "order-3");
}

async fn streams_end_when_the_service_stops(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "stopped").await;
    one_event(&shop, &c, 0).await;
    let from = || pb::SubscribeRequest { after: Some(before), ..named("kept") };
    let mut kept = shop.nth(0).subscribe(from()).await.expect("a stream");
    kept.next().await;
    let tail = shop.nth(0).subscribe(pb::SubscribeRequest::default()).await.expect("a stream");
    shop.instances[0].stop.cancel();
    for stream in [kept, tail] {
        let ended = stream.fault().await;
        let reason = ended.get_error_details().error_info().map(|info| info.reason.clone());
        assert_eq!((ended.code(), reason.as_deref()), (Code::Unavailable, Some("STOPPING")));
    }
}

async fn bad_positions_are_refused(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, before) = quiet_campaign(&shop, "positions").await;
    one_event(&shop, &c, 0).await;
    drop(shop.nth(0).subscribe(named("here")).await.expect("a stream"));
    for position in [-1, i64::MIN, i64::MAX, before + 1_000_000_000] {
        crate::bad_input::names(shop.another().acknowledge("here", position).await, "position");
        let after = pb::SubscribeRequest { after: Some(position), ..Default::default() };
        crate::bad_input::names(shop.another().subscribe(after).await.map(drop), "after");
    }
    assert_eq!(shop.nth(0).subscribers().await[0].position, 0, "nothing changed");
}
