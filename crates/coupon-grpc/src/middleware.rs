//! Around every call: one limit for the whole process, a request id, a deadline that is answered as one, and a status for what is not a
//! message at all.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::status;

/// Where a caller may set the request id, and reads it.
pub const REQUEST_ID: &str = "x-request-id";

/// The deadline of a call that does not set one.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);
/// The latest deadline that a call may set.
const MAX_DEADLINE: Duration = Duration::from_secs(60);

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task serves; empty outside of one.
pub(crate) fn current_request_id() -> String {
    CURRENT.try_with(Clone::clone).unwrap_or_default()
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct CallLayer {
    places: Arc<Semaphore>,
}

impl CallLayer {
    /// So many calls at once, over all connections; one more is refused, certainly not applied.
    pub(crate) fn with_limit(calls: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(calls)) }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, places: Arc::clone(&self.places) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    places: Arc<Semaphore>,
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
        let deadline = deadline(request.headers());
        let span = tracing::info_span!("call", method = request.uri().path(), request = %id);
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let header = HeaderValue::from_str(&id);
        let path = request.uri().path().to_owned();
        let began = Instant::now();
        let place = Arc::clone(&self.places).try_acquire_owned();
        let serve = async move {
            // Whatever was taken from a queue goes on without its caller; only the waiting ends here.
            let mut response = match place {
                Err(_full) => status::overloaded().into_http(),
                Ok(_place) => match tokio::time::timeout(deadline, inner.call(request)).await {
                    Ok(Ok(response)) => readable(response),
                    Ok(Err(never)) => match never {},
                    Err(_elapsed) => status::deadline_exceeded().into_http(),
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

/// How long it took, by method; whatever is no method of this port counts as one.
fn measure(path: String, response: &Response<Body>, took: Duration) {
    let unknown = Status::from_header_map(response.headers()).is_some_and(|s| s.code() == Code::Unimplemented);
    let method = if unknown { "unknown".to_owned() } else { path };
    metrics::histogram!("coupon_call_seconds", "method" => method).record(took.as_secs_f64());
}

/// The caller's id if it is fit for a log line, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fit = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    given.filter(fit).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// A hundredth earlier than the caller's own clock runs out, so that the answer still arrives.
fn deadline(headers: &HeaderMap) -> Duration {
    let given = headers.get("grpc-timeout").and_then(|value| value.to_str().ok()).and_then(parse_timeout);
    given.map_or(DEFAULT_DEADLINE, |given| {
        let early = (given / 100).max(Duration::from_millis(3));
        given.saturating_sub(early).min(MAX_DEADLINE)
    })
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

/// tonic calls bytes that it cannot decode an internal error, and too many of them out of range; they are the caller's mistake.
fn readable(response: Response<Body>) -> Response<Body> {
    let status = Status::from_header_map(response.headers());
    let Some(status) = status else { return response };
    match status.code() {
        Code::Internal if status.message().starts_with("failed to decode") => status::unreadable().into_http(),
        Code::OutOfRange if status.message().contains("message length too large") => status::too_large().into_http(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!(request_id(&headers), "order-42");
        headers.insert(REQUEST_ID, HeaderValue::from_static("a b\tc"));
        assert!(Uuid::parse_str(&request_id(&headers)).is_ok());
    }
}
