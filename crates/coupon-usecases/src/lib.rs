#![doc = include_str!("../README.md")]

pub mod ask;
pub mod campaigns;
pub mod claim;
pub mod coalescer;
pub mod coupons;
pub mod draws;
pub mod engine;
pub mod error;
mod opener;
mod recorder;
pub mod redeem;
pub mod reserve;
pub mod rounds;
mod scheduler;
mod session;
pub mod statistics;
pub mod steering;
pub mod users;
pub mod watch;
