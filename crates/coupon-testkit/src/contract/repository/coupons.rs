//! Coupons after their claim, as people ask for them.

use std::time::Duration;

use coupon_domain::ids::{CouponId, UserId};
use coupon_domain::ports::{CouponFilter, CouponPage, CouponTotals};
use coupon_domain::redemption::{CouponRecord, CouponState};

use super::desk::{ask, redeem};
use super::history::History;
use crate::build::{a_campaign, campaign_id, coupon_id, eur, millisecond, order, round, round_id, second, user, users};
use crate::under_test::LedgerUnderTest;

fn all_of(user: &UserId) -> CouponFilter {
    CouponFilter { user: Some(user.clone()), limit: 100, ..CouponFilter::default() }
}

async fn page(ledger: &LedgerUnderTest, filter: CouponFilter) -> CouponPage {
    ledger.coupons.coupons(&filter).await.expect("the ledger answers")
}

fn ids(page: &CouponPage) -> Vec<CouponId> {
    page.coupons.iter().map(|coupon| coupon.id).collect()
}

/// With the expiry that follows from its claim.
pub async fn a_coupon_is_kept_as_it_was_issued(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(1).claiming(300..360).valid_for(Duration::from_secs(1000)), second(0));
    history.open_round(round(2).claiming(400..460).valid_until(millisecond(777_777)), second(0));
    history.claim(round_id(1), &users(2), millisecond(300_123));
    history.claim(round_id(2), &[user("ada")], second(400));
    history.record(&ledger).await;

    for (id, who, claimed_at, expires_at) in [
        (coupon_id(1, 1), "u-1", millisecond(300_123), millisecond(1_300_123)),
        (coupon_id(2, 0), "ada", second(400), millisecond(777_777)),
    ] {
        let record = CouponRecord {
            id,
            campaign: history.campaign.clone(),
            user: user(who),
            state: CouponState::Issued,
            claimed_at,
            expires_at,
            order: None,
            held_until: None,
            redeemed_at: None,
        };
        assert_eq!(ledger.coupons.coupon(id).await.expect("answers"), Some((record, second(500))));
    }
    for unknown in [coupon_id(1, 2), coupon_id(9, 0)] {
        assert_eq!(ledger.coupons.coupon(unknown).await.expect("answers"), None);
    }
}

/// Over campaigns, in order of round and serial; totals are those of all pages.
pub async fn coupons_of_a_user_are_listed_in_order_and_in_pages(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let ada = user("ada");
    // One round each, so that one user may have several: rounds 9, 10 and 2 in three campaigns.
    for (id, number) in [("c", 9), ("d", 10), ("e", 2)] {
        let mut history = History::begin(&ledger, &a_campaign(id)).await;
        history.open_round(round(number).claiming(300..360), second(0));
        history.claim(round_id(number), &[user("bob"), ada.clone()], second(300));
        history.record(&ledger).await;
    }
    ask(&ledger, &redeem("d", coupon_id(10, 1), "ada", "o-1", eur(2000))).await;

    let three = [coupon_id(2, 1), coupon_id(9, 1), coupon_id(10, 1)];
    let all = page(&ledger, all_of(&ada)).await;
    let totals = CouponTotals { issued: 2, redeemed: 1, ..CouponTotals::default() };
    assert_eq!((ids(&all), all.totals, all.at), (three.to_vec(), Some(totals), second(500)));
    assert_eq!(all.coupons[2].order, Some(order("o-1")));

    let mut after = None;
    for expected in three {
        let one = page(&ledger, CouponFilter { after, limit: 1, ..all_of(&ada) }).await;
        assert_eq!((ids(&one), one.totals), (vec![expected], Some(totals)));
        after = Some(expected);
    }
    assert_eq!(ids(&page(&ledger, CouponFilter { after, ..all_of(&ada) }).await), []);

    let of_c = page(&ledger, CouponFilter { campaign: Some(campaign_id("c")), ..all_of(&ada) }).await;
    let one = CouponTotals { issued: 1, ..CouponTotals::default() };
    assert_eq!((ids(&of_c), of_c.totals), (vec![coupon_id(9, 1)], Some(one)));
    let redeemed = page(&ledger, CouponFilter { state: Some(CouponState::Redeemed), ..all_of(&ada) }).await;
    assert_eq!((ids(&redeemed), redeemed.totals), (vec![coupon_id(10, 1)], Some(totals)), "totals whatever the state");
    let nobody = page(&ledger, all_of(&user("Ada"))).await;
    assert_eq!((ids(&nobody), nobody.totals), (vec![], Some(CouponTotals::default())));
}

