//! Figures that people ask for, from release builds:
//! `cargo test --release -p coupon-server --test it -- figures --nocapture --test-threads=1`.
//! What is asserted is that all was exact. How much is done says the environment; by default it is little.

mod notices;
mod redeems;

use std::time::Duration;

/// A size from the environment.
fn size(name: &str, default: usize) -> usize {
    let given = std::env::var_os(name).map(|size| size.to_str().and_then(|size| size.parse().ok()));
    given.map_or(default, |size| size.unwrap_or_else(|| panic!("{name} is a number")))
}

fn per_second(count: usize, time: Duration) -> f64 {
    f64::from(u32::try_from(count).expect("fewer than billions")) / time.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
