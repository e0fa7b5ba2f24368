//! What the service's figures are compared with: the least that its stores could do for the same work, by the stores' own programs.
//!
//! Each baseline runs against a private server that is already there, checks that the work was really done, and answers how much of it was
//! done a second. Those on Postgres need a database with the service's schema that no service uses, on the server of the one that the
//! service does: [`create_database`] makes one, `coupon migrate` its schema.

mod programs;
mod recording;
mod redeems;
mod redis;
mod sql;

pub use recording::insert_select;
pub use redeems::{pgbench_bare_update, pgbench_redeem, prepare_redeems};
pub use redis::naive_eval;
pub use sql::create_database;
