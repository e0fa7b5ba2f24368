//! Looks after campaigns: opens their gates, latches boundaries, plans rounds ahead, lets old rounds leave. Every instance runs it; the gate
//! decides, so that each thing happens once.

use std::sync::Arc;
use std::time::Instant;

use coupon_domain::campaign::{Allocation, CampaignState};
use coupon_domain::draw::DrawParams;
use coupon_domain::ids::RoundId;
use coupon_domain::model::{
    CampaignView, Decided, Retirement, RoundOpening, RoundView, UNUSED_ROUND_KEPT, USED_ROUND_KEPT,
};
use coupon_domain::ports::Standing;
use coupon_domain::round::{DrawPlan, Phase, RoundSpec};
use coupon_domain::time::Timestamp;
use futures::StreamExt as _;
use tokio::time::MissedTickBehavior;
use tracing::{debug, warn};

use crate::engine::Engine;
use crate::error::Fault;
use crate::session::{Compared, Condition, Session, Terms};

/// Campaigns looked after at once.
const AT_ONCE: usize = 16;

/// Runs as long as the engine does.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(engine.settings.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(fault) = engine.look_after_all().await {
            debug!(%fault, "campaigns could not be looked after");
        }
        engine.flush_tallies().await;
    }
}

impl Engine {
    async fn look_after_all(self: &Arc<Self>) -> Result<(), Fault> {
        let asked = Instant::now();
        let standings = self.stores.campaigns.standings().await?;
        let each = |standing: Standing| async move {
            match self.look_after(&standing, asked).await {
                Ok(()) | Err(Fault::Recovering { .. } | Fault::Halted) => {}
                Err(fault) => warn!(campaign = %standing.campaign, %fault, "the campaign could not be looked after"),
            }
        };
        futures::stream::iter(standings).for_each_concurrent(AT_ONCE, each).await;
        Ok(())
    }

    async fn look_after(self: &Arc<Self>, standing: &Standing, asked: Instant) -> Result<(), Fault> {
        if let Some(session) = self.known_session(&standing.campaign)
            && session.condition() == Condition::Open
        {
            match session.compare(standing, asked) {
                Compared::Confirmed => session.confirm(asked),
                Compared::Outdated => self.recover(&session),
                Compared::Older => {}
            }
        }
        let session = self.session(&standing.campaign).await?;
        let decided = self.tick(&session).await?;
        if self.settings.fence.is_some() && decided.position.n > session.cursor().position.n.max(standing.acknowledged)
        {
            self.stores.campaigns.acknowledge(&session.id, decided.position.n).await?;
        }
        self.plan_rounds(&session).await?;
        self.draw_in_background(&session, &decided);
        self.retire_rounds(&session, &decided).await?;
        if decided.position.n > session.cursor().position.n {
            session.decided.notify_one();
        }
        self.trim(&session).await
    }

    /// How the campaign stands at its gate, boundaries latched.
    pub(crate) async fn tick(self: &Arc<Self>, session: &Arc<Session>) -> Result<Decided<CampaignView>, Fault> {
        let (engine, session) = (Arc::clone(self), Arc::clone(session));
        // Detached: what the gate decides has to be noted, whether or not the caller waits.
        let tick = tokio::spawn(async move {
            let seen = engine.admit(&session).await?;
            let decided = engine.settle(&session, engine.stores.gate.tick(&session.id, seen).await)?;
            session.set_rounds(&decided);
            if decided.answers.revision > session.terms().revision {
                engine.catch_up(&session, decided.position.n).await;
            }
            Ok(decided)
        });
        tick.await.map_err(Fault::internal)?
    }

