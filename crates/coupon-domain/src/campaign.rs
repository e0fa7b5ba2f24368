//! What a campaign offers, and whether such an offer is sound.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::benefit::{Benefit, BenefitKind};
use crate::ids::CampaignId;
use crate::schedule::{Schedule, Start};
use crate::supply::Supply;
use crate::time::Timestamp;

/// Who of those who ask gets a coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Allocation {
    /// In the order in which claims arrive at the gate.
    #[default]
    FirstCome,
    /// Every place has the same chance.
    Draw,
}

/// Where a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CampaignState {
    /// Being prepared.
    Draft,
    /// Its rounds happen.
    Active,
    /// No new place and no new coupon.
    Paused,
    /// Over for good.
    Ended,
}

impl CampaignState {
    /// Its word in tables, keys and the journal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Active => "ACTIVE",
            Self::Paused => "PAUSED",
            Self::Ended => "ENDED",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Draft, Self::Active, Self::Paused, Self::Ended].into_iter().find(|s| s.as_str() == word)
    }
}

impl fmt::Display for CampaignState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operator does to a campaign's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// DRAFT to ACTIVE.
    Activate,
    /// ACTIVE to PAUSED.
    Pause,
    /// PAUSED to ACTIVE.
    Resume,
}

impl Transition {
    /// The state it starts from and the one it leads to.
    #[must_use]
    pub fn from_to(self) -> (CampaignState, CampaignState) {
        match self {
            Self::Activate => (CampaignState::Draft, CampaignState::Active),
            Self::Pause => (CampaignState::Active, CampaignState::Paused),
            Self::Resume => (CampaignState::Paused, CampaignState::Active),
        }
    }

    /// Its word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "ACTIVATE",
            Self::Pause => "PAUSE",
            Self::Resume => "RESUME",
        }
    }
}

/// Until when a coupon can be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// The same instant for all.
    At(Timestamp),
    /// So long from its claim on.
    AfterClaim(Duration),
}

impl Validity {
    /// The first instant at which a coupon claimed then cannot be redeemed.
    #[must_use]
    pub fn expires_at(self, claimed_at: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::AfterClaim(span) => claimed_at.plus(span),
        }
    }
}

/// What a campaign offers. Sound by construction: see [`RulesDraft::check`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// What people call it.
    pub title: String,
    /// What a coupon is worth.
    pub benefit: Benefit,
    /// How many coupons a round has.
    pub supply: Supply,
    /// Who gets one.
    pub allocation: Allocation,
    /// When the rounds happen.
    pub schedule: Schedule,
    /// Whether a claim needs a place.
    pub reservation_required: bool,
    /// Coupons a user may have over all rounds; none means one.
    pub max_per_user: Option<u32>,
    /// Coupons over all rounds together.
    pub total_limit: Option<u32>,
    /// Places a round may have; none means the installation's cap.
    pub max_places: Option<u32>,
    /// Until when its coupons can be redeemed.
    pub validity: Validity,
    /// How long before its expiry the owner of an unused coupon is told; none means seven days.
    pub notice_leads: Vec<Duration>,
    /// The caller's own labels.
    pub metadata: BTreeMap<String, String>,
}

impl Rules {
    /// `max_per_user` where none is given.
    pub const MAX_PER_USER: u32 = 1;
    /// The installation's cap of places a round may have.
    pub const MAX_PLACES: u32 = 1_000_000;

    /// Coupons a user may have over all rounds.
    #[must_use]
    pub fn coupons_per_user(&self) -> u32 {
        self.max_per_user.unwrap_or(Self::MAX_PER_USER)
    }

    /// Places a round may have.
    #[must_use]
    pub fn places_per_round(&self) -> u32 {
        self.max_places.unwrap_or(Self::MAX_PLACES)
    }
}

/// A campaign as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What it offers.
    pub rules: Rules,
    /// Where it stands.
    pub state: CampaignState,
    /// Raised by each change of rules or state.
    pub revision: u64,
    /// When it was created, by the ledger's clock.
    pub created_at: Timestamp,
    /// When it was last changed, by the ledger's clock.
    pub updated_at: Timestamp,
}

/// What is wrong with one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, such as `campaign.supply.fixed`.
    pub field: &'static str,
    /// What it must be.
    pub description: String,
}

impl Violation {
    /// This field, and what it must be.
    #[must_use]
    pub fn new(field: &'static str, description: impl Into<String>) -> Self {
        Self { field, description: description.into() }
    }
}

