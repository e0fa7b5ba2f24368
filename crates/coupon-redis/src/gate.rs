//! The gate: each verb is one call of a function; Redis decides.

use async_trait::async_trait;
use coupon_domain::answer::{Answer, Issued, Place};
use coupon_domain::campaign::{CampaignState, Revision, Transition};
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::journal::Spelled as _;
use coupon_domain::model::{
    CampaignView, Decided, DrawConclusion, LoadChunk, Retirement, Revised, RoundOpening, RoundView, SupplyAdded,
    SupplyAddition, Transitioned,
};
use coupon_domain::ports::{Frozen, Gate, GateError, MAX_BATCH};
use coupon_domain::position::Position;
use coupon_domain::round::{Phase, RoundSpec};
use uuid::Uuid;

use crate::call::{Call, Reply, unreadable};
use crate::{RedisGate, answers, load};

#[async_trait]
impl Gate for RedisGate {
    async fn reserve(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        let reply = self.decide_batch("reserve_v1", campaign, round, users, registered, seen).await?;
        answers::read(reply, users.len())
    }

    async fn claim(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        let reply = self.decide_batch("claim_v1", campaign, round, users, registered, seen).await?;
        answers::read(reply, users.len())
    }

    async fn tick(&self, campaign: &CampaignId, seen: Position) -> Result<Decided<CampaignView>, GateError> {
        let mut reply = Call::new("tick_v1", campaign).seen(seen).send(&self.connection).await?;
        let (decided, view) = (reply.decided()?, read_view(&mut reply)?);
        Ok(decided.map(|()| view))
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
            "OUTDATED" => RoundOpening::Outdated(reply.value()?),
            other => return Err(unreadable(other)),
        };
        Ok(decided.map(|()| opening))
    }

    async fn transition(
        &self,
        campaign: &CampaignId,
        transition: Transition,
        request: Option<Uuid>,
        seen: Position,
    ) -> Result<Decided<Transitioned>, GateError> {
        let call = Call::new("transition_v1", campaign).seen(seen).with_request(request);
        let call = call.with(transition.as_str()).with(transition.to());
        let call = transition.from().iter().fold(call, Call::with);
        let mut reply = call.send(&self.connection).await?;
        let (decided, answer) = (reply.decided()?, reply.text()?);
        let state = reply.read(CampaignState::from_word)?;
        let transitioned = match answer.as_str() {
            "DONE" => Transitioned::Done(state),
            "UNCHANGED" => Transitioned::Unchanged(state),
            "REFUSED" => Transitioned::Refused(state),
            "REPEATED" => Transitioned::Repeated,
            "REQUEST_USED" => Transitioned::RequestUsed,
            other => return Err(unreadable(other)),
        };
        Ok(decided.map(|()| transitioned))
    }

    async fn revise(
        &self,
        campaign: &CampaignId,
        revision: &Revision,
        seen: Position,
    ) -> Result<Decided<Revised>, GateError> {
        let Revision { of, scope, rules, request } = revision;
        let call = Call::new("revise_v1", campaign).seen(seen).with_request(*request).with(of).with(scope.as_str());
        let call = call.with_optional(rules.total_limit).with(rules.coupons_per_user());
        let call = call.with(u8::from(rules.schedule.recurs())).with(rules.to_json());
        let mut reply = call.send(&self.connection).await?;
        let decided = reply.decided()?;
        let revised = match reply.text()?.as_str() {
            "DONE" => Revised::Done(reply.value()?),
            "OUTDATED" => Revised::Outdated(reply.value()?),
            "ROUND_IN_USE" => Revised::RoundInUse(reply.round()?),
            "CAMPAIGN_IN_USE" => Revised::CampaignInUse,
            "ENDED" => Revised::Ended,
            "REPEATED" => Revised::Repeated,
            "REQUEST_USED" => Revised::RequestUsed,
            other => return Err(unreadable(other)),
        };
        Ok(decided.map(|()| revised))
    }

    async fn add_supply(
        &self,
        campaign: &CampaignId,
        addition: &SupplyAddition,
        seen: Position,
    ) -> Result<Decided<SupplyAdded>, GateError> {
        let SupplyAddition { round, amount, request } = *addition;
        let call = Call::new("add_supply_v1", campaign).seen(seen).with_request(request).with(amount);
        let mut reply = call.with_optional(round.map(RoundId::number)).send(&self.connection).await?;
        let decided = reply.decided()?;
        let added = match reply.text()?.as_str() {
            "DONE" => SupplyAdded::Done,
            "CLOSED" => SupplyAdded::Closed,
            "NO_OWN_SUPPLY" => SupplyAdded::NoOwnSupply,
            "NO_TOTAL_LIMIT" => SupplyAdded::NoTotalLimit,
            "WINNERS_FIXED" => SupplyAdded::WinnersFixed,
            "TOO_MANY" => SupplyAdded::TooMany,
            "REPEATED" => SupplyAdded::Repeated,
            "REQUEST_USED" => SupplyAdded::RequestUsed,
            other => return Err(unreadable(other)),
        };
        Ok(decided.map(|()| added))
    }

    async fn conclude_draw(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Decided<DrawConclusion>, GateError> {
        self.bring_winners(campaign, round, winners, seen).await
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
        Ok(decided.map(|()| retirement))
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
        registered: bool,
        seen: Position,
    ) -> Result<Reply, GateError> {
        if users.len() > MAX_BATCH {
            return Err(GateError::BatchTooLarge(users.len()));
        }
        let call = Call::new(function, campaign).seen(seen).with(round.number()).with(u8::from(registered));
        call.ids(users.iter().map(UserId::as_str)).send(&self.connection).await
    }
}

fn read_view(reply: &mut Reply) -> Result<CampaignView, GateError> {
    let (state, revision) = (reply.read(CampaignState::from_word)?, reply.value()?);
    let (issued, total_limit, mut rounds) = (reply.value()?, reply.optional()?, Vec::new());
    while !reply.is_at_end() {
        rounds.push(RoundView {
            spec: reply.read(RoundSpec::from_json)?,
            phase: reply.read(Phase::from_word)?,
            supply: reply.optional()?,
            places: reply.value()?,
            issued: reply.value()?,
            added: reply.value()?,
            drawn: reply.flag()?,
            delay: reply.span()?,
        });
    }
    Ok(CampaignView { state, revision, issued, total_limit, rounds })
}
