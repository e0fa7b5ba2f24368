//! The service from outside: real sockets, real processes, both sets of adapters.

mod bad_input;
mod cli;
mod dependencies;
mod process;
mod readme;
mod rush;
mod sample;
mod scenarios;
mod shop;
mod survival;
