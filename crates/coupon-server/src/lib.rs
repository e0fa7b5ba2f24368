#![doc = include_str!("../README.md")]

pub mod banner;
pub mod cli;
pub mod clock;
pub mod keys;
mod logging;
pub mod ops;
pub mod outlets;
mod private_file;
pub mod sample;
pub mod serve;
pub mod settings;
pub mod simulate;
pub mod stores;
