//! The scenarios of the design, each on both sets of adapters. The time is the stores' own, moved by the test.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::RefusalReason as Reason;

use crate::shop::{
    On, Shop, a_fifth, assert_split, at, campaign, daily, eventually, fixed, instant, on_both, open_campaign, users,
};

on_both! {
    s1_windows_open_and_close_to_the_millisecond
    s1_without_a_round_the_next_one_is_meant
    s2_of_300_users_exactly_60_get_a_coupon
    s3_a_fifth_of_the_places_in_all_roundings
    s4_one_user_a_hundred_times_at_once
    s4_a_claim_without_a_place_changes_nothing
    s6_a_thousand_users_and_a_hundred_coupons
    s8_campaigns_of_one_day_share_nothing
    s8_a_round_over_midnight_is_one_and_shares_nothing_with_its_days
    s8_user_ids_of_any_shape
    a_yes_is_answered_again_after_the_window_closed
    a_coupon_limit_holds_over_rounds
    a_shared_pool_ends_at_its_limit
}

async fn s1_windows_open_and_close_to_the_millisecond(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(daily(campaign("daily", fixed(10)), "0 23 * * *")).await;

    shop.set("22:54:59.999").await;
    let early = shop.reserve(&c, &r, "ada").await.refusal();
    assert_eq!((early.reason(), early.opens_at), (Reason::NotOpenYet, Some(instant(at("22:55:00")))));
    shop.set("22:55:00.000").await;
    assert_eq!(shop.reserve(&c, &r, "ada").await.granted().ticket, Some(0));
    shop.set("22:59:00.000").await;
    let late = shop.reserve(&c, &r, "bob").await.refusal();
    assert_eq!((late.reason(), late.opens_at), (Reason::Closed, Some(instant(at("25 22:55:00")))));

    shop.set("22:59:59.999").await;
    let early = shop.claim(&c, &r, "ada").await.refusal();
    assert_eq!((early.reason(), early.opens_at), (Reason::NotOpenYet, Some(instant(at("23:00:00")))));
    assert_eq!(early.retry_after, Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }));
    shop.set("23:00:00.000").await;
    assert_eq!(shop.claim(&c, &r, "ada").await.granted().serial, Some(0));
    shop.set("23:01:00.000").await;
    let late = shop.claim(&c, &r, "bob").await.refusal();
    assert_eq!((late.reason(), late.opens_at, late.r#final), (Reason::Closed, Some(instant(at("25 23:00:00"))), true));
    assert_eq!(late.round_id, r);
}

async fn s1_without_a_round_the_next_one_is_meant(on: On) {
    let shop = Shop::open(on).await;
    let (c, today) = shop.create(daily(campaign("daily", fixed(10)), "0 23 * * *")).await;
    shop.set("22:55:00").await;
    assert_eq!(shop.reserve(&c, "", "ada").await.granted().round_id, today);

    // Reservation has closed: the place is answered again for ten minutes, others are told of tomorrow.
    shop.set("22:59:30").await;
    let again = shop.reserve(&c, "", "ada").await;
    assert!(again.replayed && again.granted().round_id == today);
    let other = shop.reserve(&c, "", "bob").await.refusal();
    assert_eq!((other.reason(), other.opens_at), (Reason::NotOpenYet, Some(instant(at("25 22:55:00")))));
    assert_ne!(other.round_id, today);

    shop.set("23:00:30").await;
    let coupon = shop.claim(&c, "", "ada").await.granted();
    shop.set("23:05:00").await;
    let again = shop.claim(&c, "", "ada").await;
    assert!(again.replayed);
    assert_eq!(again.granted(), coupon);
    shop.set("23:12:00").await;
    assert_eq!(shop.claim(&c, "", "ada").await.reason(), Reason::NotOpenYet);
    assert_eq!(shop.claim(&c, &today, "ada").await.granted(), coupon, "a call that names the round has no limit");
}

async fn s2_of_300_users_exactly_60_get_a_coupon(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("rush", a_fifth(pb::Rounding::Floor))).await;
    s2(&shop, &c, &r).await;
}

