//! One HTTP/2 connection, made anew when it is lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::body::Body;

/// A client of one connection.
pub(crate) type Grpc = tonic::client::Grpc<Connection>;

/// Answers of many requests wait in it for their reader; the default of 64 KiB would make the service wait.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// See the module. Its clones share the connection.
#[derive(Clone)]
pub(crate) struct Connection {
    address: Arc<str>,
    sender: Arc<Mutex<SendRequest<Body>>>,
}

impl Connection {
    /// To an address such as `127.0.0.1:50051`.
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let sender = connect(address).await.with_context(|| format!("no service answers at {address}"))?;
        Ok(Self { address: address.into(), sender: Arc::new(Mutex::new(sender)) })
    }

    /// A gRPC client of it.
    pub(crate) fn grpc(&self) -> anyhow::Result<Grpc> {
        let origin: Uri = format!("http://{}", self.address).parse()?;
        Ok(Grpc::with_origin(self.clone(), origin))
    }

    /// Makes it anew if it was lost.
    pub(crate) async fn mend(&self) {
        if !self.sender().is_closed() {
            return;
        }
        if let Ok(sender) = connect(&self.address).await {
            *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = sender;
        }
    }

    fn sender(&self) -> SendRequest<Body> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl tower::Service<Request<Body>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender().send_request(request))
    }
}

async fn connect(address: &str) -> anyhow::Result<SendRequest<Body>> {
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(TokioIo::new(stream))
            .await?;
        // How it ends is told to those who wait for answers.
        tokio::spawn(connection);
        Ok(sender)
    };
    tokio::time::timeout(CONNECT_WITHIN, connecting).await.context("no connection in time")?
}
