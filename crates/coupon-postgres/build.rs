//! A new migration is no change of a Rust file: cargo has to be told to look there.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/postgres");
}
