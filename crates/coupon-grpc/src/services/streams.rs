//! Long answers, message by message.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coupon_domain::draw::Hash;
use coupon_domain::ids::{CampaignId, CouponId, RoundId};
use coupon_domain::ports::{CouponFilter, CouponPage};
use coupon_domain::redemption::CouponState;
use coupon_proto::v1 as pb;
use coupon_usecases::engine::Engine;
use coupon_usecases::feed::Subscription;
use coupon_usecases::watch::RoundWatch;
use futures::stream::{iter, try_unfold, unfold};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::codegen::BoxStream;

use crate::middleware::with_same_request_id;
use crate::render::campaign::round;
use crate::render::coupon::recorded_coupons;
use crate::render::event::delivery;
use crate::status;

/// A consumer that takes nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(10);
/// Leaves in a message.
const LEAVES: u32 = 1000;
/// Coupons in a message.
const COUPONS: u32 = 1000;
/// Events that wait for a consumer at most.
const EVENTS: usize = 64;

/// A round each time that it has changed. One message waits for the consumer at most; a later one tells all that matters.
pub(super) fn watched(watch: RoundWatch, stopping: CancellationToken) -> BoxStream<pb::WatchRoundResponse> {
    let messages = unfold(watch, |mut watch| async move {
        let (round, witness) = round(watch.next().await?);
        Some((Ok(pb::WatchRoundResponse { round: Some(round), witness }), watch))
    });
    told(messages, 1, stopping)
}

/// Events as they come.
pub(super) fn subscribed(subscription: Subscription, stopping: CancellationToken) -> BoxStream<pb::SubscribeResponse> {
    let pages = try_unfold(subscription, |mut subscription| async move {
        let events = subscription.next().await.map_err(status::of)?;
        Ok::<_, Status>(Some((events, subscription)))
    });
    let events = pages.map_ok(|events| iter(events).map(|event| Ok(delivery(&event)))).try_flatten();
    told(events, EVENTS, stopping)
}

/// Messages for a consumer of whom nobody knows how fast they read: so many wait at most.
fn told<T: Send + 'static>(
    messages: impl Stream<Item = Result<T, Status>> + Send + 'static,
    waiting: usize,
    stopping: CancellationToken,
) -> BoxStream<T> {
    let (told, waiting) = channel(waiting);
    let (ended, end) = tokio::sync::oneshot::channel();
    tokio::spawn(with_same_request_id(async move {
        if let Some(status) = tell(messages, &told, stopping).await {
            // A consumer who has left does not want to know.
            let _gone = ended.send(status);
        }
    }));
    // The reason comes behind whatever still waits.
    let end = futures::stream::once(end).filter_map(|end| async { end.ok().map(Err) });
    Box::pin(ReceiverStream::new(waiting).map(Ok).chain(end))
}

