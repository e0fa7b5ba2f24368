//! A published draw that holds, and every way to change its file.

use serde_json::{Value, json};

use super::*;

/// A draw in which every figure matters: ratio, cap, addition and remaining total each bound the winners, and there is a beacon.
fn honest() -> PublishedDraw {
    publish(&params(ratio(1, 5, Rounding::Floor), Some(50)), 300, 3, Some(52), Some(&[0xab; 32]))
}

/// The names of the steps with this outcome.
fn names(steps: &[Step], outcome: Outcome) -> Vec<&'static str> {
    steps.iter().filter(|step| step.outcome == outcome).map(|step| step.name).collect()
}

fn failed(draw: &PublishedDraw) -> Vec<&'static str> {
    names(&draw.verify(), Outcome::Failed)
}

/// The file with one field set to something else.
fn with(field: &str, value: Value) -> String {
    let mut file = serde_json::to_value(honest()).expect("a file");
    assert_ne!(file[field], value, "{field} has to change");
    file[field] = value;
    file.to_string()
}

/// The file's text for this field, its last hexadecimal digit changed.
fn flipped(field: &str) -> Value {
    let file = serde_json::to_value(honest()).expect("a file");
    json!(flip(file[field].as_str().expect("a text")))
}

fn flip(hex: &str) -> String {
    let (head, last) = hex.split_at(hex.len() - 1);
    format!("{head}{}", if last == "0" { "1" } else { "0" })
}

#[test]
fn an_honest_draw_passes_every_step_also_after_it_was_written_and_read() {
    let draw = PublishedDraw::parse(&honest().to_json()).expect("a draw");
    assert_eq!(draw, honest());
    let steps = draw.verify();
    assert_eq!(names(&steps, Outcome::Passed), ["root", "commit", "beacon", "key", "winners", "last score"]);
    assert_eq!(
        steps[4].explanation,
        "300 places x 1/5, rounded down, is 60, capped at 50, plus 3 added before reservation closed, at most the 300 places, at most \
         the 52 that the campaign had left: W, the number of winners, is 52; the file says 52. They agree: as many places won as the rules say."
    );
    for places in [0, 1, 4, 5, 257] {
        let draw = publish(&params(ratio(1, 5, Rounding::Floor), None), places, 0, None, None);
        assert_eq!(failed(&draw), [""; 0], "{places}");
    }
    let fixed = publish(&params(Supply::Fixed(60), None), 300, 0, None, None);
    assert_eq!(failed(&PublishedDraw::parse(&fixed.to_json()).expect("a draw")), [""; 0]);
}

