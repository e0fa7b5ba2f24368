//! The draw: carried out once reservation has closed, told in parts as they may be known.

use std::sync::Arc;

use coupon_domain::answer::Place;
use coupon_domain::checkout::Operator;
use coupon_domain::draw::merkle::{BLOCK, TreeBuilder, inclusion_proof_by_block};
use coupon_domain::draw::{self, DrawKey, DrawParams, Hash, Seed, winners_bitmap};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{CampaignView, Decided, DrawConclusion, RoundView};
use coupon_domain::ports::{BeaconOutcome, Conclusion, DrawRecord, DrawResult, DrawRoot};
use coupon_domain::round::{DrawPlan, Phase, RoundSpec};
use fail::fail_point;
use tracing::{error, info, warn};

use crate::ask::Ask;
use crate::engine::Engine;
use crate::error::Fault;
use crate::session::Session;

/// Leaves or ranks read at once.
const PAGE: u32 = 50_000;
/// Ranks read at once: a store may have to walk through all before them.
const RANKS: u32 = 1_000_000;

/// A failpoint of tests: the draw says that it is there and stays, until the process is killed from outside.
async fn step(name: &'static str) {
    let is_meant = || {
        fail_point!(name, |_| true);
        false
    };
    if is_meant() {
        info!(failpoint = name, "reached");
        std::future::pending::<()>().await;
    }
}

/// A draw as far as it may be known.
#[derive(Debug, Clone)]
pub struct DrawReport {
    /// The round, with its plan.
    pub view: RoundView,
    /// Commit and beacon's source.
    pub plan: DrawPlan,
    /// What the commit is about.
    pub params: DrawParams,
    /// What the total limit left when reservation closed.
    pub remaining_total: Option<u64>,
    /// Places and root, once reservation has closed.
    pub root: Option<DrawRoot>,
    /// What is published after the claims close.
    pub published: Option<Published>,
}

/// What is published after the claims close.
#[derive(Debug, Clone)]
pub struct Published {
    /// The seed that was committed to.
    pub seed: Seed,
    /// The beacon's bytes; none without.
    pub beacon: Option<Vec<u8>>,
    /// The key that scores the tickets.
    pub key: DrawKey,
    /// How many won.
    pub winners: u32,
    /// The highest score that won.
    pub last_score: Option<Hash>,
}

/// A user's place.
#[derive(Debug, Clone)]
pub struct PlaceReport {
    /// The round.
    pub view: RoundView,
    /// Ticket and time.
    pub place: Place,
    /// The proof that the service gave the place.
    pub receipt: [u8; 16],
    /// Its rank in the draw, 0 for the best; once it is drawn and claims are open.
    pub rank: Option<u32>,
    /// From its leaf to the root; once the root is known.
    pub inclusion_proof: Vec<Hash>,
}

/// Carrying a draw out.
impl Engine {
    /// Carries out the draws that are due, one after the other, unless that is being done.
    pub(crate) fn draw_in_background(self: &Arc<Self>, session: &Arc<Session>, decided: &Decided<CampaignView>) {
        let due = |round: &&RoundView| round.spec.draw.is_some() && !round.drawn && round.phase > Phase::Reserving;
        let due: Vec<_> = decided.answers.rounds.iter().filter(due).cloned().collect();
        if due.is_empty() {
            return;
        }
        let (engine, session, n) = (Arc::clone(self), Arc::clone(session), decided.position.n);
        self.spawn(async move {
            let Ok(_one) = session.drawing.try_lock() else { return };
            for view in due {
                if let Err(fault) = engine.draw_round(&session, &view, n).await {
                    warn!(campaign = %session.id, round = %view.spec.id, %fault, "not drawn yet");
                }
            }
        });
    }

    /// Root, beacon, ranks, winners: each is kept by the ledger before the next, and whoever comes second takes what is there.
    async fn draw_round(self: &Arc<Self>, session: &Arc<Session>, view: &RoundView, n: u64) -> Result<(), Fault> {
        let (round, plan) = (view.spec.id, view.spec.draw.as_ref().ok_or(Fault::NoDraw)?);
        self.recorded(session, n).await?;
        step("draw.begun").await;
        let mut record = self.stores.draws.draw(round).await?;
        if record.root.is_none() {
            let root = self.root_of(round, view.places).await?;
            self.stores.draws.keep_root(round, &root).await?;
            record = self.stores.draws.draw(round).await?;
        }
        step("draw.rooted").await;
        // Claims wait for nobody: without the beacon's bytes by then, the draw goes on without.
        let awaits_beacon = plan.beacon_source.is_some() && record.beacon.is_none() && view.phase < Phase::Claiming;
        if record.result.is_none() && awaits_beacon {
            return Ok(());
        }
        let ranks = match record.result {
            Some(_) => self.ranks_of(round, view.places).await?,
            None => match self.conclude(view, plan, record).await? {
                Some(ranks) => ranks,
                // A beacon came meanwhile; the next tick draws with it.
                None => return Ok(()),
            },
        };
        step("draw.concluded").await;
        self.tell_winners(session, view, &ranks).await
    }

