//! A ledger redeems exactly like the rules say, batch by batch.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coupon_domain::money::Money;
use coupon_domain::redemption::Redeem;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::history::History;
use super::redeeming::call;
use crate::build::{a_campaign, coupon_id, eur, jpy, round, round_id, second, user};
use crate::contract::till::Till;
use crate::under_test::LedgerUnderTest;

/// A call among few coupons, users and orders, so that they meet.
#[derive(Debug, Clone)]
struct Try {
    serial: u32,
    /// `None` is the owner.
    user: Option<u8>,
    order: u8,
    amount: Money,
}

/// A batch after so many seconds.
type Batch = (i64, Vec<Try>);

fn a_try() -> impl Strategy<Value = Try> {
    let amounts = select(vec![eur(2000), eur(2000), eur(2000), eur(3000), eur(999), jpy(2000)]);
    let user = prop_oneof![9 => Just(None), 1 => (0u8..4).prop_map(Some)];
    // Serials 5 and 6 were never issued.
    (prop_oneof![9 => 0u32..5, 1 => 5u32..7], user, 0u8..5, amounts).prop_map(|(serial, user, order, amount)| Try {
        serial,
        user,
        order,
        amount,
    })
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    vec((prop_oneof![3 => 0i64..5, 1 => 20i64..60], vec(a_try(), 1..8)), 1..12)
}

/// Against [`Till`], which folds the decisions of the rules.
pub async fn random_redemptions_are_answered_like_the_rules(ledger: LedgerUnderTest) {
    let config = Config { cases: 25, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
    let case = AtomicU32::new(1);
    let runtime = tokio::runtime::Handle::current();
    let compared = tokio::task::block_in_place(|| {
        let outcome = TestRunner::new(config).run(&batches(), |batches| {
            let case = case.fetch_add(1, Ordering::Relaxed);
            runtime.block_on(redeems_like_the_rules(&ledger, case, &batches)).map_err(TestCaseError::fail)
        });
        outcome.map_err(|error| match error {
            TestError::Fail(difference, batches) => format!("{difference}\nafter these:\n{batches:#?}"),
            TestError::Abort(reason) => reason.to_string(),
        })
    });
    if let Err(difference) = compared {
        panic!("{difference}");
    }
}

async fn redeems_like_the_rules(ledger: &LedgerUnderTest, case: u32, batches: &[Batch]) -> Result<(), String> {
    let campaign = format!("case-{case}");
    let (till, mut now) = (five_coupons(ledger, &campaign, case).await, 400);
    let mut till = till;
    for (wait, tries) in batches {
        now += wait;
        ledger.clock.set(second(now)).await;
        let calls: Vec<_> = tries.iter().map(|one| one.call(&campaign, case)).collect();
        let expected: Vec<_> = calls.iter().map(|call| till.redeem(call, second(now))).collect();
        let found = ledger.coupons.redeem(&calls).await.map_err(|e| format!("{e:?}"))?;
        if found != expected {
            return Err(format!("{calls:#?}\nby the rules:  {expected:#?}\nby the ledger: {found:#?}"));
        }
        for call in &calls {
            let (facts, at) = ledger.coupons.redeem_facts(call).await.map_err(|e| format!("{e:?}"))?;
            let wanted = till.facts(call);
            if (&facts.coupon, &facts.order, at) != (&wanted.coupon, &wanted.order, second(now)) {
                return Err(format!(
                    "facts of {call:#?}\nby the rules:  {wanted:#?}\nby the ledger: {facts:#?} at {at:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Claimed in seconds 300, 310 ..., valid for 200 s: they expire while calls come.
async fn five_coupons(ledger: &LedgerUnderTest, campaign: &str, number: u32) -> Till {
    ledger.clock.set(second(400)).await;
    let mut history = History::begin(ledger, &a_campaign(campaign)).await;
    history.open_round(round(number).claiming(300..360).valid_for(Duration::from_secs(200)), second(0));
    for serial in 0..5 {
        history.claim(round_id(number), &[user(&format!("u-{serial}"))], second(300 + 10 * serial));
    }
    history.record(ledger).await;
    let mut till = Till::default();
    history.fold.coupons.iter().for_each(|row| till.add(&history.campaign, row));
    till
}

impl Try {
    fn call(&self, campaign: &str, round: u32) -> Redeem {
        let who = self.user.map_or_else(|| format!("u-{}", self.serial), |i| format!("u-{i}"));
        call(campaign, coupon_id(round, self.serial), &who, &format!("o-{}", self.order), self.amount)
    }
}
