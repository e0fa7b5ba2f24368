//! The embedded adapters: the contracts that every adapter keeps, and what is theirs alone.

mod audit;
mod checkout;
mod constraints;
mod contracts;
mod deliveries;
mod draws;
mod feed;
mod folder;
mod gate;
mod ledger;
mod notices;
mod shop;
