//! The scenarios of the design, each on both sets of adapters. The time is the stores' own, moved by the test.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::RefusalReason as Reason;

use crate::shop::{
    On, Outcome, Shop, a_fifth, assert_split, at, campaign, daily, eventually, fixed, instant, on_both, open_campaign,
    seconds, users,
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
    s8_user_ids_of_any_shape
    s10_another_users_coupon_a_guess_and_a_typo_look_alike
    s12_paused_no_yes_and_repeats_go_on
    a_yes_is_answered_again_after_the_window_closed
    a_coupon_limit_holds_over_rounds
    a_shared_pool_ends_at_its_limit
    redeem_works_right_after_the_claim
    redeem_works_although_the_recorder_was_idle
    sixty_redeems_at_once_and_no_innocent_caller_fails
    redeem_refuses_in_the_order_of_the_rules
    validate_only_writes_nothing
    lists_of_coupons_page_and_count
    campaigns_page_newest_first
    a_repeated_request_id_is_harmless
    a_title_is_taken_until_the_campaign_ends
    a_draft_has_not_opened
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

async fn s8_user_ids_of_any_shape(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(campaign("ids", fixed(10))).await;
    let long = "x".repeat(128);
    let ids = ["0", "4294967296", "9223372036854775807", long.as_str(), "Ada", "ada", "a.b_c:d@e-f"];
    shop.set("22:56:00").await;
    for (ticket, id) in (0..).zip(ids) {
        assert_eq!(shop.reserve(&c, &r, id).await.granted().ticket, Some(ticket), "{id}");
    }
    shop.set("23:00:00").await;
    for (serial, id) in (0..).zip(ids) {
        let coupon = shop.claim(&c, &r, id).await.granted();
        assert_eq!((coupon.serial, coupon.user_id.as_str()), (Some(serial), id));
        shop.redeem(&coupon.code, id, &format!("order-{serial}"), 100).await.granted();
    }
}

async fn s10_another_users_coupon_a_guess_and_a_typo_look_alike(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("codes", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let mut typo = coupon.code.clone();
    let last = if typo.pop() == Some('0') { '1' } else { '0' };
    typo.push(last);

    let anothers = shop.redeem(&coupon.code, "bob", "order-1", 100).await.refusal();
    let guessed = shop.redeem("7K3MZ-9QXT2-7K3MZ-9QXT2", "ada", "order-1", 100).await.refusal();
    let mistyped = shop.redeem(&typo, "ada", "order-1", 100).await.refusal();
    assert_eq!(anothers.reason(), Reason::UnknownCoupon);
    assert_eq!((&guessed, &mistyped), (&anothers, &anothers));
    shop.redeem(&coupon.code.to_lowercase().replace('-', ""), "ada", "order-1", 100).await.granted();
}

async fn s12_paused_no_yes_and_repeats_go_on(on: On) {
    let instances = if on == On::Embedded { 1 } else { 2 };
    let shop = Shop::with_instances(on, instances).await;
    let (c, r) = shop.create(campaign("pause", fixed(10))).await;
    shop.set("22:56:00").await;
    shop.all_reserve(&c, &r, &users(4)).await;
    shop.set("23:00:00").await;
    let first = shop.claim(&c, &r, "user-0").await.granted();

    let operator = &mut shop.instances[0].campaigns.clone();
    let request = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    let paused = operator.pause_campaign(request).await.expect("paused").into_inner().campaign.expect("a campaign");
    assert_eq!(paused.state(), pb::CampaignState::Paused);
    for mut instance in shop.instances.iter().cloned() {
        assert_eq!(instance.claim(&c, &r, "user-1").await.expect("an answer").reason(), Reason::Paused);
        assert_eq!(instance.claim(&c, &r, "user-0").await.expect("an answer").granted(), first);
    }
    shop.redeem(&first.code, "user-0", "order-1", 100).await.granted();

    let request = pb::ResumeCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    operator.resume_campaign(request).await.expect("resumed");
    for (n, mut instance) in (1..).zip(shop.instances.iter().cloned()) {
        assert_eq!(instance.claim(&c, &r, &format!("user-{n}")).await.expect("an answer").granted().serial, Some(n));
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

async fn redeem_works_right_after_the_claim(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("at once", 100)).await;
    shop.set("23:00:00").await;
    // Each redeems the moment the claim is answered: the recorder has had no time.
    let calls = users(50).into_iter().map(|user| {
        let (shop, c, r) = (&shop, &c, &r);
        async move {
            let coupon = shop.claim(c, r, &user).await.granted();
            let redemption = shop.redeem(&coupon.code, &user, &format!("order-{user}"), 999).await;
            assert!(!redemption.replayed);
            redemption.granted()
        }
    });
    let redemptions = join_all(calls).await;
    assert!(redemptions.iter().all(|r| r.discount == Some(crate::shop::euros(199))), "20 % of 9.99, rounded down");
}

async fn redeem_works_although_the_recorder_was_idle(on: On) {
    let shop = Shop::open_with_idle_recorder(on).await;
    let (c, r) = shop.create(open_campaign("idle", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    assert!(shop.ledger_coupons(&c, &["ada".to_owned()]).await.is_empty(), "nothing was recorded yet");
    shop.redeem(&coupon.code, "ada", "order-1", 100).await.granted();

    let another = shop.claim(&c, &r, "bob").await.granted();
    let key = pb::get_coupon_request::Key::Code(another.code.clone());
    let request = pb::GetCouponRequest { user_id: "bob".to_owned(), key: Some(key) };
    let found = shop.instances[0].coupons.clone().get_coupon(request).await.expect("found").into_inner().coupon;
    let found = found.expect("a coupon");
    assert_eq!((found.id, found.code, found.state), (another.id, another.code, another.state));
    assert!(found.benefit.is_some());
}

async fn sixty_redeems_at_once_and_no_innocent_caller_fails(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("sixty", 100)).await;
    shop.set("23:00:00").await;
    let wanted = shop.claim(&c, &r, "ada").await.granted();
    let innocent = join_all(users(20).into_iter().map(|user| {
        let (shop, c, r) = (&shop, &c, &r);
        async move { shop.claim(c, r, &user).await.granted() }
    }))
    .await;

    let greedy = join_all((0..60).map(|n| {
        let (shop, code) = (&shop, &wanted.code);
        async move { shop.redeem(code, "ada", &format!("greedy-{n}"), 100).await }
    }));
    let honest = join_all(innocent.iter().map(|coupon| {
        let shop = &shop;
        async move { shop.redeem(&coupon.code, &coupon.user_id, &format!("order-{}", coupon.id), 100).await }
    }));
    let (greedy, honest) = tokio::join!(greedy, honest);

    assert!(honest.iter().all(|redemption| redemption.yes().is_some()));
    let winners: Vec<_> = greedy.iter().filter_map(|redemption| redemption.yes()).collect();
    assert_eq!(winners.len(), 1);
    let order = winners[0].order_id.clone();
    for refused in greedy.into_iter().filter(|redemption| redemption.yes().is_none()) {
        let refusal = refused.refusal();
        assert_eq!((refusal.reason(), &refusal.order_id), (Reason::AlreadyRedeemed, &order));
    }
}

async fn redeem_refuses_in_the_order_of_the_rules(on: On) {
    let shop = Shop::open(on).await;
    let min = pb::Benefit {
        kind: Some(pb::benefit::Kind::PercentOff(50)),
        min_order: Some(crate::shop::euros(1000)),
        max_discount: Some(crate::shop::euros(700)),
    };
    let (c, r) = shop.create(pb::Campaign { benefit: Some(min), ..open_campaign("order", 10) }).await;
    shop.set("23:00:00").await;
    let (a, b) = (shop.claim(&c, &r, "ada").await.granted(), shop.claim(&c, &r, "bob").await.granted());

    assert_eq!(shop.redeem(&a.code, "ada", "small", 999).await.reason(), Reason::MinOrderNotMet);
    let dollars = coupon_proto::google::r#type::Money { currency_code: "USD".to_owned(), units: 20, nanos: 0 };
    let mut foreign = crate::shop::redeem_request(&a.code, "ada", "foreign", 0);
    foreign.order = Some(pb::Order { id: "foreign".to_owned(), amount: Some(dollars) });
    let answer = shop.instances[0].coupons.clone().redeem(foreign).await.expect("an answer").into_inner();
    assert!(
        matches!(answer.outcome, Some(pb::redeem_response::Outcome::Refusal(r)) if r.reason() == Reason::CurrencyMismatch)
    );

    let first = shop.redeem(&a.code, "ada", "order-1", 2000).await;
    assert_eq!(first.clone().granted().discount, Some(crate::shop::euros(700)));
    let again = shop.redeem(&a.code, "ada", "order-1", 2000).await;
    assert!(again.replayed && again.outcome == first.outcome);
    assert_eq!(shop.redeem(&a.code, "ada", "order-1", 2001).await.reason(), Reason::OrderMismatch);
    assert_eq!(shop.redeem(&b.code, "bob", "order-1", 2000).await.reason(), Reason::OrderHasCoupon);
    let used = shop.redeem(&a.code, "ada", "order-2", 2000).await.refusal();
    assert_eq!((used.reason(), used.order_id.as_str()), (Reason::AlreadyRedeemed, "order-1"));

    // Valid for a week: a millisecond before the end yes, at the end no.
    let end = at("23:00:00").plus(std::time::Duration::from_secs(7 * 86_400));
    shop.set_to(end.minus(std::time::Duration::from_millis(1))).await;
    assert_eq!(shop.redeem(&b.code, "bob", "order-3", 999).await.reason(), Reason::MinOrderNotMet, "still valid");
    shop.set_to(end).await;
    assert_eq!(shop.redeem(&b.code, "bob", "order-3", 2000).await.reason(), Reason::Expired);
}

async fn validate_only_writes_nothing(on: On) {
    let shop = Shop::open(on).await;
    let (c, r) = shop.create(open_campaign("as if", 10)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &r, "ada").await.granted();
    let request =
        pb::RedeemRequest { validate_only: true, ..crate::shop::redeem_request(&coupon.code, "ada", "order-1", 500) };
    let answer = shop.instances[0].coupons.clone().redeem(request).await.expect("an answer").into_inner();
    assert!(
        matches!(answer.outcome, Some(pb::redeem_response::Outcome::Redemption(r)) if r.discount == Some(crate::shop::euros(100)))
    );
    let listed = shop.recorded(&c, &["ada".to_owned()], 1).await;
    assert_eq!(listed[0].state(), pb::CouponState::Issued);
    assert!(!shop.redeem(&coupon.code, "ada", "order-2", 500).await.replayed);
}

async fn lists_of_coupons_page_and_count(on: On) {
    let shop = Shop::open(on).await;
    let many = pb::Campaign { max_per_user: Some(5), ..open_campaign("many", 5) };
    let (c, _) = shop.create(daily(many, "0,10,20,30,40 21 * * *")).await;
    let mut coupons = Vec::new();
    for time in ["21:00:00", "21:10:00", "21:20:00", "21:30:00", "21:40:00"] {
        shop.set(time).await;
        // The clock has jumped; the scheduler plans the rounds that time would have brought.
        eventually(|| async { (shop.round(&c, "").await.phase() == pb::RoundPhase::Claiming).then_some(()) }).await;
        coupons.push(shop.claim(&c, "", "ada").await.granted());
    }
    shop.redeem(&coupons[1].code, "ada", "order-1", 100).await.granted();
    shop.recorded(&c, &["ada".to_owned()], 5).await;

    let mut client = shop.instances[0].coupons.clone();
    let mut request = pb::ListCouponsRequest { user_id: "ada".to_owned(), page_size: 2, ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = client.list_coupons(request.clone()).await.expect("a page").into_inner();
        assert_eq!(page.counts.map(|n| (n.total, n.issued, n.redeemed)), Some((5, 4, 1)));
        ids.extend(page.coupons.into_iter().map(|coupon| coupon.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(ids, coupons.iter().map(|coupon| coupon.id.clone()).collect::<Vec<_>>());
    let redeemed =
        pb::ListCouponsRequest { state: pb::CouponState::Redeemed.into(), page_token: String::new(), ..request };
    let page = client.list_coupons(redeemed).await.expect("a page").into_inner();
    assert_eq!(page.coupons.iter().map(|coupon| &coupon.id).collect::<Vec<_>>(), [&coupons[1].id]);
}

async fn campaigns_page_newest_first(on: On) {
    let shop = Shop::open(on).await;
    let mut created = Vec::new();
    for n in 0..5 {
        created.push(shop.create(campaign(&format!("number {n}"), fixed(1))).await.0);
    }
    created.reverse();
    let mut client = shop.instances[0].campaigns.clone();
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListCampaignsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_campaigns(request).await.expect("a page").into_inner();
        ids.extend(page.campaigns.into_iter().map(|campaign| campaign.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(ids, created);
    let drafts = pb::ListCampaignsRequest { state: pb::CampaignState::Draft.into(), ..Default::default() };
    assert!(client.list_campaigns(drafts).await.expect("a page").into_inner().campaigns.is_empty());
}

async fn a_repeated_request_id_is_harmless(on: On) {
    let shop = Shop::open(on).await;
    let mut operator = shop.instances[0].campaigns.clone();
    let id = "0190d0a0-0000-7000-8000-000000000001".to_owned();
    let create = pb::CreateCampaignRequest {
        campaign: Some(campaign("once", fixed(1))),
        request_id: id.clone(),
        ..Default::default()
    };
    let first = operator.create_campaign(create.clone()).await.expect("created").into_inner();
    let again = operator.create_campaign(create).await.expect("created").into_inner();
    assert_eq!(first, again);
    let campaign_id = first.campaign.expect("a campaign").id;

    let activate = pb::ActivateCampaignRequest {
        campaign_id: campaign_id.clone(),
        request_id: "0190d0a0-0000-7000-8000-000000000002".to_owned(),
    };
    let pause = pb::PauseCampaignRequest { campaign_id: campaign_id.clone(), request_id: String::new() };
    operator.activate_campaign(activate.clone()).await.expect("active");
    operator.pause_campaign(pause).await.expect("paused");
    let repeat =
        operator.activate_campaign(activate).await.expect("harmless").into_inner().campaign.expect("a campaign");
    assert_eq!(repeat.state(), pb::CampaignState::Paused, "a late repeat does not undo the pause");

    let reused = pb::ResumeCampaignRequest { campaign_id, request_id: id };
    assert_eq!(operator.resume_campaign(reused).await.expect_err("used").code(), tonic::Code::FailedPrecondition);
}

async fn a_title_is_taken_until_the_campaign_ends(on: On) {
    let shop = Shop::open(on).await;
    let mut operator = shop.instances[0].campaigns.clone();
    shop.create(campaign("title", fixed(1))).await;
    let same = pb::CreateCampaignRequest { campaign: Some(campaign("title", fixed(2))), ..Default::default() };
    assert_eq!(operator.create_campaign(same).await.expect_err("taken").code(), tonic::Code::AlreadyExists);
    let longer = pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(8 * 86_400))) };
    shop.create(pb::Campaign { validity: Some(longer), ..campaign("title", fixed(1)) }).await;
}

async fn a_draft_has_not_opened(on: On) {
    let shop = Shop::open(on).await;
    let mut operator = shop.instances[0].campaigns.clone();
    let request = pb::CreateCampaignRequest { campaign: Some(campaign("draft", fixed(1))), ..Default::default() };
    let created = operator.create_campaign(request).await.expect("created").into_inner();
    let (c, r) = (created.campaign.expect("a campaign").id, created.first_round.expect("a round").id);
    shop.set("22:56:00").await;
    let refused = shop.reserve(&c, &r, "ada").await;
    assert!(matches!(&refused.outcome, Outcome::No(refusal) if refusal.reason() == Reason::NotOpenYet));
    let pause = pb::PauseCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    assert_eq!(operator.pause_campaign(pause).await.expect_err("a draft").code(), tonic::Code::FailedPrecondition);
    let activate = pb::ActivateCampaignRequest { campaign_id: c.clone(), request_id: String::new() };
    operator.activate_campaign(activate).await.expect("active");
    shop.reserve(&c, &r, "ada").await.granted();
}

/// Two instances share one Redis and one Postgres.
#[tokio::test(flavor = "multi_thread")]
async fn s13_two_instances_run_one_rush() {
    let shop = Shop::with_instances(On::RedisAndPostgres, 2).await;
    let (c, r) = shop.create(campaign("two instances", a_fifth(pb::Rounding::Floor))).await;
    s2(&shop, &c, &r).await;
}
