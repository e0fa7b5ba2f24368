//! Who changed what: a record of each change that an operator made, and of nothing else.

use std::time::Duration;

use coupon_domain::audit::{AuditRecord, CREATE, CREATE_USERS, DELETE_USER, SET_BEACON};
use coupon_domain::campaign::{Rules, Scope, Transition};
use coupon_domain::checkout::{Operator, VOID_COUPON, Void};
use coupon_domain::ids::CampaignId;
use coupon_domain::ports::{BeaconOutcome, CreateOutcome, NewCampaign, NewUser};
use serde_json::{Value, json};
use uuid::Uuid;

use super::desk::{IntoCall as _, VOIDED, VOIDED_BEFORE, ask_all, hold_of, redeem_of, ten_coupons, void_of};
use super::draws::a_draw;
use super::history::History;
use crate::build::{a_campaign, by_whom, campaign_id, coupon_id, eur, round, round_id, second, user};
use crate::under_test::LedgerUnderTest;

/// All records, earliest first.
async fn records(ledger: &LedgerUnderTest, campaign: Option<&CampaignId>) -> Vec<AuditRecord> {
    let records = ledger.audit.audit_records(campaign, None, 1000).await.expect("the ledger answers");
    records.into_iter().rev().map(|(_, record)| record).collect()
}

/// What was written by all but the creation of a campaign.
async fn later(ledger: &LedgerUnderTest) -> Vec<AuditRecord> {
    records(ledger, None).await.into_iter().filter(|record| record.action != CREATE).collect()
}

/// Ada's request.
fn by_ada() -> Operator {
    by_whom("ada@example.com", Some(Uuid::new_v4()))
}

/// With all that the campaign offers; neither a repeat nor a refusal leaves one.
pub async fn a_creation_is_audited_once(ledger: LedgerUnderTest) {
    ledger.clock.set(second(7)).await;
    let new = NewCampaign { by: by_ada(), ..a_campaign("c") };
    ledger.campaigns.create(&new).await.expect("answers");
    let rules = serde_json::to_value(&new.rules).expect("rules are JSON");
    let expected = AuditRecord {
        campaign: Some(new.id.clone()),
        after: Some(json!({ "state": "ACTIVE", "rules": rules })),
        ..AuditRecord::new("CREATE", new.by.clone(), second(7))
    };
    let one = vec![expected];
    assert_eq!(records(&ledger, None).await, one);

    ledger.clock.set(second(8)).await;
    let other_title = NewCampaign { by: new.by.clone(), ..a_campaign("d") };
    let same_title = NewCampaign { id: campaign_id("e"), by: by_ada(), ..new.clone() };
    for (again, repeated) in [(&new, true), (&other_title, true), (&same_title, false)] {
        let outcome = ledger.campaigns.create(again).await.expect("answers");
        assert_eq!(matches!(outcome, CreateOutcome::Repeated(_)), repeated, "{outcome:?}");
    }
    assert_eq!(records(&ledger, None).await, one);
}