/// 300 users reserve, rush and redeem.
pub(crate) async fn s2(shop: &Shop, c: &str, r: &str) {
    let users = users(300);
    shop.set("22:56:00").await;
    shop.all_reserve(c, r, &users).await;
    shop.set("23:00:00").await;
    let claims = shop.all_claim(c, r, &users).await;
    assert_split(&claims, 60, 240, Reason::SoldOut);

    let round = shop.round(c, r).await;
    assert_eq!((round.places, round.supply, round.issued, round.remaining), (Some(300), Some(60), Some(60), Some(0)));

    let coupons: Vec<_> = claims.iter().filter_map(|claim| claim.yes().cloned()).collect();
    let redeemed = join_all(coupons.iter().map(|coupon| async {
        shop.redeem(&coupon.code, &coupon.user_id, &format!("order-{}", coupon.id), 1000).await.granted()
    }));
    let redeemed = redeemed.await;
    assert!(redeemed.iter().all(|redemption| redemption.discount == Some(crate::shop::euros(200))));

    let mut ledger = shop.recorded(c, &users, 60).await;
    ledger.sort_by_key(|coupon| coupon.serial);
    assert_eq!(ledger.iter().map(|coupon| coupon.serial).collect::<Vec<_>>(), (0..60).map(Some).collect::<Vec<_>>());
    for answered in &coupons {
        let recorded = &ledger[usize::try_from(answered.serial.expect("a serial")).expect("small")];
        assert_eq!(
            (&recorded.id, &recorded.user_id, &recorded.claimed_at, &recorded.expires_at),
            (&answered.id, &answered.user_id, &answered.claimed_at, &answered.expires_at)
        );
        assert_eq!(recorded.state(), pb::CouponState::Redeemed);
        assert!(recorded.code.is_empty(), "no codes in lists");
    }
}

async fn s3_a_fifth_of_the_places_in_all_roundings(on: On) {
    let shop = Shop::open(on).await;
    let table: [(usize, [i64; 3]); 9] = [
        (0, [0, 0, 0]),
        (1, [0, 1, 0]),
        (4, [0, 1, 1]),
        (5, [1, 1, 1]),
        (6, [1, 2, 1]),
        (9, [1, 2, 2]),
        (10, [2, 2, 2]),
        (299, [59, 60, 60]),
        (301, [60, 61, 60]),
    ];
    let roundings = [pb::Rounding::Floor, pb::Rounding::Ceil, pb::Rounding::Nearest];
    let mut rounds = Vec::new();
    for (places, coupons) in table {
        for (rounding, coupons) in roundings.into_iter().zip(coupons) {
            let title = format!("{places} places, {}", rounding.as_str_name());
            let (c, r) = shop.create(campaign(&title, a_fifth(rounding))).await;
            rounds.push((c, r, places, coupons, title));
        }
    }
    shop.set("22:56:00").await;
    for (c, r, places, ..) in &rounds {
        shop.all_reserve(c, r, &users(*places)).await;
    }
    shop.set("23:00:00").await;
    for (c, r, places, coupons, title) in rounds {
        let claims = shop.all_claim(&c, &r, &users(places)).await;
        let yes = claims.iter().filter(|claim| claim.yes().is_some()).count();
        assert_eq!(
            (yes, shop.round(&c, &r).await.supply),
            (usize::try_from(coupons).expect("small"), Some(coupons)),
            "{title}"
        );
    }
}

async fn s4_one_user_a_hundred_times_at_once(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("one user", fixed(10))).await;
    shop.set("22:56:00").await;
    let places = join_all((0..100).map(|_| shop.reserve(&c, &r, "ada"))).await;
    assert_eq!(places.iter().filter(|place| !place.replayed).count(), 1);
    assert!(places.iter().all(|place| place.outcome == places[0].outcome));

    shop.set("23:00:00").await;
    let claims = join_all((0..100).map(|_| shop.claim(&c, &r, "ada"))).await;
    assert_eq!(claims.iter().filter(|claim| !claim.replayed).count(), 1);
    assert!(claims.iter().all(|claim| claim.outcome == claims[0].outcome));

    let round = shop.round(&c, &r).await;
    assert_eq!((round.places, round.issued), (Some(1), Some(1)));
}

async fn s4_a_claim_without_a_place_changes_nothing(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("no place", fixed(10))).await;
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "ada").await.granted();
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
    let before = shop.round(&c, &r).await;
    let refused = shop.claim(&c, &r, "bob").await;
    let position = refused.witness.and_then(|witness| witness.position);
    assert_eq!(refused.reason(), Reason::NotReserved);
    assert_eq!(shop.round(&c, &r).await, before);
    assert_eq!(shop.claim(&c, &r, "bob").await.witness.and_then(|witness| witness.position), position);
}

