//! Redeem: a coupon used for an order, once.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::benefit::{Benefit, BenefitKind};
use coupon_domain::ids::{CampaignId, CouponId, OrderId, RoundId, UserId};
use coupon_domain::money::Money;
use coupon_domain::ports::{CouponRepository, LedgerError};
use coupon_domain::redemption::{Redeem, RedeemOutcome, RedeemRefusal, Redemption};
use tracing::{debug, error};

use crate::engine::{Engine, Origin};
use crate::error::Fault;

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
    No(RedeemRefusal, Option<RoundId>),
}

/// A coupon that was answered a moment ago is on its way into the ledger: looked for so often, so long apart.
pub(crate) const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

impl Engine {
    /// Uses a coupon for an order.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn redeem(self: &Arc<Self>, call: RedeemCall) -> Result<Redeemed, Fault> {
        let redeemed = self.redeem_or_refuse(call).await?;
        let outcome = match &redeemed {
            Redeemed::Yes { replayed: false, .. } => "granted",
            Redeemed::Yes { replayed: true, .. } => "replayed",
            Redeemed::No(..) => "refused",
        };
        metrics::counter!("coupon_answers_total", "verb" => "redeem", "outcome" => outcome).increment(1);
        Ok(redeemed)
    }

    async fn redeem_or_refuse(self: &Arc<Self>, call: RedeemCall) -> Result<Redeemed, Fault> {
        let Some(coupon) = self.keys.authenticate(&call.code, &call.user) else {
            return Ok(Redeemed::No(RedeemRefusal::UnknownCoupon, None));
        };
        let Origin { campaign, revision } = self.origin_of_coupon(coupon).await?;
        let benefit = self.benefit(&campaign, revision).await?;
        let discount = benefit.discount(call.amount);
        let RedeemCall { user, order, amount, validate_only, .. } = call;
        let redeem = Redeem { coupon, campaign, user, order, amount, discount };
        for _ in 0..LOOKS {
            let outcome =
                if validate_only { self.as_if(&redeem).await? } else { self.redeem_lane.ask(redeem.clone()).await?? };
            let (redemption, replayed) = match outcome {
                RedeemOutcome::Redeemed(redemption) => (redemption, false),
                RedeemOutcome::Replayed(redemption) => (redemption, true),
                RedeemOutcome::Refused(refusal) => return Ok(Redeemed::No(refusal, Some(coupon.round))),
                RedeemOutcome::NotRecorded => {
                    self.record_campaign(&redeem.campaign).await?;
                    continue;
                }
            };
            return Ok(Redeemed::Yes { redemption, replayed, benefit });
        }
        Err(Fault::unavailable("the coupon has not reached the ledger yet"))
    }

    async fn as_if(&self, redeem: &Redeem) -> Result<RedeemOutcome, Fault> {
        let (facts, at) = self.stores.coupons.redeem_facts(redeem).await?;
        Ok(redeem.decide(&facts, at))
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
        let engine = Arc::clone(self);
        let drained = tokio::spawn(async move { engine.drain(&session).await }).await.map_err(Fault::internal)??;
        if drained.position == before.position {
            // Another instance is recording it, or the gate is being recovered.
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }
}

/// One batch; if the ledger stumbles over one of its calls, each is made alone, so that the others have their answers.
pub(crate) async fn redeem_all(coupons: &dyn CouponRepository, calls: &[Redeem]) -> Vec<Result<RedeemOutcome, Fault>> {
    match coupons.redeem(calls).await {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(LedgerError::Broken(_)) if calls.len() > 1 => {
            let mut alone = Vec::with_capacity(calls.len());
            for call in calls.chunks(1) {
                let outcome = coupons.redeem(call).await.map_err(Fault::from);
                alone.push(outcome.and_then(|mut one| one.pop().ok_or_else(|| Fault::internal("no answer"))));
            }
            alone
        }
        Err(error) => vec![Err(Fault::from(error)); calls.len()],
    }
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
