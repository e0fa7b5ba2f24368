//! Campaigns with many rounds, each on both sets of adapters.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::ids::{CampaignId, CouponId, RoundId, UserId};
use coupon_domain::time::Timestamp;
use coupon_proto::v1 as pb;
use coupon_usecases::ask::Ask;
use coupon_usecases::claim::Claimed;
use futures::{StreamExt as _, stream};
use pb::RefusalReason as Reason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::operators::calls::{change, fault};
use crate::shop::{On, Shop, at, daily, eventually, instant, on_both, open_campaign, seconds, users};

on_both! {
    s7_ten_rounds_of_a_day_give_exactly_a_hundred_thousand_coupons
    over_ten_rounds_each_user_gets_exactly_three_coupons
    where_clocks_change_claims_open_as_the_contract_says
    rounds_that_would_overlap_are_refused_with_the_pair
}

const TEN_A_DAY: &str = "0 8,9,10,11,12,13,14,15,16,17 * * *";
const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);
const MICROSECOND: Duration = Duration::from_micros(1);

/// The starts of [`TEN_A_DAY`] on the day after the shop opens.
fn ten_starts() -> impl Iterator<Item = Timestamp> {
    (8..18).map(|hour| at(&format!("25 {hour:02}:00:00")))
}

/// The round with this start, once the scheduler has planned it.
async fn planned(shop: &Shop, c: &str, opens: Timestamp) -> pb::Round {
    eventually(|| async {
        let rounds = shop.instances[0].rounds(c, 50).await.expect("a list");
        rounds.into_iter().find(|round| round.claim_opens_at == Some(instant(opens)))
    })
    .await
}

/// What the claims of a day came to.
#[derive(Default)]
struct Day {
    coupons: HashMap<UserId, CouponId>,
    refusals: HashMap<Refusal, usize>,
}

impl Day {
    /// A claim at this instant.
    fn count(&mut self, user: UserId, claimed: Claimed, now: Timestamp) {
        let Claimed { asked, code } = claimed;
        let round = asked.round.expect("a round");
        match asked.outcome {
            Outcome::Granted(issued) => {
                assert!(round.claim.contains(issued.claimed_at) && issued.claimed_at == now, "outside its window");
                assert!(code.is_some(), "a coupon without a code");
                let coupon = CouponId { round: round.id, serial: issued.serial };
                assert_eq!(self.coupons.insert(user, coupon), None, "two coupons for one user");
            }
            Outcome::Replayed(issued) => panic!("nobody asks twice: {issued:?}"),
            Outcome::Refused(refusal) => *self.refusals.entry(refusal).or_default() += 1,
        }
    }
}

/// All these users claim at once. Past the port: as many unary calls take some five times as long, and thirty thousand of them are made
/// elsewhere.
async fn claim_all(shop: &Shop, c: &CampaignId, users: &[String], now: Timestamp, day: &mut Day) {
    const AT_ONCE: usize = 1024;
    let calls = users.iter().map(|user| {
        let user = UserId::parse(user).expect("an id");
        let (engine, call) = (Arc::clone(&shop.instances[0].engine), Ask { campaign: c.clone(), round: None, user });
        tokio::spawn(async move {
            let claimed = engine.claim(&call).await.expect("an answer");
            (call.user, claimed)
        })
    });
    let mut answers = stream::iter(calls).buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        let (user, claimed) = answer.expect("the call ran");
        day.count(user, claimed, now);
    }
}

