//! After the claim: redeeming and looking coupons up, each on both sets of adapters.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::RefusalReason as Reason;

use crate::shop::{On, Shop, at, daily, euros, eventually, on_both, open_campaign, redeem_request, users};

on_both! {
    redeem_works_right_after_the_claim
    redeem_works_although_the_recorder_was_idle
    sixty_redeems_at_once_and_no_innocent_caller_fails
    redeem_refuses_in_the_order_of_the_rules
    validate_only_writes_nothing
    lists_of_coupons_page_and_count
    s10_another_users_coupon_a_guess_and_a_typo_look_alike
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
    assert!(redemptions.iter().all(|r| r.discount == Some(euros(199))), "20 % of 9.99, rounded down");
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
        min_order: Some(euros(1000)),
        max_discount: Some(euros(700)),
    };
    let (c, r) = shop.create(pb::Campaign { benefit: Some(min), ..open_campaign("order", 10) }).await;
    shop.set("23:00:00").await;
    let (a, b) = (shop.claim(&c, &r, "ada").await.granted(), shop.claim(&c, &r, "bob").await.granted());

    assert_eq!(shop.redeem(&a.code, "ada", "small", 999).await.reason(), Reason::MinOrderNotMet);
    let dollars = coupon_proto::google::r#type::Money { currency_code: "USD".to_owned(), units: 20, nanos: 0 };
    let mut foreign = redeem_request(&a.code, "ada", "foreign", 0);
    foreign.order = Some(pb::Order { id: "foreign".to_owned(), amount: Some(dollars) });
    let answer = shop.instances[0].coupons.clone().redeem(foreign).await.expect("an answer").into_inner();
    assert!(
        matches!(answer.outcome, Some(pb::redeem_response::Outcome::Refusal(r)) if r.reason() == Reason::CurrencyMismatch)
    );

    let first = shop.redeem(&a.code, "ada", "order-1", 2000).await;
    assert_eq!(first.clone().granted().discount, Some(euros(700)));
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
    let request = pb::RedeemRequest { validate_only: true, ..redeem_request(&coupon.code, "ada", "order-1", 500) };
    let answer = shop.instances[0].coupons.clone().redeem(request).await.expect("an answer").into_inner();
    assert!(
        matches!(answer.outcome, Some(pb::redeem_response::Outcome::Redemption(r)) if r.discount == Some(euros(100)))
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
