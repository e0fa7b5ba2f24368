//! The embedded adapters: the contracts that every adapter keeps, and what is theirs alone.

mod constraints;
mod contracts;
mod draws;
mod folder;
mod gate;
mod ledger;
mod redeem;
mod shop;