    async fn root_of(&self, round: RoundId, places: u32) -> Result<DrawRoot, Fault> {
        let mut builder = TreeBuilder::default();
        let mut from = 0;
        while from < places {
            let leaves = self.stores.draws.leaves(round, from, PAGE).await?;
            let found = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
            if found == 0 {
                return Err(Fault::internal(format!("{round} has {places} places and {from} leaves")));
            }
            from += found;
            builder = blocking(move || {
                builder.extend(leaves);
                builder
            })
            .await?;
        }
        let tree = builder.finish();
        Ok(DrawRoot { places, root: tree.root, subtrees: tree.blocks })
    }

    /// Ranks the tickets and has the ledger keep that; `None` if the beacon is another one by now.
    async fn conclude(&self, view: &RoundView, plan: &DrawPlan, record: DrawRecord) -> Result<Option<Vec<u32>>, Fault> {
        let round = view.spec.id;
        let root = record.root.ok_or_else(|| Fault::internal("the root was kept and is not there"))?;
        let key = self.draw_key(&view.spec, plan, &root, record.beacon.as_deref())?;
        let (places, winners) = (root.places, view.supply.unwrap_or(0));
        let (ranks, last_score) = blocking(move || {
            let ranking = draw::rank(&key, places);
            let last_score = ranking.last_score(&key, winners);
            (ranking.into_ranks(), last_score)
        })
        .await?;
        step("draw.ranked").await;
        let result = DrawResult { beacon: record.beacon, winners, last_score };
        match self.stores.draws.conclude_draw(round, &result, &ranks).await? {
            Conclusion::Kept => Ok(Some(ranks)),
            Conclusion::Earlier => Ok(Some(self.ranks_of(round, view.places).await?)),
            Conclusion::OtherBeacon => Ok(None),
        }
    }

    fn draw_key(
        &self,
        spec: &RoundSpec,
        plan: &DrawPlan,
        root: &DrawRoot,
        beacon: Option<&[u8]>,
    ) -> Result<DrawKey, Fault> {
        let params = spec.draw_params().ok_or(Fault::NoDraw)?;
        let source = plan.beacon_source.as_deref().unwrap_or_default();
        let beacon = beacon.map_or_else(Vec::new, |bytes| draw::beacon(source, bytes));
        Ok(DrawKey::of(&self.seed(spec, plan)?, &params, root.places, &root.root, &beacon))
    }

    fn seed(&self, spec: &RoundSpec, plan: &DrawPlan) -> Result<Seed, Fault> {
        let seed = self.keys.open_seed(spec.key_id, spec.id, &plan.sealed_seed);
        seed.ok_or_else(|| {
            Fault::internal(format!("the seed of {} cannot be opened with key {}", spec.id, spec.key_id))
        })
    }

    async fn ranks_of(&self, round: RoundId, places: u32) -> Result<Vec<u32>, Fault> {
        let mut ranks = Vec::with_capacity(places as usize);
        while let Ok(from) = u32::try_from(ranks.len())
            && from < places
        {
            let page = self.stores.draws.ranks(round, from, RANKS).await?;
            if page.is_empty() {
                return Err(Fault::internal(format!("{round} has {places} places and {from} ranks")));
            }
            ranks.extend(page);
        }
        Ok(ranks)
    }

    async fn tell_winners(
        self: &Arc<Self>,
        session: &Arc<Session>,
        view: &RoundView,
        ranks: &[u32],
    ) -> Result<(), Fault> {
        let (round, winners) = (view.spec.id, view.supply.unwrap_or(0));
        let bitmap = winners_bitmap(ranks, winners);
        let seen = self.admit(session).await?;
        let told = self.stores.gate.conclude_draw(&session.id, round, &bitmap, seen).await;
        let told = self.settle(session, told)?;
        step("draw.told").await;
        match told.answers {
            DrawConclusion::Drawn(delay) => {
                info!(campaign = %session.id, %round, places = view.places, winners, ?delay, "drawn");
            }
            DrawConclusion::AlreadyDrawn => {}
            DrawConclusion::NotDue | DrawConclusion::NotWhole => {
                error!(campaign = %session.id, %round, answer = ?told.answers, "the gate does not take the winners");
                return Err(Fault::internal("the gate does not take the winners"));
            }
        }
        self.tick(session).await?;
        Ok(())
    }
}

