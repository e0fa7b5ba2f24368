//! Values for these tests.

use coupon_domain::campaign::{CampaignState, Validity};
use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::model::CampaignHead;
use coupon_domain::money::{Currency, Money};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::RoundSpec;
use coupon_domain::supply::Supply;
use coupon_domain::time::{Timestamp, Window};
use std::time::Duration;

/// So many seconds after 2024-04-24T12:00:00Z.
pub(crate) fn second(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_713_960_000 + seconds) * 1_000_000)
}

pub(crate) fn window(opens: i64, closes: i64) -> Window {
    Window { opens: second(opens), closes: second(closes) }
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a valid id")
}

pub(crate) fn campaign(id: &str) -> CampaignId {
    CampaignId::parse(id).expect("a valid id")
}

pub(crate) fn order(id: &str) -> OrderId {
    OrderId::parse(id).expect("a valid id")
}

pub(crate) fn round_id(number: u32) -> RoundId {
    RoundId::from_number(number).expect("a valid number")
}

pub(crate) fn coupon(round: u32, serial: u32) -> CouponId {
    CouponId { round: round_id(round), serial }
}

pub(crate) fn money(code: &str, minor: i64) -> Money {
    Money { currency: Currency::parse(code).expect("a currency"), minor }
}

/// Claims for twenty seconds from then on; with places, reserved from fifty to ten seconds before.
pub(crate) fn round(number: u32, opens: i64, places: bool, supply: Supply, max_places: u32) -> RoundSpec {
    RoundSpec {
        id: round_id(number),
        reserve: places.then(|| window(opens - 50, opens - 10)),
        claim: window(opens, opens + 20),
        supply,
        max_places,
        validity: Validity::AfterClaim(Duration::from_secs(3600)),
        key_id: 0,
    }
}

/// An ACTIVE campaign in epoch 1 before its first decision.
pub(crate) fn head(total_limit: Option<u32>, max_per_user: u32) -> CampaignHead {
    CampaignHead {
        position: Position { epoch: 1, n: 0 },
        last_at: Timestamp::EPOCH,
        chain: Chain::default(),
        state: CampaignState::Active,
        total_limit,
        max_per_user,
        counts_users: true,
        issued: 0,
    }
}
