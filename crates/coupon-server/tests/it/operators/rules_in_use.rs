//! What may change once a campaign is used, and what becomes of the rounds ahead.

use std::time::Duration;

use coupon_proto::v1 as pb;
use pb::RefusalReason as Reason;
use tonic::Code;

use super::calls::{change, fault};
use crate::shop::{
    On, Shop, a_fifth, assert_split, at, campaign, daily, euros, eventually, fixed, instant, on_both, open_campaign,
    seconds, users,
};

on_both! {
    rounds_ahead_are_planned_anew_by_the_new_rules
    the_rounds_of_a_draft_are_planned_anew_too
    rounds_follow_the_schedule_however_often_it_changes
    once_there_is_a_place_labels_change_and_rules_do_not
    after_the_round_has_closed_the_rules_of_rounds_change
    once_there_is_a_coupon_its_worth_and_the_limits_stay
    a_benefit_changed_before_the_first_coupon_is_what_every_instance_computes
    a_used_campaign_with_one_start_does_not_start_again
    the_beacon_of_a_draw_stays_once_there_is_a_place
    places_can_be_done_without_from_the_next_round_on
}

/// Fields that reach rounds to come, each with a change.
fn of_rounds() -> Vec<(&'static str, pb::Campaign)> {
    let base = pb::Campaign::default;
    let schedule = daily(campaign("", fixed(1)), "30 23 * * *").schedule;
    let validity = pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(60))) };
    vec![
        ("supply", pb::Campaign { supply: open_campaign("", 3).supply, ..base() }),
        ("allocation", pb::Campaign { allocation: pb::Allocation::Draw.into(), ..base() }),
        ("schedule", pb::Campaign { schedule, ..base() }),
        ("reservation_required", base()),
        ("max_places", pb::Campaign { max_places: Some(5), ..base() }),
        ("validity", pb::Campaign { validity: Some(validity), ..base() }),
        ("registered_users_only", pb::Campaign { registered_users_only: true, ..base() }),
    ]
}

/// Fields that count over all rounds, each with a change.
fn of_the_campaign() -> Vec<(&'static str, pb::Campaign)> {
    let base = pb::Campaign::default;
    let benefit = pb::Benefit { kind: Some(pb::benefit::Kind::PercentOff(50)), ..Default::default() };
    vec![
        ("benefit", pb::Campaign { benefit: Some(benefit), ..base() }),
        ("max_per_user", pb::Campaign { max_per_user: Some(2), ..base() }),
        ("total_limit", pb::Campaign { total_limit: Some(100), ..base() }),
    ]
}

/// Fields that may change until the end.
fn labels() -> Vec<(&'static str, pb::Campaign)> {
    let base = pb::Campaign::default;
    vec![
        ("title", pb::Campaign { title: "renamed".to_owned(), ..base() }),
        ("metadata", pb::Campaign { metadata: [("k".to_owned(), "v".to_owned())].into(), ..base() }),
        ("notice_leads", pb::Campaign { notice_leads: vec![seconds(3600)], ..base() }),
    ]
}

