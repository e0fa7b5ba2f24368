//! `coupon`: see [`coupon_server::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Only in builds for tests: the places where a process may be made to stay, to be killed there.
    let _failpoints = fail::has_failpoints().then(fail::FailScenario::setup);
    coupon_server::cli::run(std::env::args_os().collect()).await
}