#[test]
fn every_field_that_is_changed_fails_the_steps_that_it_bears_on() {
    let mut swapped: Vec<Hash> = honest().leaves;
    swapped.swap(0, 1);
    let mut forged: Vec<Hash> = honest().leaves;
    forged[7] = leaf(7, &user(8), &receipt(7));
    let ratio = |n, d, rounding| json!({"numerator": n, "denominator": d, "rounding": rounding});
    let rules: &[&str] = &["commit", "key", "last score"];

    let changes: &[(&str, Value, &[&str])] = &[
        ("round_id", json!("r-8"), rules),
        ("ratio", ratio(2, 5, "FLOOR"), rules),
        ("ratio", ratio(1, 4, "FLOOR"), rules),
        ("ratio", ratio(1, 5, "CEIL"), rules),
        ("ratio", ratio(1, 300, "FLOOR"), &["commit", "key", "winners", "last score"]),
        ("ratio", Value::Null, rules),
        ("cap", json!(51), rules),
        ("cap", json!(0), rules),
        ("cap", json!(48), &["commit", "key", "winners", "last score"]),
        ("added", json!(0), &["winners", "last score"]),
        ("remaining_total", json!(51), &["winners", "last score"]),
        ("remaining_total", Value::Null, &["winners", "last score"]),
        ("commit", flipped("commit"), &["commit"]),
        ("places", json!(299), &["root", "key", "last score"]),
        ("places", json!(u32::MAX), &["root", "key", "last score"]),
        ("places", json!(0), &["root", "key", "winners", "last score"]),
        ("root", flipped("root"), &["root", "key", "last score"]),
        ("beacon_source", json!("drand:quicknet:1234568"), &["key", "last score"]),
        ("beacon_source", json!(""), &["key", "last score"]),
        ("beacon_source", Value::Null, &["beacon", "key", "last score"]),
        ("beacon", flipped("beacon"), &["key", "last score"]),
        ("beacon", json!(""), &["key", "last score"]),
        ("beacon", Value::Null, &["key", "last score"]),
        ("seed", flipped("seed"), rules),
        ("seed", Value::Null, &["commit", "beacon", "key", "winners", "last score"]),
        ("key", flipped("key"), &["key"]),
        ("key", Value::Null, &["key"]),
        ("winners", json!(53), &["winners"]),
        ("winners", Value::Null, &["winners"]),
        ("last_score", flipped("last_score"), &["last score"]),
        ("last_score", Value::Null, &["last score"]),
        ("leaves", json!(swapped), &["root"]),
        ("leaves", json!(forged), &["root"]),
        ("leaves", json!(honest().leaves[1..]), &["root", "last score"]),
        ("leaves", json!([honest().leaves, vec![honest().root]].concat()), &["root", "last score"]),
        ("leaves", json!([]), &["root", "last score"]),
    ];
    for (field, value, steps) in changes {
        let draw = PublishedDraw::parse(&with(field, value.clone())).expect("it can be read");
        assert_eq!(failed(&draw), *steps, "{field}: {value}");
    }
}

/// No formula has the campaign's id, and none needs it: a round's id is unique in the installation.
#[test]
fn the_campaigns_id_is_a_label() {
    let draw = PublishedDraw::parse(&with("campaign_id", json!("autumn"))).expect("it can be read");
    assert_eq!(failed(&draw), [""; 0]);
}

#[test]
fn a_damaged_file_is_not_read_and_the_reason_names_the_field() {
    let file = serde_json::to_value(honest()).expect("a file");
    let fields: Vec<&String> = file.as_object().expect("an object").keys().collect();
    assert_eq!(fields.len(), 17);
    for field in fields {
        let mut lacking = file.clone();
        lacking.as_object_mut().expect("an object").remove(field);
        let why = PublishedDraw::parse(&lacking.to_string()).expect_err(field).to_string();
        assert!(why.starts_with(&format!("this is not the file of a draw: missing field `{field}`")), "{why}");

        for damage in [json!(true), json!(-1), json!(1.5), json!({}), json!(["x"]), json!(1u64 << 32 | 1 << 63)] {
            if field != "remaining_total" || !damage.is_u64() {
                assert!(PublishedDraw::parse(&with(field, damage.clone())).is_err(), "{field}: {damage}");
            }
        }
        let twice = honest().to_json().replacen('{', &format!("{{\"{field}\":{},", file[field]), 1);
        assert!(PublishedDraw::parse(&twice).is_err(), "{field} twice");
    }
    for (field, damage) in [
        ("format", json!("coupon/draw/v2")),
        ("campaign_id", json!("")),
        ("round_id", json!("r-07")),
        ("ratio", json!({"numerator": 6, "denominator": 5, "rounding": "FLOOR"})),
        ("ratio", json!({"numerator": 1, "denominator": 5, "rounding": "UP"})),
        ("beacon", json!("abc")),
        ("seed", json!("00")),
        ("root", json!("g".repeat(64))),
        ("leaves", json!(["00"])),
        ("extra", json!(1)),
    ] {
        assert!(PublishedDraw::parse(&with(field, damage.clone())).is_err(), "{field}: {damage}");
    }
    let text = honest().to_json();
    for end in (0..text.len()).step_by(97) {
        assert!(PublishedDraw::parse(&text[..end]).is_err(), "cut after {end} bytes");
    }
}

