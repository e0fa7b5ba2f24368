//! The adapter against private Redis servers.

mod contract;
mod draws;
mod functions;
mod losses;
mod migrating;
mod outages;
mod preflight;
mod proxy;
mod support;
