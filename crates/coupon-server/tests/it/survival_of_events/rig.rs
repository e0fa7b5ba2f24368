//! The service, its stores and two receivers, each a process of its own that can be killed.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use coupon_domain::ports::Event;
use coupon_proto::v1 as pb;
use coupon_testkit::nats::NatsServer;
use coupon_testkit::postgres::{PostgresDatabase, PostgresServer};
use coupon_testkit::redis::RedisServer;
use rand::Rng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use tokio::sync::{Mutex, Semaphore};

use super::proxy::Proxy;
use crate::hooks::{Hooks, OUTLET};
use crate::process::{Process, rush};
use crate::shop::{seconds, within};
use crate::shopper::answered;
use crate::told::{NatsReader, has_all};

/// Orders that mark the end of the feed.
const MARK: &str = "mark-";
/// An event that was not taken is tried again after a while, which doubles.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn is_mark(event: &Event) -> bool {
    event.order.as_ref().is_some_and(|order| order.as_str().starts_with(MARK))
}

/// What the service stands on.
pub(crate) enum Stores {
    Embedded,
    Private(Box<Private>),
}

/// Stores that no other test needs.
pub(crate) struct Private {
    postgres: PostgresServer,
    database: PostgresDatabase,
    redis: RedisServer,
    /// In between, if answers shall be lost.
    proxy: Option<Proxy>,
}

impl Stores {
    pub(crate) async fn private() -> Self {
        let postgres = PostgresServer::start(&[]).await.expect("postgres starts");
        let database = postgres.database().await.expect("a database");
        let redis = RedisServer::start().await.expect("redis starts");
        Self::Private(Box::new(Private { postgres, database, redis, proxy: None }))
    }

    /// The same, with a wire to Postgres that can lose answers.
    pub(crate) async fn behind_a_proxy() -> Self {
        let Self::Private(mut private) = Self::private().await else { unreachable!("it is private") };
        private.proxy = Some(Proxy::start(port(private.database.url())).await);
        Self::Private(private)
    }

    fn arguments(&self) -> Vec<String> {
        let Self::Private(private) = self else { return vec!["--no-sample-data".to_owned()] };
        let url = private.database.url();
        let url = match &private.proxy {
            None => url.to_owned(),
            Some(proxy) => url.replace(&format!(":{}/", port(url)), &format!(":{}/", proxy.port)),
        };
        let redis = private.redis.url();
        vec![format!("--database-url={url}"), format!("--redis-url={redis}"), "--wait-for-stores".to_owned()]
    }

    fn postgres(&self) -> Option<&PostgresServer> {
        match self {
            Self::Embedded => None,
            Self::Private(private) => Some(&private.postgres),
        }
    }
}

/// Of `postgres://user@host:port/database`.
fn port(url: &str) -> u16 {
    let port = url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok());
    port.expect("an address with a port")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Service,
    Postgres,
    Nats,
    Webhook,
}

pub(crate) struct Rig {
    pub(crate) service: Process,
    stores: Stores,
    nats: NatsServer,
    hooks: Hooks,
}

impl Rig {
    pub(crate) async fn start(stores: Stores) -> Self {
        let nats = NatsServer::start().await.expect("NATS starts");
        let hooks = Hooks::start().await;
        let mut arguments = stores.arguments();
        arguments.extend(hooks.arguments());
        arguments.push(format!("--nats-url={}", nats.url()));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        Self { service: Process::start(&arguments).await, stores, nats, hooks }
    }

    /// Kills this many times, one or two at once: first each of them in any order, then any; and starts them again in any order. In between
    /// so many shoppers get done.
    pub(crate) async fn kill_some(
        &mut self,
        times: usize,
        between: Range<u32>,
        random: &mut impl Rng,
        done: &Semaphore,
    ) {
        let all = [Victim::Service, Victim::Postgres, Victim::Nats, Victim::Webhook].into_iter();
        let mut there: Vec<_> =
            all.filter(|victim| *victim != Victim::Postgres || self.stores.postgres().is_some()).collect();
        there.shuffle(random);
        for turn in 0..times {
            let one = there.get(turn).or_else(|| there.choose(random));
            let other = there.choose(random).filter(|_| random.random_bool(0.4));
            let mut victims: Vec<_> = one.into_iter().chain(other).copied().collect();
            victims.dedup();
            let count = random.random_range(between.clone());
            done.acquire_many(count).await.expect("the load goes on").forget();
            self.kill(victims, random).await;
        }
    }

