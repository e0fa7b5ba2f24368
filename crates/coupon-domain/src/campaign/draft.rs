//! Whether an offer is sound: every wrong field is named.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Allocation, Rules, Validity};
use crate::benefit::{Benefit, BenefitKind};
use crate::round::RoundSpec;
use crate::schedule::{Schedule, Start};
use crate::supply::Supply;
use crate::time::Timestamp;

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
    #[expect(missing_docs)]
    pub registered_users_only: bool,
    #[expect(missing_docs)]
    pub beacon_source: Option<String>,
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
        self.check_change(None, now)
    }

    /// The rules, if they are sound at this instant as a change of those before: what does not change may lie in the past by now.
    ///
    /// # Errors
    /// As [`RulesDraft::check`].
    pub fn check_change(self, before: Option<&Rules>, now: Timestamp) -> Result<Rules, Vec<Violation>> {
        let new_schedule = before.is_none_or(|rules| {
            // Leads are looked at only where places are needed.
            let new_places = self.reservation_required && !rules.reservation_required;
            new_places || self.schedule.as_ref() != Some(&rules.schedule)
        });
        let new_validity =
            before.is_none_or(|rules| self.validity != Some(rules.validity) || self.allocation != rules.allocation);
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
        if self.allocation == Allocation::Draw {
            expect(
                self.reservation_required,
                "campaign.reservation_required",
                "must be true where the allocation is DRAW: places are drawn",
            );
            expect(
                self.supply != Some(Supply::SharedPool),
                "campaign.supply",
                "is required where the allocation is DRAW: rounds that are drawn cannot share a pool",
            );
        }
        let is_source = |source: &String| is_text(source, 200) && source.is_ascii();
        expect(
            self.beacon_source.as_ref().is_none_or(is_source),
            "campaign.beacon_source",
            "must have at most 200 ASCII characters, none of them a control character",
        );
        expect(
            self.beacon_source.is_none() || self.allocation == Allocation::Draw,
            "campaign.beacon_source",
            "goes only with allocation DRAW",
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
            if new_schedule {
                check_schedule(schedule, self.reservation_required, now, &mut expect);
            }
            if new_schedule || new_validity {
                check_validity(self.validity, schedule, self.allocation, now, &mut expect);
            }
        }
        wrong.extend(self.schedule.as_ref().filter(|_| new_schedule).and_then(|s| overlap(s, now)));

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
                registered_users_only: self.registered_users_only,
                beacon_source: self.beacon_source,
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
    allocation: Allocation,
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
            // A coupon that is claimed after a late draw must not have expired by then.
            let longest_delay = match allocation {
                Allocation::FirstCome => Duration::ZERO,
                Allocation::Draw => RoundSpec::LONGEST_DELAY,
            };
            match last_start {
                Some(last) => expect(
                    at >= schedule.claim_window(last).closes.plus(longest_delay),
                    "campaign.validity.at",
                    "must not be before the last round closes, and an hour later where the allocation is DRAW: a late draw moves it",
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

/// Two starts so close that their claim windows share an instant.
fn overlap(schedule: &Schedule, now: Timestamp) -> Option<Violation> {
    let (first, second) = schedule.overlapping_pair(now)?;
    Some(Violation::new(
        "campaign.schedule.claim_duration",
        format!("must not let rounds overlap: {} still claims when {} starts", text(first), text(second)),
    ))
}

fn text(at: Timestamp) -> String {
    chrono::DateTime::from_timestamp_micros(at.micros()).unwrap_or_default().to_rfc3339()
}
