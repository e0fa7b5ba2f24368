//! Coupons by user, by campaign, and all of them at once. Each on both sets of adapters.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::CouponState;
use tonic::{Code, Status};

use crate::operators::calls::fault;
use crate::shop::{Instance, On, Shop, at, daily, days, eventually, on_both, open_campaign, users};

on_both! {
    a_campaigns_coupons_page_in_their_order_though_more_are_issued
    lists_are_of_a_user_a_campaign_or_both
    all_coupons_are_exported_as_the_ledger_has_them
    an_export_of_a_round_or_a_state_has_those_alone
}

impl Instance {
    /// The messages of an export.
    async fn export(&self, request: pb::ExportCouponsRequest) -> Result<Vec<Vec<pb::Coupon>>, Status> {
        let mut told = self.campaigns.clone().export_coupons(request).await?.into_inner();
        let mut messages = Vec::new();
        while let Some(message) = told.message().await? {
            messages.push(message.coupons);
        }
        Ok(messages)
    }

    /// All pages of a list.
    async fn all_pages(&self, request: pb::ListCouponsRequest) -> Vec<pb::Coupon> {
        let (mut coupons, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = self.list(pb::ListCouponsRequest { page_token, ..request.clone() }).await;
            coupons.extend(page.coupons);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return coupons;
            }
        }
    }
}

fn of_campaign(campaign: &str) -> pb::ListCouponsRequest {
    pb::ListCouponsRequest { campaign_id: campaign.to_owned(), page_size: 1000, ..Default::default() }
}

fn export_of(campaign: &str) -> pb::ExportCouponsRequest {
    pb::ExportCouponsRequest { campaign_id: campaign.to_owned(), ..Default::default() }
}

fn ids(coupons: &[pb::Coupon]) -> Vec<&str> {
    coupons.iter().map(|coupon| coupon.id.as_str()).collect()
}

/// Round and serial.
fn place(coupon: &pb::Coupon) -> (u32, i64) {
    (number(&coupon.round_id), coupon.serial.expect("a serial"))
}

fn number(round: &str) -> u32 {
    round.trim_start_matches("r-").parse().expect("a number")
}

/// A campaign with six rounds, the numbers of which have one digit and two; answers its coupons, so many of each round.
async fn six_rounds(shop: &Shop, each: usize) -> (String, Vec<pb::Coupon>) {
    // Numbers are drawn with gaps, if two instances plan at once.
    for n in 0.. {
        let (_, before) = shop.create(open_campaign(&format!("before {n}"), 1)).await;
        if number(&before) >= 4 {
            break;
        }
    }
    let many = pb::Campaign { max_per_user: Some(6), ..open_campaign("six rounds", 10_000) };
    let (c, _) = shop.create(daily(many, "0,10,20,30,40,50 21 * * *")).await;
    let mut coupons = Vec::new();
    for time in ["21:00:00", "21:10:00", "21:20:00", "21:30:00", "21:40:00", "21:50:00"] {
        shop.set(time).await;
        eventually(|| async { (shop.round(&c, "").await.phase() == pb::RoundPhase::Claiming).then_some(()) }).await;
        coupons.extend(shop.coupons_of(&c, &users(each)).await);
    }
    shop.ledger_caught_up(&c).await;
    coupons.sort_by_key(place);
    let rounds: Vec<_> = coupons.iter().map(|coupon| place(coupon).0).collect();
    assert!(rounds.first() < Some(&10) && rounds.last() >= Some(&10), "{rounds:?}");
    (c, coupons)
}

async fn a_campaigns_coupons_page_in_their_order_though_more_are_issued(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, coupons) = six_rounds(&shop, 7).await;
    for page_size in [1, 5, 7, 1000] {
        let all = shop.another().all_pages(pb::ListCouponsRequest { page_size, ..of_campaign(&c) }).await;
        assert_eq!(ids(&all), ids(&coupons), "in pages of {page_size}");
        assert!(all.iter().all(|coupon| coupon.code.is_empty() && coupon.benefit.is_some()));
    }
    // One more before each page.
    let (mut told, mut page_token) = (Vec::new(), String::new());
    for n in 0.. {
        shop.claim(&c, "", &format!("late-{n}")).await.granted();
        shop.ledger_caught_up(&c).await;
        let page = shop.nth(n).list(pb::ListCouponsRequest { page_size: 4, page_token, ..of_campaign(&c) }).await;
        assert_eq!(page.counts, None, "everybody's are not counted");
        told.extend(page.coupons);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        assert!(n < 50, "it does not end");
    }
    assert!(told.is_sorted_by(|a, b| place(a) < place(b)), "in order, none twice");
    assert_eq!(ids(&told[..coupons.len()]), ids(&coupons));
    assert!(told[coupons.len()..].iter().all(|coupon| coupon.user_id.starts_with("late-")));
}

