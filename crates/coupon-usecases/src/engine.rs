//! What the use cases share: the stores, and a session for each campaign that was asked for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coupon_domain::benefit::Benefit;
use coupon_domain::checkout::{Call, Outcome};
use coupon_domain::code::MasterKeys;
use coupon_domain::draw::Seed;
use coupon_domain::ids::UserId;
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::Decided;
use coupon_domain::ports::{
    AuditRepository, CampaignRepository, CouponRepository, DeliveryRepository, DrawRepository, FeedRepository, Gate,
    GateError, Journal, RecordRepository, Retention, StatisticsRepository, UserRepository,
};
use coupon_domain::position::Position;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug};

use crate::coalescer::{Coalescer, Limits};
use crate::error::{Fault, RETRY_SOON};
use crate::feed::{Bell, Settings as FeedSettings};
use crate::session::{Compared, Condition, Session, lock};
use crate::statistics::Tallies;

/// A campaign that is asked for the first time is opened while its callers wait, at most so long.
const OPENING_PATIENCE: Duration = Duration::from_secs(4);

/// The adapters.
#[derive(Clone)]
pub struct Stores {
    /// Decides.
    pub gate: Arc<dyn Gate>,
    /// What it decided.
    pub journal: Arc<dyn Journal>,
    /// The ledger's campaigns.
    pub campaigns: Arc<dyn CampaignRepository>,
    /// The ledger's side of the recorder.
    pub records: Arc<dyn RecordRepository>,
    /// The ledger's coupons.
    pub coupons: Arc<dyn CouponRepository>,
    /// The ledger's draws.
    pub draws: Arc<dyn DrawRepository>,
    /// The registry of users.
    pub users: Arc<dyn UserRepository>,
    /// Counts for people.
    pub statistics: Arc<dyn StatisticsRepository>,
    /// The feed of events.
    pub feed: Arc<dyn FeedRepository>,
    /// What receivers have not taken.
    pub deliveries: Arc<dyn DeliveryRepository>,
    /// Who changed what.
    pub audit: Arc<dyn AuditRepository>,
}

impl Stores {
    /// A gate with its journal, and a ledger that keeps all the rest.
    pub fn of<G, L>(gate: Arc<G>, ledger: Arc<L>) -> Self
    where
        G: Gate + Journal + 'static,
        L: CampaignRepository
            + RecordRepository
            + CouponRepository
            + DrawRepository
            + UserRepository
            + StatisticsRepository
            + FeedRepository
            + DeliveryRepository
            + AuditRepository
            + 'static,
    {
        Self {
            gate: gate.clone(),
            journal: gate,
            campaigns: ledger.clone(),
            records: ledger.clone(),
            coupons: ledger.clone(),
            draws: ledger.clone(),
            users: ledger.clone(),
            statistics: ledger.clone(),
            feed: ledger.clone(),
            deliveries: ledger.clone(),
            audit: ledger,
        }
    }
}

/// Where the seeds of draws come from.
#[derive(Clone)]
pub struct SeedSource(Arc<dyn Fn() -> SeedAndNonce + Send + Sync>);

/// A draw's secret, and what its sealing must not use twice.
pub type SeedAndNonce = (Seed, [u8; 24]);

impl SeedSource {
    /// Seeds from this function.
    pub fn from_fn(seeds: impl Fn() -> SeedAndNonce + Send + Sync + 'static) -> Self {
        Self(Arc::new(seeds))
    }

    /// Seeds from the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| (Seed::from(rand::random::<[u8; 32]>()), rand::random()))
    }

    pub(crate) fn next(&self) -> SeedAndNonce {
        self.0()
    }
}

impl std::fmt::Debug for SeedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SeedSource(..)")
    }
}

/// How instances that share stores keep out of each other's way.
#[derive(Debug, Clone, Copy)]
pub struct Fence {
    /// Calls go to the gate only if the ledger confirmed the epoch so recently.
    pub confirm_within: Duration,
    /// A recovery waits so long after it raised the epoch. Longer than `confirm_within` and a gate's time-out together.
    pub wait: Duration,
}

impl Default for Fence {
    fn default() -> Self {
        Self { confirm_within: Duration::from_secs(2), wait: Duration::from_secs(4) }
    }
}

/// How the service works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How calls to the gate are gathered, for each round and verb.
    pub gate: Limits,
    /// How calls to the ledger are gathered.
    pub ledger: Limits,
    /// `None` if no other process can share the stores.
    pub fence: Option<Fence>,
    /// How often campaigns are looked after: boundaries, new rounds, old rounds.
    pub tick: Duration,
    /// How long decisions gather before the recorder fetches them.
    pub recorder_pause: Duration,
    /// While decisions pour in, the recorder leaves the machine to them until so many wait.
    pub recorder_lag: u64,
    /// The same, until it has waited so long.
    pub recorder_delay: Duration,
    /// Decisions that the recorder writes in one transaction at most.
    pub recorder_chunk: usize,
    /// Where the seeds of draws come from.
    pub seeds: SeedSource,
    /// How often coupons are looked after: holds that ran out, validity that ended, notices.
    pub upkeep: Duration,
    /// How the feed is read.
    pub feed: FeedSettings,
    /// How long events are kept.
    pub retention: Retention,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gate: Limits { batch: 500, in_flight: 2, queue: 20_000 },
            ledger: Limits { batch: 200, in_flight: 2, queue: 5_000 },
            fence: Some(Fence::default()),
            tick: Duration::from_secs(1),
            recorder_pause: Duration::from_millis(50),
            recorder_lag: 100_000,
            recorder_delay: Duration::from_secs(5),
            recorder_chunk: 5_000,
            seeds: SeedSource::system(),
            upkeep: Duration::from_secs(1),
            feed: FeedSettings::default(),
            retention: Retention::default(),
        }
    }
}