/// Their decisions come with the recording, each with what it was and what it is: of rules the fields that differ.
pub async fn what_operators_did_at_the_gate_is_audited(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let new = a_campaign("c");
    let new = NewCampaign { rules: Rules { total_limit: Some(100), ..new.rules.clone() }, ..new };
    let mut history = History::begin(&ledger, &new).await;
    let by: Vec<_> = ["ada", "bob", "cy", "dan", "eve", "flo"].map(|who| by_whom(who, Some(Uuid::new_v4()))).into();
    for one in &by {
        ledger.audit.announce(one.request.expect("it has one"), &one.actor).await.expect("answers");
    }
    let request = |index: usize| by[index].request;
    history.transition(Transition::Pause, request(0), second(1));
    history.transition(Transition::Resume, request(1), second(2));
    history.record(&ledger).await;
    let leads = vec![Duration::from_secs(86_400)];
    let rules = Rules { notice_leads: leads, title: "Autumn sale".to_owned(), ..new.rules.clone() };
    history.revise(Scope::Labels, &rules, request(2), second(3));
    history.open_round(round(1).claiming(300..360).of_revision(4), second(3));
    history.record(&ledger).await;
    history.add_supply(Some(round_id(1)), 7, request(3), second(4));
    history.add_supply(None, 50, request(4), second(5));
    history.add_supply(Some(round_id(1)), 2, request(5), second(6));
    ledger.clock.set(second(500)).await;
    history.record(&ledger).await;

    let (was, is) = (json_of(&new.rules), json_of(&rules));
    let differing = |rules: &Value| json!({ "title": rules["title"], "notice_leads": rules["notice_leads"] });
    let expected = [
        ("PAUSE", json!({ "state": "ACTIVE" }), json!({ "state": "PAUSED" }), None),
        ("RESUME", json!({ "state": "PAUSED" }), json!({ "state": "ACTIVE" }), None),
        ("UPDATE", differing(&was), differing(&is), None),
        ("ADD_SUPPLY", json!({ "added": 0 }), json!({ "added": 7 }), Some(1)),
        ("ADD_SUPPLY", json!({ "total_limit": 100 }), json!({ "total_limit": 150 }), None),
        ("ADD_SUPPLY", json!({ "added": 7 }), json!({ "added": 9 }), Some(1)),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .zip(by)
        .zip(1..)
        .map(|(((action, before, after, round), by), at)| AuditRecord {
            campaign: Some(new.id.clone()),
            round: round.map(round_id),
            before: Some(before),
            after: Some(after),
            ..AuditRecord::new(action, by, second(at))
        })
        .collect();
    assert_eq!(later(&ledger).await, expected);
}

fn json_of(rules: &Rules) -> Value {
    serde_json::to_value(rules).expect("rules are JSON")
}

/// The first one that was named; what nobody announced is none of theirs.
pub async fn a_change_is_that_of_whoever_announced_it(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    let [ada, bob] = ["ada", "bob"].map(|who| by_whom(who, Some(Uuid::new_v4())));
    let (first, unannounced) = (ada.request.expect("it has one"), Uuid::new_v4());
    for actor in [&ada.actor, &bob.actor] {
        ledger.audit.announce(first, actor).await.expect("answers");
    }
    history.transition(Transition::Pause, Some(first), second(1));
    history.transition(Transition::Resume, Some(unannounced), second(2));
    history.transition(Transition::Pause, None, second(3));
    history.record(&ledger).await;

    let found = later(&ledger).await;
    let requests: Vec<_> = found.iter().map(|record| record.by.request).collect();
    assert_eq!(requests, [Some(first), Some(unannounced), None]);
    assert_eq!(found[0].by, ada);
    assert!(found[1..].iter().all(|record| record.by.actor != ada.actor && record.by.actor != bob.actor), "{found:?}");
}

/// Nothing is kept of a recording that was refused or came again.
pub async fn a_recording_is_audited_once(ledger: LedgerUnderTest) {
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    history.transition(Transition::Pause, Some(Uuid::new_v4()), second(1));
    let first = history.take();
    history.transition(Transition::Resume, Some(Uuid::new_v4()), second(2));
    let then = history.take();
    for recording in [&then, &first, &first, &then, &first, &then] {
        // Those that do not follow are refused.
        ledger.records.record(&history.campaign, recording).await.ok();
    }
    let actions: Vec<_> = later(&ledger).await.into_iter().map(|record| record.action).collect();
    assert_eq!(actions, ["PAUSE", "RESUME"]);
}

/// Its bytes, in hexadecimal; neither a repeat nor a refusal leaves one.
pub async fn a_beacon_is_audited_once(ledger: LedgerUnderTest) {
    let history = a_draw(&ledger, 10).await;
    let by = by_ada();
    let (set, others) = ([0, 255, 16], [1]);
    let calls = [(&set[..], &by), (&set[..], &by), (&set[..], &by_ada()), (&others[..], &by_ada())]
        .map(|(bytes, by)| (bytes.to_vec(), by.clone()));
    let mut outcomes = Vec::new();
    for (bytes, by) in &calls {
        outcomes.push(ledger.draws.set_beacon(&history.campaign, round_id(1), bytes, by).await.expect("answers"));
    }
    let expected = [BeaconOutcome::Set, BeaconOutcome::Repeated, BeaconOutcome::Repeated, BeaconOutcome::SetOtherwise];
    assert_eq!(outcomes, expected);
    let expected = AuditRecord {
        campaign: Some(history.campaign.clone()),
        round: Some(round_id(1)),
        after: Some(json!({ "beacon": "00ff10" })),
        ..AuditRecord::new(SET_BEACON, by, second(250))
    };
    assert_eq!(later(&ledger).await, [expected]);
}

/// One by one by their ids, many by how many they are; who was there already is not among them.
pub async fn users_that_come_and_go_are_audited(ledger: LedgerUnderTest) {
    let new = |id: &str| NewUser { id: user(id), name: format!("Name of {id}"), metadata: [].into() };
    let (by, users) = (by_ada(), &ledger.users);
    ledger.clock.set(second(1)).await;
    users.create_users(&[new("ada")], &by).await.expect("answers");
    ledger.clock.set(second(2)).await;
    users.create_users(&[new("ada"), new("zoe"), new("bob"), new("zoe")], &by).await.expect("answers");
    users.create_users(&[new("ada"), new("bob")], &by).await.expect("answers");
    users.create_users(&[NewUser { name: String::new(), ..new("ada") }], &by).await.expect("answers");
    users.create_users(&[], &by).await.expect("answers");
    ledger.clock.set(second(3)).await;
    for _ in 0..2 {
        users.delete_user(&user("bob"), &by).await.expect("answers");
    }
    users.delete_user(&user("nobody"), &by).await.expect("answers");

    let record = |action, at| AuditRecord::new(action, by.clone(), second(at));
    let several = json!({ "count": 2, "first": "zoe", "last": "bob" });
    let expected = [
        AuditRecord { user: Some(user("ada")), ..record(CREATE_USERS, 1) },
        AuditRecord { after: Some(several), ..record(CREATE_USERS, 2) },
        AuditRecord { user: Some(user("bob")), ..record(DELETE_USER, 3) },
    ];
    assert_eq!(records(&ledger, None).await, expected);
}

/// With the reason; neither a repeat nor a refusal leaves one, nor does what a shop's checkout asks for.
pub async fn a_withdrawn_coupon_is_audited_once(ledger: LedgerUnderTest) {
    ten_coupons(&ledger).await;
    let by = by_ada();
    let void = |serial| Void { by: by.clone(), ..void_of(serial) };
    let calls = [
        hold_of(1, "o-1").call(),
        redeem_of(2, "o-2", eur(2000)).call(),
        void(0).call(),
        void(0).call(),
        void(1).call(),
        void(2).call(),
        void(77).call(),
    ];
    let outcomes = ask_all(&ledger, &calls).await;
    assert_eq!(outcomes[2..4], [VOIDED, VOIDED_BEFORE]);
    let expected = AuditRecord {
        campaign: Some(campaign_id("c")),
        round: Some(round_id(1)),
        coupon: Some(coupon_id(1, 0)),
        user: Some(user("u-0")),
        before: Some(json!({ "state": "ISSUED" })),
        after: Some(json!({ "state": "VOID", "reason": "a misprint" })),
        ..AuditRecord::new(VOID_COUPON, by, second(400))
    };
    assert_eq!(later(&ledger).await, [expected]);
}

/// Of all campaigns or of one; a page does not shift while others write.
pub async fn audit_records_are_read_latest_first_and_in_pages(ledger: LedgerUnderTest) {
    let create = async |id: &str| {
        ledger.campaigns.create(&a_campaign(id)).await.expect("the ledger answers");
    };
    ledger.clock.set(second(0)).await;
    let mut history = History::begin(&ledger, &a_campaign("c")).await;
    for id in ["d", "e", "f"] {
        create(id).await;
    }
    history.transition(Transition::Pause, None, second(1));
    history.transition(Transition::Resume, None, second(2));
    history.record(&ledger).await;
    let all = ledger.audit.audit_records(None, None, 1000).await.expect("answers");
    assert!(all.windows(2).all(|pair| pair[0].0 > pair[1].0), "latest first: {all:?}");
    let actions: Vec<_> = all.iter().map(|(_, record)| record.action.as_str()).collect();
    assert_eq!(actions, ["RESUME", "PAUSE", "CREATE", "CREATE", "CREATE", "CREATE"]);

    for limit in [1, 4, 6] {
        let first = ledger.audit.audit_records(None, None, 1).await.expect("answers");
        let mut paged = first.clone();
        create(&format!("meanwhile-{limit}")).await;
        loop {
            let before = paged.last().map(|(number, _)| *number);
            let page = ledger.audit.audit_records(None, before, limit).await.expect("answers");
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize);
            paged.extend(page);
        }
        assert_eq!(paged[paged.len() - all.len()..], all, "in pages of {limit}");
        let now = ledger.audit.audit_records(None, None, 1000).await.expect("answers");
        assert_eq!(paged, now[1..], "all but what came meanwhile");
    }
    let of_c = ledger.audit.audit_records(Some(&history.campaign), None, 1000).await.expect("answers");
    let expected: Vec<_> = all.into_iter().filter(|(_, r)| r.campaign.as_ref() == Some(&history.campaign)).collect();
    assert_eq!((of_c.len(), &of_c), (3, &expected));
    let page = ledger.audit.audit_records(Some(&history.campaign), Some(of_c[0].0), 1).await.expect("answers");
    assert_eq!(page, of_c[1..2]);
    assert_eq!(ledger.audit.audit_records(Some(&campaign_id("x")), None, 10).await.expect("answers"), []);
}