async fn rounds_ahead_are_planned_anew_by_the_new_rules(on: On) {
    let shop = Shop::with_company(on).await;
    let operator = &shop.instances[0];
    let (c, old) = shop.create(daily(campaign("anew", fixed(10)), "0 23 * * *")).await;
    for instance in &shop.instances {
        instance.planned(&c, 3).await;
    }
    let schedule = daily(campaign("", fixed(1)), "30 22 * * *").schedule;
    let values = pb::Campaign { supply: open_campaign("", 3).supply, schedule, ..Default::default() };
    operator.update(change(&c, &["supply", "schedule"], values)).await.expect("nobody has reserved");

    for instance in &mut shop.instances.clone() {
        fault(instance.get_round(&c, &old).await, Code::NotFound, "ROUND_NOT_FOUND");
        fault(instance.reserve(&c, &old, "ada").await, Code::NotFound, "ROUND_NOT_FOUND");
        fault(instance.claim(&c, &old, "ada").await, Code::NotFound, "ROUND_NOT_FOUND");
        let rounds = instance.planned(&c, 3).await;
        let starts: Vec<_> = rounds.iter().map(|round| round.claim_opens_at).collect();
        let expected = ["26 22:30:00", "25 22:30:00", "24 22:30:00"].map(|start| Some(instant(at(start))));
        assert_eq!(starts, expected, "the old ones are gone");
        assert!(rounds.iter().all(|round| round.supply == Some(3) && round.id != old));
    }
    shop.set("22:26:00").await;
    shop.all_reserve(&c, "", &users(5)).await;
    shop.set("22:30:00").await;
    assert_split(&shop.all_claim(&c, "", &users(5)).await, 3, 2, Reason::SoldOut);
}

async fn the_rounds_of_a_draft_are_planned_anew_too(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (draft, old) = operator.draft(campaign("draft", fixed(10))).await.expect("created");
    let once = pb::Schedule { start: Some(pb::schedule::Start::Once(instant(at("22:00:00")))), ..Default::default() };
    let values = pb::Campaign { schedule: Some(once), ..Default::default() };
    operator.update(change(&draft.id, &["schedule"], values)).await.expect("nobody has reserved");
    fault(operator.get_round(&draft.id, &old.id).await, Code::NotFound, "ROUND_NOT_FOUND");
    let [new] = &operator.rounds(&draft.id, 50).await.expect("a list")[..] else { panic!("one round") };
    assert_eq!(new.reserve_opens_at, Some(instant(at("21:55:00"))));
    operator.activate(&draft.id).await.expect("active");
    shop.set("21:55:00").await;
    shop.reserve(&draft.id, &new.id, "ada").await.granted();
}

async fn rounds_follow_the_schedule_however_often_it_changes(on: On) {
    // All the time somebody plans.
    let shop = Shop::with_tick(on, 2, Duration::from_millis(2)).await;
    let (c, _) = shop.create(campaign("restless", fixed(10))).await;
    for (minute, operator) in (0..40).zip(shop.instances.iter().cycle()) {
        let start = instant(at(&format!("22:{minute:02}:00")));
        let once = pb::Schedule { start: Some(pb::schedule::Start::Once(start)), ..Default::default() };
        let values = pb::Campaign { schedule: Some(once), ..Default::default() };
        operator.update(change(&c, &["schedule"], values)).await.expect("nobody has reserved");
        let rounds = operator.planned(&c, 1).await;
        assert_eq!(rounds[0].claim_opens_at, Some(start), "none of an earlier schedule");
    }
}

async fn once_there_is_a_place_labels_change_and_rules_do_not(on: On) {
    let shop = Shop::with_company(on).await;
    let (c, r) = shop.create(daily(campaign("a place", fixed(10)), "0 23 * * *")).await;
    let operator = &shop.instances[shop.instances.len() - 1];
    shop.set("22:56:00").await;
    shop.reserve(&c, &r, "ada").await.granted();
    let before = operator.campaign(&c).await;
    let planned = operator.planned(&c, 3).await;
    for (field, values) in of_rounds().into_iter().chain(of_the_campaign()) {
        let status =
            fault(operator.update(change(&c, &[field], values)).await, Code::FailedPrecondition, "RULES_IN_USE");
        assert!(status.message().ends_with(&format!("; {r} has some")), "{field}: {status:?}");
    }
    assert_eq!(operator.campaign(&c).await, before);
    assert_eq!(operator.rounds(&c, 50).await.expect("a list"), planned, "no round was planned anew");
    for (field, values) in labels() {
        let changed = operator.update(change(&c, &[field], values)).await.expect(field);
        assert_ne!(changed.etag, before.etag, "{field}");
    }
    assert_eq!(operator.rounds(&c, 50).await.expect("a list"), planned, "labels do not reach rounds");
    shop.set("23:00:00").await;
    shop.claim(&c, &r, "ada").await.granted();
}

