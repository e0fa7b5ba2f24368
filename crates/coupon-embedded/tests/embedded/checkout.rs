//! Checkouts: one success, whatever comes at the same time; a batch is written as a whole, in an order that every key allows.

use std::time::Duration;

use coupon_domain::checkout::{Call, CheckoutRefusal, Deed, GiveBack, Hold, Outcome, Redeem};
use coupon_domain::ids::{CouponId, OrderId};
use coupon_domain::ports::{CouponFilter, CouponRepository as _, CouponTotals, EventKind, Gate as _, LedgerError};
use coupon_domain::redemption::CouponState;
use coupon_testkit::build::{campaign_id, coupon_id, eur, order, round, round_id, second, user, users};
use tokio::task::JoinSet;

use crate::shop::Shop;

/// Coupons `r-1-0` to `r-1-9` of users `u-0` to `u-9`, valid until second 1000; the campaign has a second round.
pub(crate) async fn ten_coupons() -> Shop {
    let shop =
        Shop::with([round(1).valid_until(second(1000)), round(2).claiming(400..460).valid_for(Duration::from_secs(9))])
            .await;
    shop.at(second(300)).await;
    shop.gate.claim(&shop.campaign, round_id(1), &users(10), true, shop.seen()).await.expect("decided");
    shop.record().await;
    shop
}

fn redeem(coupon: CouponId, order_id: &str) -> Redeem {
    Redeem {
        coupon,
        campaign: campaign_id("c"),
        user: user(&format!("u-{}", coupon.serial)),
        order: order(order_id),
        amount: eur(5000),
        discount: Ok(eur(1000)),
    }
}

fn hold(coupon: CouponId, whose: &str, order_id: &str) -> Call {
    let ttl = Duration::from_secs(60);
    Call::Hold(Hold { coupon, campaign: campaign_id("c"), user: user(whose), order: order(order_id), ttl })
}

fn back(whose: &str, order_id: &str) -> GiveBack {
    GiveBack { campaign: campaign_id("c"), order: order(order_id), user: user(whose), reason: String::new() }
}

async fn carry_out(shop: &Shop, calls: &[Call]) -> Vec<Outcome> {
    shop.ledger.carry_out(calls).await.expect("the ledger answers")
}

async fn standing(shop: &Shop, coupon: CouponId) -> (CouponState, Option<OrderId>) {
    let (record, at) = shop.ledger.coupon(coupon).await.expect("the ledger answers").expect("it is there");
    (record.state_at(at), record.order_at(at).cloned())
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_calls_at_once_use_a_coupon_once() {
    let shop = ten_coupons().await;
    let mut callers = JoinSet::new();
    for caller in 0..60 {
        let ledger = shop.ledger.clone();
        let call = Call::Redeem(redeem(coupon_id(1, 0), &format!("o-{caller}")));
        callers.spawn(async move { ledger.carry_out(&[call]).await });
    }
    let outcomes: Vec<_> =
        callers.join_all().await.into_iter().flat_map(|outcome| outcome.expect("the ledger answers")).collect();

    let winners: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| if let Outcome::Done(Deed::Redeemed(yes)) = outcome { Some(yes) } else { None })
        .collect();
    let [winner] = winners[..] else { panic!("{winners:?}") };
    let refused = Outcome::Refused(CheckoutRefusal::AlreadyRedeemed(winner.order.clone()));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == refused).count(), 59);
    assert_eq!(shop.told(EventKind::CouponRedeemed).await, 1);
}

