//! The suites that every gate and every journal has to pass, and a longer comparison with the model.

use coupon_testkit::contract::differential::random_gates_equal_model;

use crate::support::on_private_server;

mod redis_keeps_the_gate_contract {
    coupon_testkit::gate_contract!(crate::support::on_private_server);
}

mod redis_keeps_the_journal_contract {
    coupon_testkit::journal_contract!(crate::support::on_private_server);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_random_sequences_are_answered_like_the_model() {
    random_gates_equal_model(&on_private_server().await, 200).await;
}
