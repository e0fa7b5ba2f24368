//! The adapter against private NATS servers.

mod contract;
mod stream;
mod support;