/// A campaign as somebody asks for it; `None` where a required part is missing or could not be read.
#[derive(Debug, Clone, Default)]
pub struct RulesDraft {
    /// See [`Rules`]; likewise all that follow.
    pub title: String,
    #[expect(missing_docs)]
    pub benefit: Option<Benefit>,
    #[expect(missing_docs)]
    pub supply: Option<Supply>,
    #[expect(missing_docs)]
    pub allocation: Allocation,
    #[expect(missing_docs)]
    pub schedule: Option<Schedule>,
    #[expect(missing_docs)]
    pub reservation_required: bool,
    #[expect(missing_docs)]
    pub max_per_user: Option<i64>,
    #[expect(missing_docs)]
    pub total_limit: Option<i64>,
    #[expect(missing_docs)]
    pub max_places: Option<i64>,
    #[expect(missing_docs)]
    pub validity: Option<Validity>,
    #[expect(missing_docs)]
    pub notice_leads: Vec<Duration>,
    #[expect(missing_docs)]
    pub metadata: BTreeMap<String, String>,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl RulesDraft {
    /// The rules, if they are sound at this instant.
    ///
    /// # Errors
    /// All that is wrong, each with its field. A missing required part is not named here: whoever read the request knows why.
    pub fn check(self, now: Timestamp) -> Result<Rules, Vec<Violation>> {
        let mut wrong = Vec::new();
        let mut expect = |holds: bool, field: &'static str, description: &str| {
            if !holds {
                wrong.push(Violation::new(field, description));
            }
        };
        let in_range = |value: Option<i64>, max: u32| value.is_none_or(|v| (1..=i64::from(max)).contains(&v));

        expect(
            is_text(&self.title, 250),
            "campaign.title",
            "must have 1 to 250 characters, none of them a control character",
        );
        expect(in_range(self.max_per_user, 1_000_000), "campaign.max_per_user", "must be 1 to 1000000");
        expect(in_range(self.total_limit, Supply::MAX), "campaign.total_limit", "must be 1 to 200000000");
        expect(in_range(self.max_places, 10_000_000), "campaign.max_places", "must be 1 to 10000000");
        expect(
            self.allocation != Allocation::Draw,
            "campaign.allocation",
            "must be FIRST_COME: this version does not serve DRAW",
        );
        expect(
            self.notice_leads.len() <= 8 && self.notice_leads.iter().all(|lead| (MINUTE..=365 * DAY).contains(lead)),
            "campaign.notice_leads",
            "must be at most 8, each 1 minute to 365 days",
        );
        let labels_fit = |(key, value): (&String, &String)| {
            is_text(key, 64) && key.len() <= 64 && value.len() <= 512 && !value.chars().any(char::is_control)
        };
        expect(
            self.metadata.len() <= 32 && self.metadata.iter().all(labels_fit),
            "campaign.metadata",
            "must have at most 32 entries, keys of 1 to 64 bytes, values of at most 512 bytes, without control characters",
        );
        match self.supply {
            Some(Supply::Fixed(n)) => {
                expect((1..=Supply::MAX).contains(&n), "campaign.supply.fixed", "must be 1 to 200000000");
            }
            Some(Supply::RatioOfPlaces(_)) => expect(
                self.reservation_required,
                "campaign.reservation_required",
                "must be true where the supply is a ratio of places",
            ),
            Some(Supply::SharedPool) => {
                expect(self.total_limit.is_some(), "campaign.supply", "is required where there is no total_limit");
            }
            None => {}
        }
        if let Some(benefit) = &self.benefit {
            check_benefit(benefit, &mut expect);
        }
        if let Some(schedule) = &self.schedule {
            check_schedule(schedule, self.reservation_required, now, &mut expect);
            check_validity(self.validity, schedule, now, &mut expect);
        }
        wrong.extend(self.schedule.as_ref().and_then(|s| overlap(s, now)));

        let count = |value: Option<i64>| value.and_then(|v| u32::try_from(v).ok());
        match (self.benefit, self.supply, self.schedule, self.validity) {
            (Some(benefit), Some(supply), Some(schedule), Some(validity)) if wrong.is_empty() => Ok(Rules {
                title: self.title,
                benefit,
                supply,
                allocation: self.allocation,
                schedule,
                reservation_required: self.reservation_required,
                max_per_user: count(self.max_per_user),
                total_limit: count(self.total_limit),
                max_places: count(self.max_places),
                validity,
                notice_leads: self.notice_leads,
                metadata: self.metadata,
            }),
            _ => Err(wrong),
        }
    }
}

