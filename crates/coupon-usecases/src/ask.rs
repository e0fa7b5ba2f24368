//! What Reserve and Claim share: which round is meant, the lane to its gate, and the ledger where the round has left the gate.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use coupon_domain::answer::{Answer, Outcome, Refusal, Witness};
use coupon_domain::campaign::CampaignState;
use coupon_domain::choice::Verb;
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::{Decided, Seat};
use coupon_domain::ports::{Gate, GateError};
use coupon_domain::position::Position;
use coupon_domain::round::RoundSpec;
use coupon_domain::time::Timestamp;
use futures::future::join_all;

use crate::coalescer::Coalescer;
use crate::engine::Engine;
use crate::error::Fault;
use crate::session::{Lanes, Session, lock};
use crate::statistics::ArrivalClock;

/// A user's call about a round.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The campaign.
    pub campaign: CampaignId,
    /// The round; none means the one that [`choose`](coupon_domain::choice::choose) says.
    pub round: Option<RoundId>,
    /// Whose.
    pub user: UserId,
}

/// Many users' calls about one round.
#[derive(Debug, Clone)]
pub struct AskMany {
    /// The campaign.
    pub campaign: CampaignId,
    /// The round; none means the one that [`choose`](coupon_domain::choice::choose) says.
    pub round: Option<RoundId>,
    /// Whose; no more than a gate takes in a batch.
    pub users: Vec<UserId>,
}

impl AskMany {
    fn of(&self, user: &UserId) -> Ask {
        Ask { campaign: self.campaign.clone(), round: self.round, user: user.clone() }
    }
}

/// The answer to such a call.
#[derive(Debug, Clone)]
pub struct Asked<T> {
    /// The round that answered; none if the campaign has no round.
    pub round: Option<Arc<RoundSpec>>,
    /// Yes or no.
    pub outcome: Outcome<T>,
    /// Its place in the order of decisions; none if the ledger answered for a round that has left the gate.
    pub witness: Option<Witness>,
    /// When the window that was closed opens: this round's, or the next one's.
    pub opens_at: Option<Timestamp>,
    /// When to come again while the draw is pending.
    pub retry_after: Option<Duration>,
}

/// What makes the difference between Reserve and Claim.
pub(crate) trait RoundCall {
    type Yes: Copy + Send + Sync + 'static;
    const VERB: Verb;
    fn lanes(session: &Session) -> &Lanes<Self::Yes>;
    fn seated(seat: &Seat) -> Option<Self::Yes>;
    fn decide(
        gate: &dyn Gate,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> impl Future<Output = Result<Decided<Vec<Answer<Self::Yes>>>, GateError>> + Send;
}

/// The clock of the choice may be a little off, and a round may be opened meanwhile; more often it does not happen.
const CHOICES: usize = 3;
/// A draw takes so long, or less.
const RETRY_AFTER_PENDING: Duration = Duration::from_secs(1);

impl Engine {
    pub(crate) async fn ask<C: RoundCall>(self: &Arc<Self>, call: &Ask) -> Result<Asked<C::Yes>, Fault> {
        let session = self.session(&call.campaign).await?;
        match call.round {
            Some(round) => self.ask_round::<C>(&session, round, &call.user).await,
            None => self.ask_chosen_round::<C>(&session, &call.user).await,
        }
    }

    /// The answers to many users, in their order; each is what [`Engine::ask`] would have answered.
    pub(crate) async fn ask_many<C: RoundCall>(self: &Arc<Self>, calls: &AskMany) -> Vec<Result<Asked<C::Yes>, Fault>> {
        let together = match self.ask_together::<C>(calls).await {
            Ok(Some(together)) => together,
            Ok(None) => vec![None; calls.users.len()],
            Err(fault) => return calls.users.iter().map(|_| Err(fault.clone())).collect(),
        };
        let left = calls.users.iter().zip(&together).filter(|(_, answer)| answer.is_none());
        let alone = left.map(async |(user, _)| self.ask::<C>(&calls.of(user)).await);
        let mut alone = join_all(alone).await.into_iter();
        let answers = together.into_iter().map(|answer| answer.map(Ok).or_else(|| alone.next()));
        answers.map(|answer| answer.unwrap_or_else(|| Err(Fault::internal("a user was not asked")))).collect()
    }

