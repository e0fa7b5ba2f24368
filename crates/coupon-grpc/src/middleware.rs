//! Around every call: one limit for the whole process, a request id, a deadline that is answered as one, and a status for what is not a
//! message at all.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::status;
use crate::streams::{StreamBody, Streams};

/// Where a caller may set the request id, and reads it.
pub const REQUEST_ID: &str = "x-request-id";

/// The deadline of a unary call that does not set one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);
/// The latest deadline that a unary call may set.
const MAX_DEADLINE: Duration = Duration::from_secs(60);
/// How much earlier than the caller's clock a deadline may be.
const MAX_EARLY: Duration = Duration::from_secs(1);

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// The id of the request that this task serves; empty outside of one.
pub(crate) fn current_request_id() -> String {
    CURRENT.try_with(|id| id.as_ref().to_owned()).unwrap_or_default()
}

/// Does this for the request with this id.
pub(crate) fn serving<T>(id: Arc<str>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(id, work)
}

/// Work that goes on in a task of its own, for the request that this task serves.
pub(crate) fn with_same_request_id<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let id = CURRENT.try_with(Arc::clone).unwrap_or_else(|_| Arc::from(""));
    CURRENT.scope(id, work)
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct CallLayer {
    places: Arc<Semaphore>,
    streams: Streams,
}

impl CallLayer {
    /// So many calls at once, over all connections; one more is refused, certainly not applied.
    pub(crate) fn new(calls: usize, streams: Streams) -> Self {
        Self { places: Arc::new(Semaphore::new(calls)), streams }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, places: Arc::clone(&self.places), streams: self.streams.clone() }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    places: Arc<Semaphore>,
    streams: Streams,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let id = request_id(request.headers());
        let streams = self.streams.contains(request.uri().path());
        let span = tracing::info_span!("call", method = request.uri().path(), request = %id);
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let header = HeaderValue::from_str(&id);
        let path = request.uri().path().to_owned();
        let began = Instant::now();
        let deadline = deadline(request.headers(), streams).and_then(|span| began.checked_add(span));
        let request_id = Arc::clone(&id);
        let place = Arc::clone(&self.places).try_acquire_owned();
        let serve = async move {
            // Whatever was taken from a queue goes on without its caller; only the waiting ends here.
            let mut response = match place {
                Err(_full) => status::overloaded().into_http(),
                Ok(place) => match until(deadline, inner.call(request)).await {
                    Some(Ok(response)) if streams => {
                        StreamBody::around(readable(response), deadline, request_id, place)
                    }
                    Some(Ok(response)) => readable(response),
                    Some(Err(never)) => match never {},
                    None => status::deadline_exceeded().into_http(),
                },
            };
            measure(path, &response, began.elapsed());
            if let Ok(header) = header {
                response.headers_mut().insert(REQUEST_ID, header);
            }
            Ok(response)
        };
        Box::pin(CURRENT.scope(id, serve).instrument(span))
    }
}

/// What came of it, unless the deadline came first.
async fn until<F: Future>(deadline: Option<Instant>, work: F) -> Option<F::Output> {
    match deadline {
        Some(at) => timeout_at(at, work).await.ok(),
        None => Some(work.await),
    }
}

/// How long it took, of an answer that streams until it began, by method; whatever is no method of this port counts as one.
fn measure(path: String, response: &Response<Body>, took: Duration) {
    let unknown = Status::from_header_map(response.headers()).is_some_and(|s| s.code() == Code::Unimplemented);
    let method = if unknown { "unknown".to_owned() } else { path };
    metrics::histogram!("coupon_call_seconds", "method" => method).record(took.as_secs_f64());
}

/// The caller's id if it is fit for a log line, else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fit = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let new = || Uuid::now_v7().hyphenated().encode_lower(&mut Uuid::encode_buffer()).into();
    given.filter(fit).map_or_else(new, Arc::from)
}

/// A hundredth earlier than the caller's own clock runs out, so that the answer still arrives. A stream has none but the caller's.
fn deadline(headers: &HeaderMap, streams: bool) -> Option<Duration> {
    let given = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    let given = given.map(|given| given.saturating_sub((given / 100).clamp(Duration::from_millis(3), MAX_EARLY)));
    if streams { given } else { Some(given.map_or(DEFAULT_DEADLINE, |given| given.min(MAX_DEADLINE))) }
}