/// 1 to `max` characters, none of them a control character.
fn is_text(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn check_benefit(benefit: &Benefit, expect: &mut impl FnMut(bool, &'static str, &str)) {
    match &benefit.kind {
        BenefitKind::PercentOff(p) => expect((1..=100).contains(p), "campaign.benefit.percent_off", "must be 1 to 100"),
        BenefitKind::AmountOff(off) => expect(off.minor > 0, "campaign.benefit.amount_off", "must be more than 0"),
        BenefitKind::FreeShipping => {}
        BenefitKind::Gift(gift) => expect(
            is_text(gift, 200),
            "campaign.benefit.gift",
            "must have 1 to 200 characters, none of them a control character",
        ),
    }
    let off = match benefit.kind {
        BenefitKind::AmountOff(off) => Some(off),
        BenefitKind::PercentOff(_) | BenefitKind::FreeShipping | BenefitKind::Gift(_) => None,
    };
    let amounts: Vec<_> = [off, benefit.min_order, benefit.max_discount].into_iter().flatten().collect();
    expect(
        amounts.windows(2).all(|pair| pair[0].currency == pair[1].currency),
        "campaign.benefit",
        "must have all its amounts in one currency",
    );
    expect(
        benefit.max_discount.is_none() || matches!(benefit.kind, BenefitKind::PercentOff(_)),
        "campaign.benefit.max_discount",
        "goes only with percent_off",
    );
    expect(benefit.max_discount.is_none_or(|m| m.minor > 0), "campaign.benefit.max_discount", "must be more than 0");
}

fn check_schedule(
    schedule: &Schedule,
    places: bool,
    now: Timestamp,
    expect: &mut impl FnMut(bool, &'static str, &str),
) {
    const LONGEST: Duration = Duration::from_secs(30 * 86_400);
    expect(
        (SECOND..=LONGEST).contains(&schedule.claim_duration),
        "campaign.schedule.claim_duration",
        "must be 1 second to 30 days",
    );
    if places {
        expect(
            (SECOND..=LONGEST).contains(&schedule.reserve_lead),
            "campaign.schedule.reserve_lead",
            "must be 1 second to 30 days",
        );
        expect(
            schedule.reserve_close_lead < schedule.reserve_lead,
            "campaign.schedule.reserve_close_lead",
            "must be less than reserve_lead",
        );
    }
    match &schedule.start {
        Start::Once(at) => {
            let open_until = if places { schedule.reserve_window(*at).closes } else { *at };
            expect(*at <= Timestamp::MAX.minus(LONGEST), "campaign.schedule.once", "must be before the year 9999 ends");
            expect(*at > now, "campaign.schedule.once", "must lie in the future");
            expect(
                *at <= now || open_until > now,
                "campaign.schedule.once",
                "must leave time to reserve: reservation would have closed already",
            );
        }
        Start::Recurring(recurrence) => {
            expect(
                recurrence.first().zip(recurrence.last()).is_none_or(|(first, last)| first <= last),
                "campaign.schedule.recurring.last",
                "must not be before first",
            );
            expect(
                !schedule.starts_after(now, 1).is_empty(),
                "campaign.schedule.recurring",
                "must have a start in the future",
            );
        }
    }
}

fn check_validity(
    validity: Option<Validity>,
    schedule: &Schedule,
    now: Timestamp,
    expect: &mut impl FnMut(bool, &'static str, &str),
) {
    match validity {
        Some(Validity::At(at)) => {
            let last_start = match &schedule.start {
                Start::Once(start) => Some(*start),
                Start::Recurring(recurrence) => recurrence.last(),
            };
            expect(at > now, "campaign.validity.at", "must lie in the future");
            match last_start {
                Some(last) => expect(
                    at >= schedule.claim_window(last).closes,
                    "campaign.validity.at",
                    "must not be before the last round closes",
                ),
                None => expect(
                    false,
                    "campaign.validity.at",
                    "needs schedule.recurring.last: rounds without end would outlive it",
                ),
            }
        }
        Some(Validity::AfterClaim(span)) => {
            expect(
                (SECOND..=3650 * DAY).contains(&span),
                "campaign.validity.after_claim",
                "must be 1 second to 3650 days",
            );
        }
        None => {}
    }
}

/// Two starts so close that their claim windows share an instant, looked for among the next hundred.
fn overlap(schedule: &Schedule, now: Timestamp) -> Option<Violation> {
    let starts = schedule.starts_after(now, 100);
    let pair = starts.windows(2).find(|pair| pair[1] < schedule.claim_window(pair[0]).closes)?;
    let text = |t: Timestamp| chrono::DateTime::from_timestamp_micros(t.micros()).unwrap_or_default().to_rfc3339();
    Some(Violation::new(
        "campaign.schedule.claim_duration",
        format!("must not let rounds overlap: {} still claims when {} starts", text(pair[0]), text(pair[1])),
    ))
}
