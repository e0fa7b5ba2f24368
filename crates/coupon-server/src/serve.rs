//! The service from its settings to its end. Listener and stop signal are arguments, so that tests run the same on port 0.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use coupon_domain::code::MasterKeys;
use coupon_domain::ports::Retention;
use coupon_usecases::coalescer::Limits;
use coupon_usecases::engine::{Engine, Settings as EngineSettings};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::ServiceClock;
use crate::settings::{Backend, LogFormat, Settings};
use crate::stores::Opened;
use crate::{banner, keys, ops, outlets, sample, stores};

/// What is served, and where.
pub struct Service {
    /// The use cases.
    pub engine: Arc<Engine>,
    /// For gRPC.
    pub listener: TcpListener,
    /// For the ops port.
    pub ops: Option<(TcpListener, Option<PrometheusHandle>)>,
    /// Longest time from `stop` to the end.
    pub stop_timeout: Duration,
}

/// Runs the service until a signal says otherwise.
///
/// # Errors
/// If it cannot start: see [`stores::open`].
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let metrics = ops::collect_metrics()?;
    // Before the stores: two instances on one port are told apart at once.
    let listener = bind("--listen (COUPON_LISTEN)", settings.listen).await?;
    let ops = match settings.ops_address()? {
        Some(address) => Some((bind("--ops-listen (COUPON_OPS_LISTEN)", address).await?, Some(metrics))),
        None => None,
    };
    let clock = Arc::new(ServiceClock::default());
    let opened = stores::open(&settings, &clock).await?;
    let keys = keys::load_or_create(&settings.keys_path())?;
    keys::agree(&keys, opened.stores.campaigns.as_ref()).await?;
    let installation = opened.stores.campaigns.installation().await?;
    let outlets = outlets::open(&settings, installation, Arc::clone(&clock) as _).await?;
    let description: Vec<_> = opened.description.iter().cloned().chain(outlets::describe(&settings)).collect();
    let engine = start_engine(&settings, opened, keys);
    let sampled = settings.backend()? == Backend::Embedded && !settings.no_sample_data;
    if sampled {
        sample::load(&engine, &clock).await.context("the sample data cannot be loaded")?;
    }
    outlets.into_iter().for_each(|outlet| engine.deliver(outlet));
    let (address, ops_address) = (listener.local_addr()?, ops.as_ref().and_then(|(ops, _)| ops.local_addr().ok()));
    match settings.log_format {
        LogFormat::Text => banner::print(address, ops_address, &description, sampled),
        // Whoever collects JSON has no use for a banner between.
        LogFormat::Json => info!(%address, stores = description.join("; "), "ready"),
    }
    let service = Service { engine, listener, ops, stop_timeout: settings.stop_timeout };
    serve(service, stop_signal()?).await
}

async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("{setting}: {address} cannot be listened on; is another instance running?"))
}

/// The use cases on these stores.
#[must_use]
pub fn start_engine(settings: &Settings, opened: Opened, keys: MasterKeys) -> Arc<Engine> {
    let defaults = EngineSettings::default();
    let gate = Limits {
        batch: settings.batch_size as usize,
        in_flight: settings.batches_in_flight as usize,
        queue: settings.queue_length as usize,
    };
    let retention = Retention { min: settings.event_retention_min, max: settings.event_retention_max };
    Engine::start(opened.stores, keys, EngineSettings { gate, fence: opened.fence, retention, ..defaults })
}

/// Serves until `stop` is cancelled: no new calls, the open ones answered, what was decided recorded, all within the time-out.
///
/// # Errors
/// If a listener fails.
pub async fn serve(service: Service, stop: CancellationToken) -> anyhow::Result<()> {
    let Service { engine, listener, ops, stop_timeout } = service;
    if let Some((listener, metrics)) = ops {
        let (engine, stop) = (Arc::clone(&engine), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = ops::serve(engine, metrics, listener, stop).await {
                warn!(%error, "the ops port has ended");
            }
        });
    }
    let grpc = coupon_grpc::server::serve(Arc::clone(&engine), listener, stop.clone().cancelled_owned());
    let hard_limit = async {
        stop.cancelled().await;
        tokio::time::sleep(stop_timeout).await;
    };
    let served = tokio::select! {
        served = grpc => served.map_err(anyhow::Error::from_boxed),
        () = hard_limit => {
            warn!("connections are still open after {stop_timeout:?}; ending without them");
            Ok(())
        }
    };
    if tokio::time::timeout(stop_timeout, engine.stop()).await.is_err() {
        warn!("not all is recorded; the next start goes on from here");
    }
    info!("stopped");
    served
}

/// Cancelled by the first SIGINT or SIGTERM.
fn stop_signal() -> anyhow::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        info!("stopping");
        cancel.cancel();
    });
    Ok(stop)
}
