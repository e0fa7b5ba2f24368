//! One thread of a load, from its connections to its count.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use coupon_proto::v1 as pb;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tonic::transport::{Channel, Endpoint};

use crate::drive::{Asked, Lane, Log, Logged, Numbers, closed, due, open, windowed};
use crate::given::Given;
use crate::job::{Caller as _, Form, Job, Requests, Scene, Unary, WARM, user};
use crate::plan::{Amount, Drive, Plan, Share};
use crate::schedule::Schedule;
use crate::tally::{Answer, Tally};
use crate::wire::Connection;
use crate::wire::message::{ClaimedOfMany, ReservedOfMany};

/// How often a request without an answer is sent again after the load.
const ATTEMPTS: usize = 20;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(250);
/// Claims under way at once while coupons are prepared.
const PREPARING: usize = 128;
/// Redemptions a second that coupons are prepared for, if nobody says how many requests there are.
const REDEEMS_A_SECOND: u64 = 20_000;

/// See the module.
pub(crate) struct Hand {
    /// This thread's part of the load.
    pub(crate) plan: Plan,
    pub(crate) job: Job,
    pub(crate) address: String,
    pub(crate) share: Share,
    pub(crate) given: Arc<Given>,
    pub(crate) done: Arc<AtomicU64>,
}

/// What it has done.
pub(crate) struct Done {
    pub(crate) tally: Tally,
    pub(crate) asked: Vec<Asked>,
    pub(crate) prepared: u64,
    pub(crate) unsettled: u64,
}

/// Whatever requests need.
struct Tools {
    connections: Vec<Connection>,
    callers: Vec<Unary>,
    requests: Rc<Requests>,
}

