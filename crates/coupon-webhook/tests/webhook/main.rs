//! The adapter against receivers on loopback.

mod contract;
mod example;
mod misbehaviour;
mod support;
