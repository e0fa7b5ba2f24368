//! Claim: a coupon of a round.

use std::sync::Arc;

use coupon_domain::answer::{Answer, Issued, Outcome};
use coupon_domain::choice::Verb;
use coupon_domain::code::Code;
use coupon_domain::ids::{CampaignId, CouponId, RoundId, UserId};
use coupon_domain::model::{Decided, Seat};
use coupon_domain::ports::{Gate, GateError};
use coupon_domain::position::Position;

use crate::ask::{Ask, AskMany, Asked, RoundCall, count};
use crate::engine::Engine;
use crate::error::Fault;
use crate::session::{Lanes, Session};

/// The answer, with the secret of the coupon.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Coupon or refusal.
    pub asked: Asked<Issued>,
    /// The coupon's code; none with a refusal.
    pub code: Option<Code>,
}

impl Engine {
    /// Takes a coupon for a user.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn claim(self: &Arc<Self>, call: &Ask) -> Result<Claimed, Fault> {
        self.claimed(&call.user, self.ask::<Claim>(call).await?)
    }

    /// Takes a coupon for each of many users; the answers are in their order.
    pub async fn claim_many(self: &Arc<Self>, calls: &AskMany) -> Vec<Result<Claimed, Fault>> {
        let answers = self.ask_many::<Claim>(calls).await;
        calls.users.iter().zip(answers).map(|(user, answer)| self.claimed(user, answer?)).collect()
    }

    fn claimed(&self, user: &UserId, asked: Asked<Issued>) -> Result<Claimed, Fault> {
        count("claim", &asked.outcome);
        let (coupon, round) = match (&asked.outcome, &asked.round) {
            (Outcome::Granted(coupon) | Outcome::Replayed(coupon), Some(round)) => (coupon, round),
            _ => return Ok(Claimed { asked, code: None }),
        };
        let id = CouponId { round: round.id, serial: coupon.serial };
        let code = self.keys.code(round.key_id, id, user).ok_or_else(|| Fault::missing_key(round.key_id))?;
        Ok(Claimed { asked, code: Some(code) })
    }
}

struct Claim;

impl RoundCall for Claim {
    type Yes = Issued;
    const VERB: Verb = Verb::Claim;

    fn lanes(session: &Session) -> &Lanes<Issued> {
        &session.claim_lanes
    }

    fn seated(seat: &Seat) -> Option<Issued> {
        seat.coupon
    }

    async fn decide(
        gate: &dyn Gate,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Issued>>>, GateError> {
        gate.claim(campaign, round, users, registered, seen).await
    }
}