/// By the ledger's clock, to the millisecond; one that was redeemed does not expire.
pub async fn a_coupon_expires_without_a_sweeper(ledger: LedgerUnderTest) {
    ledger.clock.set(second(500)).await;
    let ada = user("ada");
    for (id, number) in [("c", 1), ("d", 2)] {
        let mut history = History::begin(&ledger, &a_campaign(id)).await;
        history.open_round(round(number).claiming(300..360).valid_until(second(1000)), second(0));
        history.claim(round_id(number), std::slice::from_ref(&ada), second(300));
        history.record(&ledger).await;
    }
    ask(&ledger, &redeem("d", coupon_id(2, 0), "ada", "o-1", eur(2000))).await;

    for (at, issued, expired) in [(millisecond(999_999), 1, 0), (second(1000), 0, 1), (second(100_000), 0, 1)] {
        ledger.clock.set(at).await;
        let found = page(&ledger, all_of(&ada)).await;
        let totals = CouponTotals { issued, expired, redeemed: 1, ..CouponTotals::default() };
        assert_eq!((found.totals, found.at, found.coupons.len()), (Some(totals), at, 2));
        for (state, count) in
            [(CouponState::Issued, issued), (CouponState::Expired, expired), (CouponState::Redeemed, 1)]
        {
            let some = page(&ledger, CouponFilter { state: Some(state), ..all_of(&ada) }).await;
            assert_eq!(some.coupons.len() as u64, count, "{state} at {at:?}");
            assert!(some.coupons.iter().all(|coupon| coupon.state_at(some.at) == state));
        }
    }
}

/// In order of round and serial, whoever has them and whatever the state; a page does not shift while coupons are issued.
pub async fn coupons_of_a_campaign_are_listed_in_order_and_in_pages(ledger: LedgerUnderTest) {
    ledger.clock.set(second(650)).await;
    // The round with the lower number claims later, so that the order of rounds is not that of claims.
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.open_round(round(2).claiming(300..360), second(0));
    history.open_round(round(1).claiming(600..700), second(0));
    history.claim(round_id(2), &users(6), second(300));
    history.claim(round_id(1), &users(16)[10..], second(600));
    history.record(&ledger).await;
    let mut other = History::begin(&ledger, &a_campaign("d")).await;
    other.open_round(round(3).claiming(300..360), second(0));
    other.claim(round_id(3), &users(3), second(300));
    other.record(&ledger).await;
    ask(&ledger, &redeem("c", coupon_id(2, 1), "u-1", "o-1", eur(2000))).await;

    let of_c = || CouponFilter { campaign: Some(campaign_id("c")), limit: 100, ..CouponFilter::default() };
    let twelve: Vec<_> = [1, 2].into_iter().flat_map(|round| (0..6).map(move |i| coupon_id(round, i))).collect();
    let all = page(&ledger, of_c()).await;
    assert_eq!((ids(&all), all.totals, all.at), (twelve.clone(), None, second(650)));
    let everything = page(&ledger, CouponFilter { limit: 100, ..CouponFilter::default() }).await;
    let three = (0..3).map(|i| coupon_id(3, i));
    assert_eq!(ids(&everything), twelve.iter().copied().chain(three).collect::<Vec<_>>());
    let used = page(&ledger, CouponFilter { state: Some(CouponState::Redeemed), ..of_c() }).await;
    assert_eq!((ids(&used), used.totals), (vec![coupon_id(2, 1)], None));

    for limit in [1, 5, 12] {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let some = page(&ledger, CouponFilter { after, limit, ..of_c() }).await;
            assert!(some.coupons.len() <= limit as usize);
            let Some(last) = ids(&some).last().copied() else { break };
            paged.extend(ids(&some));
            after = Some(last);
            if paged.len() == some.coupons.len() {
                history.claim(round_id(1), &[user(&format!("new-{limit}"))], second(650));
                history.record(&ledger).await;
            }
        }
        assert!(paged.is_sorted_by(|a, b| a < b), "{paged:?}");
        let before: Vec<_> = paged.into_iter().filter(|id| twelve.contains(id)).collect();
        assert_eq!(before, twelve, "each once, in pages of {limit}");
    }
}
