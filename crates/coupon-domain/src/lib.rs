#![doc = include_str!("../README.md")]

pub mod answer;
pub mod audit;
pub mod benefit;
pub mod campaign;
pub mod checkout;
pub mod choice;
pub mod code;
pub mod draw;
mod encoding;
pub mod ids;
pub mod journal;
pub mod loss;
pub mod model;
pub mod money;
pub mod notice;
pub mod ports;
pub mod position;
pub mod recording;
pub mod redemption;
pub mod round;
pub mod schedule;
pub mod stats;
pub mod supply;
pub mod time;
