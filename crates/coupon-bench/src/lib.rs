#![doc = include_str!("../README.md")]

pub mod baselines;
mod check;
mod crew;
mod drive;
mod given;
mod hand;
pub mod html;
mod job;
pub mod load;
mod machine;
pub mod plan;
mod progress;
pub mod report;
pub mod run;
mod scene;
mod schedule;
pub mod service;
pub mod suite;
pub mod table;
mod tally;
mod team;
mod wire;
pub mod workers;

pub use self::team::Means;