impl Hand {
    /// Connects, prepares, warms up, says so, waits for the start, and puts its part of the load on.
    pub(crate) fn run(
        self,
        ready: mpsc::UnboundedSender<()>,
        mut go: watch::Receiver<Option<Instant>>,
    ) -> anyhow::Result<Done> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let tools = self.tools().await?;
            let mut asked = self.warm_up(&tools).await;
            ready.send(()).context("nobody waits")?;
            drop(ready);
            let Some(origin) = *go.wait_for(Option::is_some).await? else { bail!("nobody waits") };
            let (logged, measured) = self.load(&tools, self.plan.amount, 0, origin).await;
            asked.push(measured);
            let unsettled = self.settle(&tools, logged.unsettled).await;
            Ok(Done { tally: logged.tally, asked, prepared: tools.requests.prepared(), unsettled })
        })
    }

    async fn tools(&self) -> anyhow::Result<Tools> {
        let mut connections = Vec::new();
        for _ in 0..self.plan.connections {
            connections.push(Connection::open(&self.address).await?);
        }
        let requests = Rc::new(match &self.job {
            Job::Empty => Requests::Empty,
            Job::Reserve(scene) => Requests::Reserve(Form::of(scene)),
            Job::Claim(scene) => Requests::Claim(Form::of(scene)),
            Job::Redeem(scene) => Requests::Redeem(self.claim_codes(scene).await?, self.share.of as u64),
        });
        let callers = connections.iter().map(|connection| Unary::new(connection, Rc::clone(&requests)));
        let callers = callers.collect::<anyhow::Result<_>>()?;
        Ok(Tools { connections, callers, requests })
    }

    /// The codes of coupons that this thread's users claim now, recorded in the ledger.
    async fn claim_codes(&self, scene: &Scene) -> anyhow::Result<Vec<String>> {
        let count = match (self.plan.amount, self.plan.drive) {
            (Amount::Requests(requests), _) => requests,
            (Amount::Duration(span), Drive::Rate { per_second, .. }) => {
                Schedule::new(Instant::now(), per_second, self.share).within(span)
            }
            (Amount::Duration(span), _) => self.share.part(span.as_secs().max(1) * REDEEMS_A_SECOND),
        };
        let channel = Endpoint::from_shared(format!("http://{}", self.address))?.connect().await?;
        let numbers = futures::stream::iter((0..count).map(|n| self.share.number(n)));
        let codes = numbers.map(|number| claim_code(channel.clone(), scene, number)).buffered(PREPARING);
        codes.try_collect().await
    }

    async fn warm_up(&self, tools: &Tools) -> Vec<Asked> {
        // Each redemption needs a coupon; claiming it has warmed the service up.
        if self.plan.warmup.is_zero() || matches!(self.job, Job::Redeem(_)) {
            return Vec::new();
        }
        let (logged, asked) = self.load(tools, Amount::Duration(self.plan.warmup), WARM, Instant::now()).await;
        self.settle(tools, logged.unsettled).await;
        self.done.store(0, std::sync::atomic::Ordering::Relaxed);
        vec![asked]
    }

    async fn load(&self, tools: &Tools, amount: Amount, base: u64, origin: Instant) -> (Logged, Asked) {
        let log = Rc::new(Log::new(origin, Arc::clone(&self.given), Arc::clone(&self.done)));
        let numbers = |limit, until| Arc::new(Numbers::new(self.share, base, limit, until));
        let (limit, until) = match amount {
            Amount::Requests(requests) => (requests, None),
            Amount::Duration(span) => (tools.requests.most(), Some(origin + span)),
        };
        let numbers = match self.plan.drive {
            Drive::Callers(callers) => {
                let numbers = numbers(limit, until);
                closed(&tools.callers, callers, &numbers, &log).await;
                numbers
            }
            Drive::Streams { streams, window } => {
                let numbers = numbers(limit, until);
                let lanes = self.lanes(tools, streams, window);
                let start = |lane| match &self.job {
                    Job::Reserve(_) => {
                        spawn_local(windowed::<ReservedOfMany>(lane, Arc::clone(&numbers), Rc::clone(&log)))
                    }
                    Job::Claim(_) | Job::Redeem(_) | Job::Empty => {
                        spawn_local(windowed::<ClaimedOfMany>(lane, Arc::clone(&numbers), Rc::clone(&log)))
                    }
                };
                join_all(lanes.map(start)).await;
                numbers
            }
            Drive::Rate { per_second, outstanding, streams } => {
                let schedule = Schedule::new(origin, per_second, self.share);
                let count = match amount {
                    Amount::Requests(requests) => requests,
                    Amount::Duration(span) => schedule.within(span).min(limit),
                };
                let numbers = numbers(count, None);
                if streams == 0 {
                    open(&tools.callers, schedule, count, outstanding, &numbers, &log).await;
                } else {
                    let lanes = self.lanes(tools, streams, outstanding.div_ceil(streams));
                    match &self.job {
                        Job::Reserve(_) => due::<ReservedOfMany>(lanes, schedule, count, &numbers, &log).await,
                        Job::Claim(_) | Job::Redeem(_) | Job::Empty => {
                            due::<ClaimedOfMany>(lanes, schedule, count, &numbers, &log).await;
                        }
                    }
                }
                numbers
            }
        };
        // All callers have ended: nobody else holds it.
        let logged = Rc::into_inner(log).map(Log::into_notes);
        let logged = logged.unwrap_or_else(|| Logged { tally: Tally::new(origin), unsettled: Vec::new() });
        (logged, numbers.asked())
    }

    /// So many streams, dealt over the connections.
    fn lanes<'a>(&self, tools: &'a Tools, streams: usize, window: usize) -> impl Iterator<Item = Lane> + use<'a> {
        let (path, form) = match &*tools.requests {
            Requests::Reserve(form) => ("/coupon.v1.CouponService/ReserveStream", Some(form)),
            Requests::Claim(form) => ("/coupon.v1.CouponService/ClaimStream", Some(form)),
            // Nothing else can be streamed, and no plan says so.
            Requests::Empty | Requests::Redeem(..) => ("", None),
        };
        let connections = tools.connections.iter().cycle().take(streams);
        let lane = move |connection: &Connection| {
            Some(Lane { connection: connection.clone(), path, form: form?.clone(), window })
        };
        connections.filter_map(lane)
    }

    /// Sends again what has no answer, as a caller does who wants to know: what was given is given again. Answers how many stay without.
    async fn settle(&self, tools: &Tools, mut unsettled: Vec<u64>) -> u64 {
        for _ in 0..ATTEMPTS {
            let mut open = Vec::new();
            for (number, caller) in unsettled.into_iter().zip(tools.callers.iter().cycle()) {
                match caller.ask(number).await {
                    Answer::Yes(Some(serial)) => self.given.note(serial, number),
                    Answer::Yes(None) | Answer::No(_) => {}
                    Answer::Fault(_) | Answer::NotSent => open.push(number),
                }
            }
            if open.is_empty() {
                return 0;
            }
            unsettled = open;
            tokio::time::sleep(BETWEEN_ATTEMPTS).await;
            for connection in &tools.connections {
                connection.mend().await;
            }
        }
        unsettled.len() as u64
    }
}

impl Requests {
    /// How many coupons were claimed for it.
    fn prepared(&self) -> u64 {
        match self {
            Self::Redeem(codes, _) => codes.len() as u64,
            Self::Empty | Self::Reserve(_) | Self::Claim(_) => 0,
        }
    }

    /// How many there can be.
    fn most(&self) -> u64 {
        match self {
            Self::Redeem(codes, _) => codes.len() as u64,
            Self::Empty | Self::Reserve(_) | Self::Claim(_) => u64::MAX,
        }
    }
}

async fn claim_code(channel: Channel, scene: &Scene, number: u64) -> anyhow::Result<String> {
    let request =
        pb::ClaimRequest { campaign_id: scene.campaign.clone(), round_id: scene.round.clone(), user_id: user(number) };
    let response = CouponServiceClient::new(channel).claim(request).await?.into_inner();
    match response.outcome {
        Some(pb::claim_response::Outcome::Coupon(coupon)) => Ok(coupon.code),
        outcome => bail!("a coupon to be redeemed is not given: {outcome:?}"),
    }
}
