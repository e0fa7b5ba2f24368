//! A service for one test: in this process, on a free port, its stores under a test clock.

mod checkout;
mod feed;
mod stores;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coupon_domain::code::MasterKeys;
use coupon_domain::ports::CampaignRepository as _;
use coupon_domain::time::Timestamp;
use coupon_embedded::Embedded;
use coupon_postgres::{PostgresConfig, PostgresLedger, migrate};
use coupon_proto::google::r#type::Money;
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_client::CampaignServiceClient;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use coupon_proto::v1::event_service_client::EventServiceClient;
use coupon_proto::v1::user_service_client::UserServiceClient;
use coupon_redis::{LIBRARY, RedisConfig, RedisGate};
use coupon_server::serve::{Service, serve};
use coupon_testkit::postgres::PostgresServer;
use coupon_testkit::redis::{RedisServer, library_with_test_clock};
use coupon_testkit::under_test::{StandingClock, TestClock};
use coupon_usecases::engine::{Engine, Fence, Settings, Stores};
use futures::future::join_all;
use pb::RefusalReason as Reason;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

pub(crate) use self::checkout::hold_request;
pub(crate) use self::feed::{Told, everything, named, tell};

/// Which adapters a shop stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Embedded,
    RedisAndPostgres,
}

pub(crate) struct Shop {
    clocks: Vec<Arc<dyn TestClock>>,
    pub(crate) instances: Vec<Instance>,
    settings: Settings,
    _keep: Box<dyn Any + Send + Sync>,
}

/// One running service and clients of it.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) coupons: CouponServiceClient<Channel>,
    pub(crate) campaigns: CampaignServiceClient<Channel>,
    pub(crate) users: UserServiceClient<Channel>,
    pub(crate) events: EventServiceClient<Channel>,
    pub(crate) channel: Channel,
    /// The service past its port.
    pub(crate) engine: Arc<Engine>,
    /// What it stands on.
    pub(crate) stores: Stores,
    pub(crate) stop: CancellationToken,
    /// Cancelled when it has come to its end.
    ended: CancellationToken,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.instances.iter().for_each(|instance| instance.stop.cancel());
    }
}

impl Shop {
    /// One instance; it is eight in the evening in Taipei.
    pub(crate) async fn open(on: On) -> Self {
        Self::with_instances(on, 1).await
    }

    /// One instance whose recorder does nothing by itself.
    pub(crate) async fn open_with_idle_recorder(on: On) -> Self {
        let settings = Settings { recorder_pause: Duration::from_secs(3600), ..settings() };
        Self::start(on, 1, settings).await
    }

    /// One instance on the embedded stores, two on the shared ones, which look after their coupons so often.
    pub(crate) async fn with_upkeep(on: On, upkeep: Duration) -> Self {
        let settings = Settings { upkeep, ..settings() };
        Self::start(on, if on == On::Embedded { 1 } else { 2 }, settings).await
    }

    /// As [`Shop::with_company`]; nothing but calls ends holds and validities, and nobody is given notice.
    pub(crate) async fn with_idle_upkeep(on: On) -> Self {
        Self::with_upkeep(on, Duration::from_secs(3600)).await
    }

    /// As [`Shop::with_company`]; coupons are looked after many times a second.
    pub(crate) async fn with_busy_upkeep(on: On) -> Self {
        Self::with_upkeep(on, Duration::from_millis(50)).await
    }

    /// One instance on the embedded stores, two on the shared ones.
    pub(crate) async fn with_company(on: On) -> Self {
        Self::with_instances(on, if on == On::Embedded { 1 } else { 2 }).await
    }

    /// One instance on the embedded stores, so many on the shared ones, which look after their campaigns so often.
    pub(crate) async fn with_tick(on: On, count: usize, tick: Duration) -> Self {
        let settings = Settings { tick, ..settings() };
        Self::start(on, if on == On::Embedded { 1 } else { count }, settings).await
    }

    /// Several instances on the same stores.
    pub(crate) async fn with_instances(on: On, count: usize) -> Self {
        Self::start(on, count, settings()).await
    }