#[expect(clippy::print_stderr, reason = "the figure that people ask for")]
async fn s7_ten_rounds_of_a_day_give_exactly_a_hundred_thousand_coupons(on: On) {
    const USERS: usize = 150_000;
    const LIMIT: usize = 100_000;
    let began = Instant::now();
    let shop = Shop::open(on).await;
    let pool = pb::Campaign { supply: None, total_limit: Some(100_000), ..open_campaign("ten a day", 1) };
    let (c, _) = shop.create(daily(pool, TEN_A_DAY)).await;
    let (id, everybody, mut day) = (CampaignId::parse(&c).expect("an id"), users(USERS), Day::default());
    for (opens, crowd) in ten_starts().zip(everybody.chunks(USERS / 10)) {
        let closes = opens.plus(MINUTE);
        let round = planned(&shop, &c, opens).await;
        let refused = |user: &'static str, round: &str| {
            let (shop, c, round) = (&shop, &c, round.to_owned());
            async move { shop.claim(c, &round, user).await.refusal() }
        };

        shop.set_to(opens.minus(MICROSECOND)).await;
        for named in [round.id.as_str(), ""] {
            let early = refused("early", named).await;
            assert_eq!((early.reason(), early.opens_at), (Reason::NotOpenYet, Some(instant(opens))));
        }
        // A half in the first instant of the window, a half in its last.
        let (first, last) = crowd.split_at(crowd.len() / 2);
        shop.set_to(opens).await;
        claim_all(&shop, &id, first, opens, &mut day).await;
        let regular = day.coupons.iter().find(|(_, coupon)| coupon.round.to_string() != round.id);
        if let Some((regular, _)) = regular {
            assert_eq!(shop.claim(&c, "", regular.as_str()).await.reason(), Reason::LimitReached);
        }
        shop.set_to(closes.minus(MICROSECOND)).await;
        claim_all(&shop, &id, last, closes.minus(MICROSECOND), &mut day).await;
        shop.set_to(closes).await;
        assert_eq!(refused("late", &round.id).await.reason(), Reason::Closed);
        assert_eq!(refused("late", "").await.reason(), Reason::NotOpenYet);
        shop.ledger_caught_up(&c).await;
    }
    let claimed = began.elapsed();

    // In the answers, in the gate, in the ledger.
    assert_eq!(day.coupons.len(), LIMIT);
    assert_eq!(day.refusals, HashMap::from([(Refusal::SoldOut, USERS - LIMIT)]));
    assert_eq!(shop.gate(&c).await.answers.issued, LIMIT as u64);
    let mut recorded = HashMap::new();
    for round in shop.instances[0].rounds(&c, 50).await.expect("a list") {
        for (user, seat) in shop.seats(&round.id).await {
            let serial = seat.coupon.expect("who has a seat has a coupon").serial;
            let coupon = CouponId { round: RoundId::parse(&round.id).expect("an id"), serial };
            assert_eq!(recorded.insert(user, coupon), None, "two coupons for one user");
        }
    }
    assert!(recorded == day.coupons, "the ledger has what was answered");
    eprintln!("{on:?}: {USERS} claims over ten rounds in {claimed:?}, all of it {:?} (debug build)", began.elapsed());
}

async fn over_ten_rounds_each_user_gets_exactly_three_coupons(on: On) {
    let shop = Shop::open(on).await;
    let three = pb::Campaign { max_per_user: Some(3), ..open_campaign("three each", 180) };
    let (c, _) = shop.create(daily(three, TEN_A_DAY)).await;
    let everybody = users(300);
    let mut coupons: HashMap<&str, usize> = HashMap::new();
    for opens in ten_starts() {
        planned(&shop, &c, opens).await;
        shop.set_to(opens).await;
        let had_three = coupons.values().filter(|count| **count == 3).count();
        let claims = shop.all_claim(&c, "", &everybody).await;
        let (mut yes, mut limited, mut sold_out) = (0, 0, 0);
        for (user, claim) in everybody.iter().zip(claims) {
            match claim.outcome {
                crate::shop::Outcome::Yes(_) => {
                    yes += 1;
                    *coupons.entry(user).or_default() += 1;
                }
                crate::shop::Outcome::No(refusal) if refusal.reason() == Reason::LimitReached => limited += 1,
                crate::shop::Outcome::No(refusal) => {
                    assert_eq!(refusal.reason(), Reason::SoldOut);
                    sold_out += 1;
                }
            }
        }
        let eligible = everybody.len() - had_three;
        assert_eq!((yes, limited, sold_out), (eligible.min(180), had_three, eligible.saturating_sub(180)));
        shop.ledger_caught_up(&c).await;
    }
    assert!(everybody.iter().all(|user| coupons[user.as_str()] == 3), "{coupons:?}");
    assert_eq!(shop.gate(&c).await.answers.issued, 900);
    let id = CampaignId::parse(&c).expect("an id");
    let recorded = shop.instances[0].stores.records.coupon_counts(&id, None, 1000).await.expect("the ledger answers");
    assert_eq!((recorded.len(), recorded.iter().all(|(_, count)| *count == 3)), (300, true));
}

/// A recurring campaign of New York, first come first served.
fn in_new_york(cron: &str, claims_last: i64) -> pb::Campaign {
    let mut campaign = daily(open_campaign("New York", 10), cron);
    let schedule = campaign.schedule.get_or_insert_default();
    schedule.claim_duration = Some(seconds(claims_last));
    if let Some(pb::schedule::Start::Recurring(recurrence)) = &mut schedule.start {
        recurrence.time_zone = "America/New_York".to_owned();
    }
    campaign
}

