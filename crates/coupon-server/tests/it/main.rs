//! The service from outside: real sockets, real processes, both sets of adapters.

mod bad_input;
mod checkout;
mod cli;
mod dependencies;
mod draw_file;
mod draws;
mod operators;
mod process;
mod readme;
mod recurring;
mod rush;
mod sample;
mod scenarios;
mod shop;
mod simulate;
mod survival;
mod users;
mod watching;
