//! A gate compared with the model, call by call, over random sequences.
//!
//! Both are asked the same through the port: the model as [`ReferenceGate`](crate::contract::reference::ReferenceGate), so that what a gate adds to the model (batch sizes, epochs,
//! freezing, loading) is compared as well.

mod call;
mod pair;
mod question;
mod sequence;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

pub use self::call::{Call, Limits, Of, Operator, Seen, Won};
use self::pair::Pair;
pub use self::sequence::{Sequence, Step, sequences};
use crate::under_test::GateUnderTest;

/// How often each kind of answer was given, such as `claim SOLD_OUT`.
pub type Answers = BTreeMap<String, u32>;

/// A step that two gates answered differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}, {what}\n  model: {model}\n  gate:  {gate}")]
pub struct Difference {
    /// Its index in the sequence.
    pub step: usize,
    /// What was asked.
    pub what: String,
    /// What the model said.
    pub model: String,
    /// What the gate said.
    pub gate: String,
}

/// Compares a gate with the model over so many random sequences, each in a campaign of its own.
///
/// # Panics
/// With the shortest sequence that was found to be answered differently. Needs the multi-thread runtime.
pub async fn random_gates_equal_model(under_test: &GateUnderTest, cases: u32) {
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1000, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let case = AtomicU32::new(0);
    let runtime = tokio::runtime::Handle::current();
    let compared = tokio::task::block_in_place(|| {
        let outcome = runner.run(&sequences(), |sequence| {
            let case = case.fetch_add(1, Ordering::Relaxed);
            runtime
                .block_on(gate_equals_model(under_test, case, &sequence))
                .map(drop)
                .map_err(|difference| TestCaseError::fail(difference.to_string()))
        });
        outcome.map_err(|error| match error {
            TestError::Fail(difference, sequence) => format!("{difference}\n{sequence}"),
            TestError::Abort(reason) => reason.to_string(),
        })
    });
    if let Err(difference) = compared {
        panic!("{difference}");
    }
}

/// Compares a gate with the model over one sequence; `case` gives the campaign its id and its rounds their numbers.
///
/// # Errors
/// The first difference.
pub async fn gate_equals_model(
    under_test: &GateUnderTest,
    case: u32,
    sequence: &Sequence,
) -> Result<Answers, Difference> {
    Pair::new(under_test, case, sequence).run(&sequence.steps).await
}
