//! A campaign that somebody asks for: what is wrong with it is named, field by field.

use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, RulesDraft, Validity};
use coupon_domain::schedule::{Recurrence, Schedule, Start};
use coupon_domain::supply::Supply;

use crate::build::{a_fifth, money, second};

const DAY: Duration = Duration::from_secs(86_400);

/// Twenty per cent off, one start in an hour, a fifth of the places.
fn sound() -> RulesDraft {
    RulesDraft {
        title: "Spring sale".to_owned(),
        benefit: Some(Benefit { kind: BenefitKind::PercentOff(20), min_order: None, max_discount: None }),
        supply: Some(a_fifth()),
        schedule: Some(at(Start::Once(second(3600)))),
        reservation_required: true,
        validity: Some(Validity::AfterClaim(DAY)),
        ..RulesDraft::default()
    }
}

fn at(start: Start) -> Schedule {
    Schedule {
        start,
        reserve_lead: Schedule::RESERVE_LEAD,
        reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
        claim_duration: Schedule::CLAIM_DURATION,
    }
}

fn cron(expression: &str, first: Option<i64>, last: Option<i64>) -> Start {
    let recurrence = Recurrence::parse(expression, "Asia/Taipei", first.map(second), last.map(second));
    Start::Recurring(recurrence.expect("a recurrence"))
}

fn benefit(kind: BenefitKind) -> Benefit {
    Benefit { kind, min_order: None, max_discount: None }
}

/// What is wrong with the sound draft after this change, without doubles.
fn wrong(change: impl FnOnce(&mut RulesDraft)) -> Vec<&'static str> {
    let mut draft = sound();
    change(&mut draft);
    let mut fields: Vec<_> = draft.check(second(0)).err().unwrap_or_default().iter().map(|v| v.field).collect();
    fields.dedup();
    fields
}

fn wrong_benefit(benefit: Benefit) -> Vec<&'static str> {
    wrong(|draft| draft.benefit = Some(benefit))
}

fn wrong_schedule(change: impl FnOnce(&mut Schedule)) -> Vec<&'static str> {
    let mut schedule = at(Start::Once(second(3600)));
    change(&mut schedule);
    wrong(|draft| draft.schedule = Some(schedule))
}

#[test]
fn a_sound_draft_becomes_the_rules_it_asks_for() {
    let rules = sound().check(second(0)).expect("it is sound");
    assert_eq!((rules.title.as_str(), rules.supply), ("Spring sale", a_fifth()));
    assert_eq!((rules.coupons_per_user(), rules.places_per_round(), rules.total_limit), (1, 1_000_000, None));
    for at_the_edge in [
        wrong(|d| d.title = "x".repeat(250)),
        wrong(|d| d.title = "é".repeat(250)),
        wrong(|d| d.max_per_user = Some(1_000_000)),
        wrong(|d| d.max_places = Some(10_000_000)),
        wrong(|d| d.supply = Some(Supply::Fixed(Supply::MAX))),
        wrong(|d| d.notice_leads = vec![Duration::from_secs(60), 365 * DAY]),
        wrong(|d| d.validity = Some(Validity::At(second(3660)))),
        wrong_schedule(|s| s.claim_duration = 30 * DAY),
    ] {
        assert_eq!(at_the_edge, [""; 0]);
    }
}

#[test]
fn texts_and_numbers_out_of_bounds_are_named() {
    for (field, found) in [
        ("campaign.title", wrong(|d| d.title = String::new())),
        ("campaign.title", wrong(|d| d.title = "é".repeat(251))),
        ("campaign.title", wrong(|d| d.title = "a\nb".to_owned())),
        ("campaign.max_per_user", wrong(|d| d.max_per_user = Some(0))),
        ("campaign.max_per_user", wrong(|d| d.max_per_user = Some(-1))),
        ("campaign.max_per_user", wrong(|d| d.max_per_user = Some(1_000_001))),
        ("campaign.total_limit", wrong(|d| d.total_limit = Some(0))),
        ("campaign.total_limit", wrong(|d| d.total_limit = Some(i64::MAX))),
        ("campaign.max_places", wrong(|d| d.max_places = Some(0))),
        ("campaign.max_places", wrong(|d| d.max_places = Some(10_000_001))),
        ("campaign.notice_leads", wrong(|d| d.notice_leads = vec![Duration::from_secs(59)])),
        ("campaign.notice_leads", wrong(|d| d.notice_leads = vec![366 * DAY])),
        ("campaign.notice_leads", wrong(|d| d.notice_leads = vec![DAY; 9])),
        ("campaign.metadata", wrong(|d| d.metadata = (0..33).map(|i| (i.to_string(), String::new())).collect())),
        ("campaign.metadata", wrong(|d| d.metadata = [(String::new(), String::new())].into())),
        ("campaign.metadata", wrong(|d| d.metadata = [("k".repeat(65), String::new())].into())),
        ("campaign.metadata", wrong(|d| d.metadata = [("k".to_owned(), "v".repeat(513))].into())),
        ("campaign.metadata", wrong(|d| d.metadata = [("k".to_owned(), "\0".to_owned())].into())),
    ] {
        assert_eq!(found, [field]);
    }
}