    #[expect(clippy::print_stderr, reason = "whoever looks into a failure needs it")]
    async fn kill(&mut self, mut victims: Vec<Victim>, random: &mut impl Rng) {
        eprintln!("killed: {victims:?}");
        for victim in &victims {
            match victim {
                Victim::Service => self.service.kill(),
                Victim::Postgres => self.stores.postgres().expect("it is there").kill().await.expect("killed"),
                Victim::Nats => self.nats.kill().expect("killed"),
                Victim::Webhook => self.hooks.kill(),
            }
        }
        victims.shuffle(random);
        // It starts only if the ledger is there within its patience, and is not waited for before.
        let service = victims.contains(&Victim::Service);
        if service {
            self.service.launch();
        }
        for victim in &victims {
            match victim {
                Victim::Service => {}
                Victim::Postgres => self.start_postgres().await,
                Victim::Nats => self.nats.restart().await.expect("NATS starts"),
                Victim::Webhook => self.hooks.start_again().await,
            }
        }
        if service {
            self.service.is_up().await;
        }
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        match &self.stores {
            Stores::Private(private) => private.proxy.as_ref().expect("there is one"),
            Stores::Embedded => panic!("there is no wire"),
        }
    }

    async fn start_postgres(&self) {
        self.stores.postgres().expect("it is there").restart().await.expect("postgres starts");
    }

    /// A campaign whose reservation is open.
    pub(crate) async fn open_places(&self) -> String {
        let plan = rush(10, Duration::from_secs(600));
        let schedule = pb::Schedule { reserve_lead: Some(seconds(3600)), ..plan.schedule.expect("it has one") };
        let campaign = pb::Campaign {
            title: "with places".to_owned(),
            reservation_required: true,
            schedule: Some(schedule),
            ..plan
        };
        let request = pb::CreateCampaignRequest { campaign: Some(campaign), activate: true, ..Default::default() };
        let created = self.service.campaigns().create_campaign(request).await.expect("created").into_inner();
        created.campaign.expect("a campaign").id
    }

    /// All coupons of a campaign in the ledger.
    pub(crate) async fn coupons(&self, campaign: &str) -> Vec<pb::Coupon> {
        let (mut coupons, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListCouponsRequest {
                campaign_id: campaign.to_owned(),
                page_size: 1000,
                page_token,
                ..Default::default()
            };
            let page = self.service.coupons().list_coupons(request).await.expect("a list").into_inner();
            coupons.extend(page.coupons);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return coupons;
            }
        }
    }

    /// The feed from its beginning, once it has so many coupons' issue, up to an order that is cancelled to mark its end.
    pub(crate) async fn feed(&self, campaign: &str, coupons: usize) -> Vec<Event> {
        static MARKS: AtomicU32 = AtomicU32::new(0);
        within(PATIENCE, || async { (self.coupons(campaign).await.len() >= coupons).then_some(()) }).await;
        let mark = format!("{MARK}{}", MARKS.fetch_add(1, Ordering::Relaxed));
        let rollback = pb::RollbackRequest {
            campaign_id: campaign.to_owned(),
            order_id: mark.clone(),
            user_id: "nobody-in-particular".to_owned(),
            ..Default::default()
        };
        let marked = answered(|| {
            let (mut service, rollback) = (self.service.coupons(), rollback.clone());
            async move { service.rollback(rollback).await }
        });
        marked.await.expect("a campaign");
        let request = pb::SubscribeRequest { after: Some(0), ..Default::default() };
        let mut told = self.service.events().subscribe(request).await.expect("a stream").into_inner();
        let mut feed = Vec::new();
        loop {
            let next = tokio::time::timeout(PATIENCE, told.message()).await.expect("an event in time");
            let event = next.expect("no fault").expect("no end").event.expect("an event");
            feed.push(coupon_envelope::event(&event).expect("an event"));
            if event.order_id == mark {
                return feed;
            }
        }
    }

    /// What the webhook's receiver and NATS have, once that is all of this.
    pub(crate) async fn told(&self, feed: &[Event]) -> (Vec<Event>, Vec<Event>) {
        let webhook = within(PATIENCE, || async { Some(self.hooks.events()).filter(|told| has_all(told, feed)) });
        let nats = async {
            let reader = Mutex::new(NatsReader::connect(&self.nats.url()).await);
            within(PATIENCE, || async {
                Some(reader.lock().await.events().await.to_vec()).filter(|told| has_all(told, feed))
            })
            .await
        };
        let told = tokio::join!(webhook, nats);
        // No event has given up on the way.
        for outlet in [OUTLET, "outlet:nats"] {
            let request = pb::ListDeadLettersRequest { outlet: outlet.to_owned(), ..Default::default() };
            let dead = self.service.events().list_dead_letters(request).await.expect("a list").into_inner();
            assert_eq!(dead.dead_letters, [], "{outlet}");
        }
        told
    }
}
