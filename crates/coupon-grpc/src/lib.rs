#![doc = include_str!("../README.md")]

mod middleware;
mod parse;
mod render;
pub mod server;
mod services;
pub mod status;
mod streams;

pub use middleware::REQUEST_ID;
pub use parse::ACTOR;
