//! Builders that state only what matters to a test; all else is a sound default.
//!
//! Tests tell time in seconds from [`second`]`(0)`, a noon in 2024: microseconds of today's size, so that a store which cannot keep all
//! their digits is found out.

use std::ops::Range;
use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, CampaignState, Rules, RulesDraft, Validity};
use coupon_domain::checkout::Operator;
use coupon_domain::code::MasterKeys;
use coupon_domain::draw::Hash;
use coupon_domain::ids::{Actor, CampaignId, CouponId, OrderId, RoundId, SubscriberName, UserId};
use coupon_domain::model::{CampaignHead, SupplyAddition};
use coupon_domain::money::{Currency, Money};
use coupon_domain::ports::NewCampaign;
use coupon_domain::position::{Chain, Position};
use coupon_domain::round::{DrawPlan, RoundSpec};
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::{Ratio, Rounding, Supply};
use coupon_domain::time::{Timestamp, Window};
use uuid::Uuid;

/// 2024-04-24T12:00:00Z.
const NOON: i64 = 1_713_960_000;

/// So many seconds after the noon at which tests begin, or before it.
#[must_use]
pub fn second(seconds: i64) -> Timestamp {
    Timestamp::from_micros((NOON + seconds) * 1_000_000)
}

/// So many microseconds after the noon at which tests begin, or before it.
#[must_use]
pub fn microsecond(microseconds: i64) -> Timestamp {
    Timestamp::from_micros(NOON * 1_000_000 + microseconds)
}

/// So many milliseconds after the noon at which tests begin, or before it.
#[must_use]
pub fn millisecond(milliseconds: i64) -> Timestamp {
    Timestamp::from_micros(NOON * 1_000_000 + milliseconds * 1000)
}

/// From one second to the other, without the latter.
#[must_use]
pub fn window(seconds: Range<i64>) -> Window {
    Window { opens: second(seconds.start), closes: second(seconds.end) }
}

/// The user of this name.
#[must_use]
pub fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a test's user has a valid id")
}

/// So many users, each with a name of its own: `u-0`, `u-1` ...
#[must_use]
pub fn users(count: u32) -> Vec<UserId> {
    (0..count).map(|i| user(&format!("u-{i}"))).collect()
}

/// The campaign of this id.
#[must_use]
pub fn campaign_id(id: &str) -> CampaignId {
    CampaignId::parse(id).expect("a test's campaign has a valid id")
}

/// The round of this number.
#[must_use]
pub fn round_id(number: u32) -> RoundId {
    RoundId::from_number(number).expect("a test's round has a valid number")
}

/// The coupon with this serial of the round of this number.
#[must_use]
pub fn coupon_id(round: u32, serial: u32) -> CouponId {
    CouponId { round: round_id(round), serial }
}

/// Who won a round of so many places: these tickets.
#[must_use]
pub fn winners(places: u32, tickets: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let mut bitmap = vec![0; places.div_ceil(8) as usize];
    for ticket in tickets {
        bitmap[ticket as usize / 8] |= 0x80 >> (ticket % 8);
    }
    bitmap
}

/// The id of an operator's request.
#[must_use]
pub fn request(number: u8) -> Uuid {
    Uuid::from_u128(0x0190_a8f0_1111_7222_8333_4444_5555_6600 | u128::from(number))
}

/// So many coupons more for the round of this number, by no request.
#[must_use]
pub fn for_round(round: u32, amount: u32) -> SupplyAddition {
    SupplyAddition { round: Some(round_id(round)), amount, request: None }
}

/// So many coupons more for the campaign over all its rounds, by no request.
#[must_use]
pub fn for_total(amount: u32) -> SupplyAddition {
    SupplyAddition { round: None, amount, request: None }
}

/// The order of this id.
#[must_use]
pub fn order(id: &str) -> OrderId {
    OrderId::parse(id).expect("a test's order has a valid id")
}

/// So many cents.
#[must_use]
pub fn eur(cents: i64) -> Money {
    Money { currency: Currency::parse("EUR").expect("a currency"), minor: cents }
}

/// So many yen, which have no cents.
#[must_use]
pub fn jpy(yen: i64) -> Money {
    Money { currency: Currency::parse("JPY").expect("a currency"), minor: yen }
}

/// A round: claims in seconds 300 to 360, without places, one hundred coupons, valid for 30 days from the claim.
#[must_use]
pub fn round(number: u32) -> RoundBuilder {
    RoundBuilder(RoundSpec {
        id: round_id(number),
        reserve: None,
        claim: window(300..360),
        supply: Supply::Fixed(100),
        max_places: Rules::MAX_PLACES,
        validity: Validity::AfterClaim(Duration::from_secs(30 * 86_400)),
        key_id: 0,
        revision: 1,
        registered_users_only: false,
        draw: None,
    })
}

/// See [`round`].
#[derive(Debug, Clone)]
pub struct RoundBuilder(RoundSpec);

impl RoundBuilder {
    /// Places are needed, and given from one second to the other.
    #[must_use]
    pub fn reserving(self, seconds: Range<i64>) -> Self {
        Self(RoundSpec { reserve: Some(window(seconds)), ..self.0 })
    }

    /// Coupons are given from one second to the other.
    #[must_use]
    pub fn claiming(self, seconds: Range<i64>) -> Self {
        Self(RoundSpec { claim: window(seconds), ..self.0 })
    }

    /// By this rule.
    #[must_use]
    pub fn supply(self, supply: Supply) -> Self {
        Self(RoundSpec { supply, ..self.0 })
    }