    /// The rules were changed, here or elsewhere: they come by way of the ledger.
    async fn catch_up(self: &Arc<Self>, session: &Arc<Session>, n: u64) {
        let learned = match self.recorded(session, n).await {
            Ok(()) => self.learn_terms(session).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = learned {
            debug!(campaign = %session.id, %fault, "the new rules have not reached the ledger yet");
        }
    }

    /// Opens the rounds that should exist by now and do not; answers how far the gate has come if it opened any.
    pub(crate) async fn plan_rounds(self: &Arc<Self>, session: &Arc<Session>) -> Result<Option<u64>, Fault> {
        // Starts and rounds by the same terms: if others hold by now, the gate says so.
        let terms = session.terms();
        let starts = missing_starts(session, &terms);
        if starts.is_empty() {
            return Ok(None);
        }
        let count = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        let ids = self.stores.campaigns.new_round_ids(count).await?;
        let mut position = None;
        for (start, id) in starts.into_iter().zip(ids) {
            let spec = self.planned(&terms, id, start)?;
            let seen = self.admit(session).await?;
            let opened = self.settle(session, self.stores.gate.open_round(&session.id, &spec, seen).await)?;
            position = Some(opened.position.n);
            match opened.answers {
                RoundOpening::Opened => {}
                RoundOpening::Overlaps(other) => {
                    warn!(campaign = %session.id, round = %id, %other, "a planned round overlaps another and is left out");
                }
                // Somebody else is planning. Going on in turns would give later numbers to earlier rounds.
                RoundOpening::AlreadyThere(_) | RoundOpening::CampaignEnded => break,
                // The tick below brings the new rules; rounds are planned by them the next time.
                RoundOpening::Outdated(_) => break,
            }
        }
        self.tick(session).await?;
        Ok(position)
    }

    /// A round by these terms; if it is drawn, with a seed of its own that is committed to from now on.
    fn planned(&self, terms: &Terms, id: RoundId, start: Timestamp) -> Result<RoundSpec, Fault> {
        let Terms { rules, revision } = terms;
        let key_id = self.keys.signing_id();
        let spec = RoundSpec::planned(rules, *revision, id, start, key_id);
        let params = match rules.allocation {
            Allocation::FirstCome => return Ok(spec),
            Allocation::Draw => DrawParams::new(id, rules.supply, rules.total_limit),
        };
        let params = params.ok_or_else(|| Fault::internal("a drawn round has a supply of its own"))?;
        let (seed, nonce) = self.settings.seeds.next();
        let sealed_seed = self.keys.seal_seed(key_id, id, &seed, nonce).ok_or_else(|| Fault::missing_key(key_id))?;
        let draw = DrawPlan {
            commit: params.commit(&seed),
            sealed_seed,
            total_limit: rules.total_limit,
            beacon_source: rules.beacon_source.clone(),
        };
        Ok(RoundSpec { draw: Some(draw), ..spec })
    }

    async fn retire_rounds(
        self: &Arc<Self>,
        session: &Arc<Session>,
        decided: &Decided<CampaignView>,
    ) -> Result<(), Fault> {
        let recorded = session.cursor().position.n;
        let ended = decided.answers.state == CampaignState::Ended && self.ended_long_ago(session).await?;
        let over = |round: &&RoundView| {
            let used = round.places > 0 || round.issued > 0;
            let kept = if used { USED_ROUND_KEPT } else { UNUSED_ROUND_KEPT };
            let closed = round.phase == Phase::Closed && decided.at >= round.claim().closes.plus(kept);
            closed || (ended && !used)
        };
        for round in decided.answers.rounds.iter().filter(over).map(|round| round.spec.id) {
            let seen = self.admit(session).await?;
            match self.settle(session, self.stores.gate.retire(&session.id, round, recorded, seen).await) {
                Ok(retired) if retired.answers == Retirement::Retired => {
                    debug!(campaign = %session.id, %round, "the round has left the gate");
                }
                // Kept for now, or another instance was faster.
                Ok(_) | Err(Fault::UnknownRound(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Whether callers have had time to hear that the campaign has ended.
    async fn ended_long_ago(&self, session: &Session) -> Result<bool, Fault> {
        let campaign = self.campaign(&session.id).await?;
        let now = self.stores.campaigns.now().await?;
        Ok(campaign.state == CampaignState::Ended && now >= campaign.updated_at.plus(UNUSED_ROUND_KEPT))
    }
}

fn missing_starts(session: &Session, terms: &Terms) -> Vec<Timestamp> {
    let Some(now) = session.gate_time() else { return Vec::new() };
    let rounds = session.rounds();
    if rounds.state == CampaignState::Ended {
        return Vec::new();
    }
    let planned = terms.rules.schedule.starts_to_plan(now);
    planned.into_iter().filter(|start| !rounds.starts.contains(start)).collect()
}
