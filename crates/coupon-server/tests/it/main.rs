//! The service from outside: real sockets, real processes, both sets of adapters.

mod bad_input;
mod checkout;
mod cli;
mod dependencies;
mod operators;
mod process;
mod readme;
mod rush;
mod sample;
mod scenarios;
mod shop;
mod survival;