async fn lists_are_of_a_user_a_campaign_or_both(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, _) = six_rounds(&shop, 3).await;
    let (other, _) = shop.create(open_campaign("other", 10)).await;
    shop.set("23:00:00").await;
    shop.claim(&other, "", "user-1").await.granted();
    shop.ledger_caught_up(&other).await;
    let instance = shop.another();
    let list = async |user: &str, campaign: &str| {
        let user_id = user.to_owned();
        let page = instance.list(pb::ListCouponsRequest { user_id, ..of_campaign(campaign) }).await;
        assert!(page.coupons.is_sorted_by(|a, b| place(a) < place(b)));
        (page.coupons.len(), page.counts.map(|counts| counts.total))
    };
    assert_eq!(list("user-1", "").await, (7, Some(7)));
    assert_eq!(list("user-1", &c).await, (6, Some(6)));
    assert_eq!(list("user-1", &other).await, (1, Some(1)));
    assert_eq!(list("user-2", &other).await, (0, Some(0)));
    assert_eq!(list("", &c).await, (18, None));
    assert_eq!(list("", "no-such-campaign").await, (0, None));
}

async fn all_coupons_are_exported_as_the_ledger_has_them(on: On) {
    const COUPONS: usize = 10_000;
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(open_campaign("ten thousand", 20_000)).await;
    shop.set("23:00:00").await;
    let names = users(COUPONS);
    for some in names.chunks(1000) {
        shop.all_claim(&c, &r, some).await;
    }
    shop.ledger_caught_up(&c).await;
    let listed = shop.nth(0).all_pages(of_campaign(&c)).await;
    let some: Vec<_> = listed.iter().step_by(500).collect();
    join_all(some.iter().map(|coupon| async {
        let code = shop.nth(0).coupon(&coupon.id, &coupon.user_id).await.expect("a coupon").code;
        shop.redeem(&code, &coupon.user_id, &format!("order-{}", coupon.id), 1000).await.granted()
    }))
    .await;

    let messages = shop.another().export(export_of(&c)).await.expect("an export");
    assert!(messages.iter().all(|message| (1..=1000).contains(&message.len())));
    let exported = messages.concat();
    let listed = shop.nth(0).all_pages(of_campaign(&c)).await;
    assert_eq!((exported.len(), exported == listed), (COUPONS, true), "the same as the list has");
    let seats: Vec<_> = {
        let mut seats: Vec<_> = shop.seats(&r).await.into_iter().map(|(user, _)| user.to_string()).collect();
        seats.sort();
        seats
    };
    let mut owners: Vec<_> = exported.iter().map(|coupon| coupon.user_id.clone()).collect();
    owners.sort();
    assert_eq!(owners, seats);
    assert!(exported.iter().enumerate().all(|(n, coupon)| coupon.serial == i64::try_from(n).ok()));
    assert!(exported.iter().all(|coupon| coupon.code.is_empty() && coupon.benefit.is_some()));
    assert_eq!(exported.iter().filter(|coupon| coupon.state() == CouponState::Redeemed).count(), COUPONS / 500);
}

async fn an_export_of_a_round_or_a_state_has_those_alone(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (c, coupons) = six_rounds(&shop, 4).await;
    let instance = shop.another();
    let code = |n: usize| coupons[n].code.as_str();
    shop.redeem(code(0), &coupons[0].user_id, "order-0", 1000).await.granted();
    shop.hold_for(code(5), &coupons[5].user_id, "order-5", 60).await.granted();
    shop.void(&coupons[6].id).await;
    let export = async |round: &str, state: CouponState| {
        let request = pb::ExportCouponsRequest { round_id: round.to_owned(), state: state.into(), ..export_of(&c) };
        instance.export(request).await.expect("an export").concat()
    };
    let any = CouponState::Unspecified;
    assert_eq!(ids(&export("", any).await), ids(&coupons));
    for four in coupons.chunks(4) {
        assert_eq!(ids(&export(&four[0].round_id, any).await), ids(four));
    }
    assert_eq!(ids(&export("", CouponState::Redeemed).await), [&coupons[0].id]);
    assert_eq!(ids(&export("", CouponState::Held).await), [&coupons[5].id]);
    assert_eq!(ids(&export("", CouponState::Void).await), [&coupons[6].id]);
    assert_eq!(export("", CouponState::Issued).await.len(), 21);
    assert_eq!(export(&coupons[4].round_id, CouponState::Issued).await.len(), 2);
    // As they stand, whoever has stored it.
    shop.set("21:55:00").await;
    assert_eq!(export("", CouponState::Held).await, []);
    assert_eq!(export("", CouponState::Issued).await.len(), 22);
    shop.set_to(at("21:50:00").plus(days(7))).await;
    assert_eq!(export("", CouponState::Expired).await.len(), 22);
    assert_eq!(export("", CouponState::Issued).await, []);

    let unknown = instance.export(export_of("no-such-campaign")).await;
    fault(unknown, Code::NotFound, "CAMPAIGN_NOT_FOUND");
    let unknown = pb::ExportCouponsRequest { round_id: "r-99999".to_owned(), ..export_of(&c) };
    fault(instance.export(unknown).await, Code::NotFound, "ROUND_NOT_FOUND");
}
