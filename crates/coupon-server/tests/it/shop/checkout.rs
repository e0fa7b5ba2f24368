//! What a checkout calls, and an operator about one coupon.

use coupon_proto::v1 as pb;
use futures::future::join_all;
use pb::OrderState;
use tonic::Status;

use super::{Answer, Instance, Outcome, Redemption, Shop, seconds};

type Holding = Answer<pb::Hold>;

/// As long as holds last where nobody says otherwise.
pub(crate) fn hold_request(code: &str, user: &str, order: &str) -> pb::HoldRequest {
    pb::HoldRequest { code: code.to_owned(), user_id: user.to_owned(), order_id: order.to_owned(), ttl: None }
}

impl Instance {
    pub(crate) async fn hold(&self, request: pb::HoldRequest) -> Result<Holding, Status> {
        let answer = self.coupons.clone().hold(request).await?.into_inner();
        let outcome = match answer.outcome.expect("an outcome") {
            pb::hold_response::Outcome::Hold(hold) => Outcome::Yes(hold),
            pb::hold_response::Outcome::Refusal(refusal) => Outcome::No(refusal),
        };
        Ok(Answer { outcome, replayed: answer.replayed, witness: None })
    }

    /// As [`Instance::redeem`], with everything said.
    pub(crate) async fn use_coupon(&self, request: pb::RedeemRequest) -> Result<Redemption, Status> {
        let answer = self.coupons.clone().redeem(request).await?.into_inner();
        let outcome = match answer.outcome.expect("an outcome") {
            pb::redeem_response::Outcome::Redemption(redemption) => Outcome::Yes(redemption),
            pb::redeem_response::Outcome::Refusal(refusal) => Outcome::No(refusal),
        };
        Ok(Answer { outcome, replayed: answer.replayed, witness: None })
    }

    /// Where the order stands then, and whether an earlier call had released it.
    pub(crate) async fn release(&self, c: &str, order: &str, user: &str) -> Result<(OrderState, bool), Status> {
        let request = pb::ReleaseRequest {
            campaign_id: c.to_owned(),
            order_id: order.to_owned(),
            user_id: user.to_owned(),
            reason: "another coupon".to_owned(),
        };
        let answer = self.coupons.clone().release(request).await?.into_inner();
        Ok((answer.state(), answer.replayed))
    }

    /// Where the order stands then, and whether an earlier call had cancelled it.
    pub(crate) async fn rollback(&self, c: &str, order: &str, user: &str) -> Result<(OrderState, bool), Status> {
        let request = pb::RollbackRequest {
            campaign_id: c.to_owned(),
            order_id: order.to_owned(),
            user_id: user.to_owned(),
            reason: "payment failed".to_owned(),
        };
        let answer = self.coupons.clone().rollback(request).await?.into_inner();
        Ok((answer.state(), answer.replayed))
    }

    pub(crate) async fn void(&self, coupon: &str, request_id: &str) -> Result<pb::Coupon, Status> {
        let request = pb::VoidCouponRequest {
            coupon_id: coupon.to_owned(),
            reason: "misprint".to_owned(),
            request_id: request_id.to_owned(),
        };
        Ok(self.campaigns.clone().void_coupon(request).await?.into_inner().coupon.expect("a coupon"))
    }

    /// The coupon as it stands today, for its owner.
    pub(crate) async fn coupon(&self, id: &str, user: &str) -> Result<pb::Coupon, Status> {
        let key = Some(pb::get_coupon_request::Key::CouponId(id.to_owned()));
        let request = pb::GetCouponRequest { user_id: user.to_owned(), key };
        Ok(self.coupons.clone().get_coupon(request).await?.into_inner().coupon.expect("a coupon"))
    }

    pub(crate) async fn list(&self, request: pb::ListCouponsRequest) -> pb::ListCouponsResponse {
        self.coupons.clone().list_coupons(request).await.expect("a page").into_inner()
    }
}

impl Shop {
    pub(crate) async fn hold(&self, code: &str, user: &str, order: &str) -> Holding {
        self.first().hold(hold_request(code, user, order)).await.expect("an answer")
    }

    pub(crate) async fn hold_for(&self, code: &str, user: &str, order: &str, ttl: i64) -> Holding {
        let request = pb::HoldRequest { ttl: Some(seconds(ttl)), ..hold_request(code, user, order) };
        self.first().hold(request).await.expect("an answer")
    }

    pub(crate) async fn release(&self, c: &str, order: &str, user: &str) -> (OrderState, bool) {
        self.first().release(c, order, user).await.expect("an answer")
    }

    pub(crate) async fn rollback(&self, c: &str, order: &str, user: &str) -> (OrderState, bool) {
        self.first().rollback(c, order, user).await.expect("an answer")
    }

    pub(crate) async fn void(&self, coupon: &str) -> pb::Coupon {
        self.first().void(coupon, "").await.expect("withdrawn")
    }

    /// As it stands today, by any instance: one that has not heard of it finds it by its id once it is in the ledger.
    pub(crate) async fn coupon(&self, coupon: &pb::Coupon) -> pb::Coupon {
        self.ledger_caught_up(&coupon.campaign_id).await;
        self.another().coupon(&coupon.id, &coupon.user_id).await.expect("a coupon")
    }

    pub(crate) async fn state(&self, coupon: &pb::Coupon) -> pb::CouponState {
        self.coupon(coupon).await.state()
    }

    /// All of them claim at once; each gets a coupon.
    pub(crate) async fn coupons_of(&self, c: &str, users: &[String]) -> Vec<pb::Coupon> {
        join_all(users.iter().map(|user| async move { self.claim(c, "", user).await.granted() })).await
    }
}
