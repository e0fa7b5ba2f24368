#![doc = include_str!("../README.md")]

pub mod nats;
pub mod postgres;
pub mod redis;
pub mod server;
