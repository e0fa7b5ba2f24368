#![doc = include_str!("../README.md")]

mod config;
mod connection;
mod message;
mod publisher;

pub use config::{InvalidConfig, NatsConfig, Servers};
pub use connection::NotSetUp;
pub use publisher::NatsPublisher;
