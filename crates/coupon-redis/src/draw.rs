//! Bringing a round's winners: part by part, and then the conclusion, which alone decides something.

use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::model::{Decided, DrawConclusion};
use coupon_domain::ports::GateError;
use coupon_domain::position::{Chain, Position};

use crate::RedisGate;
use crate::call::{Call, unknown, unreadable};
use crate::connection::CommandError;

/// Bytes of winners in one call, so that none keeps the server busy for long.
const PART: usize = 256 * 1024;
/// Instances have the same winners, so that one try is enough but where something is very wrong.
const TRIES: u32 = 8;

impl RedisGate {
    /// Whoever is cut off in between has decided nothing, and begins anew; so does who finds others' winners over their own.
    pub(crate) async fn bring_winners(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Decided<DrawConclusion>, GateError> {
        for _ in 0..TRIES {
            if let Some(concluded) = self.try_to_conclude(campaign, round, winners, seen).await? {
                return Ok(concluded);
            }
        }
        Err(unknown(CommandError::Lost("others bring other winners at the same time".to_owned())))
    }

    /// `None` if somebody has put other winners over these before the conclusion.
    async fn try_to_conclude(
        &self,
        campaign: &CampaignId,
        round: RoundId,
        winners: &[u8],
        seen: Position,
    ) -> Result<Option<Decided<DrawConclusion>>, GateError> {
        let call = |function| Call::new(function, campaign).seen(seen).with(round.number()).with(winners.len());
        let mut parts: Vec<_> = winners.chunks(PART).enumerate().map(|(index, part)| (index * PART, part)).collect();
        let last = parts.pop();
        for (first, part) in parts {
            let call = call("put_winners_v1").with(first).with_bytes(part);
            match call.send(&self.connection).await?.text()?.as_str() {
                "KEPT" => {}
                // The conclusion says why.
                "NOT_WANTED" => break,
                other => return Err(unreadable(other)),
            }
        }
        let call = call("conclude_draw_v1").with(Chain::of(&[winners]));
        let call = match last {
            Some((first, part)) => call.with(first).with_bytes(part),
            None => call,
        };
        let mut reply = call.send(&self.connection).await?;
        let decided = reply.decided()?;
        let conclusion = match reply.text()?.as_str() {
            "DRAWN" => DrawConclusion::Drawn(reply.span()?),
            "ALREADY_DRAWN" => DrawConclusion::AlreadyDrawn,
            "NOT_DUE" => DrawConclusion::NotDue,
            "NOT_WHOLE" => DrawConclusion::NotWhole,
            "WINNERS_NOT_THERE" => return Ok(None),
            other => return Err(unreadable(other)),
        };
        Ok(Some(decided.map(|()| conclusion)))
    }
}