    /// So many coupons.
    #[must_use]
    pub fn fixed(self, coupons: u32) -> Self {
        self.supply(Supply::Fixed(coupons))
    }

    /// This fraction of the places, rounded down.
    #[must_use]
    pub fn ratio(self, numerator: u32, denominator: u32) -> Self {
        self.ratio_rounded(numerator, denominator, Rounding::Floor)
    }

    /// This fraction of the places.
    #[must_use]
    pub fn ratio_rounded(self, numerator: u32, denominator: u32, rounding: Rounding) -> Self {
        let ratio = Ratio::new(numerator, denominator, rounding).expect("a test's ratio is valid");
        self.supply(Supply::RatioOfPlaces(ratio))
    }

    /// Whatever the campaign's total limit leaves.
    #[must_use]
    pub fn shared_pool(self) -> Self {
        self.supply(Supply::SharedPool)
    }

    /// At most so many places.
    #[must_use]
    pub fn max_places(self, places: u32) -> Self {
        Self(RoundSpec { max_places: places, ..self.0 })
    }

    /// Coupons can be redeemed for so long from their claim.
    #[must_use]
    pub fn valid_for(self, span: Duration) -> Self {
        Self(RoundSpec { validity: Validity::AfterClaim(span), ..self.0 })
    }

    /// Coupons can be redeemed until this instant.
    #[must_use]
    pub fn valid_until(self, at: Timestamp) -> Self {
        Self(RoundSpec { validity: Validity::At(at), ..self.0 })
    }

    /// Only for registered users.
    #[must_use]
    pub fn registered_only(self) -> Self {
        Self(RoundSpec { registered_users_only: true, ..self.0 })
    }

    /// Planned by this revision of the campaign's rules.
    #[must_use]
    pub fn of_revision(self, revision: u64) -> Self {
        Self(RoundSpec { revision, ..self.0 })
    }

    /// Its places are drawn; the seed is that of the tests, and not kept.
    #[must_use]
    pub fn drawn(self) -> Self {
        self.drawn_within(None)
    }

    /// The same, planned while the campaign had this total limit.
    #[must_use]
    pub fn drawn_within(self, total_limit: Option<u32>) -> Self {
        let draw =
            DrawPlan { commit: Hash::from([0; 32]), sealed_seed: String::new(), total_limit, beacon_source: None };
        Self(RoundSpec { draw: Some(draw), ..self.0 })
    }

    /// The round.
    #[must_use]
    pub fn build(self) -> RoundSpec {
        self.0
    }
}

impl From<RoundBuilder> for RoundSpec {
    fn from(builder: RoundBuilder) -> Self {
        builder.0
    }
}

/// An ACTIVE campaign of many rounds before its first decision, in epoch 1, one coupon a user, without a total limit.
#[must_use]
pub fn head() -> CampaignHead {
    CampaignHead {
        position: Position { epoch: 1, n: 0 },
        last_at: Timestamp::EPOCH,
        chain: Chain::default(),
        state: CampaignState::Active,
        revision: 1,
        total_limit: None,
        max_per_user: 1,
        counts_users: true,
        issued: 0,
    }
}

/// Sound rules: 20 % off orders of 10.00 EUR and more, one start at second 300 with the default windows, a fifth of the places.
#[must_use]
pub fn rules() -> Rules {
    let start = Start::Once(second(300));
    RulesDraft {
        title: "Spring sale".to_owned(),
        benefit: Some(Benefit { kind: BenefitKind::PercentOff(20), min_order: Some(eur(1000)), max_discount: None }),
        supply: Some(Supply::RatioOfPlaces(Ratio::new(1, 5, Rounding::Floor).expect("a fifth is a ratio"))),
        allocation: Allocation::FirstCome,
        schedule: Some(Schedule {
            start,
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }),
        reservation_required: true,
        validity: Some(Validity::AfterClaim(Duration::from_secs(30 * 86_400))),
        ..RulesDraft::default()
    }
    .check(second(-3600))
    .expect("the tests' rules are sound")
}

/// Rules with the limits of this head: of many starts if it counts users.
#[must_use]
pub fn rules_like(head: &CampaignHead) -> Rules {
    let many = || Recurrence::parse("0 12 * * *", "UTC", None, None).expect("each noon");
    let start = if head.counts_users { Start::Recurring(many()) } else { Start::Once(second(300)) };
    let rules = rules();
    let schedule = Schedule { start, ..rules.schedule };
    Rules { schedule, max_per_user: Some(head.max_per_user), total_limit: head.total_limit, ..rules }
}

/// The master keys of tests: one, with id 0.
#[must_use]
pub fn keys() -> MasterKeys {
    MasterKeys::parse(&MasterKeys::format_line(0, &[7; 32])).expect("one key")
}

/// An ACTIVE campaign of this id with [`rules`], titled by its id, created by a request of its own.
#[must_use]
pub fn a_campaign(id: &str) -> NewCampaign {
    NewCampaign {
        id: campaign_id(id),
        rules: Rules { title: format!("Campaign {id}"), ..rules() },
        state: CampaignState::Active,
        by: by(Some(Uuid::new_v4())),
    }
}

/// The operator of tests, with this request.
#[must_use]
pub fn by(request: Option<Uuid>) -> Operator {
    by_whom("tester", request)
}

/// This operator, with this request.
#[must_use]
pub fn by_whom(name: &str, request: Option<Uuid>) -> Operator {
    Operator { actor: Actor::parse(name).expect("a test's operator has a valid name"), request }
}

/// A reader of the feed.
#[must_use]
pub fn subscriber(name: &str) -> SubscriberName {
    SubscriberName::parse(name).expect("a test's subscriber has a valid name")
}
