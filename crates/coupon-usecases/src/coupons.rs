//! Coupons after their claim: one, or a user's.

use std::sync::Arc;

use coupon_domain::benefit::Benefit;
use coupon_domain::code::Code;
use coupon_domain::ids::{CouponId, UserId};
use coupon_domain::ports::{CouponFilter, CouponPage};
use coupon_domain::redemption::{CouponRecord, CouponState};

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
        let id = match key {
            CouponKey::Id(id) => id,
            CouponKey::Code(code) => self.keys.authenticate(&code, user).ok_or(Fault::UnknownCoupon)?,
        };
        let found = match self.stores.coupons.coupon(id).await? {
            Some(found) => Some(found),
            None => self.recorded_coupon(id).await?,
        };
        let (record, at) = found.filter(|(record, _)| record.user == *user).ok_or(Fault::UnknownCoupon)?;
        let round = self.stores.campaigns.round(id.round).await?.ok_or(Fault::UnknownCoupon)?;
        let key_id = round.head.view.spec.key_id;
        let code = self.keys.code(key_id, id, user).ok_or_else(|| Fault::missing_key(key_id))?;
        let benefit = self.closed_session(&record.campaign).await?.rules.benefit.clone();
        Ok(CouponReport { state: record.state_at(at), record, code, benefit })
    }

    /// Looks again after the recorder has run.
    async fn recorded_coupon(
        self: &Arc<Self>,
        id: CouponId,
    ) -> Result<Option<(CouponRecord, coupon_domain::time::Timestamp)>, Fault> {
        let Some(campaign) = self.campaign_of(id.round).await? else { return Ok(None) };
        self.record_campaign(&campaign).await?;
        Ok(self.stores.coupons.coupon(id).await?)
    }

    /// A user's coupons.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn coupons(&self, filter: &CouponFilter) -> Result<CouponPage, Fault> {
        Ok(self.stores.coupons.coupons(filter).await?)
    }
}