/// At most eight digits and a unit: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// With the status that fits a request that could not be read.
fn readable(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if matches!(status.code(), Code::Internal | Code::OutOfRange) => {
            let (code, mended) = (status.code(), status::of_transport(status));
            if mended.code() == code { response } else { mended.into_http() }
        }
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;
    use http::HeaderName;
    use http_body::{Body as HttpBody, Frame};
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        assert_eq!(parse_timeout("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        for wrong in ["", "S", "5", "5x", "123456789S", "-1S", "é"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_request_id_that_does_not_fit_a_log_line_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("order-42"));
        assert_eq!(&*request_id(&headers), "order-42");
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b\tc"));
        assert!(Uuid::parse_str(&request_id(&headers)).is_ok());
    }

    fn timeout(value: &'static str) -> HeaderMap {
        [(HeaderName::from_static("grpc-timeout"), HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn a_unary_call_has_five_seconds_and_at_most_a_minute() {
        assert_eq!(deadline(&HeaderMap::new(), false), Some(DEFAULT_DEADLINE));
        assert_eq!(deadline(&timeout("nonsense"), false), Some(DEFAULT_DEADLINE));
        assert_eq!(deadline(&timeout("10S"), false), Some(Duration::from_millis(9900)));
        assert_eq!(deadline(&timeout("1H"), false), Some(MAX_DEADLINE));
        assert_eq!(deadline(&timeout("1m"), false), Some(Duration::ZERO));
    }

    #[test]
    fn a_stream_has_the_deadline_that_its_caller_sets_and_no_other() {
        assert_eq!(deadline(&HeaderMap::new(), true), None);
        assert_eq!(deadline(&timeout("10S"), true), Some(Duration::from_millis(9900)));
        assert_eq!(deadline(&timeout("8H"), true), Some(Duration::from_secs(8 * 3600 - 1)));
    }

    const WATCH: &str = "/coupon.v1.CampaignService/WatchRound";
    const IMPORT: &str = "/coupon.v1.UserService/CreateUsers";
    const CLAIM: &str = "/coupon.v1.CouponService/Claim";

    /// A port with one place, on a service that answers like this.
    fn port<F>(answer: fn() -> F) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible>
    where
        F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    {
        let streams = Streams::described_by(&[coupon_proto::FILE_DESCRIPTOR_SET]).expect("a contract");
        CallLayer::new(1, streams).layer(tower::service_fn(move |_request| answer()))
    }

    /// Answers with the head of a stream that never has a message.
    async fn silent() -> Result<Response<Body>, Infallible> {
        Ok(Response::new(Body::new(Silent)))
    }

    struct Silent;

    impl HttpBody for Silent {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            Poll::Pending
        }
    }

    fn call(path: &str, headers: HeaderMap) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = path.parse().expect("a path");
        *request.headers_mut() = headers;
        request
    }

    async fn answer(
        port: &mut impl Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
        request: Request<Body>,
    ) -> Response<Body> {
        let Ok(response) = port.call(request).await;
        response
    }

    fn code(headers: &HeaderMap) -> Option<Code> {
        Status::from_header_map(headers).map(|status| status.code())
    }

    #[tokio::test]
    async fn a_stream_ends_at_its_callers_deadline_with_a_status_that_says_so() {
        let response = answer(&mut port(silent), call(WATCH, timeout("1n"))).await;
        let id = response.headers()[REQUEST_ID].clone();
        let mut body = response.into_body();
        let last = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("a frame").expect("no failure");
        let trailers = last.into_trailers().expect("trailers");
        assert_eq!(code(&trailers), Some(Code::DeadlineExceeded));
        let status = Status::from_header_map(&trailers).expect("a status");
        let request = status.get_details_request_info().expect("the request's id");
        assert_eq!(request.request_id.as_bytes(), id.as_bytes());
        assert!(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_none(), "nothing follows");
    }

    #[tokio::test]
    async fn a_client_that_streams_on_past_its_deadline_is_answered() {
        let response = answer(&mut port(std::future::pending), call(IMPORT, timeout("1n"))).await;
        assert_eq!(code(response.headers()), Some(Code::DeadlineExceeded));
    }

    #[tokio::test]
    async fn a_stream_counts_as_a_call_until_it_is_over() {
        let mut port = port(silent);
        let first = answer(&mut port, call(WATCH, HeaderMap::new())).await;
        let second = answer(&mut port, call(WATCH, HeaderMap::new())).await;
        assert_eq!((code(first.headers()), code(second.headers())), (None, Some(Code::ResourceExhausted)));
        drop(first);
        let third = answer(&mut port, call(WATCH, HeaderMap::new())).await;
        assert_eq!(code(third.headers()), None);
    }

    #[tokio::test]
    async fn a_unary_call_is_over_with_its_answer() {
        let mut port = port(silent);
        let first = answer(&mut port, call(CLAIM, HeaderMap::new())).await;
        let second = answer(&mut port, call(CLAIM, HeaderMap::new())).await;
        assert_eq!((code(first.headers()), code(second.headers())), (None, None));
    }
}
