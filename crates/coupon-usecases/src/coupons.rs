//! Coupons after their claim: one, a user's, or a campaign's.

use std::sync::Arc;

use coupon_domain::benefit::Benefit;
use coupon_domain::checkout::{Call, CheckoutRefusal, Operator, VOID_COUPON, Void};
use coupon_domain::code::Code;
use coupon_domain::ids::{CouponId, UserId};
use coupon_domain::ports::{CouponFilter, CouponPage};
use coupon_domain::redemption::{CouponRecord, CouponState};
use coupon_domain::time::Timestamp;
use tracing::debug;

use crate::checkout::{LOOKS, Settled};
use crate::engine::Engine;
use crate::error::Fault;

/// How a coupon is named.
#[derive(Debug, Clone)]
pub enum CouponKey {
    /// By its public id.
    Id(CouponId),
    /// By its code, as somebody typed it. Never logged.
    Code(String),
}

/// A coupon as it stands today.
#[derive(Debug, Clone)]
pub struct CouponReport {
    /// The row.
    pub record: CouponRecord,
    /// Where it stands by the ledger's clock.
    pub state: CouponState,
    /// Its secret, for its owner.
    pub code: Code,
    /// What it is worth.
    pub benefit: Benefit,
}

impl Engine {
    /// A coupon of this user.
    ///
    /// # Errors
    /// [`Fault::UnknownCoupon`] if there is none, or it is another user's.
    pub async fn coupon(self: &Arc<Self>, key: CouponKey, user: &UserId) -> Result<CouponReport, Fault> {
        let found = match key {
            CouponKey::Id(id) => self.coupon_by_id(id).await?,
            CouponKey::Code(code) => {
                let id = self.keys.authenticate(&code, user).ok_or(Fault::UnknownCoupon)?;
                self.authentic_coupon(id).await?
            }
        };
        let (record, at) = found.filter(|(record, _)| record.user == *user).ok_or(Fault::UnknownCoupon)?;
        let round = self.stores.campaigns.round(record.id.round).await?.ok_or(Fault::UnknownCoupon)?;
        let (key_id, revision) = (round.head.view.spec.key_id, round.head.view.spec.revision);
        let code = self.keys.code(key_id, record.id, user).ok_or_else(|| Fault::missing_key(key_id))?;
        let benefit = self.benefit(&record.campaign, revision).await?;
        Ok(CouponReport { state: record.state_at(at), record, code, benefit })
    }

    /// Anybody may invent an id: it is looked for once more after the recorder has run, and that is it.
    async fn coupon_by_id(self: &Arc<Self>, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, Fault> {
        if let Some(found) = self.stores.coupons.coupon(id).await? {
            return Ok(Some(found));
        }
        let Some(origin) = self.origin_of(id.round).await? else { return Ok(None) };
        // This instance may not have met the campaign yet, and without its gate knows nothing to record.
        if let Err(fault) = self.session(&origin.campaign).await {
            debug!(campaign = %origin.campaign, %fault, "the gate cannot be asked; what is known is recorded");
        }
        self.record_campaign(&origin.campaign).await?;
        Ok(self.stores.coupons.coupon(id).await?)
    }

    /// An authentic coupon was given, so that it is on its way into the ledger if it is not there.
    async fn authentic_coupon(self: &Arc<Self>, id: CouponId) -> Result<Option<(CouponRecord, Timestamp)>, Fault> {
        for _ in 0..LOOKS {
            if let Some(found) = self.stores.coupons.coupon(id).await? {
                return Ok(Some(found));
            }
            let origin = self.origin_of_coupon(id).await?;
            self.record_campaign(&origin.campaign).await?;
        }
        Err(Fault::unavailable("the coupon has not reached the ledger yet"))
    }

    /// Withdraws an unused coupon.
    ///
    /// # Errors
    /// [`Fault::UnknownCoupon`], [`Fault::WrongCouponState`] if it is held, redeemed or expired.
    pub async fn void_coupon(
        self: &Arc<Self>,
        id: CouponId,
        reason: String,
        by: Operator,
    ) -> Result<CouponReport, Fault> {
        let (record, _) = self.coupon_by_id(id).await?.ok_or(Fault::UnknownCoupon)?;
        if let Some(request) = by.request
            && let Some(done) = self.stores.campaigns.request(request).await?
            && (done.campaign != record.campaign || done.verb != VOID_COUPON)
        {
            return Err(Fault::RequestUsed);
        }
        match self.settled(&Call::Void(Void { coupon: id, reason, by })).await? {
            Settled::Yes(..) => self.coupon(CouponKey::Id(id), &record.user).await,
            Settled::No(CheckoutRefusal::CouponIs(state)) => Err(Fault::WrongCouponState(state)),
            Settled::No(refusal) => Err(Fault::internal(format!("a withdrawal is refused: {refusal:?}"))),
        }
    }

    /// Coupons, each with what it is worth.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn coupons(self: &Arc<Self>, filter: &CouponFilter) -> Result<(CouponPage, Vec<Benefit>), Fault> {
        let page = self.stores.coupons.coupons(filter).await?;
        let mut benefits = Vec::with_capacity(page.coupons.len());
        for record in &page.coupons {
            let revision = self.closed_session(&record.campaign).await?.rounds().planned_by(record.id.round);
            benefits.push(self.benefit(&record.campaign, revision).await?);
        }
        Ok((page, benefits))
    }
}
