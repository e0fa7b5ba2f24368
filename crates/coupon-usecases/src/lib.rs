//! What the service does: one file a use case, on the ports of coupon-domain.
//!
//! [`engine::Engine`] is what they share: sessions with the campaigns' gates, fenced by the ledger. `opener` opens and recovers gates,
//! `recorder` moves the journal into the ledger, `scheduler` looks after campaigns; `coalescer` makes one batch of many callers.

pub mod ask;
pub mod campaigns;
pub mod claim;
pub mod coalescer;
pub mod coupons;
pub mod engine;
pub mod error;
mod opener;
mod recorder;
pub mod redeem;
pub mod reserve;
pub mod rounds;
mod scheduler;
mod session;
