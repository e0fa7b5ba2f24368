//! What is different for streams. A caller may listen or send for hours, so there is no deadline but the caller's own; a stream counts as a
//! call until its last message; and what is logged meanwhile still carries the request's id.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;
use tonic::body::Body;
use tracing::Span;

use crate::middleware::serving;
use crate::status;

/// The paths of the methods that stream, in one direction or both.
#[derive(Debug, Clone)]
pub(crate) struct Streams(Arc<HashSet<String>>);

impl Streams {
    /// Those of the services in these encoded `FileDescriptorSet`s.
    pub(crate) fn described_by(descriptors: &[&[u8]]) -> Result<Self, prost::DecodeError> {
        let mut paths = HashSet::new();
        for encoded in descriptors {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let streams = service.method.iter().filter(|m| m.client_streaming() || m.server_streaming());
                    paths.extend(streams.map(|m| format!("/{}.{}/{}", file.package(), service.name(), m.name())));
                }
            }
        }
        Ok(Self(Arc::new(paths)))
    }

    /// Whether the method of this path streams.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains(path)
    }
}

/// The messages of a stream: ended as DEADLINE_EXCEEDED at the deadline, if there is one.
pub(crate) struct StreamBody {
    inner: Body,
    deadline: Option<Pin<Box<Sleep>>>,
    id: Arc<str>,
    span: Span,
    _place: OwnedSemaphorePermit,
}

impl StreamBody {
    /// The response, with this around its body.
    pub(crate) fn around(
        response: Response<Body>,
        deadline: Option<Instant>,
        id: Arc<str>,
        place: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let deadline = deadline.map(|at| Box::pin(sleep_until(at)));
        response.map(|inner| Body::new(Self { inner, deadline, id, span: Span::current(), _place: place }))
    }

    /// Drops the handler's stream and says why.
    fn end(&mut self) -> Result<Frame<Bytes>, Status> {
        (self.inner, self.deadline) = (Body::empty(), None);
        let mut trailers = HeaderMap::new();
        status::deadline_exceeded().add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let span = this.span.clone();
        let _entered = span.enter();
        serving(Arc::clone(&this.id), || {
            // First, since a stream that always has a next message must end too.
            let over = this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
            if over { Poll::Ready(Some(this.end())) } else { Pin::new(&mut this.inner).poll_frame(cx) }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_is_read_from_the_contract() {
        let streams = Streams::described_by(&[coupon_proto::FILE_DESCRIPTOR_SET]).expect("a contract");
        for method in [
            "CampaignService/WatchRound",
            "CampaignService/ExportPlaces",
            "CampaignService/ExportCoupons",
            "UserService/CreateUsers",
            "EventService/Subscribe",
        ] {
            assert!(streams.contains(&format!("/coupon.v1.{method}")), "{method}");
        }
        for method in ["CouponService/Claim", "CampaignService/GetRound", "EventService/Acknowledge"] {
            assert!(!streams.contains(&format!("/coupon.v1.{method}")), "{method}");
        }
    }
}
