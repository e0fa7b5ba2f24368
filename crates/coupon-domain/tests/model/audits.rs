//! Who changed what: what a record says of before and after.

use std::collections::BTreeMap;

use coupon_domain::audit::{self, AuditRecord, Before};
use coupon_domain::campaign::{CampaignState, Rules};
use coupon_domain::checkout::{Call, Operator, VOID_COUPON};
use coupon_domain::ids::Actor;
use coupon_domain::ports::{NewCampaign, NewUser, User, UserCreation};
use coupon_domain::recording::{Operation, OperationChange};
use serde_json::json;

use crate::build::{campaign, coupon, request, round_id, rules, second, user};
use crate::desk::{Rows, issued, operator, void};

fn by() -> Operator {
    Operator { request: Some(request(7)), ..operator("olga") }
}

fn record(action: &str, at: i64) -> AuditRecord {
    AuditRecord::new(action, by(), second(at))
}

#[test]
fn a_creation_has_the_whole_of_the_rules() {
    let new = NewCampaign { id: campaign("c"), rules: rules(), state: CampaignState::Draft, by: by() };
    let of_rules = serde_json::to_value(rules()).expect("rules are JSON");
    let after = json!({ "state": "DRAFT", "rules": of_rules });
    let expected = AuditRecord { campaign: Some(campaign("c")), after: Some(after), ..record("CREATE", 1) };
    assert_eq!(audit::of_creation(&new, second(1)).expect("rules are JSON"), expected);
}

#[test]
fn a_beacon_is_spelled_in_hexadecimal() {
    let expected = AuditRecord {
        campaign: Some(campaign("c")),
        round: Some(round_id(7)),
        after: Some(json!({ "beacon": "00ff0a" })),
        ..record("SET_BEACON", 1)
    };
    assert_eq!(audit::of_beacon(&campaign("c"), round_id(7), &[0, 255, 10], &by(), second(1)), expected);
}

#[test]
fn only_users_who_are_new_are_registered() {
    let named = |id: &str| User {
        given: NewUser { id: user(id), name: "A name".to_owned(), metadata: BTreeMap::new() },
        created_at: second(0),
    };
    let (created, unchanged) = (|id| UserCreation::Created(named(id)), |id| UserCreation::Unchanged(named(id)));
    let of = |outcomes: &[UserCreation]| audit::of_registration(outcomes, &by(), second(1));
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[unchanged("ada"), UserCreation::Taken]), None);
    let one = AuditRecord { user: Some(user("bob")), ..record("CREATE_USERS", 1) };
    assert_eq!(of(&[unchanged("ada"), created("bob"), UserCreation::Taken]), Some(one));
    let after = json!({ "count": 3, "first": "zoe", "last": "ada" });
    let several = AuditRecord { after: Some(after), ..record("CREATE_USERS", 1) };
    assert_eq!(of(&[created("zoe"), unchanged("x"), created("bob"), created("ada"), unchanged("y")]), Some(several));
}

#[test]
fn a_deletion_tells_the_id_alone() {
    let expected = AuditRecord { user: Some(user("ada")), ..record("DELETE_USER", 1) };
    assert_eq!(audit::of_deletion(&user("ada"), &by(), second(1)), expected);
}

fn operation(verb: &str, n: u8, change: OperationChange) -> Operation {
    Operation { verb: verb.to_owned(), request: Some(request(n)), at: second(i64::from(n)), change }
}

/// Each of another operator: `actor-<second>`.
fn records(operations: &[Operation], before: Before) -> Vec<AuditRecord> {
    let who = |operation: &Operation| {
        let name = operation.request.map_or("nobody".to_owned(), |id| format!("actor-{}", id.as_u128() - 1));
        Actor::parse(&name).expect("a valid name")
    };
    audit::of_operations(&campaign("c"), operations, before, who).expect("rules are JSON")
}

#[test]
fn each_operation_begins_where_the_one_before_it_ended() {
    let updated = Rules { title: "Autumn sale".to_owned(), total_limit: Some(100), ..rules() };
    let again = Rules { max_per_user: Some(2), ..updated.clone() };
    let rules_of = |rules: &Rules| OperationChange::Rules(Box::new(rules.clone()));
    let added = |round, added| OperationChange::Added { round: round_id(round), added };
    let operations = [
        operation("PAUSE", 1, OperationChange::State(CampaignState::Paused)),
        operation("UPDATE", 2, rules_of(&updated)),
        operation("ADD_SUPPLY", 3, OperationChange::TotalLimit(150)),
        operation("UPDATE", 4, rules_of(&Rules { total_limit: Some(150), ..again })),
        operation("ADD_SUPPLY", 5, added(7, 12)),
        operation("ADD_SUPPLY", 6, added(7, 15)),
        operation("ADD_SUPPLY", 7, added(8, 1)),
        operation("RESUME", 8, OperationChange::State(CampaignState::Active)),
        Operation { request: None, ..operation("LOST", 9, OperationChange::State(CampaignState::Paused)) },
    ];
    let before = Before { state: CampaignState::Active, rules: rules(), added: [(round_id(7), 5)].into() };
    let found = records(&operations, before);

    let expected = [
        (json!({ "state": "ACTIVE" }), json!({ "state": "PAUSED" }), None),
        (
            json!({ "title": "Spring sale", "total_limit": null }),
            json!({ "title": "Autumn sale", "total_limit": 100 }),
            None,
        ),
        (json!({ "total_limit": 100 }), json!({ "total_limit": 150 }), None),
        (json!({ "max_per_user": null }), json!({ "max_per_user": 2 }), None),
        (json!({ "added": 5 }), json!({ "added": 12 }), Some(7)),
        (json!({ "added": 12 }), json!({ "added": 15 }), Some(7)),
        (json!({ "added": 0 }), json!({ "added": 1 }), Some(8)),
        (json!({ "state": "PAUSED" }), json!({ "state": "ACTIVE" }), None),
        (json!({ "state": "ACTIVE" }), json!({ "state": "PAUSED" }), None),
    ];
    assert_eq!(found.len(), expected.len());
    for ((record, operation), (before, after, round)) in found.into_iter().zip(&operations).zip(expected) {
        let actor = operation.request.map_or("nobody".to_owned(), |_| format!("actor-{}", second_of(operation)));
        let by = Operator { actor: Actor::parse(&actor).expect("a valid name"), request: operation.request };
        let expected = AuditRecord {
            campaign: Some(campaign("c")),
            round: round.map(round_id),
            before: Some(before),
            after: Some(after),
            ..AuditRecord::new(&operation.verb, by, operation.at)
        };
        assert_eq!(record, expected);
    }
}

fn second_of(operation: &Operation) -> i64 {
    (operation.at.micros() - second(0).micros()) / 1_000_000
}

#[test]
fn a_withdrawal_has_the_operators_reason() {
    let mut rows = Rows::of([issued(0, 1000)], []);
    let (_, changes) = rows.decide(&Call::Void(void(0)), second(5));
    let expected = AuditRecord {
        campaign: Some(campaign("c")),
        round: Some(round_id(1)),
        coupon: Some(coupon(1, 0)),
        user: Some(user("ada")),
        before: Some(json!({ "state": "ISSUED" })),
        after: Some(json!({ "state": "VOID", "reason": "a misprint" })),
        ..AuditRecord::new(VOID_COUPON, operator("olga"), second(5))
    };
    assert_eq!(changes.audits, [expected]);
    let (_, again) = rows.decide(&Call::Void(void(0)), second(6));
    assert!(again.audits.is_empty() && again.is_empty());
}