/// See the module. All use cases stand on one of these.
pub struct Engine {
    pub(crate) stores: Stores,
    pub(crate) settings: Settings,
    pub(crate) keys: MasterKeys,
    pub(crate) checkout_lane: Coalescer<Call, Result<Outcome, Fault>>,
    pub(crate) registry_lane: Coalescer<UserId, bool>,
    pub(crate) tallies: Tallies,
    /// Rung when this process may have written events.
    pub(crate) bell: Bell,
    sessions: Mutex<HashMap<CampaignId, Arc<Session>>>,
    stop: CancellationToken,
}

impl Engine {
    /// Starts the background work too; it ends with [`Engine::stop`].
    #[must_use]
    pub fn start(stores: Stores, keys: MasterKeys, settings: Settings) -> Arc<Self> {
        let bell = Bell::default();
        let (coupons, ringer) = (Arc::clone(&stores.coupons), bell.clone());
        let checkout_lane = Coalescer::start(settings.ledger, move |calls: Vec<Call>| {
            let (coupons, ringer) = (Arc::clone(&coupons), ringer.clone());
            async move {
                let outcomes = crate::checkout::carry_out_all(coupons.as_ref(), &calls).await;
                ringer.ring();
                Ok(outcomes)
            }
        });
        let users = Arc::clone(&stores.users);
        let registry_lane = Coalescer::start(settings.ledger, move |asked: Vec<UserId>| {
            let users = Arc::clone(&users);
            async move { Ok(users.registered(&asked).await?) }
        });
        let engine = Arc::new(Self {
            stores,
            settings,
            keys,
            checkout_lane,
            registry_lane,
            tallies: Tallies::default(),
            bell,
            sessions: Mutex::default(),
            stop: CancellationToken::new(),
        });
        engine.spawn(crate::scheduler::run(Arc::clone(&engine)));
        engine.spawn(crate::upkeep::run(Arc::clone(&engine)));
        engine
    }

