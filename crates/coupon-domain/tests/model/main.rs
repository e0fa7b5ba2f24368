//! The specification itself is held to the rules: random histories keep the invariants, tables name every case of the decisions.

mod build;
mod drafts;
mod history;
mod invariants;
mod observer;
mod rebuilding;
mod redeeming;