    async fn start(on: On, count: usize, settings: Settings) -> Self {
        let shop = match on {
            On::Embedded => Self::embedded(settings).await,
            On::RedisAndPostgres => Self::redis_and_postgres(count, settings).await,
        };
        assert_eq!(shop.instances.len(), count, "the embedded stores serve one instance");
        shop
    }

    async fn embedded(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(StandingClock::default());
        clock.set(at("20:00:00")).await;
        let Embedded { gate, ledger } = Embedded::open(folder.path(), clock.clone()).expect("a new folder");
        let (stores, settings) = (Stores::of(gate, ledger), Settings { fence: None, ..settings });
        let instance = Instance::start(stores, settings.clone()).await;
        Self { clocks: vec![clock], instances: vec![instance], settings, _keep: Box::new(folder) }
    }

    async fn redis_and_postgres(count: usize, settings: Settings) -> Self {
        let postgres = PostgresServer::shared().await.expect("postgres starts");
        let database = postgres
            .migrated_database(|url: String| async move { migrate(&url).await.map(drop) })
            .await
            .expect("a database");
        let redis = RedisServer::start().await.expect("redis starts");
        let clocks: Vec<Arc<dyn TestClock>> =
            vec![Arc::new(database.clock().await.expect("a clock")), Arc::new(redis.clock())];
        for clock in &clocks {
            clock.set(at("20:00:00")).await;
        }
        let mut instances = Vec::new();
        for _ in 0..count {
            let stores = shared_stores(database.url(), &redis.url()).await;
            instances.push(Instance::start(stores, settings.clone()).await);
        }
        Self { clocks, instances, settings, _keep: Box::new((database, redis)) }
    }

    /// Nothing runs until it is this time; then as many instances as before start anew on the same stores.
    pub(crate) async fn down_until(&mut self, at: Timestamp) {
        self.instances.iter().for_each(|instance| instance.stop.cancel());
        join_all(self.instances.iter().map(|instance| instance.ended.cancelled())).await;
        self.set_to(at).await;
        for instance in &mut self.instances {
            *instance = Instance::start(instance.stores.clone(), self.settings.clone()).await;
        }
    }

    /// From now on it is this time, at gate and ledger.
    pub(crate) async fn set(&self, time: &str) {
        self.set_to(at(time)).await;
    }

    pub(crate) async fn set_to(&self, at: Timestamp) {
        for clock in &self.clocks {
            clock.set(at).await;
        }
    }

    fn first(&self) -> Instance {
        self.instances[0].clone()
    }

    /// The instances in turn.
    pub(crate) fn nth(&self, n: usize) -> Instance {
        self.instances[n % self.instances.len()].clone()
    }

    /// The last instance: another one than the first, where there are two.
    pub(crate) fn another(&self) -> Instance {
        self.nth(self.instances.len() - 1)
    }

    /// Creates an active campaign; answers its id and that of its first round.
    pub(crate) async fn create(&self, campaign: pb::Campaign) -> (String, String) {
        let request = pb::CreateCampaignRequest { campaign: Some(campaign), activate: true, ..Default::default() };
        let created = self.first().campaigns.create_campaign(request).await.expect("a sound campaign").into_inner();
        (created.campaign.expect("a campaign").id, created.first_round.expect("a round").id)
    }

    pub(crate) async fn reserve(&self, campaign: &str, round: &str, user: &str) -> Place {
        self.first().reserve(campaign, round, user).await.expect("an answer")
    }

    pub(crate) async fn claim(&self, campaign: &str, round: &str, user: &str) -> Claim {
        self.first().claim(campaign, round, user).await.expect("an answer")
    }

    pub(crate) async fn redeem(&self, code: &str, user: &str, order: &str, cents: i64) -> Redemption {
        self.first().redeem(code, user, order, cents).await.expect("an answer")
    }

    /// All users reserve at once; each gets a place.
    pub(crate) async fn all_reserve(&self, campaign: &str, round: &str, users: &[String]) {
        let calls = users.iter().map(|user| async move { self.reserve(campaign, round, user).await.granted() });
        let tickets: std::collections::HashSet<_> =
            join_all(calls).await.into_iter().map(|place| place.ticket).collect();
        assert_eq!(tickets.len(), users.len(), "tickets are different");
    }

