//! One rush, from the first reservation to the last claim.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::ensure;
use coupon_domain::answer::{Outcome, Refusal};
use coupon_domain::campaign::Allocation;
use coupon_domain::choice::Verb;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use coupon_usecases::ask::Ask;
use coupon_usecases::error::Fault;
use futures::future::maybe_done;
use futures::poll;

use super::crowd::Crowd;
use super::figures::{Claim, Figures};
use super::stage::{Stage, until};

/// Calls of one instant at most.
pub(super) const GROUP: usize = 10_000;
/// Reservations within so long are of one instant.
const RESERVED_TOGETHER: Duration = Duration::from_secs(1);
/// Claims within so long are of one instant; they are decided in order of their arrival all the same.
const CLAIMED_TOGETHER: Duration = Duration::from_millis(5);

/// A no, if it is not a yes.
type Answered = Result<Option<Refusal>, Fault>;

/// What was refused, by call and reason.
pub(super) type Refusals = BTreeMap<(Verb, Refusal), u64>;

/// Plays a rush on a new stage, and ends its engine.
///
/// # Errors
/// If the stores fail, or what was answered is not what the ledger has.
pub async fn run(stage: &Stage, crowd: &Crowd, allocation: Allocation) -> anyhow::Result<Figures> {
    let played = Rush { stage, crowd, told: Told::default() }.play().await;
    stage.engine.stop().await;
    let told = played?;
    let record = stage.stores.campaigns.round(stage.round).await?;
    Figures::of(allocation, crowd, told, record.as_ref())
}

struct Rush<'a> {
    stage: &'a Stage,
    crowd: &'a Crowd,
    told: Told,
}

/// What the callers were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) places: u64,
    /// In order of arrival.
    pub(super) claims: Vec<Claim>,
    pub(super) refusals: Refusals,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
}

impl Rush<'_> {
    async fn play(mut self) -> anyhow::Result<Told> {
        let spec = self.stage.engine.round(&self.stage.campaign, Some(self.stage.round)).await?.view.spec;
        let reserve = spec.reserve.unwrap_or(spec.claim);
        self.reservations(reserve.opens).await;
        self.stage.clock.stand_at(Some(reserve.closes));
        self.drawn(&spec).await?;
        self.claims(spec.claim.opens).await;
        self.stage.clock.stand_at(Some(spec.claim.closes));
        self.counted().await?;
        Ok(self.told)
    }

    async fn reservations(&mut self, opens: Timestamp) {
        let calls = self.crowd.in_order(|visitor| Some(visitor.reserves));
        let engine = &self.stage.engine;
        for (at, calls) in groups(&calls, RESERVED_TOGETHER) {
            self.stage.clock.stand_at(Some(opens.plus(at)));
            let asks = self.asks(calls);
            let answers = in_order(
                asks.iter().map(async |ask| engine.reserve(ask).await.map(|reserved| refusal(reserved.asked.outcome))),
            );
            for answered in answers.await {
                self.told.places += u64::from(self.told.note(Verb::Reserve, answered));
            }
        }
    }

    async fn claims(&mut self, opens: Timestamp) {
        let calls = self.crowd.in_order(|visitor| visitor.claims);
        let engine = &self.stage.engine;
        for (at, calls) in groups(&calls, CLAIMED_TOGETHER) {
            self.stage.clock.stand_at(Some(opens.plus(at)));
            let asks = self.asks(calls);
            let answers = in_order(
                asks.iter().map(async |ask| engine.claim(ask).await.map(|claimed| refusal(claimed.asked.outcome))),
            );
            for ((at, visitor), answered) in calls.iter().zip(answers.await) {
                let won = self.told.note(Verb::Claim, answered);
                self.told.claims.push(Claim { visitor: *visitor, at: *at, won });
            }
        }
    }

    fn asks(&self, calls: &[(Duration, usize)]) -> Vec<Ask> {
        let Stage { campaign, round, .. } = self.stage;
        let ask = |(_, visitor): &(Duration, usize)| {
            let user = self.crowd.visitors[*visitor].user.clone();
            Ask { campaign: campaign.clone(), round: Some(*round), user }
        };
        calls.iter().map(ask).collect()
    }

    /// Waits for the draw, where there is one: it comes before claims open, as it does in a real round.
    async fn drawn(&self, spec: &RoundSpec) -> anyhow::Result<()> {
        let Stage { engine, campaign, round, .. } = self.stage;
        until("the draw", async || {
            let view = engine.round(campaign, Some(*round)).await?.view;
            Ok((spec.draw.is_none() || view.drawn).then_some(()))
        })
        .await
    }

    /// Waits until the ledger has counted as many refusals as were told.
    async fn counted(&self) -> anyhow::Result<()> {
        let Stage { engine, campaign, round, .. } = self.stage;
        let told: u64 = self.told.refusals.values().sum();
        let refusals = until("the ledger's counts", async || {
            let refusals = engine.stats(campaign, Some(*round)).await?.refusals;
            Ok((refusals.values().sum::<u64>() >= told).then_some(refusals))
        });
        let counted = refusals.await?;
        ensure!(counted == self.told.refusals, "told were {:?}, the ledger counted {counted:?}", self.told.refusals);
        Ok(())
    }
}

impl Told {
    /// Counts an answer; true if it is a yes.
    fn note(&mut self, verb: Verb, answered: Answered) -> bool {
        match answered {
            Ok(None) => return true,
            Ok(Some(refusal)) => *self.refusals.entry((verb, refusal)).or_default() += 1,
            Err(fault) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| fault.to_string());
            }
        }
        false
    }
}

fn refusal<T>(outcome: Outcome<T>) -> Option<Refusal> {
    match outcome {
        Outcome::Granted(_) | Outcome::Replayed(_) => None,
        Outcome::Refused(refusal) => Some(refusal),
    }
}

/// Calls that arrive together, with their common instant.
fn groups(calls: &[(Duration, usize)], together: Duration) -> impl Iterator<Item = (Duration, &[(Duration, usize)])> {
    let instant = move |at: Duration| u32::try_from(at.as_nanos() / together.as_nanos()).unwrap_or(u32::MAX);
    let same_instant = calls.chunk_by(move |(a, _), (b, _)| instant(*a) == instant(*b));
    same_instant.flat_map(|calls| calls.chunks(GROUP)).map(move |calls| (together * instant(calls[0].0), calls))
}

/// Makes calls in this order, all before the first is answered.
async fn in_order<T>(calls: impl Iterator<Item: Future<Output = T>>) -> Vec<T> {
    // Tokio would interrupt a task that does so much at once, and the rest would get into their lane in another order.
    tokio::task::unconstrained(async {
        let mut calls: Vec<_> = calls.map(|call| Box::pin(maybe_done(call))).collect();
        for call in &mut calls {
            // One poll puts the call into its lane; the answer is taken below.
            let _queued = poll!(call.as_mut());
        }
        let mut answers = Vec::with_capacity(calls.len());
        for mut call in calls {
            call.as_mut().await;
            answers.extend(call.as_mut().take_output());
        }
        answers
    })
    .await
}
