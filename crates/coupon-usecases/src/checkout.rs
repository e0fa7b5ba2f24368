//! What a shop's checkout does with coupons: hold, redeem, release, roll back.

use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::checkout::{
    Call, CheckoutRefusal, DEFAULT_HOLD, Deed, GiveBack, Held, Hold, MAX_HOLD, Outcome, Redeem, Redemption,
};
use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::money::Money;
use coupon_domain::ports::{CouponRepository, LedgerError};
use coupon_domain::redemption::OrderState;
use tracing::{debug, error};

use crate::engine::{Engine, Origin};
use crate::error::Fault;

/// A call of Hold as it comes in.
#[derive(Debug, Clone)]
pub struct HoldCall {
    /// As somebody typed it. Never logged.
    pub code: String,
    /// Whose coupon it should be.
    pub user: UserId,
    /// For which order.
    pub order: OrderId,
    /// For how long, at most [`MAX_HOLD`]; none means [`DEFAULT_HOLD`].
    pub ttl: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Holding {
    /// Held now, or by an earlier call for this order.
    Yes {
        /// The hold.
        held: Held,
        /// Whether it was an earlier call.
        replayed: bool,
    },
    /// A no, and the round of the coupon if the code is authentic.
    No(CheckoutRefusal, Option<RoundId>),
}

/// A call of Redeem as it comes in.
#[derive(Debug, Clone)]
pub struct RedeemCall {
    /// As somebody typed it. Never logged.
    pub code: String,
    /// Whose coupon it should be.
    pub user: UserId,
    /// For which order.
    pub order: OrderId,
    /// Before the discount.
    pub amount: Money,
    /// Answer as if, and write nothing.
    pub validate_only: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Redeemed {
    /// Used now, or by an earlier call for this order.
    Yes {
        /// The redemption.
        redemption: Redemption,
        /// Whether it was an earlier call.
        replayed: bool,
        /// What the coupon is worth beside a discount.
        benefit: Benefit,
    },
    /// A no, and the round of the coupon if the code is authentic.
    No(CheckoutRefusal, Option<RoundId>),
}

/// Where an order stands behind a call that gives its coupon back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderAnswer {
    /// Its state.
    pub state: OrderState,
    /// Whether an earlier call has brought it there.
    pub replayed: bool,
}

/// A coupon that was answered a moment ago is on its way into the ledger: looked for so often, so long apart.
pub(crate) const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl Engine {
    /// Locks a coupon for an order.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn hold(self: &Arc<Self>, call: HoldCall) -> Result<Holding, Fault> {
        let Some(coupon) = self.keys.authenticate(&call.code, &call.user) else {
            count("hold", "refused");
            return Ok(Holding::No(CheckoutRefusal::UnknownCoupon, None));
        };
        let campaign = self.origin_of_coupon(coupon).await?.campaign;
        let HoldCall { user, order, ttl, .. } = call;
        let ttl = ttl.unwrap_or(DEFAULT_HOLD).min(MAX_HOLD);
        let hold = Call::Hold(Hold { coupon, campaign: campaign.clone(), user, order, ttl });
        match self.once_recorded(&campaign, &hold, false).await? {
            Settled::Yes(Deed::Held(held), replayed) => Ok(Holding::Yes { held, replayed }),
            Settled::No(refusal) => Ok(Holding::No(refusal, Some(coupon.round))),
            Settled::Yes(deed, _) => Err(unasked(&deed)),
        }
    }

