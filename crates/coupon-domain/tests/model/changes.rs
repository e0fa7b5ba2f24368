//! A change of rules that somebody asks for: which fields it takes over, how far it reaches, and whether the rules are sound with it.

use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, Rules, RulesDraft, RulesField, RulesPatch, Scope, Validity};
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::Supply;

use crate::build::{a_fifth, rules, second};

fn recurring(cron: &str) -> Start {
    Start::Recurring(Recurrence::parse(cron, "UTC", None, None).expect("a recurrence"))
}

fn starting(start: Start) -> Rules {
    Rules { schedule: Schedule { start, ..rules().schedule }, ..rules() }
}

/// Rules that share no value with [`rules`].
fn others() -> Rules {
    Rules {
        title: "Autumn sale".to_owned(),
        benefit: Benefit { kind: BenefitKind::FreeShipping, min_order: None, max_discount: None },
        supply: a_fifth(),
        allocation: Allocation::Draw,
        schedule: starting(recurring("0 13 * * *")).schedule,
        reservation_required: false,
        max_per_user: Some(2),
        total_limit: Some(100),
        max_places: Some(100),
        validity: Validity::AfterClaim(Duration::from_secs(60)),
        notice_leads: vec![Duration::from_secs(3600)],
        metadata: [("team".to_owned(), "growth".to_owned())].into(),
        registered_users_only: true,
        beacon_source: Some("drand:quicknet:1".to_owned()),
    }
}

/// The rules with the other value of this field.
fn changed(field: RulesField) -> Rules {
    let (rules, others) = (rules(), others());
    match field {
        RulesField::Title => Rules { title: others.title, ..rules },
        RulesField::Benefit => Rules { benefit: others.benefit, ..rules },
        RulesField::Supply => Rules { supply: others.supply, ..rules },
        RulesField::Allocation => Rules { allocation: others.allocation, ..rules },
        RulesField::Schedule => Rules { schedule: others.schedule, ..rules },
        RulesField::ReservationRequired => Rules { reservation_required: others.reservation_required, ..rules },
        RulesField::MaxPerUser => Rules { max_per_user: others.max_per_user, ..rules },
        RulesField::Validity => Rules { validity: others.validity, ..rules },
        RulesField::Metadata => Rules { metadata: others.metadata, ..rules },
        RulesField::TotalLimit => Rules { total_limit: others.total_limit, ..rules },
        RulesField::MaxPlaces => Rules { max_places: others.max_places, ..rules },
        RulesField::RegisteredUsersOnly => Rules { registered_users_only: others.registered_users_only, ..rules },
        RulesField::NoticeLeads => Rules { notice_leads: others.notice_leads, ..rules },
        RulesField::BeaconSource => Rules { beacon_source: others.beacon_source, ..rules },
    }
}

#[test]
fn each_field_reaches_as_far_as_somebody_may_rely_on_it() {
    for field in RulesField::ALL {
        let expected = match field {
            RulesField::Title | RulesField::Metadata | RulesField::NoticeLeads => Scope::Labels,
            RulesField::Supply
            | RulesField::Allocation
            | RulesField::Schedule
            | RulesField::ReservationRequired
            | RulesField::Validity
            | RulesField::MaxPlaces
            | RulesField::RegisteredUsersOnly
            | RulesField::BeaconSource => Scope::Rounds,
            RulesField::Benefit | RulesField::MaxPerUser | RulesField::TotalLimit => Scope::Campaign,
        };
        assert_eq!(Scope::of(&rules(), &changed(field)), expected, "{field:?}");
        assert_eq!(Scope::of(&changed(field), &rules()), expected, "{field:?} and back");
    }
    assert_eq!(Scope::of(&rules(), &rules()), Scope::Labels);
}

#[test]
fn another_start_reaches_all_of_the_campaign_unless_there_were_many_and_are_many() {
    let [noon, one] = ["0 12 * * *", "0 13 * * *"].map(|cron| starting(recurring(cron)));
    let [today, tomorrow] = [3600, 90_000].map(|at| starting(Start::Once(second(at))));
    assert_eq!(Scope::of(&noon, &one), Scope::Rounds);
    for (from, to) in [(&noon, &today), (&today, &noon), (&today, &tomorrow)] {
        assert_eq!(Scope::of(from, to), Scope::Campaign);
    }
}

#[test]
fn of_several_changes_the_farthest_counts() {
    let title = || "Autumn sale".to_owned();
    assert_eq!(Scope::of(&rules(), &Rules { title: title(), ..changed(RulesField::Supply) }), Scope::Rounds);
    assert_eq!(Scope::of(&rules(), &Rules { title: title(), ..changed(RulesField::Benefit) }), Scope::Campaign);
    let both = Rules { supply: Supply::Fixed(3), ..changed(RulesField::TotalLimit) };
    assert_eq!(Scope::of(&rules(), &both), Scope::Campaign);
}

/// What a patch with all the other values makes of the rules if it names these fields.
fn patched(fields: &[RulesField]) -> String {
    let patch = RulesPatch { fields: fields.to_vec(), values: others().into() };
    format!("{:?}", patch.apply(&rules()))
}