/// Telling of a draw.
impl Engine {
    /// A draw as far as it may be known by now; without a name the round that [`Engine::round`] tells of.
    ///
    /// # Errors
    /// [`Fault::NoDraw`] if the round is not drawn, [`Fault::UnknownCampaign`], [`Fault::UnknownRound`].
    pub async fn draw(self: &Arc<Self>, campaign: &CampaignId, round: Option<RoundId>) -> Result<DrawReport, Fault> {
        let view = self.round(campaign, round).await?.view;
        let round = view.spec.id;
        let plan = view.spec.draw.clone().ok_or(Fault::NoDraw)?;
        let params = view.spec.draw_params().ok_or(Fault::NoDraw)?;
        let DrawRecord { root, result, .. } = self.stores.draws.draw(round).await?;
        let remaining_total = match &root {
            Some(_) => self.stores.campaigns.round(round).await?.and_then(|record| record.left_at_close),
            None => None,
        };
        let published = match (&root, result) {
            (Some(root), Some(result)) if view.phase == Phase::Closed => {
                let DrawResult { beacon, winners, last_score } = result;
                let key = self.draw_key(&view.spec, &plan, root, beacon.as_deref())?;
                Some(Published { seed: self.seed(&view.spec, &plan)?, beacon, key, winners, last_score })
            }
            _ => None,
        };
        Ok(DrawReport { view, plan, params, remaining_total, root, published })
    }

    /// Leaves of a round in order of tickets from this one on, at most `limit`.
    ///
    /// # Errors
    /// [`Fault::NoDraw`], [`Fault::DrawNotReady`] before the root is known.
    pub async fn leaves(&self, round: RoundId, from: u32, limit: u32) -> Result<Vec<Hash>, Fault> {
        Ok(self.stores.draws.leaves(round, from, limit).await?)
    }

    /// A user's place, from the ledger, which is brought up to date first.
    ///
    /// # Errors
    /// [`Fault::UnknownPlace`], [`Fault::UnknownCampaign`], [`Fault::UnknownRound`].
    pub async fn place(self: &Arc<Self>, call: &Ask) -> Result<PlaceReport, Fault> {
        let view = self.round(&call.campaign, call.round).await?.view;
        let spec = &view.spec;
        let place = self.place_of(call, spec.id).await?;
        let receipt = self.keys.receipt(spec.key_id, spec.id, place.ticket, &call.user);
        let receipt = receipt.ok_or_else(|| Fault::missing_key(spec.key_id))?;
        let (rank, inclusion_proof) = match spec.draw {
            Some(_) => (self.rank(&view, place.ticket).await?, self.inclusion_proof(spec.id, place.ticket).await?),
            None => (None, Vec::new()),
        };
        Ok(PlaceReport { view, place, receipt, rank, inclusion_proof })
    }

    async fn place_of(self: &Arc<Self>, call: &Ask, round: RoundId) -> Result<Place, Fault> {
        if let Some(place) = self.stores.records.seat(round, &call.user).await?.place {
            return Ok(place);
        }
        let session = self.closed_session(&call.campaign).await?;
        self.catch_up_with_gate(&session).await?;
        self.stores.records.seat(round, &call.user).await?.place.ok_or(Fault::UnknownPlace)
    }

    async fn rank(&self, view: &RoundView, ticket: u32) -> Result<Option<u32>, Fault> {
        if !view.drawn || view.phase < Phase::Claiming {
            return Ok(None);
        }
        Ok(self.stores.draws.ranks(view.spec.id, ticket, 1).await?.pop())
    }

    async fn inclusion_proof(&self, round: RoundId, ticket: u32) -> Result<Vec<Hash>, Fault> {
        let Some(root) = self.stores.draws.draw(round).await?.root else { return Ok(Vec::new()) };
        let block = self.stores.draws.leaves(round, ticket / BLOCK * BLOCK, BLOCK).await?;
        let proof = inclusion_proof_by_block(&root.subtrees, &block, ticket);
        proof.ok_or_else(|| Fault::internal(format!("{round} has no leaf {ticket}")))
    }

    /// Sets the bytes of a round's beacon, from the close of reservation until the round is drawn. The same again is harmless.
    ///
    /// # Errors
    /// [`Fault::BeaconRefused`], [`Fault::NoDraw`], [`Fault::UnknownRound`], [`Fault::RequestUsed`].
    pub async fn set_beacon(
        self: &Arc<Self>,
        campaign: &CampaignId,
        round: RoundId,
        beacon: &[u8],
        by: &Operator,
    ) -> Result<String, Fault> {
        let view = self.round(campaign, Some(round)).await?.view;
        let plan = view.spec.draw.ok_or(Fault::NoDraw)?;
        let source = plan.beacon_source.ok_or(Fault::BeaconRefused("the round has no beacon_source"))?;
        if view.phase <= Phase::Reserving {
            return Err(Fault::BeaconRefused("reservation has not closed yet"));
        }
        match self.stores.draws.set_beacon(campaign, round, beacon, by).await? {
            BeaconOutcome::Set | BeaconOutcome::Repeated => {}
            BeaconOutcome::SetOtherwise => return Err(Fault::BeaconRefused("it is set to other bytes")),
            BeaconOutcome::TooLate => return Err(Fault::BeaconRefused("the round was drawn without it")),
            BeaconOutcome::RequestUsed => return Err(Fault::RequestUsed),
        }
        let session = self.session(campaign).await?;
        let decided = self.tick(&session).await?;
        self.draw_in_background(&session, &decided);
        Ok(source)
    }
}

/// Hashing a million leaves is no work for a thread that serves calls.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(Fault::internal)
}