async fn s6_a_thousand_users_and_a_hundred_coupons(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("hundred", 100)).await;
    shop.set("23:00:00").await;
    let everybody = users(1000);
    let mut claims = Vec::new();
    for hundred in everybody.chunks(100) {
        claims.extend(shop.all_claim(&c, &r, hundred).await);
    }
    assert_split(&claims, 100, 900, Reason::SoldOut);
    assert_eq!(shop.recorded(&c, &everybody, 100).await.len(), 100);
}

async fn s8_campaigns_of_one_day_share_nothing(on: On) {
    let shop = Shop::open(on).await;
    let (a, a_round) = shop.create(campaign("a", fixed(1))).await;
    let (b, b_round) = shop.create(campaign("b", fixed(1))).await;
    shop.set("22:56:00").await;
    shop.reserve(&a, &a_round, "ada").await.granted();
    shop.reserve(&b, &b_round, "bob").await.granted();
    shop.set("23:00:00").await;
    assert_eq!(shop.claim(&a, &a_round, "bob").await.reason(), Reason::NotReserved);
    assert_eq!(shop.claim(&a, &a_round, "ada").await.granted().serial, Some(0));
    assert_eq!(shop.claim(&b, &b_round, "bob").await.granted().serial, Some(0));
    let foreign = shop.instances[0].clone().claim(&a, &b_round, "ada").await.expect_err("not this campaign's round");
    assert_eq!(foreign.code(), tonic::Code::NotFound);
}

/// User ids of any shape that callers have.
fn odd_ids() -> Vec<String> {
    let long = "x".repeat(128);
    let ids = ["0", "4294967296", "9223372036854775807", long.as_str(), "Ada", "ada", "a.b_c:d@e-f"];
    ids.iter().map(ToString::to_string).collect()
}

async fn s8_a_round_over_midnight_is_one_and_shares_nothing_with_its_days(on: On) {
    let shop = Shop::open(on).await;
    let ids = odd_ids();
    let starting = |title: &str, start: &str| {
        let mut campaign = campaign(title, fixed(7));
        campaign.schedule.get_or_insert_default().start = Some(pb::schedule::Start::Once(instant(at(start))));
        campaign
    };
    let (evening, evening_round) = shop.create(starting("evening", "23:00:00")).await;
    let (night, night_round) = shop.create(starting("night", "23:59:30")).await;
    let (morning, morning_round) = shop.create(starting("morning", "25 00:01:00")).await;

    // The same users in each: all count from 0 on, whatever was done in the others.
    shop.set("22:55:00").await;
    shop.all_reserve(&evening, &evening_round, &ids).await;
    shop.set("23:00:00").await;
    assert_split(&shop.all_claim(&evening, &evening_round, &ids).await, 7, 0, Reason::SoldOut);
    for (c, r, time) in [(&night, &night_round, "23:54:30"), (&morning, &morning_round, "23:56:00")] {
        shop.set(time).await;
        for (ticket, id) in (0..).zip(ids.iter().map(String::as_str).chain(["late"])) {
            let place = shop.reserve(c, r, id).await;
            assert!(!place.replayed);
            assert_eq!(place.granted().ticket, Some(ticket));
        }
    }
    shop.set("23:59:29.999999").await;
    assert_eq!(shop.claim(&night, &night_round, "0").await.reason(), Reason::NotOpenYet);
    let times = [
        "23:59:30",
        "23:59:45",
        "23:59:59.999999",
        "25 00:00:00",
        "25 00:00:00.000001",
        "25 00:00:15",
        "25 00:00:29.999999",
    ];
    for (serial, (time, id)) in (0..).zip(times.iter().zip(&ids)) {
        shop.set(time).await;
        let coupon = shop.claim(&night, &night_round, id).await.granted();
        assert_eq!((coupon.serial, coupon.claimed_at), (Some(serial), Some(instant(at(time)))));
    }
    shop.set("25 00:00:30").await;
    assert_eq!(shop.claim(&night, &night_round, "late").await.reason(), Reason::Closed);
    assert_eq!(shop.claim(&morning, &morning_round, "late").await.reason(), Reason::NotOpenYet);
    shop.set("25 00:01:00").await;
    assert_eq!(shop.claim(&morning, &morning_round, "late").await.granted().serial, Some(0));

    for (c, r, places, issued) in
        [(&evening, &evening_round, 7, 7), (&night, &night_round, 8, 7), (&morning, &morning_round, 8, 1)]
    {
        let round = shop.round(c, r).await;
        assert_eq!((round.places, round.issued), (Some(places), Some(issued)));
        shop.ledger_caught_up(c).await;
        let seats = shop.seats(r).await;
        let coupons = seats.iter().filter(|(_, seat)| seat.coupon.is_some());
        assert_eq!(
            (seats.len(), coupons.count()),
            (usize::try_from(places).expect("few"), usize::try_from(issued).expect("few"))
        );
    }
}