fn draft_of(rules: Rules) -> String {
    format!("{:?}", RulesDraft::from(rules))
}

#[test]
fn a_patch_takes_over_the_fields_that_it_names_and_no_others() {
    for field in RulesField::ALL {
        assert_eq!(patched(&[field]), draft_of(changed(field)));
        assert_ne!(patched(&[field]), draft_of(rules()), "{field:?}");
        assert_eq!(patched(&[field, field]), patched(&[field]));
    }
    assert_eq!(patched(&RulesField::ALL), draft_of(others()));
    assert_eq!(patched(&[]), draft_of(rules()));
}

#[test]
fn a_patch_without_a_value_takes_the_value_away() {
    let fields = vec![RulesField::TotalLimit, RulesField::MaxPerUser, RulesField::Supply];
    let draft = RulesPatch { fields, values: RulesDraft::default() }.apply(&others());
    assert_eq!((draft.total_limit, draft.max_per_user, draft.supply, draft.max_places), (None, None, None, Some(100)));
}

#[test]
fn a_field_is_known_by_its_name() {
    for field in RulesField::ALL {
        assert_eq!(RulesField::from_name(field.as_str()), Some(field));
    }
    assert_eq!(RulesField::from_name("state"), None);
}

#[test]
fn sound_rules_are_sound_as_a_change_of_themselves() {
    let rules = rules();
    assert_eq!(RulesDraft::from(rules.clone()).check_change(Some(&rules), second(0)), Ok(rules));
}

/// One start at this second, coupons valid until that one.
fn once(start: i64, until: i64) -> Rules {
    Rules { validity: Validity::At(second(until)), ..starting(Start::Once(second(start))) }
}

/// What is wrong with these rules as a change of others at this second.
fn wrong(from: &Rules, to: &Rules, now: i64) -> Vec<&'static str> {
    let checked = RulesDraft::from(to.clone()).check_change(Some(from), second(now));
    checked.err().unwrap_or_default().iter().map(|violation| violation.field).collect()
}

#[test]
fn a_start_in_the_past_is_left_alone_if_it_does_not_change() {
    let before = once(3600, 100_000);
    let title = Rules { title: "Autumn sale".to_owned(), ..before.clone() };
    assert_eq!(wrong(&before, &title, 7200), [""; 0]);
    assert_eq!(wrong(&rules(), &before, 7200), ["campaign.schedule.once"], "as a new one it is refused");
    assert_eq!(wrong(&before, &once(3601, 100_000), 7200), ["campaign.schedule.once"]);
    assert_eq!(wrong(&before, &once(10_000, 100_000), 7200), [""; 0]);
}

#[test]
fn a_schedule_without_a_start_to_come_is_left_alone_if_it_does_not_change() {
    let until = |last| {
        let recurrence = Recurrence::parse("0 12 * * *", "UTC", None, Some(second(last)));
        starting(Start::Recurring(recurrence.expect("a recurrence")))
    };
    let before = until(90_000);
    let title = Rules { title: "Autumn sale".to_owned(), ..before.clone() };
    assert_eq!(wrong(&before, &title, 100_000), [""; 0]);
    assert_eq!(wrong(&before, &until(95_000), 100_000), ["campaign.schedule.recurring"]);
}

#[test]
fn a_validity_in_the_past_is_left_alone_if_neither_it_nor_the_schedule_changes() {
    const AT: &str = "campaign.validity.at";
    let before = once(3600, 7200);
    let title = Rules { title: "Autumn sale".to_owned(), ..before.clone() };
    assert_eq!(wrong(&before, &title, 10_000), [""; 0]);
    assert_eq!(wrong(&before, &once(3600, 9000), 10_000), [AT]);
    assert_eq!(wrong(&before, &once(20_000, 7200), 10_000), [AT, AT], "it is over, and before the new round closes");
    assert_eq!(wrong(&before, &once(3600, 11_000), 10_000), [""; 0]);
}

#[test]
fn a_validity_that_was_long_enough_may_be_too_short_for_a_draw() {
    let before = once(3600, 7200);
    let draw = Rules { allocation: Allocation::Draw, ..before.clone() };
    assert_eq!(wrong(&before, &draw, 0), ["campaign.validity.at"]);
}

#[test]
fn leads_that_did_not_matter_are_checked_when_places_are_asked_for() {
    let schedule = Schedule { reserve_lead: Duration::ZERO, ..rules().schedule };
    let before = Rules { reservation_required: false, schedule, ..rules() };
    assert!(RulesDraft::from(before.clone()).check(second(0)).is_ok(), "without places leads do not matter");
    let places = Rules { reservation_required: true, ..before.clone() };
    assert_eq!(wrong(&before, &places, 0), ["campaign.schedule.reserve_lead", "campaign.schedule.reserve_close_lead"]);
}

#[test]
fn what_has_nothing_to_do_with_time_is_checked_in_every_change() {
    let before = once(3600, 7200);
    let change = Rules { title: String::new(), supply: Supply::Fixed(0), ..before.clone() };
    assert_eq!(wrong(&before, &change, 10_000), ["campaign.title", "campaign.supply.fixed"]);
}
