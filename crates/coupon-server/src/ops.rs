//! The ops port: /metrics for Prometheus, /healthz (the process), /readyz (its stores).

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use coupon_usecases::engine::Engine;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Collects metrics from now on. Once per process.
///
/// # Errors
/// If something collects them already.
pub fn collect_metrics() -> anyhow::Result<PrometheusHandle> {
    let sizes = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
    let seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("coupon_batch_size".to_owned()), &sizes)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?;
    let handle = builder.install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    metrics::describe_counter!("coupon_answers_total", "Answers by verb and outcome; a refusal is an answer");
    metrics::describe_counter!("coupon_faults_total", "Calls that ended in a gRPC status, by reason");
    metrics::describe_histogram!("coupon_call_seconds", "Time to answer a call, by method");
    metrics::describe_histogram!("coupon_batch_size", "Calls gathered into one call of a store");
    metrics::describe_gauge!("coupon_recorder_lag_decisions", "Decisions that the ledger does not have yet");
    metrics::describe_counter!("coupon_recorder_halts_total", "Campaigns whose journal cannot be recorded");
    metrics::describe_counter!(
        "coupon_lost_decisions_total",
        "Decisions that were answered and are in no store any more"
    );
    metrics::describe_counter!("coupon_recoveries_total", "Gates opened or recovered");
    metrics::describe_gauge!("coupon_store_up", "1 if the store answers and keeps what it acknowledges");
}

/// Serves the ops port until `stop`.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    engine: Arc<Engine>,
    metrics: Option<PrometheusHandle>,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let render = move || {
        let text = metrics.as_ref().map(PrometheusHandle::render).unwrap_or_default();
        async move { text }
    };
    let routes = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(engine);
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn ready(State(engine): State<Arc<Engine>>) -> (StatusCode, String) {
    let (gate, ledger) = tokio::join!(engine.gate_is_well(), engine.ledger_is_well());
    let word = |well| if well { "ok" } else { "not ready" };
    let code = if gate && ledger { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("gate: {}\nledger: {}\n", word(gate), word(ledger)))
}
