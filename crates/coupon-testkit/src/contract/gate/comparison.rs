//! A gate answers exactly like the model, call by call.

use crate::contract::differential;
use crate::under_test::GateUnderTest;

/// Sixty random sequences; one that is answered differently is made as short as can be and printed.
pub async fn random_sequences_are_answered_like_the_model(under_test: GateUnderTest) {
    differential::random_gates_equal_model(&under_test, 60).await;
}
