#![doc = include_str!("../README.md")]

mod campaigns;
mod config;
mod connection;
mod coupons;
mod create;
mod draws;
mod events;
mod failure;
mod migrate;
mod preflight;
mod record;
mod records;
mod redeem;
mod requests;
mod rows;
mod snapshot;
mod statement;
mod statistics;
mod titles;
mod users;

pub use self::config::PostgresConfig;
pub use self::connection::PostgresLedger;
pub use self::migrate::{MigrateError, migrate};
pub use self::preflight::Unfit;
