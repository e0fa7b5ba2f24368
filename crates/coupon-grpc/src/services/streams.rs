//! Long answers, message by message.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coupon_domain::draw::Hash;
use coupon_domain::ids::RoundId;
use coupon_proto::v1 as pb;
use coupon_usecases::engine::Engine;
use coupon_usecases::watch::RoundWatch;
use futures::stream::{try_unfold, unfold};
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::codegen::BoxStream;

use crate::render::campaign::round;
use crate::status;

/// A consumer that takes nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// Leaves in a message.
const LEAVES: u32 = 1000;

/// A round each time that it has changed. One message waits for the consumer at most; a later one tells all that matters.
pub(super) fn watched(watch: RoundWatch, stopping: CancellationToken) -> BoxStream<pb::WatchRoundResponse> {
    let (told, waiting) = channel(1);
    let (ended, end) = tokio::sync::oneshot::channel();
    let messages = unfold(watch, |mut watch| async move {
        let (round, witness) = round(watch.next().await?);
        Some((pb::WatchRoundResponse { round: Some(round), witness }, watch))
    });
    tokio::spawn(async move {
        if let Some(status) = tell(messages, &told, stopping).await {
            // A consumer who has left does not want to know.
            let _gone = ended.send(status);
        }
    });
    // The reason comes behind whatever still waits.
    let end = futures::stream::once(end).filter_map(|end| async { end.ok().map(Err) });
    Box::pin(ReceiverStream::new(waiting).map(Ok).chain(end))
}

/// Tells until there is nothing more, the consumer has left, or one of both sides has to end it.
async fn tell<T>(messages: impl Stream<Item = T>, told: &Sender<T>, stopping: CancellationToken) -> Option<Status> {
    let mut messages = pin!(messages);
    loop {
        let message = tokio::select! {
            message = messages.next() => message?,
            () = stopping.cancelled() => return Some(status::stopping()),
            () = told.closed() => return None,
        };
        match timeout(PATIENCE, told.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return Some(status::slow_consumer()),
        }
    }
}

/// All leaves of a round.
pub(super) fn leaves(engine: Arc<Engine>, round: RoundId, places: u32) -> BoxStream<pb::ExportPlacesResponse> {
    Box::pin(try_unfold(0, move |from| {
        let engine = Arc::clone(&engine);
        async move {
            if from >= places {
                return Ok(None);
            }
            let leaves = engine.leaves(round, from, LEAVES).await.map_err(status::of)?;
            let next = if leaves.is_empty() { places } else { from + u32::try_from(leaves.len()).unwrap_or(places) };
            let leaves = leaves.iter().map(|leaf: &Hash| Bytes::copy_from_slice(leaf.as_bytes())).collect();
            Ok(Some((pb::ExportPlacesResponse { first_ticket: i64::from(from), leaves }, next)))
        }
    }))
}

#[cfg(test)]
mod tests {
    use futures::stream::{pending, repeat};
    use tokio::sync::mpsc::channel;
    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_consumer_who_reads_nothing_is_dropped_after_ten_seconds_and_told_why() {
        let (told, _unread) = channel(1);
        let began = tokio::time::Instant::now();
        let status = tell(repeat(7), &told, CancellationToken::new()).await.expect("dropped");
        assert_eq!((status.code(), began.elapsed()), (Code::ResourceExhausted, PATIENCE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_consumer_who_reads_now_and_then_is_kept() {
        let (told, mut reads) = channel(1);
        let reader = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                reads.recv().await.expect("told");
            }
        });
        assert!(tell(repeat(7), &told, CancellationToken::new()).await.is_none(), "until it leaves");
        reader.await.expect("it has read");
    }

    #[tokio::test]
    async fn a_stream_ends_with_the_service_and_with_its_consumer() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        let (told, reads) = channel::<u8>(1);
        let status = tell(pending(), &told, stopping).await.expect("ended");
        assert_eq!(status.code(), Code::Unavailable);
        drop(reads);
        assert!(tell(pending(), &told, CancellationToken::new()).await.is_none());
    }
}
