//! `coupon`: see [`coupon_server::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    coupon_server::cli::run(std::env::args_os().collect()).await
}