    /// One question to the gate for all of them. None for whom, or for all if, the round may be another one after all.
    async fn ask_together<C: RoundCall>(
        self: &Arc<Self>,
        calls: &AskMany,
    ) -> Result<Option<Vec<Option<Asked<C::Yes>>>>, Fault> {
        let session = self.session(&calls.campaign).await?;
        let chosen = |at| session.rounds().choose(C::VERB, at);
        let round = match calls.round {
            Some(round) => Some(round),
            None => chosen(session.gate_time().unwrap_or(Timestamp::EPOCH)).map(|choice| choice.round),
        };
        let Some(spec) = round.and_then(|round| session.rounds().get(round).cloned()) else { return Ok(None) };
        if spec.registered_users_only {
            return Ok(None);
        }
        let answers = match self.lane::<C>(&session, &spec, true).ask_all(calls.users.clone()).await {
            Err(Fault::UnknownRound(_)) => return Ok(None),
            answers => answers?,
        };
        let mut settled: Option<(Timestamp, bool)> = None;
        let mut is_settled = |answer: &Answer<C::Yes>| {
            if calls.round.is_some() || matches!(answer.outcome, Outcome::Granted(_)) {
                return true;
            }
            let at = answer.witness.at;
            if let Some((known, is)) = settled
                && known == at
            {
                return is;
            }
            let is = chosen(at).is_none_or(|choice| choice.round == spec.id && choice.repeat_in.is_none());
            settled = Some((at, is));
            is
        };
        let answers = answers.into_iter();
        let asked = answers.map(|answer| is_settled(&answer).then(|| asked::<C>(&session, &spec, answer)));
        Ok(Some(asked.collect()))
    }

    async fn ask_chosen_round<C: RoundCall>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        user: &UserId,
    ) -> Result<Asked<C::Yes>, Fault> {
        let mut at = session.gate_time().unwrap_or(Timestamp::EPOCH);
        let mut last = None;
        for _ in 0..CHOICES {
            let Some(choice) = session.rounds().choose(C::VERB, at) else {
                return self.ask_past_rounds::<C>(session, user).await;
            };
            let asked = match self.ask_round::<C>(session, choice.round, user).await {
                // Unused, it was forgotten a moment ago.
                Err(Fault::UnknownRound(_)) => {
                    self.tick(session).await?;
                    continue;
                }
                asked => asked?,
            };
            let (Outcome::Replayed(_) | Outcome::Refused(_), Some(witness)) = (&asked.outcome, &asked.witness) else {
                return Ok(asked);
            };
            // The choice was made by a guess of the gate's time; now it is known.
            at = witness.at;
            let again = session.rounds().choose(C::VERB, at).unwrap_or(choice);
            if again.round == choice.round {
                let early = matches!(asked.outcome, Outcome::Refused(Refusal::NotOpenYet));
                let before = again.repeat_in.filter(|_| early);
                return Ok(self.repeat_in::<C>(session, before, user).await?.unwrap_or(asked));
            }
            last = Some(asked);
        }
        last.ok_or_else(|| Fault::internal("no round was chosen"))
    }

