//! Cargo does not see what `embed_migrations!` reads.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations/sqlite");
}
