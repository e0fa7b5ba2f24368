//! The adapter against private Redis servers.

mod contract;
mod functions;
mod losses;
mod outages;
mod preflight;
mod support;
