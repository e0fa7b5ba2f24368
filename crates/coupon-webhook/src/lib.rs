#![doc = include_str!("../README.md")]

mod address;
mod publisher;
mod secret;
mod target;
mod tls;

pub use publisher::{NotSetUp, WebhookConfig, WebhookPublisher};
pub use secret::{InvalidSecret, Secret};
pub use target::{InvalidTarget, Target};
