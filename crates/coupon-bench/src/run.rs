//! One load from its campaign to its measurement.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use coupon_proto::v1 as pb;

use crate::check::{self, Kind};
use crate::crew::Work;
use crate::job::{Job, Scene, user};
use crate::load::Load;
use crate::plan::{Amount, Drive, Plan};
use crate::report::{Exactness, Measurement};
use crate::scene::{Operator, RATIO};
use crate::service::Service;
use crate::tally::Tally;
use crate::team::{Means, put_on};

/// More than any service answers in a second on such a machine: what a load without a number of requests may need.
const MOST_A_SECOND: f64 = 500_000.0;
/// The contract's limits of a fixed supply and of places.
const MOST_COUPONS: f64 = 200_000_000.0;
const MOST_PLACES: u64 = 10_000_000;
/// How long a rush gives its users to reserve: as if it were this slow, and a little longer.
const RESERVES_A_SECOND: u64 = 3_000;
const AT_LEAST: Duration = Duration::from_secs(3);

/// The number of the user who takes the only coupon of a round that is sold out.
const WINNER: u64 = (1 << 35) - 1;
const SOLD_OUT: &str = "SOLD_OUT";

/// What was loaded, and what is to be counted of it.
struct Loaded {
    work: Work,
    /// When what is counted began.
    began: Instant,
    /// Successes since then.
    successes: u64,
    counted: Option<(Scene, Kind)>,
    /// How many there must be, where the rules say so.
    expected: Option<u64>,
    differences: Vec<String>,
}

/// One load on one service.
struct Run<'a> {
    plan: &'a Plan,
    service: &'a Service,
    means: &'a Means,
    operator: Operator,
}

/// Puts a load on a service and measures it; then counts.
///
/// # Errors
/// If the service cannot be reached, refuses the campaign, or its ledger does not catch up. Coupons that are off are no error, but are in
/// [`Measurement::differences`].
pub async fn run(plan: &Plan, service: &Service, means: &Means) -> anyhow::Result<Measurement> {
    let operator = Operator::connect(service.address()).await?;
    let run = Run { plan, service, means, operator };
    let scene = run.scene().await?;
    let measured = match run.load(scene.as_ref()).await {
        Ok(loaded) => run.measured(loaded).await,
        Err(error) => Err(error),
    };
    if let Some(scene) = scene.filter(|_| service.is_foreign()) {
        run.operator.end(&scene).await.context("the campaign of the bench cannot be ended")?;
    }
    measured
}