    /// Uses a coupon for an order.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn redeem(self: &Arc<Self>, call: RedeemCall) -> Result<Redeemed, Fault> {
        let Some(coupon) = self.keys.authenticate(&call.code, &call.user) else {
            count("redeem", "refused");
            return Ok(Redeemed::No(CheckoutRefusal::UnknownCoupon, None));
        };
        let Origin { campaign, revision } = self.origin_of_coupon(coupon).await?;
        let benefit = self.benefit(&campaign, revision).await?;
        let discount = benefit.discount(call.amount);
        let RedeemCall { user, order, amount, validate_only, .. } = call;
        let redeem = Call::Redeem(Redeem { coupon, campaign: campaign.clone(), user, order, amount, discount });
        match self.once_recorded(&campaign, &redeem, validate_only).await? {
            Settled::Yes(Deed::Redeemed(redemption), replayed) => Ok(Redeemed::Yes { redemption, replayed, benefit }),
            Settled::No(refusal) => Ok(Redeemed::No(refusal, Some(coupon.round))),
            Settled::Yes(deed, _) => Err(unasked(&deed)),
        }
    }

    /// Ends an order's hold; the order may take a coupon again. One that is redeemed or cancelled stays so.
    ///
    /// # Errors
    /// [`Fault::UnknownOrder`] if this user has no such order.
    pub async fn release(self: &Arc<Self>, call: GiveBack) -> Result<OrderAnswer, Fault> {
        self.campaign_is_known(&call.campaign).await?;
        match self.settled(&Call::Release(call)).await? {
            Settled::Yes(Deed::Released, replayed) => Ok(OrderAnswer { state: OrderState::Released, replayed }),
            Settled::No(CheckoutRefusal::OrderIs(state)) => Ok(OrderAnswer { state, replayed: false }),
            Settled::No(CheckoutRefusal::UnknownOrder) => Err(Fault::UnknownOrder),
            Settled::No(refusal) => Err(Fault::internal(format!("an order's release is refused: {refusal:?}"))),
            Settled::Yes(deed, _) => Err(unasked(&deed)),
        }
    }

    /// Cancels an order for good, known or not; its coupon can be used again.
    ///
    /// # Errors
    /// [`Fault::UnknownOrder`] if the order is another user's.
    pub async fn rollback(self: &Arc<Self>, call: GiveBack) -> Result<OrderAnswer, Fault> {
        self.campaign_is_known(&call.campaign).await?;
        match self.settled(&Call::Rollback(call)).await? {
            Settled::Yes(Deed::RolledBack, replayed) => Ok(OrderAnswer { state: OrderState::Cancelled, replayed }),
            Settled::No(CheckoutRefusal::UnknownOrder) => Err(Fault::UnknownOrder),
            Settled::No(refusal) => Err(Fault::internal(format!("an order's rollback is refused: {refusal:?}"))),
            Settled::Yes(deed, _) => Err(unasked(&deed)),
        }
    }

    async fn campaign_is_known(self: &Arc<Self>, campaign: &CampaignId) -> Result<(), Fault> {
        self.closed_session(campaign).await.map(drop)
    }

    /// Settles a call about an authentic coupon, which may still be on its way into the ledger.
    async fn once_recorded(
        self: &Arc<Self>,
        campaign: &CampaignId,
        call: &Call,
        validate_only: bool,
    ) -> Result<Settled, Fault> {
        for _ in 0..LOOKS {
            let outcome = if validate_only {
                self.stores.coupons.foresee(call).await?
            } else {
                self.checkout_lane.ask(call.clone()).await??
            };
            match self.note(call, outcome) {
                Some(settled) => return Ok(settled),
                None => self.record_campaign(campaign).await?,
            }
        }
        Err(Fault::unavailable("the coupon has not reached the ledger yet"))
    }

    /// Settles a call about a row that the ledger has or has not.
    pub(crate) async fn settled(self: &Arc<Self>, call: &Call) -> Result<Settled, Fault> {
        let outcome = self.checkout_lane.ask(call.clone()).await??;
        self.note(call, outcome).ok_or(Fault::UnknownCoupon)
    }

    /// `None` if the ledger does not have the coupon.
    fn note(&self, call: &Call, outcome: Outcome) -> Option<Settled> {
        let verb = match call {
            Call::Hold(_) => "hold",
            Call::Redeem(_) => "redeem",
            Call::Release(_) => "release",
            Call::Rollback(_) => "rollback",
            Call::Void(_) => "void",
        };
        let (settled, word) = match outcome {
            Outcome::Done(deed) => (Settled::Yes(deed, false), "granted"),
            Outcome::Replayed(deed) => (Settled::Yes(deed, true), "replayed"),
            Outcome::Refused(refusal) => (Settled::No(refusal), "refused"),
            Outcome::NotRecorded => return None,
        };
        count(verb, word);
        Some(settled)
    }

    /// Where an authentic coupon comes from: it was given, so that its round exists.
    pub(crate) async fn origin_of_coupon(self: &Arc<Self>, coupon: CouponId) -> Result<Origin, Fault> {
        for _ in 0..LOOKS {
            if let Some(origin) = self.origin_of(coupon.round).await? {
                return Ok(origin);
            }
            for session in self.sessions() {
                if let Err(fault) = self.record_campaign(&session.id).await {
                    debug!(campaign = %session.id, %fault, "not recorded");
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        error!(%coupon, "a code is authentic, and its round is nowhere");
        Err(Fault::unavailable("the coupon's round has not reached the ledger yet"))
    }

    /// Brings what is decided into the ledger, so that a coupon that was answered can be found there.
    pub(crate) async fn record_campaign(self: &Arc<Self>, campaign: &CampaignId) -> Result<(), Fault> {
        let session = self.closed_session(campaign).await?;
        let before = session.cursor();
        // Another instance may have given it: the tick shows how far the gate has come.
        if let Err(fault) = self.tick(&session).await {
            debug!(campaign = %session.id, %fault, "the gate cannot be asked; what is known is recorded");
        }
        let drained = self.drain_detached(&session).await?;
        if drained.position == before.position {
            // Another instance is recording it, or the gate is being recovered.
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }
}

/// An answer that settles a call.
#[derive(Debug)]
pub(crate) enum Settled {
    /// What was done, and whether by an earlier call.
    Yes(Deed, bool),
    /// Why nothing was done.
    No(CheckoutRefusal),
}

fn count(verb: &'static str, outcome: &'static str) {
    metrics::counter!("coupon_answers_total", "verb" => verb, "outcome" => outcome).increment(1);
}

fn unasked(deed: &Deed) -> Fault {
    Fault::internal(format!("the ledger did what was not asked for: {deed:?}"))
}

/// A commit whose answer was lost may have been made: asked again, the ledger answers by the order and the coupon. So often, so long apart.
const AGAIN: usize = 2;
const BEFORE_AGAIN: Duration = Duration::from_millis(100);

/// One batch; if the ledger stumbles over one of its calls, each is made alone, so that the others have their answers.
pub(crate) async fn carry_out_all(coupons: &dyn CouponRepository, calls: &[Call]) -> Vec<Result<Outcome, Fault>> {
    match carry_out(coupons, calls).await {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(LedgerError::Broken(_)) if calls.len() > 1 => {
            let mut alone = Vec::with_capacity(calls.len());
            for call in calls.chunks(1) {
                let outcome = carry_out(coupons, call).await.map_err(Fault::from);
                alone.push(outcome.and_then(|mut one| one.pop().ok_or_else(|| Fault::internal("no answer"))));
            }
            alone
        }
        Err(error) => vec![Err(Fault::from(error)); calls.len()],
    }
}

async fn carry_out(coupons: &dyn CouponRepository, calls: &[Call]) -> Result<Vec<Outcome>, LedgerError> {
    (|| coupons.carry_out(calls))
        .retry(ConstantBuilder::default().with_delay(BEFORE_AGAIN).with_max_times(AGAIN))
        .when(|error| matches!(error, LedgerError::Unknown(_)))
        .await
}

/// Whether an order with this benefit is shipped free of charge, and what is given with it.
#[must_use]
pub fn beside_discount(benefit: &Benefit) -> (bool, &str) {
    match &benefit.kind {
        BenefitKind::FreeShipping => (true, ""),
        BenefitKind::Gift(gift) => (false, gift),
        BenefitKind::PercentOff(_) | BenefitKind::AmountOff(_) => (false, ""),
    }
}