#[tokio::test]
async fn calls_of_one_batch_are_answered_as_if_one_came_after_the_other() {
    let shop = ten_coupons().await;
    let (zero, one) = (coupon_id(1, 0), coupon_id(1, 1));
    let calls = [
        redeem(zero, "a"),
        redeem(zero, "a"),
        redeem(zero, "b"),
        redeem(one, "a"),
        Redeem { amount: eur(4000), ..redeem(zero, "a") },
        Redeem { user: user("eve"), ..redeem(one, "c") },
        redeem(coupon_id(1, 99), "d"),
        redeem(one, "b"),
    ];

    let outcomes = carry_out(&shop, &calls.clone().map(Call::Redeem)).await;

    let deed = |call: &Redeem| Deed::Redeemed(call.redemption(eur(1000), second(300)));
    assert_eq!(
        outcomes,
        [
            Outcome::Done(deed(&calls[0])),
            Outcome::Replayed(deed(&calls[0])),
            Outcome::Refused(CheckoutRefusal::AlreadyRedeemed(order("a"))),
            Outcome::Refused(CheckoutRefusal::OrderHasCoupon),
            Outcome::Refused(CheckoutRefusal::OrderMismatch),
            Outcome::Refused(CheckoutRefusal::UnknownCoupon),
            Outcome::NotRecorded,
            Outcome::Done(deed(&calls[7])),
        ]
    );
    let shop = shop.restarted();
    let again = carry_out(&shop, &[Call::Redeem(calls[0].clone())]).await;
    assert_eq!(again, [Outcome::Replayed(deed(&calls[0]))]);
}

#[tokio::test]
async fn a_batch_with_a_call_that_fails_writes_nothing_and_its_others_pass_alone() {
    let shop = ten_coupons().await;
    // No rule makes a discount larger than the amount: the table refuses it.
    let bad = Call::Redeem(Redeem { discount: Ok(eur(9999)), ..redeem(coupon_id(1, 1), "bad") });
    let good = [0, 2].map(|serial| Call::Redeem(redeem(coupon_id(1, serial), &format!("o-{serial}"))));
    let [first, last] = good.clone();

    let outcomes = shop.ledger.carry_out(&[first, bad.clone(), last]).await;

    assert!(matches!(outcomes, Err(LedgerError::Broken(_))), "{outcomes:?}");
    for serial in 0..3 {
        assert_eq!(standing(&shop, coupon_id(1, serial)).await, (CouponState::Issued, None));
    }
    assert_eq!(shop.told(EventKind::CouponRedeemed).await, 0);
    for call in &good {
        let alone = carry_out(&shop, std::slice::from_ref(call)).await;
        assert!(matches!(alone[..], [Outcome::Done(_)]), "{alone:?}");
    }
    let foreseen = shop.ledger.foresee(&bad).await.expect("the ledger answers");
    assert!(matches!(foreseen, Outcome::Done(_)), "there is no order of it: {foreseen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_command_of_a_group_fails_alone() {
    let shop = ten_coupons().await;
    let mut callers = JoinSet::new();
    for serial in 0..10 {
        let ledger = shop.ledger.clone();
        let discount = if serial % 2 == 0 { eur(1000) } else { eur(9999) };
        let call = Redeem { discount: Ok(discount), ..redeem(coupon_id(1, serial), &format!("o-{serial}")) };
        callers.spawn(async move { (serial, ledger.carry_out(&[Call::Redeem(call)]).await) });
    }
    for (serial, outcome) in callers.join_all().await {
        assert_eq!(outcome.is_ok(), serial % 2 == 0, "{serial}: {outcome:?}");
    }
}

/// A coupon has one live order at each step of the writing, not only behind the last.
#[tokio::test]
async fn orders_that_swap_their_coupons_within_a_batch_are_written() {
    let shop = ten_coupons().await;
    let (zero, one) = (coupon_id(1, 0), coupon_id(1, 1));
    carry_out(&shop, &[hold(zero, "u-0", "a"), hold(one, "u-1", "b")]).await;

    let swap = [
        Call::Release(back("u-0", "a")),
        Call::Release(back("u-1", "b")),
        hold(one, "u-1", "a"),
        hold(zero, "u-0", "b"),
    ];
    let outcomes = carry_out(&shop, &swap).await;

    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(_))), "{outcomes:?}");
    assert_eq!(standing(&shop, zero).await, (CouponState::Held, Some(order("b"))));
    assert_eq!(standing(&shop, one).await, (CouponState::Held, Some(order("a"))));

    // And on to a third order, while the first takes nothing.
    let on = [Call::Rollback(back("u-0", "b")), hold(zero, "u-0", "c")];
    let outcomes = carry_out(&shop, &on).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Done(_))), "{outcomes:?}");
    assert_eq!(standing(&shop, zero).await, (CouponState::Held, Some(order("c"))));
}

