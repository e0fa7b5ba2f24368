//! A ledger decides calls exactly like the rules say, batch by batch, and tells exactly what they tell.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coupon_domain::audit::AuditRecord;
use coupon_domain::checkout::{Call, Changes, GiveBack, Hold, Void};
use coupon_domain::money::Money;
use coupon_domain::ports::{Event, EventKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestError, TestRunner};
use uuid::Uuid;

use super::desk::{redeem, sweep_all};
use super::history::{History, events_after};
use crate::build::{a_campaign, by_whom, campaign_id, coupon_id, eur, jpy, order, round, round_id, second, user};
use crate::contract::till::Till;
use crate::under_test::LedgerUnderTest;

/// Coupons that were issued.
const ISSUED: u32 = 5;

/// Which call.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Hold { seconds: u64 },
    Redeem { amount: Money },
    Release,
    Rollback,
    Void,
}

/// A call among few coupons, users and orders, so that they meet.
#[derive(Debug, Clone)]
struct Try {
    kind: Kind,
    serial: u32,
    /// `None` is the owner.
    user: Option<u8>,
    order: u8,
}

#[derive(Debug, Clone)]
enum Step {
    Calls(Vec<Try>),
    Foresee(Try),
    Sweep,
}

fn a_try() -> impl Strategy<Value = Try> {
    let amounts = select(vec![eur(2000), eur(2000), eur(2000), eur(3000), eur(999), jpy(2000)]);
    let kind = prop_oneof![
        6 => select(vec![1, 5, 60, 86_400]).prop_map(|seconds| Kind::Hold { seconds }),
        6 => amounts.prop_map(|amount| Kind::Redeem { amount }),
        3 => Just(Kind::Release),
        3 => Just(Kind::Rollback),
        1 => Just(Kind::Void),
    ];
    let user = prop_oneof![9 => Just(None), 1 => (0u8..4).prop_map(Some)];
    // Serials 5 and 6 were never issued. There are few orders for each coupon, most of them its own.
    let serial = prop_oneof![9 => 0..ISSUED, 1 => ISSUED..7];
    (kind, serial, user, 0u8..3, any::<bool>()).prop_map(|(kind, serial, user, order, own)| Try {
        kind,
        serial,
        user,
        order: if own { u8::try_from(serial).unwrap_or(0) } else { order },
    })
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let step = prop_oneof![
        6 => vec(a_try(), 1..8).prop_map(Step::Calls),
        2 => a_try().prop_map(Step::Foresee),
        1 => Just(Step::Sweep),
    ];
    vec((prop_oneof![4 => 0i64..5, 1 => 20i64..60], step), 1..16)
}

/// Against [`Till`], which keeps all in one book: answers, coupons as stored, events and audit records.
pub async fn random_calls_are_answered_like_the_rules(ledger: LedgerUnderTest) {
    let config = Config { cases: 40, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let case = AtomicU32::new(1);
    let runtime = tokio::runtime::Handle::current();
    let compared = tokio::task::block_in_place(|| {
        let outcome = TestRunner::new(config).run(&steps(), |steps| {
            let case = case.fetch_add(1, Ordering::Relaxed);
            runtime.block_on(decides_like_the_rules(&ledger, case, &steps)).map_err(TestCaseError::fail)
        });
        outcome.map_err(|error| match error {
            TestError::Fail(difference, steps) => format!("{difference}\nafter these:\n{steps:#?}"),
            TestError::Abort(reason) => reason.to_string(),
        })
    });
    if let Err(difference) = compared {
        panic!("{difference}");
    }
}

/// One campaign of the ledger, and what should be there.
struct Comparison<'a> {
    ledger: &'a LedgerUnderTest,
    campaign: String,
    round: u32,
    till: Till,
    audits: Vec<AuditRecord>,
    /// Events up to there have been compared.
    seen: i64,
}

async fn decides_like_the_rules(ledger: &LedgerUnderTest, case: u32, steps: &[(i64, Step)]) -> Result<(), String> {
    let campaign = format!("case-{case}");
    let (till, mut now) = (five_coupons(ledger, &campaign, case).await, 400);
    let seen = events_after(ledger, 0).await.last().map_or(0, |(position, _)| *position);
    let mut comparison = Comparison { ledger, campaign, round: case, till, audits: Vec::new(), seen };
    for (wait, step) in steps {
        now += wait;
        ledger.clock.set(second(now)).await;
        comparison.step(step, now).await?;
    }
    Ok(())
}