#[test]
fn a_supply_that_cannot_be_is_named() {
    for (field, found) in [
        ("campaign.supply.fixed", wrong(|d| d.supply = Some(Supply::Fixed(0)))),
        ("campaign.supply.fixed", wrong(|d| d.supply = Some(Supply::Fixed(Supply::MAX + 1)))),
        ("campaign.reservation_required", wrong(|d| d.reservation_required = false)),
        ("campaign.supply", wrong(|d| d.supply = Some(Supply::SharedPool))),
    ] {
        assert_eq!(found, [field]);
    }
}

/// A sound draft whose places are drawn, after this change.
fn wrong_draw(change: impl FnOnce(&mut RulesDraft)) -> Vec<&'static str> {
    wrong(|draft| {
        draft.allocation = Allocation::Draw;
        change(draft);
    })
}

#[test]
fn places_of_a_share_or_of_a_fixed_supply_can_be_drawn() {
    assert_eq!(wrong_draw(|_| {}), [""; 0]);
    assert_eq!(wrong_draw(|d| d.supply = Some(Supply::Fixed(5))), [""; 0]);
    assert_eq!(wrong_draw(|d| d.total_limit = Some(5)), [""; 0]);
}

#[test]
fn without_places_or_from_a_shared_pool_nothing_can_be_drawn() {
    for (field, found) in [
        (
            "campaign.reservation_required",
            wrong_draw(|d| {
                d.reservation_required = false;
                d.supply = Some(Supply::Fixed(5));
            }),
        ),
        (
            "campaign.supply",
            wrong_draw(|d| {
                d.supply = Some(Supply::SharedPool);
                d.total_limit = Some(5);
            }),
        ),
        ("campaign.supply", wrong_draw(|d| d.supply = Some(Supply::SharedPool))),
    ] {
        assert_eq!(found, [field]);
    }
    assert_eq!(wrong_draw(|d| d.reservation_required = false), ["campaign.reservation_required"]);
}

#[test]
fn coupons_of_a_draw_are_valid_longer_than_it_can_be_late() {
    let until = |at| wrong_draw(|d| d.validity = Some(Validity::At(second(at))));
    // Claims last from 3600 to 3660, and a late draw moves them by an hour at most.
    assert_eq!(until(3660 + 3599), ["campaign.validity.at"]);
    assert_eq!(until(3660 + 3600), [""; 0]);
}

#[test]
fn a_beacon_has_a_short_plain_name_and_goes_with_a_draw() {
    let named = |source: &str| wrong_draw(|d| d.beacon_source = Some(source.to_owned()));
    for sound in ["drand:quicknet:1234567", "x", &"x".repeat(200), "lottery of 2024-04-24, 6 of 49"] {
        assert_eq!(named(sound), [""; 0]);
    }
    for unsound in ["", &"x".repeat(201), "é", "🎟", "a\nb", "a\0"] {
        assert_eq!(named(unsound), ["campaign.beacon_source"], "{unsound:?}");
    }
    assert_eq!(wrong(|d| d.beacon_source = Some("drand:quicknet:1".to_owned())), ["campaign.beacon_source"]);
}

#[test]
fn a_benefit_that_cannot_be_is_named() {
    let percent = || benefit(BenefitKind::PercentOff(20));
    let (eur, usd, nothing) = (money("EUR", 500), money("USD", 500), money("EUR", 0));
    for (field, found) in [
        ("campaign.benefit.percent_off", wrong_benefit(benefit(BenefitKind::PercentOff(0)))),
        ("campaign.benefit.percent_off", wrong_benefit(benefit(BenefitKind::PercentOff(101)))),
        ("campaign.benefit.amount_off", wrong_benefit(benefit(BenefitKind::AmountOff(nothing)))),
        ("campaign.benefit.gift", wrong_benefit(benefit(BenefitKind::Gift("".into())))),
        ("campaign.benefit.gift", wrong_benefit(benefit(BenefitKind::Gift("x".repeat(201).into())))),
        ("campaign.benefit", wrong_benefit(Benefit { min_order: Some(eur), max_discount: Some(usd), ..percent() })),
        ("campaign.benefit", wrong_benefit(Benefit { min_order: Some(usd), ..benefit(BenefitKind::AmountOff(eur)) })),
        ("campaign.benefit.max_discount", wrong_benefit(Benefit { max_discount: Some(nothing), ..percent() })),
        (
            "campaign.benefit.max_discount",
            wrong_benefit(Benefit { max_discount: Some(eur), ..benefit(BenefitKind::AmountOff(eur)) }),
        ),
    ] {
        assert_eq!(found, [field]);
    }
}