#[test]
fn before_the_claims_close_the_root_can_be_checked_and_the_rest_is_not_published() {
    let sealed = PublishedDraw { seed: None, key: None, winners: None, last_score: None, ..honest() };
    let steps = sealed.verify();
    assert_eq!(names(&steps, Outcome::Passed), ["root"]);
    assert_eq!(names(&steps, Outcome::NotPublished), ["commit", "beacon", "key", "winners", "last score"]);

    let own = sealed.check_place(3, &user(3), &receipt(3));
    assert_eq!(names(&own, Outcome::Passed), ["own place"]);
    assert_eq!(names(&own, Outcome::NotPublished), ["own score", "own result"]);
}

#[test]
fn a_beacon_that_was_announced_and_never_came_is_pointed_out() {
    let without = publish(&params(Supply::Fixed(60), None), 300, 0, None, None);
    let draw = PublishedDraw { beacon_source: Some("drand:quicknet:7".to_owned()), ..without };
    let steps = draw.verify();
    assert_eq!(names(&steps, Outcome::NotPublished), ["beacon"]);
    assert_eq!(names(&steps, Outcome::Failed), [""; 0]);
}

#[test]
fn every_place_is_told_its_rank_and_whether_it_won() {
    let draw = publish(&params(ratio(1, 5, Rounding::Floor), None), 300, 0, None, None);
    let result = |ticket| {
        let steps = draw.check_place(ticket, &user(ticket), &receipt(ticket));
        assert_eq!(names(&steps, Outcome::Passed), ["own place", "own score", "own result"], "{ticket}");
        steps[2].explanation.clone()
    };
    // By the known answers ticket 50 is the best and ticket 4 the lowest that won.
    assert!(result(50).starts_with("0 of 300 places have a lower score and 60 win: this place won."));
    assert!(result(267).starts_with("1 of 300 places have a lower score and 60 win: this place won."));
    assert!(result(4).contains("this place won."));
    for ticket in 0..4 {
        assert!(result(ticket).contains("this place was not drawn."));
    }
    let winners = (0..300).filter(|ticket| result(*ticket).contains("this place won.")).count();
    assert_eq!(winners, 60);
}

#[test]
fn a_place_that_is_not_in_the_list_is_told_so() {
    let draw = honest();
    let own =
        |ticket, user: &UserId, receipt: &[u8; 16]| names(&draw.check_place(ticket, user, receipt), Outcome::Failed);
    assert_eq!(own(3, &user(3), &receipt(3)), [""; 0]);
    assert_eq!(own(4, &user(3), &receipt(3)), ["own place"]);
    assert_eq!(own(3, &user(4), &receipt(3)), ["own place"]);
    assert_eq!(own(3, &user(3), &receipt(4)), ["own place"]);
    assert_eq!(own(300, &user(300), &receipt(300)), ["own place", "own result"]);
    assert_eq!(own(u32::MAX, &user(3), &receipt(3)), ["own place", "own result"]);
}

#[test]
fn a_place_whose_result_was_tampered_with_is_told_so() {
    let own = |draw: &PublishedDraw, ticket| {
        names(&draw.check_place(ticket, &user(ticket), &receipt(ticket)), Outcome::Failed)
    };
    let honest = publish(&params(ratio(1, 5, Rounding::Floor), None), 300, 0, None, None);
    let (winner, loser) = (50, 0);

    let nobody_won = PublishedDraw { last_score: None, ..honest.clone() };
    assert_eq!((own(&nobody_won, winner), own(&nobody_won, loser)), (vec!["own result"], vec![]));
    let all_won = PublishedDraw { last_score: Some(Hash::from([0xff; 32])), ..honest.clone() };
    assert_eq!((own(&all_won, winner), own(&all_won, loser)), (vec![], vec!["own result"]));
    let other_key = PublishedDraw { key: Some(honest.root), ..honest.clone() };
    assert_eq!(own(&other_key, winner), ["own score"]);
    let left_out = PublishedDraw { leaves: honest.leaves[..299].to_vec(), ..honest };
    assert_eq!(own(&left_out, 299), ["own place", "own result"]);
}