impl Comparison<'_> {
    async fn step(&mut self, step: &Step, now: i64) -> Result<(), String> {
        let (coupons, at) = (&self.ledger.coupons, second(now));
        let changes = match step {
            Step::Calls(tries) => {
                let calls: Vec<_> = tries.iter().map(|one| one.call(&self.campaign, self.round)).collect();
                let (expected, changes) = self.till.carry_out(&calls, at);
                let found = coupons.carry_out(&calls).await.map_err(|e| format!("{e:?}"))?;
                same(&format!("{calls:#?}"), &expected, &found)?;
                changes
            }
            Step::Foresee(one) => {
                let call = one.call(&self.campaign, self.round);
                let found = coupons.foresee(&call).await.map_err(|e| format!("{e:?}"))?;
                same(&format!("foreseen {call:#?}"), &self.till.foresee(&call, at), &found)?;
                Changes::default()
            }
            Step::Sweep => {
                // Coupons of earlier cases may be swept too.
                sweep_all(self.ledger, 100).await;
                let all: Vec<_> = self.till.coupons.keys().copied().collect();
                self.till.sweep(&all, at)
            }
        };
        self.compare(changes).await
    }

    async fn compare(&mut self, changes: Changes) -> Result<(), String> {
        for (id, expected) in &self.till.coupons {
            let found = self.ledger.coupons.coupon(*id).await.map_err(|e| format!("{e:?}"))?;
            same("stored", &Some(expected), &found.as_ref().map(|(coupon, _)| coupon))?;
        }
        let events = events_after(self.ledger, self.seen).await;
        self.seen = events.last().map_or(self.seen, |(position, _)| *position);
        let own = events.into_iter().map(|(_, event)| event).filter(|e| e.campaign.as_str() == self.campaign);
        same("told", &by_key(changes.events), &by_key(own))?;

        self.audits.extend(changes.audits);
        let id = campaign_id(&self.campaign);
        let records = self.ledger.audit.audit_records(Some(&id), None, 1000).await.map_err(|e| format!("{e:?}"))?;
        // Latest first; the first of all is that of the campaign's creation.
        let found: Vec<_> = records.into_iter().rev().skip(1).map(|(_, record)| record).collect();
        same("audited", &self.audits, &found)
    }
}

/// Their order matters for each key alone, and ids are anybody's.
fn by_key(events: impl IntoIterator<Item = Event>) -> BTreeMap<String, Vec<Event>> {
    let mut keys = BTreeMap::<_, Vec<_>>::new();
    for event in events {
        assert_ne!(event.kind, EventKind::CouponIssued, "all were told before");
        keys.entry(event.key()).or_default().push(Event { id: String::new(), ..event });
    }
    keys
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Result<(), String> {
    let difference = || format!("{what}\nby the rules:  {expected:#?}\nby the ledger: {found:#?}");
    if found == expected { Ok(()) } else { Err(difference()) }
}

/// Claimed in seconds 300, 310 ..., valid for 200 s: they expire while calls come.
async fn five_coupons(ledger: &LedgerUnderTest, campaign: &str, number: u32) -> Till {
    ledger.clock.set(second(400)).await;
    let mut history = History::begin(ledger, &a_campaign(campaign)).await;
    history.open_round(round(number).claiming(300..360).valid_for(Duration::from_secs(200)), second(0));
    for serial in 0..ISSUED {
        history.claim(round_id(number), &[user(&format!("u-{serial}"))], second(300 + 10 * i64::from(serial)));
    }
    history.record(ledger).await;
    let mut till = Till::default();
    history.fold.coupons.iter().for_each(|row| till.add(&history.campaign, row));
    till
}

impl Try {
    fn call(&self, campaign: &str, round: u32) -> Call {
        let (coupon, order_id) = (coupon_id(round, self.serial), format!("o-{}", self.order));
        let who = self.user.map_or_else(|| format!("u-{}", self.serial), |i| format!("u-{i}"));
        let back = || GiveBack {
            campaign: campaign_id(campaign),
            order: order(&order_id),
            user: user(&who),
            reason: if self.order == 0 { String::new() } else { format!("because of {who}") },
        };
        match self.kind {
            Kind::Hold { seconds } => Call::Hold(Hold {
                coupon,
                campaign: campaign_id(campaign),
                user: user(&who),
                order: order(&order_id),
                ttl: Duration::from_secs(seconds),
            }),
            Kind::Redeem { amount } => Call::Redeem(redeem(campaign, coupon, &who, &order_id, amount)),
            Kind::Release => Call::Release(back()),
            Kind::Rollback => Call::Rollback(back()),
            Kind::Void => {
                let request = self.user.map(|i| Uuid::from_u128(u128::from(i) + 1));
                Call::Void(Void { coupon, reason: order_id, by: by_whom(&who, request) })
            }
        }
    }
}
