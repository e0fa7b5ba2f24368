//! Reserve: a place in a round.

use std::sync::Arc;

use coupon_domain::answer::{Answer, Outcome, Place};
use coupon_domain::choice::Verb;
use coupon_domain::ids::{CampaignId, RoundId, UserId};
use coupon_domain::model::{Decided, Seat};
use coupon_domain::ports::{Gate, GateError};
use coupon_domain::position::Position;

use crate::ask::{Ask, AskMany, Asked, RoundCall, count};
use crate::engine::Engine;
use crate::error::Fault;
use crate::session::{Lanes, Session};

/// The answer, with the receipt of the place.
#[derive(Debug, Clone)]
pub struct Reserved {
    /// Place or refusal.
    pub asked: Asked<Place>,
    /// What makes the place's leaf in a draw; none with a refusal.
    pub receipt: Option<[u8; 16]>,
}

impl Engine {
    /// Takes a place for a user.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn reserve(self: &Arc<Self>, call: &Ask) -> Result<Reserved, Fault> {
        self.reserved(&call.user, self.ask::<Reserve>(call).await?)
    }

    /// Takes a place for each of many users; the answers are in their order.
    pub async fn reserve_many(self: &Arc<Self>, calls: &AskMany) -> Vec<Result<Reserved, Fault>> {
        let answers = self.ask_many::<Reserve>(calls).await;
        calls.users.iter().zip(answers).map(|(user, answer)| self.reserved(user, answer?)).collect()
    }

    fn reserved(&self, user: &UserId, asked: Asked<Place>) -> Result<Reserved, Fault> {
        count("reserve", &asked.outcome);
        let (place, round) = match (&asked.outcome, &asked.round) {
            (Outcome::Granted(place) | Outcome::Replayed(place), Some(round)) => (place, round),
            _ => return Ok(Reserved { asked, receipt: None }),
        };
        let receipt = self.keys.receipt(round.key_id, round.id, place.ticket, user);
        let receipt = receipt.ok_or_else(|| Fault::missing_key(round.key_id))?;
        Ok(Reserved { asked, receipt: Some(receipt) })
    }
}

struct Reserve;

impl RoundCall for Reserve {
    type Yes = Place;
    const VERB: Verb = Verb::Reserve;

    fn lanes(session: &Session) -> &Lanes<Place> {
        &session.reserve_lanes
    }

    fn seated(seat: &Seat) -> Option<Place> {
        seat.place
    }

    async fn decide(
        gate: &dyn Gate,
        campaign: &CampaignId,
        round: RoundId,
        users: &[UserId],
        registered: bool,
        seen: Position,
    ) -> Result<Decided<Vec<Answer<Place>>>, GateError> {
        gate.reserve(campaign, round, users, registered, seen).await
    }
}
