//! Where a rush takes place: an installation of its own in a folder, under a clock that is moved by hand.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::campaign::{Allocation, CampaignState, RulesDraft, Validity};
use coupon_domain::checkout::Operator;
use coupon_domain::code::MasterKeys;
use coupon_domain::draw::Seed;
use coupon_domain::ids::{Actor, CampaignId, RoundId};
use coupon_domain::ports::{Clock as _, CreateOutcome, MAX_BATCH, NewCampaign};
use coupon_domain::schedule::{Schedule, Start};
use coupon_domain::supply::{Ratio, Supply};
use coupon_domain::time::Timestamp;
use coupon_embedded::Embedded;
use coupon_usecases::coalescer::Limits;
use coupon_usecases::engine::{Engine, SeedSource, Settings, Stores};
use coupon_usecases::error::Fault;
use rand::Rng as _;

use super::crowd::chance;
use crate::clock::ServiceClock;

/// When claims open: 2030-01-01T20:00:00Z. Any instant would do; the same one gives the same history.
pub const START: Timestamp = Timestamp::from_micros(1_893_528_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);
/// The engine looks after its campaign so often; a draw waits for that.
const TICK: Duration = Duration::from_millis(10);
/// Between two looks at what the engine does in the background.
const LOOK_AGAIN: Duration = Duration::from_millis(3);
/// Longer than the draw of a million places.
const PATIENCE: Duration = Duration::from_secs(300);

/// One campaign of one round, which is in the plans.
pub struct Stage {
    /// Of gate and ledger.
    pub clock: Arc<ServiceClock>,
    /// The use cases.
    pub engine: Arc<Engine>,
    /// What they stand on.
    pub stores: Stores,
    /// The campaign.
    pub campaign: CampaignId,
    /// Its round.
    pub round: RoundId,
}

/// What is random in a real installation.
#[derive(Clone)]
pub struct Secrets {
    master_key: [u8; 32],
    draw_seed: [u8; 32],
    nonce: [u8; 24],
}

impl Secrets {
    /// Those of a simulation's seed. They guard nothing.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut chance = chance(seed, 1);
        Self { master_key: chance.random(), draw_seed: chance.random(), nonce: chance.random() }
    }
}

impl Stage {
    /// Opens a new folder a day before claims open, and waits until the round is planned.
    ///
    /// # Errors
    /// If the folder cannot be used or the rules are refused.
    pub async fn open(folder: &Path, rules: RulesDraft, secrets: Secrets) -> anyhow::Result<Self> {
        let clock = Arc::new(ServiceClock::default());
        clock.stand_at(Some(START.minus(DAY)));
        let Embedded { gate, ledger } = Embedded::open(folder, clock.clone())?;
        let stores = Stores::of(gate, ledger);
        let campaign = CampaignId::parse("simulation")?;
        // Before the engine starts: then nobody but its scheduler plans the round, once, and its number is the ledger's first.
        create(&stores, &campaign, rules, clock.now()).await?;
        let keys = MasterKeys::parse(&MasterKeys::format_line(0, &secrets.master_key))?;
        let engine = Engine::start(stores.clone(), keys, settings(&secrets));
        let planned = async || match engine.round(&campaign, None).await {
            Ok(report) => Ok(Some(report.view.spec.id)),
            Err(Fault::UnknownRound(_) | Fault::Recovering { .. }) => Ok(None),
            Err(fault) => Err(fault.into()),
        };
        let round = until("the round to be planned", planned).await?;
        // Virtual time is faster than the recorder, and the ledger counts refusals only of rounds that it has.
        engine.rounds(&campaign, None, 1).await?;
        Ok(Self { clock, engine, stores, campaign, round })
    }
}

/// A round by the usual windows, for at most so many users.
#[must_use]
pub fn rules(allocation: Allocation, ratio: Ratio, users: u32) -> RulesDraft {
    RulesDraft {
        title: "Simulation".to_owned(),
        benefit: Some(Benefit { kind: BenefitKind::PercentOff(20), min_order: None, max_discount: None }),
        supply: Some(Supply::RatioOfPlaces(ratio)),
        allocation,
        schedule: Some(Schedule {
            start: Start::Once(START),
            reserve_lead: Schedule::RESERVE_LEAD,
            reserve_close_lead: Schedule::RESERVE_CLOSE_LEAD,
            claim_duration: Schedule::CLAIM_DURATION,
        }),
        reservation_required: true,
        max_places: Some(i64::from(users)),
        validity: Some(Validity::AfterClaim(7 * DAY)),
        ..RulesDraft::default()
    }
}

async fn create(stores: &Stores, id: &CampaignId, draft: RulesDraft, now: Timestamp) -> anyhow::Result<()> {
    let rules = draft.check(now).map_err(|wrong| anyhow!("the campaign's rules are refused: {wrong:?}"))?;
    let by = Operator { actor: Actor::parse("simulate")?, request: None };
    let new = NewCampaign { id: id.clone(), rules, state: CampaignState::Active, by };
    match stores.campaigns.create(&new).await? {
        CreateOutcome::Created(_) => Ok(()),
        other => bail!("the folder is not new: {other:?}"),
    }
}

/// One batch at a time, so that calls are decided in the order in which they came.
fn settings(secrets: &Secrets) -> Settings {
    let Secrets { draw_seed, nonce, .. } = *secrets;
    Settings {
        gate: Limits { batch: MAX_BATCH, in_flight: 1, queue: super::rush::GROUP },
        fence: None,
        tick: TICK,
        seeds: SeedSource::from_fn(move || (Seed::from(draw_seed), nonce)),
        ..Settings::default()
    }
}

/// Asks until there is an answer: what the engine does in the background is a few milliseconds away.
pub(super) async fn until<T>(what: &str, ask: impl AsyncFn() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let mut again = tokio::time::interval(LOOK_AGAIN);
    let answered = async {
        loop {
            again.tick().await;
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.with_context(|| format!("waited in vain for {what}"))?
}
