//! What backends call on behalf of a user.

use std::sync::Arc;

use coupon_proto::v1 as pb;
use coupon_proto::v1::coupon_service_server::CouponService;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Services, many};
use crate::parse::coupon as parse;
use crate::render::coupon as render;
use crate::status;

#[tonic::async_trait]
impl CouponService for Services {
    async fn reserve(&self, request: Request<pb::ReserveRequest>) -> Result<Response<pb::ReserveResponse>, Status> {
        let call = parse::reserve(request.get_ref()).map_err(status::of)?;
        let answer = self.engine.reserve(&call).await.map_err(status::of)?;
        Ok(Response::new(render::reserved(&call, answer)))
    }

    async fn claim(&self, request: Request<pb::ClaimRequest>) -> Result<Response<pb::ClaimResponse>, Status> {
        let call = parse::claim(request.get_ref()).map_err(status::of)?;
        let answer = self.engine.claim(&call).await.map_err(status::of)?;
        Ok(Response::new(render::claimed(&call, answer)))
    }

    type ReserveStreamStream = BoxStream<pb::ReserveStreamResponse>;

    async fn reserve_stream(
        &self,
        request: Request<Streaming<pb::ReserveStreamRequest>>,
    ) -> Result<Response<Self::ReserveStreamStream>, Status> {
        let (engine, stopping) = (Arc::clone(&self.engine), self.stopping.clone());
        Ok(Response::new(many::reservations(engine, request.into_inner(), stopping)))
    }

    type ClaimStreamStream = BoxStream<pb::ClaimStreamResponse>;

    async fn claim_stream(
        &self,
        request: Request<Streaming<pb::ClaimStreamRequest>>,
    ) -> Result<Response<Self::ClaimStreamStream>, Status> {
        let (engine, stopping) = (Arc::clone(&self.engine), self.stopping.clone());
        Ok(Response::new(many::claims(engine, request.into_inner(), stopping)))
    }

    async fn hold(&self, request: Request<pb::HoldRequest>) -> Result<Response<pb::HoldResponse>, Status> {
        let call = parse::hold(request.into_inner()).map_err(status::of)?;
        let answer = self.engine.hold(call).await.map_err(status::of)?;
        Ok(Response::new(render::held(answer)))
    }

    async fn redeem(&self, request: Request<pb::RedeemRequest>) -> Result<Response<pb::RedeemResponse>, Status> {
        let call = parse::redeem(request.into_inner()).map_err(status::of)?;
        let answer = self.engine.redeem(call).await.map_err(status::of)?;
        Ok(Response::new(render::redeemed(answer)))
    }

    async fn release(&self, request: Request<pb::ReleaseRequest>) -> Result<Response<pb::ReleaseResponse>, Status> {
        let call = parse::release(request.into_inner()).map_err(status::of)?;
        let answer = self.engine.release(call).await.map_err(status::of)?;
        Ok(Response::new(render::released(answer)))
    }

    async fn rollback(&self, request: Request<pb::RollbackRequest>) -> Result<Response<pb::RollbackResponse>, Status> {
        let call = parse::rollback(request.into_inner()).map_err(status::of)?;
        let answer = self.engine.rollback(call).await.map_err(status::of)?;
        Ok(Response::new(render::rolled_back(answer)))
    }

    async fn get_coupon(
        &self,
        request: Request<pb::GetCouponRequest>,
    ) -> Result<Response<pb::GetCouponResponse>, Status> {
        let (key, user) = parse::get_coupon(request.into_inner()).map_err(status::of)?;
        let report = self.engine.coupon(key, &user).await.map_err(status::of)?;
        Ok(Response::new(render::coupon_report(report)))
    }

    async fn list_coupons(
        &self,
        request: Request<pb::ListCouponsRequest>,
    ) -> Result<Response<pb::ListCouponsResponse>, Status> {
        let filter = parse::list_coupons(request.get_ref()).map_err(status::of)?;
        let (page, benefits) = self.engine.coupons(&filter).await.map_err(status::of)?;
        Ok(Response::new(render::coupon_page(page, &benefits, filter.limit)))
    }

    async fn get_place(&self, request: Request<pb::GetPlaceRequest>) -> Result<Response<pb::GetPlaceResponse>, Status> {
        let call = parse::get_place(request.get_ref()).map_err(status::of)?;
        let report = self.engine.place(&call).await.map_err(status::of)?;
        Ok(Response::new(render::place_report(&call, &report)))
    }
}
