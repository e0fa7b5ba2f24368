//! What the feed of events tells.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coupon_proto::v1 as pb;
use pb::EventKind as Kind;
use tonic::{Status, Streaming};

use super::{Instance, Shop};

const PATIENCE: Duration = Duration::from_secs(20);
/// Orders that mark how far the feed has come.
const MARK: &str = "mark-";

/// A stream of events that is being read.
pub(crate) struct Told(pub(crate) Streaming<pb::SubscribeResponse>);

impl Told {
    /// The next event and its position.
    pub(crate) async fn next(&mut self) -> (i64, pb::Event) {
        let told = tokio::time::timeout(PATIENCE, self.0.message()).await.expect("an event in time");
        let told = told.expect("no fault").expect("no end");
        (told.position, told.event.expect("an event"))
    }

    /// So many events.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<(i64, pb::Event)> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next().await);
        }
        events
    }

    /// What it ends with, after whatever is still told.
    pub(crate) async fn fault(mut self) -> Status {
        let end = async {
            loop {
                match self.0.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it ends without a fault"),
                    Err(fault) => return fault,
                }
            }
        };
        tokio::time::timeout(PATIENCE, end).await.expect("an end in time")
    }
}

/// Of a reader without a name, from the first event on.
pub(crate) fn everything() -> pb::SubscribeRequest {
    pb::SubscribeRequest { after: Some(0), ..Default::default() }
}

/// Of a reader whose place is kept.
pub(crate) fn named(subscriber: &str) -> pb::SubscribeRequest {
    pb::SubscribeRequest { subscriber: subscriber.to_owned(), ..Default::default() }
}

/// What an event tells of a coupon: kind, order, state, reason.
pub(crate) fn tell(event: &pb::Event) -> (Kind, &str, &str, &str) {
    (event.kind(), &event.order_id, &event.state, &event.reason)
}

impl Instance {
    pub(crate) async fn subscribe(&self, request: pb::SubscribeRequest) -> Result<Told, Status> {
        Ok(Told(self.events.clone().subscribe(request).await?.into_inner()))
    }

    /// How far the subscriber is then.
    pub(crate) async fn acknowledge(&self, subscriber: &str, position: i64) -> Result<i64, Status> {
        let request = pb::AcknowledgeRequest { subscriber: subscriber.to_owned(), position };
        Ok(self.events.clone().acknowledge(request).await?.into_inner().position)
    }

    pub(crate) async fn subscribers(&self) -> Vec<pb::Subscriber> {
        let all = self.events.clone().list_subscribers(pb::ListSubscribersRequest {}).await;
        all.expect("a list").into_inner().subscribers
    }

    pub(crate) async fn delete_subscriber(&self, subscriber: &str) -> Result<(), Status> {
        let request = pb::DeleteSubscriberRequest { subscriber: subscriber.to_owned() };
        self.events.clone().delete_subscriber(request).await.map(drop)
    }
}

impl Shop {
    /// All that the feed tells of this campaign by now. An order that nobody knows is cancelled to mark its end.
    pub(crate) async fn feed(&self, campaign: &str) -> Vec<pb::Event> {
        static MARKS: AtomicU32 = AtomicU32::new(0);
        self.ledger_caught_up(campaign).await;
        let mark = format!("{MARK}{}", MARKS.fetch_add(1, Ordering::Relaxed));
        self.rollback(campaign, &mark, "nobody-in-particular").await;
        let request = pb::SubscribeRequest { campaign_id: campaign.to_owned(), ..everything() };
        let mut told = self.another().subscribe(request).await.expect("a stream");
        let mut events = Vec::new();
        loop {
            let (_, event) = told.next().await;
            if event.order_id == mark {
                return events;
            }
            if !event.order_id.starts_with(MARK) {
                events.push(event);
            }
        }
    }

    /// All that has happened in this campaign by now: without notices, which go out when the service comes to it.
    pub(crate) async fn events(&self, campaign: &str) -> Vec<pb::Event> {
        self.feed(campaign).await.into_iter().filter(|event| event.kind() != Kind::CouponExpiring).collect()
    }

    /// What has happened to one coupon since its issue.
    pub(crate) async fn events_of(&self, coupon: &pb::Coupon) -> Vec<pb::Event> {
        let all = self.events(&coupon.campaign_id).await;
        all.into_iter().filter(|event| event.coupon_id == coupon.id && event.kind() != Kind::CouponIssued).collect()
    }

    /// Those of this kind.
    pub(crate) async fn events_like(&self, campaign: &str, kind: Kind) -> Vec<pb::Event> {
        self.feed(campaign).await.into_iter().filter(|event| event.kind() == kind).collect()
    }
}