    /// All users claim at once, over all instances in turn.
    pub(crate) async fn all_claim(&self, campaign: &str, round: &str, users: &[String]) -> Vec<Claim> {
        let instances = self.instances.iter().cycle();
        let calls = users.iter().zip(instances).map(|(user, instance)| async move {
            instance.clone().claim(campaign, round, user).await.expect("an answer")
        });
        join_all(calls).await
    }

    /// The round as the gate has it.
    pub(crate) async fn round(&self, campaign: &str, round: &str) -> pb::Round {
        let request = pb::GetRoundRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned() };
        self.first().campaigns.get_round(request).await.expect("a round").into_inner().round.expect("a round")
    }

    /// All coupons of these users in the ledger, once the recorder has brought what was answered.
    pub(crate) async fn ledger_coupons(&self, campaign: &str, users: &[String]) -> Vec<pb::Coupon> {
        let calls = users.iter().map(|user| async move {
            let request = pb::ListCouponsRequest {
                user_id: user.clone(),
                campaign_id: campaign.to_owned(),
                page_size: 1000,
                ..Default::default()
            };
            self.first().coupons.list_coupons(request).await.expect("a list").into_inner().coupons
        });
        join_all(calls).await.into_iter().flatten().collect()
    }

    /// Waits until the ledger has this many coupons of these users, for at most ten seconds.
    pub(crate) async fn recorded(&self, campaign: &str, users: &[String], count: usize) -> Vec<pb::Coupon> {
        eventually(|| async {
            let coupons = self.ledger_coupons(campaign, users).await;
            (coupons.len() >= count).then_some(coupons)
        })
        .await
    }
}

/// Asks again until there is an answer, for at most twenty seconds.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    within(Duration::from_secs(20), ask).await
}

