#![doc = include_str!("../README.md")]

pub use coupon_local::{nats, server};

pub mod build;
pub mod contract;
pub mod postgres;
pub mod receiver;
pub mod redis;
pub mod under_test;
