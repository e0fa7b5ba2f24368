//! The receivers outside, and outlets of a service in this process to them.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ports::{Clock, Event, EventFilter, EventPublisher};
use coupon_domain::time::Timestamp;
use coupon_nats::{NatsConfig, NatsPublisher, Servers};
use coupon_testkit::nats::NatsServer;
use coupon_testkit::receiver::WebhookReceiver;
use coupon_usecases::delivery::{Backoff, Outlet, Pace};
use coupon_webhook::{Secret, Target, WebhookConfig, WebhookPublisher};
use tokio::sync::Mutex;

use crate::hooks::SECRET;
use crate::shop::{Instance, eventually, within};
use crate::told::{NatsReader, has_all, of_webhook};

/// The outlets, by the names under which they keep their places.
pub(crate) const WEBHOOK: &str = "outlet:webhook:hooks";
const NATS: &str = "outlet:nats";
pub(crate) const OUTLETS: [&str; 2] = [WEBHOOK, NATS];
const SOURCE: &str = "/coupon/tests";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Outside {
    pub(crate) hooks: WebhookReceiver,
    pub(crate) nats: NatsServer,
}

/// The service's own, but that a receiver which is down is looked after often.
pub(crate) fn pace() -> Pace {
    let down = Backoff { base: Duration::from_millis(20), cap: Duration::from_millis(100) };
    Pace { down, ..Pace::default() }
}

impl Outside {
    pub(crate) async fn start() -> Self {
        let hooks = WebhookReceiver::start(&[SECRET]).await.expect("a free port");
        Self { hooks, nats: NatsServer::start().await.expect("NATS starts") }
    }

    /// This instance carries events to both from now on. There has to be one already.
    pub(crate) async fn deliver_from(&self, instance: &Instance, pace: Pace) {
        let target = Target::parse(&self.hooks.url(), true).expect("a target");
        let secret = Secret::parse(SECRET).expect("a secret");
        let webhook = WebhookConfig::new(target, vec![secret], SOURCE.to_owned());
        let webhook = WebhookPublisher::new(webhook, Arc::new(Epoch)).expect("a publisher");
        let servers = Servers::parse(&self.nats.url()).expect("servers");
        let nats = NatsPublisher::connect(NatsConfig::new(servers, SOURCE.to_owned())).await.expect("a publisher");
        // Its connection is made in the background. What fails before is tried again seconds later, by a clock that stands; so the first
        // event, which NATS then knows, is told by hand.
        let first = instance.stores.feed.events(0, &EventFilter::default(), 1).await.expect("the ledger answers");
        let first: Vec<_> = first.events.into_iter().map(|(_, event)| event).collect();
        eventually(|| async { nats.publish(&first).await.iter().all(Result::is_ok).then_some(()) }).await;
        let publishers: [(&str, Arc<dyn EventPublisher>); 2] =
            [("webhook:hooks", Arc::new(webhook)), ("nats", Arc::new(nats))];
        for (word, publisher) in publishers {
            let name = Outlet::name_of(word).expect("a name");
            instance.engine.deliver(Outlet { name, filter: EventFilter::default(), publisher, pace });
        }
    }

    /// What the webhook's receiver has taken.
    pub(crate) fn by_webhook(&self) -> Vec<Event> {
        self.hooks.taken().iter().map(of_webhook).collect()
    }

    /// What both have, once that is all of this.
    pub(crate) async fn told(&self, feed: &[Event]) -> (Vec<Event>, Vec<Event>) {
        let webhook = within(PATIENCE, || async { Some(self.by_webhook()).filter(|told| has_all(told, feed)) });
        let reader = Mutex::new(NatsReader::connect(&self.nats.url()).await);
        let all = || async { Some(reader.lock().await.events().await.to_vec()).filter(|told| has_all(told, feed)) };
        tokio::join!(webhook, within(PATIENCE, all))
    }

    /// Waits until both outlets have written down that they have told all.
    pub(crate) async fn is_at_end(&self, instance: &Instance) {
        let at_end = || async {
            let all = instance.subscribers().await;
            let behind = |outlet: &&str| all.iter().find(|one| one.name == **outlet).map(|one| one.behind);
            OUTLETS.iter().all(|outlet| behind(outlet) == Some(0)).then_some(())
        };
        eventually(at_end).await;
    }
}

/// The clock of `webhook-timestamp`; the receiver of tests takes any time.
struct Epoch;

impl Clock for Epoch {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}
