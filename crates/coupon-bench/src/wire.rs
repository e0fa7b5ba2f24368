//! The wire as a generator sees it: few copies, no queue between a caller and the connection, and of each answer only what is looked at.

mod connection;
pub(crate) mod message;

pub(crate) use self::connection::{Connection, Grpc};
