//! One suite a port: what the specification promises, as tests that every adapter has to pass.
//!
//! Each suite lists its rules once; its macro makes a test of each, named as the rule. A rule is given an adapter with a store of its own.
//!
//! ```ignore
//! mod redis_keeps_the_gate_contract {
//!     coupon_testkit::gate_contract!(crate::on_private_server);
//! }
//! ```

pub mod differential;
pub mod fold;
pub mod gate;
pub mod journal;
pub mod publisher;
pub mod reference;
pub mod repository;
mod scene;
pub mod till;

/// Makes a test of each rule of a suite; see `gate_contract!` and its kin.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($suite:ident, $make:path, [$($file:ident: $($rule:ident),+;)+]) => {
        $($(
            #[tokio::test(flavor = "multi_thread")]
            async fn $rule() {
                $crate::contract::$suite::$rule($make().await).await;
            }
        )+)+
    };
}

/// Publishes the rules that a suite lists, so that one which is written but not listed is reported as never used.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_rules {
    ([$($file:ident: $($rule:ident),+;)+]) => {
        $(pub use self::$file::{$($rule),+};)+
    };
}
