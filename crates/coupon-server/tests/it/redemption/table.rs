//! Every state of coupon and order, and every call: what it answers, what it changes, and that each change is told once.

use std::time::Duration;

use coupon_proto::v1 as pb;
use pb::{CouponState, EventKind as Kind, OrderState, RefusalReason as Reason};
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::shop::{On, Outcome, Shop, hold_request, on_both, redeem_request, valid_for};

on_both! { each_call_from_each_state }

/// The order whose calls are looked at, and one in its way.
const MINE: &str = "mine";
const OTHER: &str = "other";

const CALLS: [&str; 6] = ["hold", "redeem", "redeem another amount", "release", "roll back", "void"];

/// A state, and what each of [`CALLS`] answers in it; `again` is a repeat, and changes nothing.
const TABLE: [(&str, [&str; 6]); 14] = [
    ("issued", ["HELD", "REDEEMED", "REDEEMED", "UNKNOWN_ORDER", "CANCELLED", "VOID"]),
    ("held", ["HELD again", "REDEEMED", "REDEEMED", "RELEASED", "CANCELLED", "WRONG_COUPON_STATE"]),
    ("released", ["HELD", "REDEEMED", "REDEEMED", "RELEASED again", "CANCELLED", "VOID"]),
    ("lapsed", ["HELD", "REDEEMED", "REDEEMED", "RELEASED again", "CANCELLED", "VOID"]),
    (
        "redeemed",
        [
            "ALREADY_REDEEMED mine",
            "REDEEMED again",
            "ORDER_MISMATCH",
            "stays REDEEMED",
            "CANCELLED",
            "WRONG_COUPON_STATE",
        ],
    ),
    (
        "rolled back",
        ["ORDER_CANCELLED", "ORDER_CANCELLED", "ORDER_CANCELLED", "stays CANCELLED", "CANCELLED again", "VOID"],
    ),
    (
        "cancelled before",
        ["ORDER_CANCELLED", "ORDER_CANCELLED", "ORDER_CANCELLED", "stays CANCELLED", "CANCELLED again", "VOID"],
    ),
    (
        "held by another order",
        [
            "ALREADY_HELD other",
            "ALREADY_HELD other",
            "ALREADY_HELD other",
            "UNKNOWN_ORDER",
            "CANCELLED",
            "WRONG_COUPON_STATE",
        ],
    ),
    ("lapsed for another order", ["HELD", "REDEEMED", "REDEEMED", "UNKNOWN_ORDER", "CANCELLED", "VOID"]),
    (
        "redeemed by another order",
        [
            "ALREADY_REDEEMED other",
            "ALREADY_REDEEMED other",
            "ALREADY_REDEEMED other",
            "UNKNOWN_ORDER",
            "CANCELLED",
            "WRONG_COUPON_STATE",
        ],
    ),
    ("expired", ["EXPIRED", "EXPIRED", "EXPIRED", "UNKNOWN_ORDER", "CANCELLED", "WRONG_COUPON_STATE"]),
    ("expired in a hold", ["EXPIRED", "EXPIRED", "EXPIRED", "RELEASED again", "CANCELLED", "WRONG_COUPON_STATE"]),
    (
        "redeemed and past its validity",
        [
            "ALREADY_REDEEMED mine",
            "REDEEMED again",
            "ORDER_MISMATCH",
            "stays REDEEMED",
            "CANCELLED",
            "WRONG_COUPON_STATE",
        ],
    ),
    ("void", ["VOID no", "VOID no", "VOID no", "UNKNOWN_ORDER", "CANCELLED", "VOID again"]),
];

fn order(which: &str, user: &str) -> String {
    format!("{which}-of-{user}")
}

/// Brings a fresh coupon into this state, as far as calls do; the rest is the clock's.
async fn prepare(shop: &Shop, state: &str, coupon: &pb::Coupon) {
    let pb::Coupon { campaign_id: c, code, user_id: user, .. } = coupon;
    let (mine, other) = (order(MINE, user), order(OTHER, user));
    match state {
        "issued" | "expired" => {}
        "held" => drop(shop.hold_for(code, user, &mine, 86_400).await.granted()),
        "released" => {
            shop.hold(code, user, &mine).await.granted();
            shop.release(c, &mine, user).await;
        }
        "lapsed" | "expired in a hold" => drop(shop.hold_for(code, user, &mine, 120).await.granted()),
        "redeemed" | "redeemed and past its validity" => drop(shop.redeem(code, user, &mine, 1000).await.granted()),
        "rolled back" => {
            shop.redeem(code, user, &mine, 1000).await.granted();
            shop.rollback(c, &mine, user).await;
        }
        "cancelled before" => drop(shop.rollback(c, &mine, user).await),
        "held by another order" => drop(shop.hold_for(code, user, &other, 86_400).await.granted()),
        "lapsed for another order" => drop(shop.hold_for(code, user, &other, 120).await.granted()),
        "redeemed by another order" => drop(shop.redeem(code, user, &other, 1000).await.granted()),
        "void" => drop(shop.void(&coupon.id).await),
        odd => panic!("no way into {odd}"),
    }
}

fn again(word: &str, replayed: bool) -> String {
    if replayed { format!("{word} again") } else { word.to_owned() }
}

