//! Changing a campaign's rules: which of them, and what that needs.

use uuid::Uuid;

use super::{Rules, RulesDraft};

/// A part of the rules that can be changed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "named as the fields of `Rules`")]
pub enum RulesField {
    Title,
    Benefit,
    Supply,
    Allocation,
    Schedule,
    ReservationRequired,
    MaxPerUser,
    Validity,
    Metadata,
    TotalLimit,
    MaxPlaces,
    RegisteredUsersOnly,
    NoticeLeads,
    BeaconSource,
}

impl RulesField {
    /// Every one.
    pub const ALL: [Self; 14] = [
        Self::Title,
        Self::Benefit,
        Self::Supply,
        Self::Allocation,
        Self::Schedule,
        Self::ReservationRequired,
        Self::MaxPerUser,
        Self::Validity,
        Self::Metadata,
        Self::TotalLimit,
        Self::MaxPlaces,
        Self::RegisteredUsersOnly,
        Self::NoticeLeads,
        Self::BeaconSource,
    ];

    /// Its name in a field mask.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Benefit => "benefit",
            Self::Supply => "supply",
            Self::Allocation => "allocation",
            Self::Schedule => "schedule",
            Self::ReservationRequired => "reservation_required",
            Self::MaxPerUser => "max_per_user",
            Self::Validity => "validity",
            Self::Metadata => "metadata",
            Self::TotalLimit => "total_limit",
            Self::MaxPlaces => "max_places",
            Self::RegisteredUsersOnly => "registered_users_only",
            Self::NoticeLeads => "notice_leads",
            Self::BeaconSource => "beacon_source",
        }
    }

    /// Reads that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }
}

/// Some fields of the rules, with the values they should have.
#[derive(Debug, Clone)]
pub struct RulesPatch {
    /// Which.
    pub fields: Vec<RulesField>,
    /// Their values; what is not named in `fields` is not looked at.
    pub values: RulesDraft,
}

impl RulesPatch {
    /// The rules with these fields changed, to be checked.
    #[must_use]
    pub fn apply(self, rules: &Rules) -> RulesDraft {
        let mut draft = RulesDraft::from(rules.clone());
        let values = self.values;
        for field in self.fields {
            match field {
                RulesField::Title => draft.title.clone_from(&values.title),
                RulesField::Benefit => draft.benefit.clone_from(&values.benefit),
                RulesField::Supply => draft.supply = values.supply,
                RulesField::Allocation => draft.allocation = values.allocation,
                RulesField::Schedule => draft.schedule.clone_from(&values.schedule),
                RulesField::ReservationRequired => draft.reservation_required = values.reservation_required,
                RulesField::MaxPerUser => draft.max_per_user = values.max_per_user,
                RulesField::Validity => draft.validity = values.validity,
                RulesField::Metadata => draft.metadata.clone_from(&values.metadata),
                RulesField::TotalLimit => draft.total_limit = values.total_limit,
                RulesField::MaxPlaces => draft.max_places = values.max_places,
                RulesField::RegisteredUsersOnly => draft.registered_users_only = values.registered_users_only,
                RulesField::NoticeLeads => draft.notice_leads.clone_from(&values.notice_leads),
                RulesField::BeaconSource => draft.beacon_source.clone_from(&values.beacon_source),
            }
        }
        draft
    }
}

impl From<Rules> for RulesDraft {
    fn from(rules: Rules) -> Self {
        Self {
            title: rules.title,
            benefit: Some(rules.benefit),
            supply: Some(rules.supply),
            allocation: rules.allocation,
            schedule: Some(rules.schedule),
            reservation_required: rules.reservation_required,
            max_per_user: rules.max_per_user.map(i64::from),
            total_limit: rules.total_limit.map(i64::from),
            max_places: rules.max_places.map(i64::from),
            validity: Some(rules.validity),
            notice_leads: rules.notice_leads,
            metadata: rules.metadata,
            registered_users_only: rules.registered_users_only,
            beacon_source: rules.beacon_source,
        }
    }
}

/// How far a change of rules reaches, and so what must not have happened yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Title, labels, notices: as long as the campaign has not ended.
    Labels,
    /// Rounds to come: no round that has not closed may have a place or a coupon. Those that exist ahead are planned anew.
    Rounds,
    /// What counts over all rounds, or what a coupon is worth: the campaign may have no place and no coupon at all.
    Campaign,
}

impl Scope {
    /// Its word in the gate's calls.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Labels => "LABELS",
            Self::Rounds => "ROUNDS",
            Self::Campaign => "CAMPAIGN",
        }
    }

    /// What it takes to go from one set of rules to another.
    #[must_use]
    pub fn of(from: &Rules, to: &Rules) -> Self {
        // Coupons of a campaign with one start are not counted by user: a second start would count anew.
        let other_start = from.schedule != to.schedule && !(from.schedule.recurs() && to.schedule.recurs());
        let campaign = from.benefit != to.benefit
            || from.max_per_user != to.max_per_user
            || from.total_limit != to.total_limit
            || other_start;
        let rounds = from.supply != to.supply
            || from.allocation != to.allocation
            || from.schedule != to.schedule
            || from.reservation_required != to.reservation_required
            || from.max_places != to.max_places
            || from.validity != to.validity
            || from.registered_users_only != to.registered_users_only
            || from.beacon_source != to.beacon_source;
        match (campaign, rounds) {
            (true, _) => Self::Campaign,
            (false, true) => Self::Rounds,
            (false, false) => Self::Labels,
        }
    }
}

/// A change of rules, to be decided by the campaign's gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The campaign's revision that the change was made for.
    pub of: u64,
    /// How far it reaches.
    pub scope: Scope,
    /// The rules from then on.
    pub rules: Rules,
    /// The request that changes them.
    pub request: Option<Uuid>,
}