/// Asks again until there is an answer, for at most so long.
pub(crate) async fn within<T, F: Future<Output = Option<T>>>(patience: Duration, ask: impl Fn() -> F) -> T {
    let wait = async {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        loop {
            again.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(patience, wait).await.unwrap_or_else(|_| panic!("it does not happen within {patience:?}"))
}

/// The service's own, with a scheduler that keeps up with a clock that jumps.
fn settings() -> Settings {
    Settings { fence: Some(Fence::default()), tick: Duration::from_millis(200), ..Settings::default() }
}

/// Gate and ledger under the test's clocks.
async fn shared_stores(database_url: &str, redis_url: &str) -> Stores {
    let ledger = Arc::new(PostgresLedger::connect(PostgresConfig::new(database_url)).await.expect("postgres answers"));
    let installation = ledger.installation().await.expect("an installation");
    let library = library_with_test_clock(LIBRARY).into();
    let config = RedisConfig { library, ..RedisConfig::new(redis_url, installation) };
    // A machine that is busy with other tests' servers may need longer than the gate's own patience.
    let connect = || async { RedisGate::connect(config.clone()).await.ok() };
    let gate = Arc::new(within(Duration::from_secs(30), connect).await);
    Stores::of(gate, ledger)
}

impl Instance {
    async fn start(stores: Stores, settings: Settings) -> Self {
        let keys = MasterKeys::parse(&MasterKeys::format_line(1, &[42; 32])).expect("a key");
        let engine = Engine::start(stores.clone(), keys, settings);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let service =
            Service { engine: Arc::clone(&engine), listener, ops: None, stop_timeout: Duration::from_secs(2) };
        let ended = CancellationToken::new();
        let (stopping, at_end) = (stop.clone(), ended.clone().drop_guard());
        tokio::spawn(async move {
            let _at_end = at_end;
            serve(service, stopping).await
        });
        let channel = Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
        Self {
            coupons: CouponServiceClient::new(channel.clone()),
            campaigns: CampaignServiceClient::new(channel.clone()),
            users: UserServiceClient::new(channel.clone()),
            events: EventServiceClient::new(channel.clone()),
            channel,
            engine,
            stores,
            stop,
            ended,
        }
    }

    pub(crate) async fn reserve(&mut self, campaign: &str, round: &str, user: &str) -> Result<Place, Status> {
        let answer = self.coupons.reserve(reserve_request(campaign, round, user)).await?.into_inner();
        let outcome = match answer.outcome.expect("an outcome") {
            pb::reserve_response::Outcome::Place(place) => Outcome::Yes(place),
            pb::reserve_response::Outcome::Refusal(refusal) => Outcome::No(refusal),
        };
        Ok(Answer { outcome, replayed: answer.replayed, witness: answer.witness })
    }

    pub(crate) async fn claim(&mut self, campaign: &str, round: &str, user: &str) -> Result<Claim, Status> {
        let answer = self.coupons.claim(claim_request(campaign, round, user)).await?.into_inner();
        let outcome = match answer.outcome.expect("an outcome") {
            pb::claim_response::Outcome::Coupon(coupon) => Outcome::Yes(coupon),
            pb::claim_response::Outcome::Refusal(refusal) => Outcome::No(refusal),
        };
        Ok(Answer { outcome, replayed: answer.replayed, witness: answer.witness })
    }

    pub(crate) async fn redeem(
        &mut self,
        code: &str,
        user: &str,
        order: &str,
        cents: i64,
    ) -> Result<Redemption, Status> {
        let answer = self.coupons.redeem(redeem_request(code, user, order, cents)).await?.into_inner();
        let outcome = match answer.outcome.expect("an outcome") {
            pb::redeem_response::Outcome::Redemption(redemption) => Outcome::Yes(redemption),
            pb::redeem_response::Outcome::Refusal(refusal) => Outcome::No(refusal),
        };
        Ok(Answer { outcome, replayed: answer.replayed, witness: None })
    }
}

pub(crate) fn reserve_request(campaign: &str, round: &str, user: &str) -> pb::ReserveRequest {
    pb::ReserveRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned(), user_id: user.to_owned() }
}

pub(crate) fn claim_request(campaign: &str, round: &str, user: &str) -> pb::ClaimRequest {
    pb::ClaimRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned(), user_id: user.to_owned() }
}

pub(crate) fn redeem_request(code: &str, user: &str, order: &str, cents: i64) -> pb::RedeemRequest {
    pb::RedeemRequest {
        code: code.to_owned(),
        user_id: user.to_owned(),
        order: Some(pb::Order { id: order.to_owned(), amount: Some(euros(cents)) }),
        validate_only: false,
    }
}

/// Yes or no, and what goes with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer<T> {
    pub(crate) outcome: Outcome<T>,
    pub(crate) replayed: bool,
    pub(crate) witness: Option<pb::Witness>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome<T> {
    Yes(T),
    No(pb::Refusal),
}

pub(crate) type Place = Answer<pb::Place>;
pub(crate) type Claim = Answer<pb::Coupon>;
pub(crate) type Redemption = Answer<pb::Redemption>;

