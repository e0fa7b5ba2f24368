//! The specification itself is held to the rules: random histories keep the invariants, tables name every case of the decisions.

mod build;
mod changes;
mod drafts;
mod draws;
mod facts;
mod gate;
mod history;
mod invariants;
mod ledger;
mod losses;
mod observer;
mod play;
mod rebuilding;
mod recordings;
mod redeeming;
mod revisions;
mod states;
mod supplies;
