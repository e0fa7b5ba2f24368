//! Inbound adapter: gRPC services over the use cases. Parses, renders, and holds the one table from faults to statuses; knows no store.

mod middleware;
mod parse;
mod render;
pub mod server;
mod services;
pub mod status;

pub use middleware::REQUEST_ID;