impl<T: std::fmt::Debug> Answer<T> {
    /// The yes that this is.
    pub(crate) fn granted(self) -> T {
        match self.outcome {
            Outcome::Yes(yes) => yes,
            Outcome::No(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    pub(crate) fn yes(&self) -> Option<&T> {
        match &self.outcome {
            Outcome::Yes(yes) => Some(yes),
            Outcome::No(_) => None,
        }
    }

    /// The no that this is.
    pub(crate) fn refusal(self) -> pb::Refusal {
        match self.outcome {
            Outcome::Yes(yes) => panic!("not refused: {yes:?}"),
            Outcome::No(refusal) => refusal,
        }
    }

    pub(crate) fn reason(self) -> Reason {
        self.refusal().reason()
    }
}

/// So many coupons, and so many refusals with this reason; nothing else.
#[track_caller]
pub(crate) fn assert_split(claims: &[Claim], coupons: usize, refusals: usize, reason: Reason) {
    let yes = claims.iter().filter(|claim| claim.yes().is_some()).count();
    let no = claims.iter().filter(|claim| matches!(&claim.outcome, Outcome::No(r) if r.reason() == reason)).count();
    assert_eq!((yes, no, claims.len()), (coupons, refusals, coupons + refusals));
}

/// An instant of 24 April 2024 in Taipei; `25 09:00:00` is the day after.
pub(crate) fn at(time: &str) -> Timestamp {
    let (day, time) = time.split_once(' ').unwrap_or(("24", time));
    let text = format!("2024-04-{day}T{time}+08:00");
    let instant = chrono::DateTime::parse_from_rfc3339(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    Timestamp::from_micros(instant.timestamp_micros())
}

pub(crate) fn instant(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.micros().rem_euclid(1_000_000) * 1000).expect("less than a second");
    prost_types::Timestamp { seconds: at.micros().div_euclid(1_000_000), nanos }
}

pub(crate) fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

pub(crate) fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

pub(crate) fn euros(cents: i64) -> Money {
    money("EUR", cents / 100, i32::try_from(cents % 100 * 10_000_000).expect("less than a euro"))
}

pub(crate) fn money(code: &str, units: i64, nanos: i32) -> Money {
    Money { currency_code: code.to_owned(), units, nanos }
}

/// A call of this operator.
pub(crate) fn by<T>(actor: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("coupon-actor", MetadataValue::try_from(actor).expect("a header"));
    request
}

pub(crate) fn users(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("user-{n}")).collect()
}

/// 20 % off, a place needed, one round at 23:00 in Taipei with the usual windows, coupons valid for a week.
pub(crate) fn campaign(title: &str, supply: pb::supply::Rule) -> pb::Campaign {
    pb::Campaign {
        title: title.to_owned(),
        benefit: Some(pb::Benefit { kind: Some(pb::benefit::Kind::PercentOff(20)), ..Default::default() }),
        supply: Some(pb::Supply { rule: Some(supply) }),
        schedule: Some(pb::Schedule {
            start: Some(pb::schedule::Start::Once(instant(at("23:00:00")))),
            ..Default::default()
        }),
        reservation_required: true,
        validity: Some(pb::Validity { until: Some(pb::validity::Until::AfterClaim(seconds(7 * 86_400))) }),
        ..Default::default()
    }
}

/// As [`campaign`], first come first served, without places.
pub(crate) fn open_campaign(title: &str, coupons: i64) -> pb::Campaign {
    pb::Campaign { reservation_required: false, ..campaign(title, fixed(coupons)) }
}

/// As [`open_campaign`], with coupons that are valid so long.
pub(crate) fn valid_for(title: &str, coupons: i64, valid: Duration) -> pb::Campaign {
    let valid = seconds(i64::try_from(valid.as_secs()).expect("short"));
    let validity = Some(pb::Validity { until: Some(pb::validity::Until::AfterClaim(valid)) });
    pb::Campaign { validity, ..open_campaign(title, coupons) }
}

/// Each day at this time in Taipei instead of once.
pub(crate) fn daily(campaign: pb::Campaign, cron: &str) -> pb::Campaign {
    let recurrence =
        pb::Recurrence { cron: cron.to_owned(), time_zone: "Asia/Taipei".to_owned(), ..Default::default() };
    let schedule = pb::Schedule {
        start: Some(pb::schedule::Start::Recurring(recurrence)),
        ..campaign.schedule.unwrap_or_default()
    };
    pb::Campaign { schedule: Some(schedule), ..campaign }
}

pub(crate) fn fixed(coupons: i64) -> pb::supply::Rule {
    pb::supply::Rule::Fixed(coupons)
}

pub(crate) fn a_fifth(rounding: pb::Rounding) -> pb::supply::Rule {
    pb::supply::Rule::RatioOfPlaces(pb::Ratio { numerator: 1, denominator: 5, rounding: rounding.into() })
}

/// Makes one test of each scenario on each set of adapters.
macro_rules! on_both {
    ($($scenario:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::shop::On::Embedded).await;
            })*
        }
        mod redis_and_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::shop::On::RedisAndPostgres).await;
            })*
        }
    };
}
pub(crate) use on_both;
