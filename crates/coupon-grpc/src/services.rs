//! The services. A handler has three lines: parse, run, render.

use std::sync::Arc;

use coupon_domain::campaign::Transition;
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_server::CampaignService;
use coupon_proto::v1::coupon_service_server::CouponService;
use coupon_usecases::engine::Engine;
use tonic::{Request, Response, Status};

use crate::{parse, render, status};

/// Both services, on the use cases.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) engine: Arc<Engine>,
}

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

    async fn redeem(&self, request: Request<pb::RedeemRequest>) -> Result<Response<pb::RedeemResponse>, Status> {
        let call = parse::redeem(request.into_inner()).map_err(status::of)?;
        let answer = self.engine.redeem(call).await.map_err(status::of)?;
        Ok(Response::new(render::redeemed(answer)))
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
}

#[tonic::async_trait]
impl CampaignService for Services {
    async fn create_campaign(
        &self,
        request: Request<pb::CreateCampaignRequest>,
    ) -> Result<Response<pb::CreateCampaignResponse>, Status> {
        let call = parse::create_campaign(request.into_inner()).map_err(status::of)?;
        let created = self.engine.create_campaign(call).await.map_err(status::of)?;
        Ok(Response::new(render::created(created)))
    }

    async fn get_campaign(
        &self,
        request: Request<pb::GetCampaignRequest>,
    ) -> Result<Response<pb::GetCampaignResponse>, Status> {
        let id = parse::get_campaign(request.get_ref()).map_err(status::of)?;
        let campaign = self.engine.campaign(&id).await.map_err(status::of)?;
        Ok(Response::new(pb::GetCampaignResponse { campaign: Some(render::campaign(campaign)) }))
    }

    async fn list_campaigns(
        &self,
        request: Request<pb::ListCampaignsRequest>,
    ) -> Result<Response<pb::ListCampaignsResponse>, Status> {
        let (state, after, limit) = parse::list_campaigns(request.get_ref()).map_err(status::of)?;
        let campaigns = self.engine.campaigns(state, after.as_ref(), limit).await.map_err(status::of)?;
        Ok(Response::new(render::campaign_page(campaigns, limit)))
    }

    async fn activate_campaign(
        &self,
        request: Request<pb::ActivateCampaignRequest>,
    ) -> Result<Response<pb::ActivateCampaignResponse>, Status> {
        let pb::ActivateCampaignRequest { campaign_id, request_id } = request.into_inner();
        let campaign = self.transition(&campaign_id, &request_id, Transition::Activate).await?;
        Ok(Response::new(pb::ActivateCampaignResponse { campaign: Some(campaign) }))
    }

    async fn pause_campaign(
        &self,
        request: Request<pb::PauseCampaignRequest>,
    ) -> Result<Response<pb::PauseCampaignResponse>, Status> {
        let pb::PauseCampaignRequest { campaign_id, request_id } = request.into_inner();
        let campaign = self.transition(&campaign_id, &request_id, Transition::Pause).await?;
        Ok(Response::new(pb::PauseCampaignResponse { campaign: Some(campaign) }))
    }

    async fn resume_campaign(
        &self,
        request: Request<pb::ResumeCampaignRequest>,
    ) -> Result<Response<pb::ResumeCampaignResponse>, Status> {
        let pb::ResumeCampaignRequest { campaign_id, request_id } = request.into_inner();
        let campaign = self.transition(&campaign_id, &request_id, Transition::Resume).await?;
        Ok(Response::new(pb::ResumeCampaignResponse { campaign: Some(campaign) }))
    }

    async fn get_round(&self, request: Request<pb::GetRoundRequest>) -> Result<Response<pb::GetRoundResponse>, Status> {
        let (campaign, round) = parse::get_round(request.get_ref()).map_err(status::of)?;
        let report = self.engine.round(&campaign, round).await.map_err(status::of)?;
        let (round, witness) = render::round(report);
        Ok(Response::new(pb::GetRoundResponse { round: Some(round), witness }))
    }
}

impl Services {
    async fn transition(&self, campaign: &str, request: &str, transition: Transition) -> Result<pb::Campaign, Status> {
        let (id, request) = parse::operation(campaign, request).map_err(status::of)?;
        let campaign = self.engine.transition(id, transition, request).await.map_err(status::of)?;
        Ok(render::campaign(campaign))
    }
}