async fn s8_user_ids_of_any_shape(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("ids", fixed(10))).await;
    let ids = odd_ids();
    shop.set("22:56:00").await;
    for (ticket, id) in (0..).zip(&ids) {
        assert_eq!(shop.reserve(&c, &r, id).await.granted().ticket, Some(ticket), "{id}");
    }
    shop.set("23:00:00").await;
    for (serial, id) in (0..).zip(&ids) {
        let coupon = shop.claim(&c, &r, id).await.granted();
        assert_eq!((coupon.serial, coupon.user_id.as_str()), (Some(serial), id.as_str()));
        shop.redeem(&coupon.code, id, &format!("order-{serial}"), 100).await.granted();
    }
}

async fn a_yes_is_answered_again_after_the_window_closed(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("repeat", fixed(10))).await;
    shop.set("22:56:00").await;
    let place = shop.reserve(&c, &r, "ada").await.granted();
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    shop.recorded(&c, &["ada".to_owned()], 1).await;

    // At the gate, after it closed; then from the ledger, once the round has left the gate.
    for time in ["23:02:00", "25 00:01:00.001"] {
        shop.set(time).await;
        let (again, claimed) = (shop.reserve(&c, &r, "ada").await, shop.claim(&c, &r, "ada").await);
        assert!(again.replayed && claimed.replayed, "{time}");
        assert_eq!((again.granted(), claimed.granted()), (place.clone(), coupon.clone()), "{time}");
    }
    eventually(|| async { shop.claim(&c, &r, "ada").await.witness.is_none().then_some(()) }).await;
    assert_eq!(shop.claim(&c, &r, "ada").await.granted(), coupon, "the ledger answers");
    assert_eq!(shop.reserve(&c, &r, "ada").await.granted(), place);
    assert_eq!(shop.claim(&c, &r, "bob").await.reason(), Reason::Closed);
}

async fn a_coupon_limit_holds_over_rounds(on: On) {
    let shop = Shop::open(on).await;
    let limited = pb::Campaign { max_per_user: Some(2), ..open_campaign("limit", 5) };
    let (c, _) = shop.create(daily(limited, "0,10,20 21 * * *")).await;
    for time in ["21:00:00", "21:10:00"] {
        shop.set(time).await;
        shop.claim(&c, "", "ada").await.granted();
    }
    shop.set("21:20:00").await;
    assert_eq!(shop.claim(&c, "", "ada").await.reason(), Reason::LimitReached);
    shop.claim(&c, "", "bob").await.granted();
}

async fn a_shared_pool_ends_at_its_limit(on: On) {
    let shop = Shop::open(on).await;
    let pool = pb::Campaign { supply: None, total_limit: Some(15), ..open_campaign("pool", 1) };
    let (c, _) = shop.create(daily(pool, "0,10 21 * * *")).await;
    shop.set("21:00:00").await;
    assert_split(&shop.all_claim(&c, "", &users(10)).await, 10, 0, Reason::SoldOut);
    shop.set("21:10:00").await;
    let others: Vec<_> = (10..20).map(|n| format!("user-{n}")).collect();
    assert_split(&shop.all_claim(&c, "", &others).await, 5, 5, Reason::SoldOut);
}

/// Two instances share one Redis and one Postgres.
#[tokio::test(flavor = "multi_thread")]
async fn s13_two_instances_run_one_rush() {
    let shop = Shop::with_instances(On::RedisAndPostgres, 2).await;
    let (c, r) = shop.create(campaign("two instances", a_fifth(pb::Rounding::Floor))).await;
    s2(&shop, &c, &r).await;
}