async fn after_the_round_has_closed_the_rules_of_rounds_change(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, first) = shop.create(daily(campaign("closed", fixed(10)), "0 23 * * *")).await;
    shop.set("22:56:00").await;
    shop.reserve(&c, &first, "ada").await.granted();
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &first, "ada").await.granted();
    let (supply, values) = of_rounds().swap_remove(0);
    shop.set("23:00:59.999").await;
    let refused = operator.update(change(&c, &[supply], values)).await;
    fault(refused, Code::FailedPrecondition, "RULES_IN_USE");

    shop.set("23:01:00").await;
    // One after the other: what is drawn by then needs its places.
    for (field, values) in of_rounds().into_iter().filter(|(field, _)| *field != "reservation_required") {
        let ahead = operator.rounds(&c, 50).await.expect("a list");
        operator.update(change(&c, &[field], values)).await.expect(field);
        let anew = operator.rounds(&c, 50).await.expect("a list");
        assert_eq!(anew.last(), ahead.last(), "{field}: the closed round stays");
        let old = |round: &pb::Round| round.id != first && ahead.iter().any(|old| old.id == round.id);
        assert!(!anew.iter().any(old), "{field}: {anew:?}");
    }
    let repeat = shop.claim(&c, &first, "ada").await;
    assert!(repeat.replayed && repeat.granted() == coupon);
}

async fn once_there_is_a_coupon_its_worth_and_the_limits_stay(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, first) = shop.create(daily(open_campaign("a coupon", 10), "0 23 * * *")).await;
    shop.set("23:00:00").await;
    let coupon = shop.claim(&c, &first, "ada").await.granted();
    // While it claims, after it has closed, and after it has left the gate.
    for (time, why) in [
        ("23:00:01", format!("; {first} has some")),
        ("23:02:00", format!("; {first} has some")),
        ("25 00:01:00.001", "; it has issued coupons".to_owned()),
    ] {
        shop.set(time).await;
        let left = time.starts_with("25");
        eventually(|| async {
            let there = shop.gate(&c).await.answers.rounds.iter().any(|round| round.spec.id.to_string() == first);
            (there != left).then_some(())
        })
        .await;
        for (field, values) in of_the_campaign() {
            let refused = operator.update(change(&c, &[field], values)).await;
            let status = fault(refused, Code::FailedPrecondition, "RULES_IN_USE");
            assert!(status.message().ends_with(&why), "{time}, {field}: {status:?}");
        }
    }
    let (supply, values) = of_rounds().swap_remove(0);
    operator.update(change(&c, &[supply], values)).await.expect("of rounds to come");
    for (field, values) in labels() {
        operator.update(change(&c, &[field], values)).await.expect(field);
    }
    assert_eq!(shop.redeem(&coupon.code, "ada", "order", 1000).await.granted().discount, Some(euros(200)));
}

