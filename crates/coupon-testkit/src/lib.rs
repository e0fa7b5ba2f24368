//! For tests: private servers, builders, test clocks, contract suites.
//!
//! A contract suite is a macro that is given one async function returning what is under test; it makes one test of each rule.

pub mod build;
pub mod contract;
pub mod postgres;
pub mod redis;
pub mod server;
pub mod under_test;
