//! The services, a file for each. A handler has three lines: parse, run, render.

mod campaign;
mod coupon;
mod event;
mod many;
mod streams;
mod user;

use std::sync::Arc;

use coupon_usecases::engine::Engine;
use tokio_util::sync::CancellationToken;

/// All services, on the use cases.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) engine: Arc<Engine>,
    /// Streams that would go on for ever end with the service.
    pub(crate) stopping: CancellationToken,
}