async fn a_benefit_changed_before_the_first_coupon_is_what_every_instance_computes(on: On) {
    let shop = Shop::with_tick(on, 4, Duration::from_secs(3600)).await;
    let instance = |n: usize| shop.instances[n % shop.instances.len()].clone();
    let (c, old) = shop.create(open_campaign("worth", 10)).await;
    // All know the campaign as it was, and nobody tells them.
    for n in 0..4 {
        assert_eq!(instance(n).claim(&c, &old, "ada").await.expect("an answer").reason(), Reason::NotOpenYet);
    }
    let (benefit, values) = of_the_campaign().swap_remove(0);
    instance(0).update(change(&c, &[benefit], values.clone())).await.expect("there is no coupon");
    shop.set("23:00:00").await;
    let coupon = instance(0).claim(&c, "", "ada").await.expect("an answer").granted();
    shop.ledger_caught_up(&c).await;

    let redemption = instance(1).redeem(&coupon.code, "ada", "order", 1000).await.expect("an answer").granted();
    assert_eq!(redemption.discount, Some(euros(500)), "50 %, not 20 %");
    let mine = pb::ListCouponsRequest { user_id: "ada".to_owned(), ..Default::default() };
    let listed = instance(2).coupons.list_coupons(mine).await.expect("a list").into_inner().coupons;
    assert_eq!(listed.iter().map(|coupon| &coupon.benefit).collect::<Vec<_>>(), [&values.benefit]);
    let key = Some(pb::get_coupon_request::Key::CouponId(coupon.id));
    let request = pb::GetCouponRequest { user_id: "ada".to_owned(), key };
    let found = instance(3).coupons.get_coupon(request).await.expect("found").into_inner().coupon.expect("a coupon");
    assert_eq!(found.benefit, values.benefit);
}

async fn places_can_be_done_without_from_the_next_round_on(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (c, _) = shop.create(daily(campaign("no places", a_fifth(pb::Rounding::Floor)), "0 23 * * *")).await;
    let values = pb::Campaign { supply: open_campaign("", 2).supply, ..Default::default() };
    operator.update(change(&c, &["supply", "reservation_required"], values)).await.expect("nobody has reserved");
    let round = operator.get_round(&c, "").await.expect("a round");
    assert_eq!((round.reserve_opens_at, round.supply), (None, Some(2)));
    shop.set("23:00:00").await;
    assert_split(&shop.all_claim(&c, "", &users(3)).await, 2, 1, Reason::SoldOut);
}

async fn a_used_campaign_with_one_start_does_not_start_again(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let (used, round) = shop.create(open_campaign("used", 10)).await;
    let (unused, missed) = shop.create(open_campaign("unused", 10)).await;
    shop.set("23:00:00").await;
    shop.claim(&used, &round, "ada").await.granted();
    shop.set("23:01:00").await;
    let again = pb::schedule::Start::Once(instant(at("25 23:00:00")));
    let again = pb::Schedule { start: Some(again), ..Default::default() };
    let again = pb::Campaign { schedule: Some(again), ..Default::default() };
    let refused = operator.update(change(&used, &["schedule"], again.clone())).await;
    fault(refused, Code::FailedPrecondition, "RULES_IN_USE");
    operator.update(change(&unused, &["schedule"], again)).await.expect("nobody had a coupon");
    shop.set("25 23:00:00").await;
    assert_ne!(shop.claim(&unused, "", "ada").await.granted().round_id, missed);
}

async fn the_beacon_of_a_draw_stays_once_there_is_a_place(on: On) {
    let shop = Shop::open(on).await;
    let operator = &shop.instances[0];
    let drawn = pb::Campaign {
        allocation: pb::Allocation::Draw.into(),
        beacon_source: "drand:quicknet:1".to_owned(),
        ..campaign("drawn", a_fifth(pb::Rounding::Floor))
    };
    let (c, r) = shop.create(drawn).await;
    let beacon = |source: &str| {
        let values = pb::Campaign { beacon_source: source.to_owned(), ..Default::default() };
        change(&c, &["beacon_source"], values)
    };
    let commit = operator.get_round(&c, &r).await.expect("a round").draw_commit;
    operator.update(beacon("drand:quicknet:2")).await.expect("nobody has reserved");
    let anew = operator.get_round(&c, "").await.expect("a round");
    assert_ne!((&anew.id, &anew.draw_commit), (&r, &commit), "another round has a seed of its own");
    shop.set("22:56:00").await;
    shop.reserve(&c, "", "ada").await.granted();
    fault(operator.update(beacon("drand:quicknet:3")).await, Code::FailedPrecondition, "RULES_IN_USE");
    assert_eq!(operator.campaign(&c).await.beacon_source, "drand:quicknet:2");
}