#[test]
fn a_schedule_that_cannot_be_is_named() {
    const ONCE: &str = "campaign.schedule.once";
    const DURATION: &str = "campaign.schedule.claim_duration";
    const LEAD: &str = "campaign.schedule.reserve_lead";
    const CLOSE_LEAD: &str = "campaign.schedule.reserve_close_lead";
    const RECURRING: &str = "campaign.schedule.recurring";
    for (fields, found) in [
        (vec![ONCE], wrong_schedule(|s| s.start = Start::Once(second(0)))),
        (vec![ONCE], wrong_schedule(|s| s.start = Start::Once(second(-1)))),
        (vec![ONCE], wrong_schedule(|s| s.start = Start::Once(second(60)))),
        (vec![], wrong_schedule(|s| s.start = Start::Once(second(61)))),
        (vec![DURATION], wrong_schedule(|s| s.claim_duration = Duration::ZERO)),
        (vec![DURATION], wrong_schedule(|s| s.claim_duration = 31 * DAY)),
        (vec![LEAD], wrong_schedule(|s| s.reserve_lead = 31 * DAY)),
        (vec![LEAD, CLOSE_LEAD], wrong_schedule(|s| s.reserve_lead = Duration::ZERO)),
        (vec![CLOSE_LEAD], wrong_schedule(|s| s.reserve_close_lead = s.reserve_lead)),
        (vec![], wrong_schedule(|s| s.start = cron("0 23 * * *", None, None))),
        (vec![RECURRING], wrong_schedule(|s| s.start = cron("0 23 * * *", None, Some(-1)))),
        (
            vec!["campaign.schedule.recurring.last", RECURRING],
            wrong_schedule(|s| s.start = cron("0 23 * * *", Some(1000), Some(999))),
        ),
        // A minute's round every minute is just possible.
        (vec![], wrong_schedule(|s| s.start = cron("* * * * *", None, None))),
        (
            vec![DURATION],
            wrong_schedule(|s| {
                s.start = cron("* * * * *", None, None);
                s.claim_duration = Duration::from_secs(61);
            }),
        ),
    ] {
        assert_eq!(found, fields);
    }
}

#[test]
fn a_validity_that_ends_too_early_is_named() {
    const AT: &str = "campaign.validity.at";
    const AFTER: &str = "campaign.validity.after_claim";
    let until = |at| Some(Validity::At(second(at)));
    for (field, found) in [
        (AT, wrong(|d| d.validity = until(0))),
        (AT, wrong(|d| d.validity = until(3659))),
        (AFTER, wrong(|d| d.validity = Some(Validity::AfterClaim(Duration::ZERO)))),
        (AFTER, wrong(|d| d.validity = Some(Validity::AfterClaim(3651 * DAY)))),
        (
            AT,
            wrong(|d| {
                d.schedule = Some(at(cron("0 23 * * *", None, None)));
                d.validity = until(1_000_000);
            }),
        ),
        (
            AT,
            wrong(|d| {
                d.schedule = Some(at(cron("0 23 * * *", None, Some(1_000_000))));
                d.validity = until(1_000_000);
            }),
        ),
    ] {
        assert_eq!(found, [field]);
    }
}

#[test]
fn all_that_is_wrong_is_named_at_once() {
    let found = wrong(|draft| {
        draft.title = String::new();
        draft.max_per_user = Some(0);
        draft.supply = Some(Supply::Fixed(0));
        draft.benefit = Some(benefit(BenefitKind::PercentOff(0)));
        draft.schedule = Some(Schedule { claim_duration: Duration::ZERO, ..at(Start::Once(second(-1))) });
        draft.validity = Some(Validity::At(second(-1)));
    });
    let expected = [
        "campaign.title",
        "campaign.max_per_user",
        "campaign.supply.fixed",
        "campaign.benefit.percent_off",
        "campaign.schedule.claim_duration",
        "campaign.schedule.once",
        "campaign.validity.at",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_missing_makes_no_rules() {
    for change in [
        (|d: &mut RulesDraft| d.benefit = None) as fn(&mut RulesDraft),
        |d| d.supply = None,
        |d| d.schedule = None,
        |d| d.validity = None,
    ] {
        let mut draft = sound();
        change(&mut draft);
        assert!(draft.check(second(0)).is_err());
    }
}
