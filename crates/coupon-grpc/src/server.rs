//! The port: services, health, reflection, gRPC-Web, and the limits that keep one caller from harming the others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coupon_proto::v1::campaign_service_server::{self, CampaignServiceServer};
use coupon_proto::v1::coupon_service_server::{self, CouponServiceServer};
use coupon_proto::v1::event_service_server::{self, EventServiceServer};
use coupon_proto::v1::user_service_server::{self, UserServiceServer};
use coupon_usecases::engine::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;

use crate::middleware::CallLayer;
use crate::services::Services;
use crate::streams::Streams;

/// A request has at most so many bytes.
pub const MAX_REQUEST: usize = 16 * 1024;
/// A message that is one of many in a stream has at most so many bytes.
pub const MAX_STREAM_MESSAGE: usize = 4 * 1024;
const MAX_HEADERS: u32 = 16 * 1024;
const STREAMS_PER_CONNECTION: u32 = 512;
/// Over all connections.
const CALLS_AT_ONCE: usize = 50_000;
/// Streams that this side resets because of the peer's mistakes; hyper's own guard against rapid reset, which tonic switches off.
const MAX_LOCAL_RESETS: usize = 1024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// All that is served on the port.
const DESCRIPTORS: [&[u8]; 4] = [
    coupon_proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Serves on this listener until `stop` is done, then until the last call is answered.
///
/// # Errors
/// If the transport fails or the descriptors cannot be read.
pub async fn serve(
    engine: Arc<Engine>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let streams = Streams::described_by(&DESCRIPTORS)?;
    let (health, health_service) = tonic_health::server::health_reporter();
    let watch = tokio::spawn(watch_health(Arc::clone(&engine), health.clone()));
    let stopping = CancellationToken::new();
    let services = Services { engine, stopping: stopping.clone() };
    let coupons = CouponServiceServer::new(services.clone()).max_decoding_message_size(MAX_REQUEST);
    let campaigns = CampaignServiceServer::new(services.clone()).max_decoding_message_size(MAX_REQUEST);
    let users = UserServiceServer::new(services.clone()).max_decoding_message_size(MAX_REQUEST);
    let events = EventServiceServer::new(services).max_decoding_message_size(MAX_REQUEST);
    let mut routes = Routes::builder();
    routes.add_service(coupons).add_service(campaigns).add_service(users).add_service(events);
    routes.add_service(health_service);
    routes.add_service(reflection().build_v1()?).add_service(reflection().build_v1alpha()?);

    let announce_stop = async {
        stop.await;
        watch.abort();
        stopping.cancel();
        // Callers who watch leave first; the listener closes after this.
        health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        set_health(&health, false, false).await;
    };
    Server::builder()
        .accept_http1(true)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADERS)
        .http2_max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(GrpcWebLayer::new())
        .layer(CallLayer::new(CALLS_AT_ONCE, streams))
        .add_routes(routes.routes())
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), announce_stop)
        .await?;
    Ok(())
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(coupon_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // Error details travel as Any; a caller can look them up.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

/// CouponService follows the gate, the other services follow the ledger; the empty name is the process.
async fn watch_health(engine: Arc<Engine>, health: HealthReporter) {
    loop {
        let (gate, ledger) = tokio::join!(engine.gate_is_well(), engine.ledger_is_well());
        set_health(&health, gate, ledger).await;
        tokio::time::sleep(HEALTH_INTERVAL).await;
    }
}

async fn set_health(health: &HealthReporter, gate: bool, ledger: bool) {
    let status = |well| {
        if well { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing }
    };
    health.set_service_status(coupon_service_server::SERVICE_NAME, status(gate && ledger)).await;
    health.set_service_status(campaign_service_server::SERVICE_NAME, status(ledger)).await;
    health.set_service_status(user_service_server::SERVICE_NAME, status(ledger)).await;
    health.set_service_status(event_service_server::SERVICE_NAME, status(ledger)).await;
}
