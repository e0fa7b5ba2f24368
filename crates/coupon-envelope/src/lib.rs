#![doc = include_str!("../README.md")]

mod cloud;
mod json;
mod message;
mod read;

pub use cloud::{Attributes, CLOUD_EVENTS_JSON, DATA_JSON, DATA_PROTOBUF, source, structured};
pub use json::json;
pub use message::{encoded, message};
pub use read::{Unreadable, event, event_of_json};
