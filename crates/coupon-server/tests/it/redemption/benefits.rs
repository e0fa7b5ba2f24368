//! What comes off: exact, in the order's currency, never more than the order.

use coupon_proto::google::r#type::Money;
use coupon_proto::v1 as pb;
use pb::RefusalReason as Reason;
use pb::benefit::Kind;

use crate::shop::{On, Outcome, Shop, euros, money, on_both, open_campaign, redeem_request};

on_both! {
    discounts_are_exact
    free_shipping_and_gifts_are_told_beside_the_discount
}

fn benefit(kind: Kind, min_order: Option<Money>, max_discount: Option<Money>) -> pb::Benefit {
    pb::Benefit { kind: Some(kind), min_order, max_discount }
}

fn request(coupon: &pb::Coupon, order: &str, amount: &Money) -> pb::RedeemRequest {
    let order = Some(pb::Order { id: order.to_owned(), amount: Some(amount.clone()) });
    pb::RedeemRequest { order, ..redeem_request(&coupon.code, "ada", "", 0) }
}

/// The discount of an order, or why there is none.
type Expected = Result<Money, Reason>;

fn cases() -> Vec<(pb::Benefit, Vec<(Money, Expected)>)> {
    let yen = |units| money("JPY", units, 0);
    let fils = |fils: i64| money("KWD", fils / 1000, i32::try_from(fils % 1000 * 1_000_000).expect("small"));
    let dollars = |units| money("USD", units, 0);
    let (mismatch, too_small) = (Err(Reason::CurrencyMismatch), Err(Reason::MinOrderNotMet));
    vec![
        (
            benefit(Kind::PercentOff(20), None, None),
            vec![
                (euros(999), Ok(euros(199))),
                (euros(4), Ok(euros(0))),
                (euros(0), Ok(euros(0))),
                (dollars(7), Ok(money("USD", 1, 400_000_000))),
                (yen(999), Ok(yen(199))),
                (fils(1_009), Ok(fils(201))),
                (money("EUR", 1_000_000_000_000, 0), Ok(money("EUR", 200_000_000_000, 0))),
            ],
        ),
        (benefit(Kind::PercentOff(100), None, None), vec![(euros(1), Ok(euros(1))), (yen(3), Ok(yen(3)))]),
        (
            benefit(Kind::PercentOff(50), None, Some(euros(700))),
            vec![(euros(1399), Ok(euros(699))), (euros(9_999_999), Ok(euros(700))), (dollars(1), mismatch.clone())],
        ),
        (
            benefit(Kind::PercentOff(10), Some(euros(1000)), Some(euros(150))),
            vec![
                (euros(999), too_small.clone()),
                (euros(1000), Ok(euros(100))),
                (euros(2000), Ok(euros(150))),
                (dollars(1), mismatch.clone()),
            ],
        ),
        (
            benefit(Kind::AmountOff(euros(500)), None, None),
            vec![
                (euros(300), Ok(euros(300))),
                (euros(500), Ok(euros(500))),
                (euros(1234), Ok(euros(500))),
                (yen(500), mismatch.clone()),
            ],
        ),
        (
            benefit(Kind::AmountOff(yen(500)), Some(yen(1000)), None),
            vec![(yen(999), too_small.clone()), (yen(1000), Ok(yen(500))), (euros(100_000), mismatch.clone())],
        ),
        (benefit(Kind::AmountOff(fils(5)), None, None), vec![(fils(4), Ok(fils(4))), (fils(1_000_005), Ok(fils(5)))]),
    ]
}

async fn discounts_are_exact(on: On) {
    let shop = Shop::with_company(on).await;
    let cases = cases();
    let mut campaigns = Vec::new();
    for (n, (benefit, orders)) in cases.iter().enumerate() {
        for (m, order) in orders.iter().enumerate() {
            let campaign = pb::Campaign { benefit: Some(benefit.clone()), ..open_campaign(&format!("{n}.{m}"), 5) };
            campaigns.push((benefit, order, shop.create(campaign).await));
        }
    }
    shop.set("23:00:00").await;
    for (benefit, (amount, expected), (c, r)) in campaigns {
        let coupon = shop.claim(&c, &r, "ada").await.granted();
        let ask = |validate_only| {
            let request = pb::RedeemRequest { validate_only, ..request(&coupon, "order", amount) };
            let instance = shop.another();
            async move {
                match instance.use_coupon(request).await.expect("an answer").outcome {
                    Outcome::Yes(redemption) => {
                        assert!(!redemption.free_shipping && redemption.gift.is_empty());
                        Ok(redemption.discount.expect("a discount"))
                    }
                    Outcome::No(refusal) => Err(refusal.reason()),
                }
            }
        };
        for validate_only in [true, false, true, false] {
            assert_eq!(ask(validate_only).await, *expected, "{benefit:?} of {amount:?}");
        }
        let told = shop.events_like(&c, pb::EventKind::CouponRedeemed).await;
        let told: Vec<_> = told.into_iter().map(|event| (event.amount, event.discount)).collect();
        let expected: Vec<_> = expected.iter().map(|off| (Some(amount.clone()), Some(off.clone()))).collect();
        assert_eq!(told, expected);
    }
}

async fn free_shipping_and_gifts_are_told_beside_the_discount(on: On) {
    let shop = Shop::with_company(on).await;
    let shipping = benefit(Kind::FreeShipping(true), Some(euros(1000)), None);
    let gift = benefit(Kind::Gift("a mug".to_owned()), None, None);
    let campaign =
        |title, benefit: &pb::Benefit| pb::Campaign { benefit: Some(benefit.clone()), ..open_campaign(title, 5) };
    let (shipped, _) = shop.create(campaign("shipping", &shipping)).await;
    let (given, _) = shop.create(campaign("gift", &gift)).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&shipped, "", "ada").await.granted();
    let ask = |request| async { shop.another().use_coupon(request).await.expect("an answer") };
    assert_eq!(ask(request(&coupon, "order", &euros(999))).await.reason(), Reason::MinOrderNotMet);
    let dollars = money("USD", 100, 0);
    assert_eq!(ask(request(&coupon, "order", &dollars)).await.reason(), Reason::CurrencyMismatch);
    let first = ask(request(&coupon, "order", &euros(1000))).await;
    let yes = first.clone().granted();
    assert_eq!((yes.discount, yes.free_shipping, yes.gift.as_str()), (Some(euros(0)), true, ""));
    let again = ask(request(&coupon, "order", &euros(1000))).await;
    assert!(again.replayed && again.outcome == first.outcome);
    assert_eq!(shop.coupon(&coupon).await.benefit, Some(shipping));

    let coupon = shop.claim(&given, "", "ada").await.granted();
    let yes = ask(request(&coupon, "order", &money("JPY", 5, 0))).await.granted();
    assert_eq!((yes.discount, yes.free_shipping, yes.gift.as_str()), (Some(money("JPY", 0, 0)), false, "a mug"));
    assert_eq!((yes.campaign_id, yes.user_id, yes.coupon_id), (given, "ada".to_owned(), coupon.id));
}