    /// Ends the background work and brings what is decided into the ledger, as far as it answers.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.flush_tallies().await;
        for session in self.sessions() {
            if session.lag() > 0 && self.drain(&session).await.is_err() {
                debug!(campaign = %session.id, "not all is recorded; the next start goes on from here");
            }
        }
    }

    /// Background work that ends with the engine.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let work = async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
        };
        tokio::spawn(work.in_current_span());
    }

    /// The master keys.
    #[must_use]
    pub fn keys(&self) -> &MasterKeys {
        &self.keys
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions).values().cloned().collect()
    }

    pub(crate) fn known_session(&self, id: &CampaignId) -> Option<Arc<Session>> {
        lock(&self.sessions).get(id).cloned()
    }

    /// The campaign's session, open to be asked.
    pub(crate) async fn session(self: &Arc<Self>, id: &CampaignId) -> Result<Arc<Session>, Fault> {
        let session = self.closed_session(id).await?;
        // Detached: an impatient first caller must not leave it half open. Those who come meanwhile wait for the same opening.
        if session.change_condition(Condition::New, Condition::Opening) {
            self.spawn(crate::opener::reopen_until_open(Arc::clone(self), Arc::clone(&session)));
        }
        let condition = tokio::time::timeout(OPENING_PATIENCE, session.settled()).await;
        match condition.unwrap_or(Condition::Recovering) {
            Condition::Open => Ok(session),
            Condition::New | Condition::Opening | Condition::Recovering => {
                Err(Fault::Recovering { retry_after: RETRY_SOON })
            }
            Condition::Halted => Err(Fault::Halted),
        }
    }

    /// The campaign's session, whatever its gate is doing.
    pub(crate) async fn closed_session(self: &Arc<Self>, id: &CampaignId) -> Result<Arc<Session>, Fault> {
        if let Some(session) = self.known_session(id) {
            return Ok(session);
        }
        let campaign = self.stores.campaigns.campaign(id).await?.ok_or_else(|| Fault::UnknownCampaign(id.clone()))?;
        let session = Arc::new(Session::new(campaign));
        match lock(&self.sessions).entry(id.clone()) {
            Entry::Occupied(there) => return Ok(Arc::clone(there.get())),
            Entry::Vacant(free) => free.insert(Arc::clone(&session)),
        };
        self.spawn(crate::recorder::run(Arc::clone(self), Arc::clone(&session)));
        Ok(session)
    }

    /// Takes note of what the gate decided, or of what is wrong with it.
    pub(crate) fn settle<T>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        answer: Result<Decided<T>, GateError>,
    ) -> Result<Decided<T>, Fault> {
        match answer {
            Ok(decided) => {
                session.observe(&decided);
                Ok(decided)
            }
            Err(error) => {
                self.take_note(session, &error);
                Err(error.into())
            }
        }
    }

    /// The fence: no call leaves for the gate unless the ledger confirmed this epoch a moment ago. What it answers goes with the call.
    pub(crate) async fn admit(self: &Arc<Self>, session: &Arc<Session>) -> Result<Position, Fault> {
        match session.condition() {
            Condition::Open => {}
            Condition::New | Condition::Opening | Condition::Recovering => {
                return Err(Fault::Recovering { retry_after: RETRY_SOON });
            }
            Condition::Halted => return Err(Fault::Halted),
        }
        let (seen, confirmed) = session.admission();
        let Some(fence) = self.settings.fence else { return Ok(seen) };
        if confirmed.is_some_and(|at| at.elapsed() < fence.confirm_within) {
            return Ok(seen);
        }
        let asked = Instant::now();
        let standing = self.stores.campaigns.standing(&session.id).await?;
        match standing.map(|standing| session.compare(&standing, asked)) {
            Some(Compared::Confirmed) => session.confirm(asked),
            Some(Compared::Older) => {}
            Some(Compared::Outdated) | None => {
                self.recover(session);
                return Err(Fault::Recovering { retry_after: RETRY_SOON });
            }
        }
        // A ledger that took its time has confirmed the past.
        match session.admission() {
            (seen, Some(confirmed)) if confirmed.elapsed() < fence.confirm_within => Ok(seen),
            _ => Err(Fault::Recovering { retry_after: RETRY_SOON }),
        }
    }

    /// A gate that is not what it was has to be recovered.
    fn take_note(self: &Arc<Self>, session: &Arc<Session>, error: &GateError) {
        match error {
            GateError::NotLoaded | GateError::Recovering | GateError::Stale(_) | GateError::Fenced(_) => {
                debug!(campaign = %session.id, %error, "the gate has to be recovered");
                self.recover(session);
            }
            GateError::NoSuchRound(_)
            | GateError::Foreign(_)
            | GateError::BatchTooLarge(_)
            | GateError::Load(_)
            | GateError::Unsafe(_)
            | GateError::Unknown(_) => {}
        }
    }

    /// Recovers a campaign in the background, once at a time.
    pub(crate) fn recover(self: &Arc<Self>, session: &Arc<Session>) {
        if session.change_condition(Condition::Open, Condition::Recovering) {
            self.spawn(crate::opener::reopen_until_open(Arc::clone(self), Arc::clone(session)));
        }
    }

    /// The campaign that a round belongs to and the revision that it was planned by, from what the gates told, else from the ledger.
    pub(crate) async fn origin_of(self: &Arc<Self>, round: RoundId) -> Result<Option<Origin>, Fault> {
        let told = self.sessions().into_iter().find_map(|session| {
            let revision = session.rounds().get(round)?.revision;
            Some(Origin { campaign: session.id.clone(), revision })
        });
        if told.is_some() {
            return Ok(told);
        }
        let record = self.stores.campaigns.round(round).await?;
        Ok(record.map(|record| Origin { campaign: record.campaign, revision: record.head.view.spec.revision }))
    }

    /// What coupons of a campaign are worth whose round was planned by this revision: it changes only while there are none.
    pub(crate) async fn benefit(self: &Arc<Self>, campaign: &CampaignId, revision: u64) -> Result<Benefit, Fault> {
        let session = self.closed_session(campaign).await?;
        if session.terms().revision < revision {
            self.learn_terms(&session).await?;
        }
        Ok(session.terms().rules.benefit.clone())
    }

    /// Takes over what the ledger says that the campaign offers.
    pub(crate) async fn learn_terms(self: &Arc<Self>, session: &Session) -> Result<(), Fault> {
        let campaign = self.campaign(&session.id).await?;
        session.set_terms(campaign.rules, campaign.revision);
        Ok(())
    }
}

/// Where a coupon comes from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) campaign: CampaignId,
    /// Of the campaign's rules.
    pub(crate) revision: u64,
}

/// Health, for whoever asks from outside.
impl Engine {
    /// Whether the gate's store answers and keeps what it acknowledges.
    pub async fn gate_is_well(&self) -> bool {
        well("gate", self.stores.gate.check().await)
    }

    /// Whether the ledger answers.
    pub async fn ledger_is_well(&self) -> bool {
        well("ledger", self.stores.campaigns.now().await)
    }
}

fn well<T, E: std::error::Error + 'static>(store: &'static str, answer: Result<T, E>) -> bool {
    metrics::gauge!("coupon_store_up", "store" => store).set(if answer.is_ok() { 1.0 } else { 0.0 });
    if let Err(error) = &answer {
        debug!(store, error = error as &dyn std::error::Error, "the store is not well");
    }
    answer.is_ok()
}
