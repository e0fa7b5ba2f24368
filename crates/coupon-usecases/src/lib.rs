#![doc = include_str!("../README.md")]

pub mod ask;
pub mod audit;
pub mod campaigns;
pub mod checkout;
pub mod claim;
pub mod coalescer;
pub mod coupons;
pub mod delivery;
pub mod draws;
pub mod engine;
pub mod error;
pub mod feed;
mod opener;
mod recorder;
pub mod reserve;
pub mod rounds;
mod scheduler;
mod session;
pub mod statistics;
pub mod steering;
mod upkeep;
pub mod users;
pub mod watch;