fn utc(time: &str) -> Timestamp {
    let instant = chrono::DateTime::parse_from_rfc3339(time).expect("a time");
    Timestamp::from_micros(instant.timestamp_micros())
}

async fn where_clocks_change_claims_open_as_the_contract_says(on: On) {
    // In 2026, New York's clocks go from 02:00 to 03:00 on 8 March, at 07:00 UTC, and from 02:00 to 01:00 on 1 November, at 06:00 UTC.
    let cases = [
        // 02:30 is skipped: at the first instant after the gap.
        (
            "30 2 * * *",
            "2026-03-06T18:00:00Z",
            ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
        ),
        // 02:30 comes once on the day on which 01:30 comes twice.
        (
            "30 2 * * *",
            "2026-10-30T18:00:00Z",
            ["2026-10-31T06:30:00Z", "2026-11-01T07:30:00Z", "2026-11-02T07:30:00Z"],
        ),
        // 01:30 is repeated: the first time.
        (
            "30 1 * * *",
            "2026-10-30T18:00:00Z",
            ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        // What happens each hour goes on each hour.
        (
            "30 * * * *",
            "2026-03-08T05:45:00Z",
            ["2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z"],
        ),
        (
            "30 * * * *",
            "2026-11-01T04:45:00Z",
            ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"],
        ),
    ];
    for (cron, now, starts) in cases {
        let shop = Shop::open(on).await;
        shop.set_to(utc(now)).await;
        let (c, _) = shop.create(in_new_york(cron, 60)).await;
        let rounds = shop.instances[0].planned(&c, 3).await;
        let mut windows: Vec<_> = rounds.iter().map(|round| (round.claim_opens_at, round.claim_closes_at)).collect();
        windows.reverse();
        let expected = starts.map(|start| (Some(instant(utc(start))), Some(instant(utc(start).plus(MINUTE)))));
        assert_eq!(windows, expected, "{cron} from {now}");

        // The round of the day on which clocks change; of an hourly one, that of the hour in which they do.
        let (round, opens) = (&rounds[1].id, utc(starts[1]));
        shop.set_to(opens.minus(MILLISECOND)).await;
        assert_eq!(shop.claim(&c, round, "ada").await.reason(), Reason::NotOpenYet, "{cron} from {now}");
        shop.set_to(opens).await;
        assert_eq!(shop.claim(&c, "", "ada").await.granted().round_id, *round, "{cron} from {now}");
        shop.set_to(opens.plus(MINUTE)).await;
        assert_eq!(shop.claim(&c, round, "bob").await.reason(), Reason::Closed, "{cron} from {now}");
    }
}

async fn rounds_that_would_overlap_are_refused_with_the_pair(on: On) {
    let shop = Shop::open(on).await;
    shop.set_to(utc("2026-01-10T18:00:00Z")).await;
    let operator = &shop.instances[0];
    // On each day; and on the one day of the year on which 02:30 is moved to 03:00.
    let pairs = [
        ("0,30 9 * * *", 1801, "2026-01-11T14:00:00+00:00 still claims when 2026-01-11T14:30:00+00:00 starts"),
        ("30 2,3 * * *", 1801, "2026-03-08T07:00:00+00:00 still claims when 2026-03-08T07:30:00+00:00 starts"),
    ];
    for (cron, claims_last, pair) in pairs {
        let (c, _) =
            operator.draft(in_new_york(cron, claims_last - 1)).await.expect("windows that touch do not overlap");
        let created = operator.draft(in_new_york(cron, claims_last)).await.map(drop);
        let updated = operator.update(change(&c.id, &["schedule"], in_new_york(cron, claims_last))).await.map(drop);
        for answer in [created, updated] {
            let (field, why) = violation(answer);
            assert_eq!(field, "campaign.schedule.claim_duration");
            assert!(why.contains(pair), "{cron}: {why}");
        }
        assert_eq!(operator.campaign(&c.id).await, c);
        operator.end(&c.id).await.expect("ended");
    }
}

/// The one field that a call was refused for.
fn violation(answer: Result<(), Status>) -> (String, String) {
    let status = fault(answer, Code::InvalidArgument, "INVALID_REQUEST");
    let violations = status.get_error_details().bad_request().expect("fields").field_violations.clone();
    let [one] = &violations[..] else { panic!("one field: {violations:?}") };
    (one.field.clone(), one.description.clone())
}
