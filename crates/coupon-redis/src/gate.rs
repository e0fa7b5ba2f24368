//! The gate: each verb is one call of a function; Redis decides.

use async_trait::async_trait;
use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::{CampaignState, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::{CampaignView, Decided, LoadChunk, Retirement, RoundOpening, RoundView, Transitioned};
use coupon_domain::ports::{Frozen, Gate, GateError, MAX_BATCH};
use coupon_domain::position::Position;
use coupon_domain::round::{Phase, RoundSpec};
use uuid::Uuid;

use crate::call::{Call, Reply, unreadable, with_answers};
use crate::{RedisGate, answers, load};

#[async_trait]
impl Gate for RedisGate {
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        let reply = self.decide_batch("reserve_v1", campaign, round, users, seen).await?;
        answers::read(reply, users.len())
    }

    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        let reply = self.decide_batch("claim_v1", campaign, round, users, seen).await?;
        answers::read(reply, users.len())
    }

    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError> {
        let mut reply = Call::new("tick_v1", campaign).seen(seen).send(&self.connection).await?;
        Ok(with_answers(reply.decided()?, read_view(&mut reply)?))
    }

    async fn open_round(
        &self,
        campaign: &CampaignId,
        spec: &RoundSpec,
        seen: Position,
    ) -> Result<Decided<RoundOpening>, GateError> {
        let call = Call::new("open_round_v1", campaign).seen(seen).with(spec.to_json());
        let mut reply = call.send(&self.connection).await?;
        let decided = reply.decided()?;
        let opening = match reply.text()?.as_str() {
            "OPENED" => RoundOpening::Opened,
            "ALREADY_THERE" => RoundOpening::AlreadyThere(reply.round()?),
            "OVERLAPS" => RoundOpening::Overlaps(reply.round()?),
            "CAMPAIGN_ENDED" => RoundOpening::CampaignEnded,
            other => return Err(unreadable(other)),
        };
        Ok(with_answers(decided, opening))
    }

    async fn transition(
        &self,
        campaign: &CampaignId,
        transition: Transition,
        request: Option<Uuid>,
        seen: Position,
    ) -> Result<Decided<Transitioned>, GateError> {
        let (from, to) = transition.from_to();
        let request = request.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let call = Call::new("transition_v1", campaign).seen(seen).with(from).with(to);
        let mut reply = call.with(transition.as_str()).with(request).send(&self.connection).await?;
        let (decided, answer) = (reply.decided()?, reply.text()?);
        let state = reply.read(CampaignState::from_word)?;
        let transitioned = match answer.as_str() {
            "DONE" => Transitioned::Done(state),
            "UNCHANGED" => Transitioned::Unchanged(state),
            "REFUSED" => Transitioned::Refused(state),
            other => return Err(unreadable(other)),
        };
        Ok(with_answers(decided, transitioned))
    }

    async fn retire(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        recorded: u64,
        seen: Position,
    ) -> Result<Decided<Retirement>, GateError> {
        let call = Call::new("retire_v1", campaign).seen(seen).with(round.number()).with(recorded);
        let mut reply = call.send(&self.connection).await?;
        let decided = reply.decided()?;
        let retirement = match reply.text()?.as_str() {
            "RETIRED" => Retirement::Retired,
            "KEPT" => Retirement::Kept,
            other => return Err(unreadable(other)),
        };
        Ok(with_answers(decided, retirement))
    }

    async fn freeze(&self, campaign: &CampaignId, epoch: u64) -> Result<Frozen, GateError> {
        // Who recovers may have a server before them that came back empty, as another one, or with other settings.
        self.check().await?;
        let call = Call::new("freeze_v1", campaign).with(epoch).with(self.config.installation);
        let mut reply = call.send(&self.connection).await?;
        if reply.is_at_end() {
            return Ok(Frozen::Empty);
        }
        let (position, chain) = reply.standing()?;
        Ok(Frozen::At(position, chain))
    }

    async fn load(&self, campaign: &CampaignId, epoch: u64, chunk: LoadChunk) -> Result<(), GateError> {
        load::call(campaign, epoch, &chunk)?.send(&self.connection).await.map(drop)
    }

    async fn reopen(&self, campaign: &CampaignId, epoch: u64) -> Result<(), GateError> {
        Call::new("reopen_v1", campaign).with(epoch).send(&self.connection).await.map(drop)
    }

    async fn check(&self) -> Result<(), GateError> {
        self.preflight().await
    }

    fn durability(&self) -> String {
        self.durability_text()
    }
}

impl RedisGate {
    async fn decide_batch(
        &self,
        function: &'static str,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        seen: Position,
    ) -> Result<Reply, GateError> {
        if users.len() > MAX_BATCH {
            return Err(GateError::BatchTooLarge(users.len()));
        }
        let call = Call::new(function, campaign).seen(seen).with(round.number());
        call.ids(users.iter().map(UserId::as_str)).send(&self.connection).await
    }
}

fn read_view(reply: &mut Reply) -> Result<CampaignView, GateError> {
    let (state, issued) = (reply.read(CampaignState::from_word)?, reply.value()?);
    let (total_limit, mut rounds) = (reply.optional()?, Vec::new());
    while !reply.is_at_end() {
        rounds.push(RoundView {
            spec: reply.read(RoundSpec::from_json)?,
            phase: reply.read(Phase::from_word)?,
            supply: reply.optional()?,
            places: reply.value()?,
            issued: reply.value()?,
        });
    }
    Ok(CampaignView { state, issued, total_limit, rounds })
}