    /// The yes that the round before gave to this user, if it did.
    async fn repeat_in<C: RoundCall>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        round: Option<RoundId>,
        user: &UserId,
    ) -> Result<Option<Asked<C::Yes>>, Fault> {
        let Some(round) = round else { return Ok(None) };
        let asked = self.ask_round::<C>(session, round, user).await?;
        Ok(matches!(asked.outcome, Outcome::Replayed(_)).then_some(asked))
    }

    async fn ask_round<C: RoundCall>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        round: RoundId,
        user: &UserId,
    ) -> Result<Asked<C::Yes>, Fault> {
        let Some(spec) = self.spec_at_gate(session, round).await? else {
            return self.ask_ledger::<C>(session, round, user).await;
        };
        let registered = !spec.registered_users_only || self.registry_lane.ask(user.clone()).await?;
        let answer = match self.lane::<C>(session, &spec, registered).ask(user.clone()).await {
            Err(Fault::UnknownRound(_)) => return self.ask_ledger::<C>(session, round, user).await,
            answer => answer?,
        };
        Ok(asked::<C>(session, &spec, answer))
    }

    /// The round, if the gate has it; another instance may have opened it a moment ago.
    pub(crate) async fn spec_at_gate(
        self: &Arc<Self>,
        session: &Arc<Session>,
        round: RoundId,
    ) -> Result<Option<Arc<RoundSpec>>, Fault> {
        if let Some(spec) = session.rounds().get(round) {
            return Ok(Some(Arc::clone(spec)));
        }
        self.tick(session).await?;
        Ok(session.rounds().get(round).cloned())
    }

    fn lane<C: RoundCall>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        spec: &Arc<RoundSpec>,
        registered: bool,
    ) -> Coalescer<UserId, Answer<C::Yes>> {
        let round = spec.id;
        let start = || {
            let clock = ArrivalClock::of(spec, session.rounds().planned_start(round));
            let (engine, session) = (Arc::clone(self), Arc::clone(session));
            Coalescer::start(self.settings.gate, move |users: Vec<UserId>| {
                let (engine, session) = (Arc::clone(&engine), Arc::clone(&session));
                async move {
                    let seen = engine.admit(&session).await?;
                    let gate = engine.stores.gate.as_ref();
                    let decided = C::decide(gate, &session.id, round, &users, registered, seen).await;
                    let answers = engine.settle(&session, decided)?.answers;
                    engine.tallies.count(C::VERB, round, clock, &answers);
                    Ok(answers)
                }
            })
        };
        lock(C::lanes(session)).entry((round, registered)).or_insert_with(start).clone()
    }

    /// A round that has left the gate is over; the ledger has all of it.
    async fn ask_ledger<C: RoundCall>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        round: RoundId,
        user: &UserId,
    ) -> Result<Asked<C::Yes>, Fault> {
        let record = self.stores.campaigns.round(round).await?;
        let unknown = || Fault::UnknownRound(round.to_string());
        let record = record.filter(|record| record.campaign == session.id).ok_or_else(unknown)?;
        let seat = self.stores.records.seat(round, user).await?;
        let outcome = C::seated(&seat).map_or(Outcome::Refused(Refusal::Closed), Outcome::Replayed);
        let now = session.gate_time().unwrap_or(Timestamp::EPOCH);
        let opens_at = session.rounds().next_opening(C::VERB, now);
        let spec = Some(Arc::new(record.head.view.delayed_spec()));
        Ok(Asked { round: spec, outcome, witness: None, opens_at, retry_after: None })
    }

    /// No round is at the gate: the latest one answers from the ledger, if there ever was one.
    async fn ask_past_rounds<C: RoundCall>(
        self: &Arc<Self>,
        session: &Arc<Session>,
        user: &UserId,
    ) -> Result<Asked<C::Yes>, Fault> {
        // Another instance may have opened one a moment ago.
        let decided = self.tick(session).await?;
        if let Some(choice) = session.rounds().choose(C::VERB, decided.at) {
            return self.ask_round::<C>(session, choice.round, user).await;
        }
        if let Some(latest) = self.stores.campaigns.rounds(&session.id, None, 1).await?.first() {
            return self.ask_ledger::<C>(session, latest.head.view.spec.id, user).await;
        }
        let draft = session.rounds().state == CampaignState::Draft;
        let refusal = if draft { Refusal::NotOpenYet } else { Refusal::Closed };
        let (witness, opens_at, retry_after) = (None, None, None);
        Ok(Asked { round: None, outcome: Outcome::Refused(refusal), witness, opens_at, retry_after })
    }
}

/// What a gate's answer means to the caller.
fn asked<C: RoundCall>(session: &Session, spec: &Arc<RoundSpec>, answer: Answer<C::Yes>) -> Asked<C::Yes> {
    let opens_at = match answer.outcome {
        Outcome::Refused(Refusal::NotOpenYet) => C::VERB.window(spec).map(|window| window.opens),
        Outcome::Refused(Refusal::Closed) => session.rounds().next_opening(C::VERB, answer.witness.at),
        Outcome::Refused(_) | Outcome::Granted(_) | Outcome::Replayed(_) => None,
    };
    let pending = matches!(answer.outcome, Outcome::Refused(Refusal::DrawPending));
    let retry_after = pending.then_some(RETRY_AFTER_PENDING);
    Asked {
        round: Some(Arc::clone(spec)),
        outcome: answer.outcome,
        witness: Some(answer.witness),
        opens_at,
        retry_after,
    }
}

/// Counts an answer by what it was.
pub(crate) fn count<T>(verb: &'static str, outcome: &Outcome<T>) {
    let outcome = match outcome {
        Outcome::Granted(_) => "granted",
        Outcome::Replayed(_) => "replayed",
        Outcome::Refused(refusal) => refusal.as_str(),
    };
    metrics::counter!("coupon_answers_total", "verb" => verb, "outcome" => outcome).increment(1);
}