#[tokio::test]
async fn a_users_coupons_are_paged_and_counted_by_the_ledgers_clock() {
    let shop = ten_coupons().await;
    let ada = Some(user("u-0"));
    shop.at(second(400)).await;
    shop.gate.claim(&shop.campaign, round_id(2), &[user("u-77")], true, shop.seen()).await.expect("decided");
    shop.record().await;
    let filter =
        |state| CouponFilter { user: ada.clone(), campaign: Some(campaign_id("c")), state, after: None, limit: 10 };
    let page = async |filter| shop.ledger.coupons(&filter).await.expect("the ledger answers");

    let issued = page(filter(Some(CouponState::Issued))).await;
    assert_eq!(issued.coupons.iter().map(|c| c.id).collect::<Vec<_>>(), [coupon_id(1, 0)]);
    assert_eq!((issued.totals, issued.at), (Some(CouponTotals { issued: 1, ..CouponTotals::default() }), second(400)));
    assert!(page(filter(Some(CouponState::Expired))).await.coupons.is_empty());

    carry_out(&shop, &[hold(coupon_id(1, 0), "u-0", "a")]).await;
    let held = page(filter(Some(CouponState::Held))).await;
    assert_eq!((held.coupons.len(), held.totals), (1, Some(CouponTotals { held: 1, ..CouponTotals::default() })));
    shop.at(second(460)).await;
    assert_eq!(page(filter(Some(CouponState::Issued))).await.coupons.len(), 1);
    assert!(page(filter(Some(CouponState::Held))).await.coupons.is_empty());

    shop.at(second(1000)).await;
    let expired = page(filter(Some(CouponState::Expired))).await;
    assert_eq!(
        (expired.coupons.len(), expired.totals),
        (1, Some(CouponTotals { expired: 1, ..CouponTotals::default() }))
    );
    assert!(page(filter(Some(CouponState::Issued))).await.coupons.is_empty());
    let behind = CouponFilter { after: Some(coupon_id(1, 0)), ..filter(None) };
    assert!(page(behind).await.coupons.is_empty());
    let elsewhere = CouponFilter { campaign: Some(campaign_id("d")), ..filter(None) };
    assert_eq!(page(elsewhere).await.totals, Some(CouponTotals::default()));
    let anywhere = CouponFilter { campaign: None, ..filter(None) };
    assert_eq!(page(anywhere).await.coupons.len(), 1);
}

#[tokio::test]
async fn a_campaigns_coupons_are_paged_over_its_rounds_and_what_is_issued_meanwhile_shifts_no_page() {
    let shop = ten_coupons().await;
    shop.at(second(400)).await;
    shop.gate.claim(&shop.campaign, round_id(2), &[user("v-0")], true, shop.seen()).await.expect("decided");
    shop.record().await;
    for campaign in [Some(campaign_id("c")), None] {
        let filter = |after| CouponFilter { campaign: campaign.clone(), after, limit: 4, ..CouponFilter::default() };
        let mut ids = Vec::new();
        loop {
            let page = shop.ledger.coupons(&filter(ids.last().copied())).await.expect("the ledger answers");
            assert_eq!(page.totals, None);
            ids.extend(page.coupons.iter().map(|coupon| coupon.id));
            if page.coupons.len() < 4 {
                break;
            }
        }
        let expected: Vec<_> = (0..10).map(|serial| coupon_id(1, serial)).chain([coupon_id(2, 0)]).collect();
        assert_eq!(ids, expected);
    }
    carry_out(&shop, &[hold(coupon_id(1, 7), "u-7", "a")]).await;
    let held = CouponFilter {
        campaign: Some(campaign_id("c")),
        state: Some(CouponState::Held),
        limit: 10,
        ..CouponFilter::default()
    };
    let page = shop.ledger.coupons(&held).await.expect("the ledger answers");
    assert_eq!(page.coupons.iter().map(|coupon| coupon.id).collect::<Vec<_>>(), [coupon_id(1, 7)]);
}
