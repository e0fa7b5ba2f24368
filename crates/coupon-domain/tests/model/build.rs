//! Values for these tests.

use std::collections::BTreeMap;
use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, CampaignState, Rules, Validity};
use coupon_domain::code::MasterKeys;
use coupon_domain::draw::Hash;
use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::model::CampaignHead;
use coupon_domain::money::{Currency, Money};
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::{DrawPlan, RoundSpec};
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::{Timestamp, Window};
use uuid::Uuid;

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

pub(crate) fn request(number: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

pub(crate) fn money(code: &str, minor: i64) -> Money {
    Money { currency: Currency::parse(code).expect("a currency"), minor }
}

/// Of the keys with which these campaigns sign, key 0 is there.
pub(crate) fn keys() -> MasterKeys {
    MasterKeys::parse(&MasterKeys::format_line(0, &[7; 32])).expect("a key")
}

pub(crate) fn a_fifth() -> Supply {
    Supply::RatioOfPlaces(Ratio::new(1, 5, Rounding::Floor).expect("a ratio"))
}

/// Twenty per cent off, every day at noon; ten coupons a round, one of them a user over all rounds.
pub(crate) fn rules() -> Rules {
    Rules {
        title: "Spring sale".to_owned(),
        benefit: Benefit { kind: BenefitKind::PercentOff(20), min_order: None, max_discount: None },
        supply: Supply::Fixed(10),
        allocation: Allocation::FirstCome,
        schedule: Schedule {
            start: Start::Recurring(Recurrence::parse("0 12 * * *", "UTC", None, None).expect("a recurrence")),
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        },
        reservation_required: true,
        max_per_user: None,
        total_limit: None,
        max_places: None,
        validity: Validity::AfterClaim(Duration::from_secs(3600)),
        notice_leads: Vec::new(),
        metadata: BTreeMap::new(),
        registered_users_only: false,
        beacon_source: None,
    }
}

/// Claims for twenty seconds from then on; with places, reserved from fifty to ten seconds before. Planned by revision 1.
pub(crate) fn round(number: u32, opens: i64, places: bool, supply: Supply, max_places: u32) -> RoundSpec {
    RoundSpec {
        id: round_id(number),
        reserve: places.then(|| window(opens - 50, opens - 10)),
        claim: window(opens, opens + 20),
        supply,
        max_places,
        validity: Validity::AfterClaim(Duration::from_secs(3600)),
        key_id: 0,
        revision: 1,
        registered_users_only: false,
        draw: None,
    }
}

/// A round like this whose places are drawn, planned when the campaign had this total limit.
pub(crate) fn drawn(spec: RoundSpec, total_limit: Option<u32>) -> RoundSpec {
    let commit = Hash::from([7; 32]);
    let plan = DrawPlan { commit, sealed_seed: "sealed".to_owned(), total_limit, beacon_source: None };
    RoundSpec { draw: Some(plan), ..spec }
}

/// The bitmap of these tickets, of so many.
pub(crate) fn bitmap(tickets: impl IntoIterator<Item = u32>, places: u32) -> Vec<u8> {
    let mut bytes = vec![0; (places as usize).div_ceil(8)];
    tickets.into_iter().for_each(|ticket| bytes[ticket as usize / 8] |= 128 >> (ticket % 8));
    bytes
}

/// An ACTIVE campaign with these rules in epoch 1 before its first decision.
pub(crate) fn head(rules: &Rules) -> CampaignHead {
    CampaignHead {
        position: Position { epoch: 1, n: 0 },
        last_at: Timestamp::EPOCH,
        chain: Chain::default(),
        state: CampaignState::Active,
        revision: 1,
        total_limit: rules.total_limit,
        max_per_user: rules.coupons_per_user(),
        counts_users: rules.schedule.recurs(),
        issued: 0,
    }
}