/// A refusal as the table spells it.
fn refused(refusal: &pb::Refusal) -> String {
    let reason = refusal.reason().as_str_name().trim_start_matches("REFUSAL_REASON_");
    match (refusal.reason(), refusal.order_id.split_once("-of-")) {
        (Reason::Void, None) => "VOID no".to_owned(),
        (_, Some((order, _))) => format!("{reason} {order}"),
        (_, None) => reason.to_owned(),
    }
}

fn given_back(answer: Result<(OrderState, bool), Status>, wanted: OrderState) -> String {
    match answer {
        Ok((state, replayed)) => {
            let word = state.as_str_name().trim_start_matches("ORDER_STATE_");
            if state == wanted { again(word, replayed) } else { format!("stays {word}") }
        }
        Err(status) => reason_of(&status),
    }
}

fn reason_of(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).expect("a reason")
}

async fn call(shop: &Shop, which: &str, coupon: &pb::Coupon) -> String {
    let pb::Coupon { campaign_id: c, code, user_id: user, .. } = coupon;
    let (instance, mine) = (shop.another(), order(MINE, user));
    let redeem = async |cents| {
        let answer = instance.use_coupon(redeem_request(code, user, &mine, cents)).await.expect("an answer");
        match answer.outcome {
            Outcome::Yes(_) => again("REDEEMED", answer.replayed),
            Outcome::No(refusal) => refused(&refusal),
        }
    };
    match which {
        "hold" => {
            let answer = instance.hold(hold_request(code, user, &mine)).await.expect("an answer");
            match answer.outcome {
                Outcome::Yes(_) => again("HELD", answer.replayed),
                Outcome::No(refusal) => refused(&refusal),
            }
        }
        "redeem" => redeem(1000).await,
        "redeem another amount" => redeem(2000).await,
        "release" => given_back(instance.release(c, &mine, user).await, OrderState::Released),
        "roll back" => given_back(instance.rollback(c, &mine, user).await, OrderState::Cancelled),
        "void" => {
            let was = shop.state(coupon).await;
            match instance.void(&coupon.id, "").await {
                Ok(coupon) => {
                    assert_eq!(coupon.state(), CouponState::Void);
                    again("VOID", was == CouponState::Void)
                }
                Err(status) => reason_of(&status),
            }
        }
        odd => panic!("no such call: {odd}"),
    }
}

/// The kind of the event of a change, and the coupon's state after it; none if the answer changes nothing. `mine`: the order had the coupon.
fn change(answer: &str, before: CouponState, mine: bool, is_over: bool) -> Option<(Kind, CouponState)> {
    match answer {
        "HELD" => Some((Kind::CouponHeld, CouponState::Held)),
        "REDEEMED" => Some((Kind::CouponRedeemed, CouponState::Redeemed)),
        "RELEASED" => Some((Kind::CouponReleased, CouponState::Issued)),
        "CANCELLED" if mine => {
            Some((Kind::CouponRolledBack, if is_over { CouponState::Expired } else { CouponState::Issued }))
        }
        "CANCELLED" => Some((Kind::OrderCancelled, before)),
        "VOID" => Some((Kind::CouponVoided, CouponState::Void)),
        _ => None,
    }
}

/// What was told of this user's coupon and orders; that a hold was over is stored by whoever comes first.
fn told_of(events: &[pb::Event], user: &str) -> Vec<Kind> {
    let of_user = events.iter().filter(|event| event.user_id == user && event.reason != "LAPSED");
    of_user.map(|event| event.kind()).collect()
}

async fn each_call_from_each_state(on: On) {
    let shop = Shop::with_idle_upkeep(on).await;
    let (lasting, _) = shop.create(valid_for("lasting", 100, Duration::from_secs(7 * 86_400))).await;
    let (short, _) = shop.create(valid_for("short", 100, Duration::from_secs(300))).await;
    shop.set("23:00:00").await;
    let mut cells = Vec::new();
    for (row, (state, answers)) in TABLE.iter().enumerate() {
        let is_over = state.contains("expired") || state.contains("past");
        for (column, expected) in answers.iter().enumerate() {
            let user = format!("user-{row}-{column}");
            let c = if is_over { &short } else { &lasting };
            let coupon = shop.claim(c, "", &user).await.granted();
            prepare(&shop, state, &coupon).await;
            cells.push((*state, CALLS[column], *expected, is_over, coupon));
        }
    }
    shop.set("23:10:00").await;
    let before = [shop.events(&lasting).await, shop.events(&short).await].concat();
    let mut changes = Vec::new();
    for (state, which, expected, is_over, coupon) in &cells {
        let cell = format!("{which} of a coupon that is {state}");
        let stood = shop.coupon(coupon).await;
        let answer = call(&shop, which, coupon).await;
        assert_eq!(answer, *expected, "{cell}");
        let stands = shop.coupon(coupon).await;
        let change = change(&answer, stood.state(), stood.order_id.starts_with(MINE), *is_over);
        match change {
            Some((Kind::OrderCancelled, _)) | None => assert_eq!(stands, stood, "{cell}"),
            Some((_, state)) => assert_eq!(stands.state(), state, "{cell}"),
        }
        changes.push((cell, coupon, change.map(|(kind, _)| kind)));
    }
    let after = [shop.events(&lasting).await, shop.events(&short).await].concat();
    for (cell, coupon, change) in changes {
        let mut expected = told_of(&before, &coupon.user_id);
        expected.extend(change);
        assert_eq!(told_of(&after, &coupon.user_id), expected, "{cell}");
    }
}
