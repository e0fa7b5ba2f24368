#![doc = include_str!("../README.md")]

pub mod build;
pub mod contract;
pub mod nats;
pub mod postgres;
pub mod receiver;
pub mod redis;
pub mod server;
pub mod under_test;
