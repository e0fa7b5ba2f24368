//! Events to publish.

use std::time::Duration;

use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::money::{Currency, Money};
use coupon_domain::notice::Notice;
use coupon_domain::ports::{Event, EventKind};
use coupon_domain::redemption::Price;
use coupon_domain::time::Timestamp;

/// 2026-04-24T15:00:00.000001Z.
pub const AT: Timestamp = Timestamp::from_micros(1_777_042_800_000_001);

/// An event of this kind with whatever one of it can have.
#[must_use]
pub fn of_kind(kind: EventKind) -> Event {
    let campaign = CampaignId::parse("spring.2026").expect("an id");
    let mut event = Event { id: format!("id-of-{}", kind.as_str()), ..Event::new(kind, campaign, AT) };
    let about = kind.as_str().split('.').next().unwrap_or_default();
    if matches!(about, "round" | "place" | "coupon") {
        event.round = Some(RoundId::parse("r-7").expect("an id"));
    }
    if about == "coupon" {
        event.coupon = Some(CouponId::parse("r-7-3").expect("an id"));
    }
    if matches!(about, "place" | "coupon" | "order") {
        event.user = Some(UserId::parse("ada@example.com").expect("an id"));
    }
    describe(&mut event);
    event
}

fn describe(event: &mut Event) {
    use EventKind as K;
    let order = || Some(OrderId::parse("order:1").expect("an id"));
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    match event.kind {
        K::CampaignStateChanged => event.state = Some("ACTIVE".to_owned()),
        K::RoundPhaseChanged => event.state = Some("CLAIMING".to_owned()),
        K::CouponHeld => {
            event.order = order();
            event.details.expires_at = Some(AT.plus(Duration::from_secs(900)));
        }
        K::CouponReleased => {
            event.order = order();
            event.details.reason = Some("LAPSED".to_owned());
        }
        K::CouponRedeemed | K::CouponRolledBack => {
            event.order = order();
            event.state = Some(if event.kind == K::CouponRedeemed { "REDEEMED" } else { "ISSUED" }.to_owned());
            event.details.price = Some(Price { amount: dollars(59, 900_000_000), discount: dollars(12, 50_000_000) });
        }
        K::OrderCancelled => event.order = order(),
        K::CouponVoided => event.details.reason = Some("a \"mistake\", größer 🎟".to_owned()),
        K::CouponExpiring => {
            event.details.expires_at = Some(AT.plus(week));
            event.details.notice = Some(Notice { lead: week, late: true });
        }
        _ => {}
    }
}

fn dollars(units: i64, nanos: i32) -> Money {
    let currency = Currency::parse("USD").expect("a currency");
    Money::from_parts(currency, units, nanos).expect("money")
}

/// The n-th event of each of so many coupons. Ids begin with the run's name, and the order of a coupon's events can be seen at their state.
#[must_use]
pub fn wave(run: &str, n: usize, coupons: usize) -> Vec<Event> {
    let of_coupon = |coupon: usize| {
        let mut event = of_kind(EventKind::CouponRedeemed);
        event.id = format!("{run}-{n}-{coupon}");
        event.coupon = Some(CouponId::parse(&format!("r-7-{}", coupon + 1)).expect("an id"));
        event.state = Some(format!("{run}-{n:06}"));
        event
    };
    (0..coupons).map(of_coupon).collect()
}
