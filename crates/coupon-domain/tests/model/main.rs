//! The specification itself is held to the rules: random histories keep the invariants, tables name every case of the decisions.

mod audits;
mod build;
mod changes;
mod checkouts;
mod desk;
mod drafts;
mod draws;
mod events;
mod facts;
mod gate;
mod history;
mod invariants;
mod ledger;
mod losses;
mod notices;
mod observer;
mod orders;
mod play;
mod rebuilding;
mod recordings;
mod revisions;
mod states;
mod supplies;