/// Tells until there is nothing more, the consumer has left, or one of both sides has to end it.
async fn tell<T>(
    messages: impl Stream<Item = Result<T, Status>>,
    told: &Sender<T>,
    stopping: CancellationToken,
) -> Option<Status> {
    let mut messages = pin!(messages);
    loop {
        let message = tokio::select! {
            message = messages.next() => match message? {
                Ok(message) => message,
                Err(status) => return Some(status),
            },
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

/// All coupons of a campaign, or of one of its rounds, in the order of round and serial.
pub(super) fn coupons(
    engine: Arc<Engine>,
    campaign: CampaignId,
    round: Option<RoundId>,
    state: Option<CouponState>,
) -> BoxStream<pb::ExportCouponsResponse> {
    let after = round.and_then(last_before);
    let first = CouponFilter { user: None, campaign: Some(campaign), state, after, limit: COUPONS };
    Box::pin(try_unfold(Some(first), move |filter| {
        let engine = Arc::clone(&engine);
        async move {
            let Some(filter) = filter else { return Ok(None) };
            let (page, benefits) = engine.coupons(&filter).await.map_err(status::of)?;
            let (page, after) = within(page, round, filter.limit);
            if page.coupons.is_empty() {
                return Ok(None);
            }
            let coupons = recorded_coupons(page, &benefits);
            let next = after.map(|after| CouponFilter { after: Some(after), ..filter });
            Ok(Some((pb::ExportCouponsResponse { coupons }, next)))
        }
    }))
}

/// The coupon before the first one of a round, whether there is one or not.
fn last_before(round: RoundId) -> Option<CouponId> {
    let before = RoundId::from_number(round.number().checked_sub(1)?)?;
    Some(CouponId { round: before, serial: CouponId::MAX_SERIAL })
}

/// What of a page is of this round, and behind which coupon to go on.
fn within(mut page: CouponPage, round: Option<RoundId>, limit: u32) -> (CouponPage, Option<CouponId>) {
    let full = page.coupons.len() >= limit as usize;
    let last = page.coupons.last().map(|coupon| coupon.id);
    if let Some(round) = round {
        page.coupons.retain(|coupon| coupon.id.round == round);
    }
    let after = last.filter(|last| full && round.is_none_or(|round| last.round == round));
    (page, after)
}

#[cfg(test)]
mod tests {
    use coupon_domain::ids::UserId;
    use coupon_domain::redemption::CouponRecord;
    use coupon_domain::time::Timestamp;
    use futures::stream::{pending, repeat};
    use tokio::sync::mpsc::channel;
    use tonic::Code;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_consumer_who_reads_nothing_is_dropped_after_ten_seconds_and_told_why() {
        let (told, _unread) = channel(1);
        let began = tokio::time::Instant::now();
        let status = tell(repeat(7).map(Ok), &told, CancellationToken::new()).await.expect("dropped");
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
        assert!(tell(repeat(7).map(Ok), &told, CancellationToken::new()).await.is_none(), "until it leaves");
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

    #[tokio::test]
    async fn what_goes_wrong_is_told_behind_what_was_told_before_it() {
        let messages = iter([Ok(1), Ok(2), Err(status::slow_consumer()), Ok(3)]);
        let told: Vec<_> = told(messages, 1, CancellationToken::new()).collect().await;
        let codes: Vec<_> = told.into_iter().map(|message| message.map_err(|status| status.code())).collect();
        assert_eq!(codes, [Ok(1), Ok(2), Err(Code::ResourceExhausted)]);
    }

    fn page(coupons: &[&str]) -> CouponPage {
        let record = |id: &&str| CouponRecord {
            id: CouponId::parse(id).expect("an id"),
            campaign: CampaignId::parse("c-1").expect("an id"),
            user: UserId::parse("ada").expect("an id"),
            state: CouponState::Issued,
            claimed_at: Timestamp::EPOCH,
            expires_at: Timestamp::MAX,
            order: None,
            held_until: None,
            redeemed_at: None,
        };
        CouponPage { coupons: coupons.iter().map(record).collect(), totals: None, at: Timestamp::EPOCH }
    }

    fn exported(coupons: &[&str], round: &str) -> (Vec<String>, Option<String>) {
        let round = (!round.is_empty()).then(|| RoundId::parse(round).expect("a round"));
        let (page, after) = within(page(coupons), round, 3);
        (page.coupons.iter().map(|coupon| coupon.id.to_string()).collect(), after.map(|after| after.to_string()))
    }

    #[test]
    fn an_export_goes_on_behind_a_full_page() {
        let all = ["r-7-0", "r-7-1", "r-8-0"];
        assert_eq!(exported(&all, ""), (all.map(str::to_owned).to_vec(), Some("r-8-0".to_owned())));
        assert_eq!(exported(&all[..2], ""), (all[..2].iter().map(|id| (*id).to_owned()).collect(), None));
    }

    #[test]
    fn an_export_of_a_round_ends_with_it() {
        let before = last_before(RoundId::parse("r-7").expect("a round")).expect("a round before it");
        assert_eq!(before.to_string(), "r-6-268435455");
        assert_eq!(last_before(RoundId::parse("r-1").expect("a round")), None);
        let (coupons, after) = exported(&["r-7-0", "r-7-1", "r-8-0"], "r-7");
        assert_eq!((coupons.len(), after), (2, None));
        let (coupons, after) = exported(&["r-7-0", "r-7-1", "r-7-2"], "r-7");
        assert_eq!((coupons.len(), after.as_deref()), (3, Some("r-7-2")));
        assert_eq!(exported(&["r-8-0"], "r-7"), (vec![], None));
    }
}
