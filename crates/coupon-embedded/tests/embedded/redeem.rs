//! Redeem: one success, whatever comes at the same time, and a call that fails fails alone.

use std::time::Duration;

use coupon_domain::ids::CouponId;
use coupon_domain::ports::{
    CouponFilter, CouponRepository as _, CouponTotals, EventKind, Gate as _, LedgerError, RecordRepository as _,
};
use coupon_domain::redemption::{CouponState, Redeem, RedeemOutcome, RedeemRefusal};
use coupon_testkit::build::{campaign_id, coupon_id, eur, order, round, round_id, second, user, users};
use tokio::task::JoinSet;

use crate::shop::Shop;

/// Coupons `r-1-0` to `r-1-9` of users `u-0` to `u-9`, valid until second 1000.
async fn ten_coupons() -> Shop {
    let shop =
        Shop::with([round(1).valid_until(second(1000)), round(2).claiming(400..460).valid_for(Duration::from_secs(9))])
            .await;
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &users(10), true, shop.seen()).await.expect("decided");
    shop.record().await;
    shop
}

fn call(coupon: CouponId, order_id: &str) -> Redeem {
    Redeem {
        coupon,
        campaign: campaign_id("c"),
        user: user(&format!("u-{}", coupon.serial)),
        order: order(order_id),
        amount: eur(5000),
        discount: Ok(eur(1000)),
    }
}

async fn state_of(shop: &Shop, coupon: CouponId) -> CouponState {
    let (record, at) = shop.ledger.coupon(coupon).await.expect("the ledger answers").expect("it is there");
    record.state_at(at)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_calls_at_once_use_a_coupon_once() {
    let shop = ten_coupons().await;
    let mut callers = JoinSet::new();
    for caller in 0..60 {
        let ledger = shop.ledger.clone();
        callers.spawn(async move { ledger.redeem(&[call(coupon_id(1, 0), &format!("o-{caller}"))]).await });
    }
    let outcomes: Vec<_> =
        callers.join_all().await.into_iter().flat_map(|outcome| outcome.expect("the ledger answers")).collect();

    let winners: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| if let RedeemOutcome::Redeemed(redemption) = outcome { Some(redemption) } else { None })
        .collect();
    let [winner] = winners[..] else { panic!("{winners:?}") };
    let refused = RedeemOutcome::Refused(RedeemRefusal::AlreadyRedeemed(winner.order.clone()));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == refused).count(), 59);
    let events = shop.ledger.events(0, 1000).await.expect("the ledger answers");
    assert_eq!(events.iter().filter(|(_, e)| e.kind == EventKind::CouponRedeemed).count(), 1);
}

#[tokio::test]
async fn calls_of_one_batch_are_answered_as_if_one_came_after_the_other() {
    let shop = ten_coupons().await;
    let (zero, one) = (coupon_id(1, 0), coupon_id(1, 1));
    let calls = [
        call(zero, "a"),
        call(zero, "a"),
        call(zero, "b"),
        call(one, "a"),
        Redeem { amount: eur(4000), ..call(zero, "a") },
        Redeem { user: user("eve"), ..call(one, "c") },
        call(coupon_id(1, 99), "d"),
        call(one, "b"),
    ];

    let outcomes = shop.ledger.redeem(&calls).await.expect("the ledger answers");

    let refused = RedeemOutcome::Refused;
    assert_eq!(
        outcomes,
        [
            RedeemOutcome::Redeemed(calls[0].redemption(eur(1000), second(300))),
            RedeemOutcome::Replayed(calls[0].redemption(eur(1000), second(300))),
            refused(RedeemRefusal::AlreadyRedeemed(order("a"))),
            refused(RedeemRefusal::OrderHasCoupon),
            refused(RedeemRefusal::OrderMismatch),
            refused(RedeemRefusal::UnknownCoupon),
            RedeemOutcome::NotRecorded,
            RedeemOutcome::Redeemed(calls[7].redemption(eur(1000), second(300))),
        ]
    );
    let shop = shop.restarted();
    let again = shop.ledger.redeem(&calls[..1]).await.expect("the ledger answers");
    assert!(matches!(again[..], [RedeemOutcome::Replayed(_)]), "{again:?}");
}

#[tokio::test]
async fn a_call_that_fails_takes_none_of_the_others_with_it() {
    let shop = ten_coupons().await;
    // No rule makes a discount larger than the amount: the table refuses it.
    let bad = Redeem { discount: Ok(eur(9999)), ..call(coupon_id(1, 1), "bad") };

    let outcomes = shop.ledger.redeem(&[call(coupon_id(1, 0), "a"), bad.clone(), call(coupon_id(1, 2), "b")]).await;

    assert!(matches!(outcomes, Err(LedgerError::Broken(_))), "{outcomes:?}");
    let states = [0, 1, 2].map(|serial| state_of(&shop, coupon_id(1, serial)));
    let [zero, one, two] = states;
    assert_eq!((zero.await, one.await, two.await), (CouponState::Redeemed, CouponState::Issued, CouponState::Redeemed));
    let (facts, _) = shop.ledger.redeem_facts(&bad).await.expect("the ledger answers");
    assert_eq!(facts.order, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_command_of_a_group_fails_alone() {
    let shop = ten_coupons().await;
    let mut callers = JoinSet::new();
    for serial in 0..10 {
        let ledger = shop.ledger.clone();
        let discount = if serial % 2 == 0 { eur(1000) } else { eur(9999) };
        let call = Redeem { discount: Ok(discount), ..call(coupon_id(1, serial), &format!("o-{serial}")) };
        callers.spawn(async move { (serial, ledger.redeem(&[call]).await) });
    }
    for (serial, outcome) in callers.join_all().await {
        assert_eq!(outcome.is_ok(), serial % 2 == 0, "{serial}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_users_coupons_are_paged_and_counted_by_the_ledgers_clock() {
    let shop = ten_coupons().await;
    let ada = user("u-0");
    shop.at(second(400)).await;
    shop.gate.claim(&shop.campaign, round_id(2), &[user("u-77")], true, shop.seen()).await.expect("decided");
    shop.record().await;
    let filter =
        |state| CouponFilter { user: ada.clone(), campaign: Some(campaign_id("c")), state, after: None, limit: 10 };
    let ids = |filter| {
        let ledger = shop.ledger.clone();
        async move { ledger.coupons(&filter).await.expect("the ledger answers") }
    };

    let page = ids(filter(Some(CouponState::Issued))).await;
    assert_eq!(page.coupons.iter().map(|c| c.id).collect::<Vec<_>>(), [coupon_id(1, 0)]);
    assert_eq!((page.totals, page.at), (CouponTotals { issued: 1, ..CouponTotals::default() }, second(400)));
    assert!(ids(filter(Some(CouponState::Expired))).await.coupons.is_empty());

    shop.at(second(1000)).await;
    let page = ids(filter(Some(CouponState::Expired))).await;
    assert_eq!((page.coupons.len(), page.totals), (1, CouponTotals { expired: 1, ..CouponTotals::default() }));
    assert!(ids(filter(Some(CouponState::Issued))).await.coupons.is_empty());
    let behind = CouponFilter { after: Some(coupon_id(1, 0)), ..filter(None) };
    assert!(ids(behind).await.coupons.is_empty());
    let elsewhere = CouponFilter { campaign: Some(campaign_id("d")), ..filter(None) };
    assert_eq!(ids(elsewhere).await.totals, CouponTotals::default());
    let anywhere = CouponFilter { campaign: None, ..filter(None) };
    assert_eq!(ids(anywhere).await.coupons.len(), 1);
}