impl Run<'_> {
    /// The round that the load needs.
    async fn scene(&self) -> anyhow::Result<Option<Scene>> {
        Ok(match self.plan.load {
            Load::Empty => None,
            Load::Reserve | Load::ReserveStream => Some(self.operator.reservations(self.places()?).await?),
            Load::Claim | Load::ClaimStream | Load::Redeem => Some(self.operator.claims(self.coupons()).await?),
            Load::Refused => Some(self.operator.claims(1).await?),
            Load::Rush => Some(self.operator.rush(self.reservation()?, self.places()?).await?),
        })
    }

    async fn load(&self, scene: Option<&Scene>) -> anyhow::Result<Loaded> {
        let Some(scene) = scene.cloned() else {
            let (work, began) = self.put_on(Job::Empty).await?;
            let successes = work.tally.successes();
            return Ok(Loaded { work, began, successes, counted: None, expected: None, differences: Vec::new() });
        };
        match self.plan.load {
            Load::Reserve | Load::ReserveStream => self.enough(Job::Reserve(scene.clone()), scene, Kind::Places).await,
            Load::Redeem => self.enough(Job::Redeem(scene.clone()), scene, Kind::Redemptions).await,
            Load::Refused => self.refused(scene).await,
            Load::Rush => self.rush(scene).await,
            Load::Empty | Load::Claim | Load::ClaimStream => {
                self.enough(Job::Claim(scene.clone()), scene, Kind::Coupons).await
            }
        }
    }

    async fn put_on(&self, job: Job) -> anyhow::Result<(Work, Instant)> {
        put_on(self.plan, job, self.service, self.means).await
    }

    /// There is enough for all: nobody is to be refused.
    async fn enough(&self, job: Job, scene: Scene, kind: Kind) -> anyhow::Result<Loaded> {
        let (work, began) = self.put_on(job).await?;
        let refusals = work.tally.refusals().into_iter();
        let differences =
            refusals.map(|(reason, count)| format!("{count} answers were {reason}: there is enough for all"));
        let (differences, successes) = (differences.collect(), work.tally.successes());
        Ok(Loaded { differences, successes, work, began, counted: Some((scene, kind)), expected: None })
    }

    /// The only coupon is taken; everybody else is refused.
    async fn refused(&self, scene: Scene) -> anyhow::Result<Loaded> {
        let request = pb::ClaimRequest {
            campaign_id: scene.campaign.clone(),
            round_id: scene.round.clone(),
            user_id: user(WINNER),
        };
        let answer = self.operator.coupons.clone().claim(request).await?.into_inner();
        let Some(pb::claim_response::Outcome::Coupon(coupon)) = answer.outcome else {
            bail!("the only coupon of a round is not given: {answer:?}");
        };
        let (work, began) = self.put_on(Job::Claim(scene.clone())).await?;
        work.given.note(u64::try_from(coupon.serial.unwrap_or(-1)).unwrap_or(u64::MAX), WINNER);
        let mut differences = Vec::new();
        let others: u64 = work.tally.refusals().iter().filter(|(reason, _)| *reason != SOLD_OUT).map(|(_, n)| n).sum();
        if others > 0 {
            differences.push(format!("{others} answers had another reason than {SOLD_OUT}"));
        }
        Ok(Loaded { work, began, successes: 0, counted: Some((scene, Kind::Coupons)), expected: Some(1), differences })
    }

    /// All reserve; when claims open, all claim.
    async fn rush(&self, scene: Scene) -> anyhow::Result<Loaded> {
        let (reserved, _) = self.put_on(Job::Reserve(scene.clone())).await?;
        self.operator.wait_for(&scene, pb::RoundPhase::Claiming, self.reservation()?).await?;
        let (mut work, began) = self.put_on(Job::Claim(scene.clone())).await?;
        let successes = work.tally.successes();
        let places = reserved.given.count();
        let at_gate = check::gate_count(&self.operator, &scene, Kind::Places).await?;
        let exactness = Exactness { answers: places, gate: at_gate, ledger: at_gate, expected: None };
        let differences = check::differences(Kind::Places, &reserved, &exactness);
        let mut tally = reserved.tally;
        tally.append(&work.tally);
        work.tally = tally;
        let expected = Some(places / RATIO);
        Ok(Loaded { work, began, successes, counted: Some((scene, Kind::Coupons)), expected, differences })
    }

    /// How many coupons there must be, so that nobody is refused.
    fn coupons(&self) -> u64 {
        let Plan { amount, drive, warmup, .. } = *self.plan;
        let within = |span: Duration| match drive {
            Drive::Rate { per_second, .. } => span.as_secs_f64() * per_second,
            Drive::Callers(_) | Drive::Streams { .. } => span.as_secs_f64() * MOST_A_SECOND,
        };
        let measured = match amount {
            Amount::Requests(requests) => requests as f64,
            Amount::Duration(span) => within(span),
        };
        (measured + within(warmup)).ceil().clamp(1.0, MOST_COUPONS) as u64
    }

    fn places(&self) -> anyhow::Result<u64> {
        if let Amount::Requests(requests) = self.plan.amount {
            ensure!(requests <= MOST_PLACES, "a round has room for {MOST_PLACES} places");
        }
        Ok(self.coupons().min(MOST_PLACES))
    }

    /// How long reservation is open in a rush.
    fn reservation(&self) -> anyhow::Result<Duration> {
        let Amount::Requests(users) = self.plan.amount else { bail!("a rush has a number of users, not a duration") };
        let rate = match self.plan.drive {
            Drive::Rate { per_second, .. } => (per_second as u64).clamp(1, RESERVES_A_SECOND),
            Drive::Callers(_) | Drive::Streams { .. } => RESERVES_A_SECOND,
        };
        Ok(AT_LEAST + Duration::from_secs(users.div_ceil(rate)))
    }

    async fn measured(&self, loaded: Loaded) -> anyhow::Result<Measurement> {
        let Loaded { work, began, successes, counted, expected, mut differences } = loaded;
        let (mut exactness, mut ledger_seconds) = (None, None);
        if let Some((scene, kind)) = counted {
            let recorded = check::wait_for_ledger(&self.operator, &scene, kind, &work.given).await?;
            ledger_seconds = recorded.filter(|_| successes > 0).map(|at| at.duration_since(began).as_secs_f64());
            let found = check::count(&self.operator, self.service.address(), &scene, kind, &work).await?;
            let found = Exactness { expected, ..found };
            differences.extend(check::differences(kind, &work, &found));
            exactness = Some(found);
        }
        let mut measured = self.summary(&work.tally);
        measured.sustained_rate = ledger_seconds.map(|seconds| successes as f64 / seconds);
        Ok(Measurement { exactness, ledger_seconds, differences, ..measured })
    }

    fn summary(&self, tally: &Tally) -> Measurement {
        let (refusals, seconds) = (tally.refusals(), tally.took().as_secs_f64());
        let mut measured = Measurement {
            load: self.plan.load.name().to_owned(),
            target: self.service.name().to_owned(),
            drive: self.plan.drive.to_string(),
            seconds,
            rate: 0.0,
            successes: tally.successes(),
            faults: tally.faults(),
            success_latency: tally.success_latency(),
            refusal_latency: tally.refusal_latency(),
            fault_latency: tally.fault_latency(),
            course: tally.course(),
            exactness: None,
            ledger_seconds: None,
            sustained_rate: None,
            differences: Vec::new(),
            refusals,
        };
        if self.plan.load == Load::Refused {
            // The refusal is what was asked for.
            measured.successes = measured.refusals.get(SOLD_OUT).copied().unwrap_or_default();
            measured.success_latency = measured.refusal_latency;
        }
        measured.rate = if seconds > 0.0 { measured.successes as f64 / seconds } else { 0.0 };
        measured
    }
}
