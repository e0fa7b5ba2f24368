#![doc = include_str!("../README.md")]

mod audit;
mod campaigns;
mod checkout;
mod config;
mod connection;
mod coupons;
mod create;
mod deliveries;
mod draws;
mod events;
mod failure;
mod feed;
mod migrate;
mod notices;
mod preflight;
mod record;
mod records;
mod requests;
mod rows;
mod snapshot;
mod statement;
mod statistics;
mod subscribers;
mod sweep;
mod titles;
mod users;
mod write;

pub use self::config::PostgresConfig;
pub use self::connection::PostgresLedger;
pub use self::migrate::{MigrateError, migrate};
pub use self::preflight::Unfit;
