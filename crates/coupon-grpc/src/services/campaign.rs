//! What operators call to set a campaign up and steer it.

use std::sync::Arc;

use coupon_domain::campaign::Transition;
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_server::CampaignService;
use coupon_usecases::error::Fault;
use tonic::codegen::BoxStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::{Services, streams};
use crate::parse::campaign as parse;
use crate::render::audit::audit_page;
use crate::render::campaign as render;
use crate::render::coupon::coupon_without_code;
use crate::status;

#[tonic::async_trait]
impl CampaignService for Services {
    async fn create_campaign(
        &self,
        request: Request<pb::CreateCampaignRequest>,
    ) -> Result<Response<pb::CreateCampaignResponse>, Status> {
        let (caller, _, request) = request.into_parts();
        let call = parse::create_campaign(&caller, request).map_err(status::of)?;
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

    async fn update_campaign(
        &self,
        request: Request<pb::UpdateCampaignRequest>,
    ) -> Result<Response<pb::UpdateCampaignResponse>, Status> {
        let (caller, _, request) = request.into_parts();
        let call = parse::update_campaign(&caller, request).map_err(status::of)?;
        let campaign = self.engine.update_campaign(call).await.map_err(status::of)?;
        Ok(Response::new(pb::UpdateCampaignResponse { campaign: Some(render::campaign(campaign)) }))
    }

    async fn activate_campaign(
        &self,
        request: Request<pb::ActivateCampaignRequest>,
    ) -> Result<Response<pb::ActivateCampaignResponse>, Status> {
        let (caller, _, pb::ActivateCampaignRequest { campaign_id, request_id }) = request.into_parts();
        let campaign = self.transition(&caller, &campaign_id, &request_id, Transition::Activate).await?;
        Ok(Response::new(pb::ActivateCampaignResponse { campaign: Some(campaign) }))
    }

    async fn pause_campaign(
        &self,
        request: Request<pb::PauseCampaignRequest>,
    ) -> Result<Response<pb::PauseCampaignResponse>, Status> {
        let (caller, _, pb::PauseCampaignRequest { campaign_id, request_id }) = request.into_parts();
        let campaign = self.transition(&caller, &campaign_id, &request_id, Transition::Pause).await?;
        Ok(Response::new(pb::PauseCampaignResponse { campaign: Some(campaign) }))
    }

    async fn resume_campaign(
        &self,
        request: Request<pb::ResumeCampaignRequest>,
    ) -> Result<Response<pb::ResumeCampaignResponse>, Status> {
        let (caller, _, pb::ResumeCampaignRequest { campaign_id, request_id }) = request.into_parts();
        let campaign = self.transition(&caller, &campaign_id, &request_id, Transition::Resume).await?;
        Ok(Response::new(pb::ResumeCampaignResponse { campaign: Some(campaign) }))
    }

    async fn end_campaign(
        &self,
        request: Request<pb::EndCampaignRequest>,
    ) -> Result<Response<pb::EndCampaignResponse>, Status> {
        let (caller, _, pb::EndCampaignRequest { campaign_id, request_id }) = request.into_parts();
        let campaign = self.transition(&caller, &campaign_id, &request_id, Transition::End).await?;
        Ok(Response::new(pb::EndCampaignResponse { campaign: Some(campaign) }))
    }

    async fn add_supply(
        &self,
        request: Request<pb::AddSupplyRequest>,
    ) -> Result<Response<pb::AddSupplyResponse>, Status> {
        let (campaign, addition, actor) =
            parse::add_supply(request.metadata(), request.get_ref()).map_err(status::of)?;
        let (campaign, round) = self.engine.add_supply(campaign, addition, actor).await.map_err(status::of)?;
        let round = round.map(|round| render::round(round).0);
        Ok(Response::new(pb::AddSupplyResponse { campaign: Some(render::campaign(campaign)), round }))
    }

    async fn void_coupon(
        &self,
        request: Request<pb::VoidCouponRequest>,
    ) -> Result<Response<pb::VoidCouponResponse>, Status> {
        let (caller, _, request) = request.into_parts();
        let (coupon, reason, by) = parse::void_coupon(&caller, request).map_err(status::of)?;
        let report = self.engine.void_coupon(coupon, reason, by).await.map_err(status::of)?;
        Ok(Response::new(pb::VoidCouponResponse { coupon: Some(coupon_without_code(report)) }))
    }

    async fn get_round(&self, request: Request<pb::GetRoundRequest>) -> Result<Response<pb::GetRoundResponse>, Status> {
        let pb::GetRoundRequest { campaign_id, round_id } = request.get_ref();
        let (campaign, round) = parse::round(campaign_id, round_id).map_err(status::of)?;
        let report = self.engine.round(&campaign, round).await.map_err(status::of)?;
        let (round, witness) = render::round(report);
        Ok(Response::new(pb::GetRoundResponse { round: Some(round), witness }))
    }

    async fn list_rounds(
        &self,
        request: Request<pb::ListRoundsRequest>,
    ) -> Result<Response<pb::ListRoundsResponse>, Status> {
        let (campaign, after, limit) = parse::list_rounds(request.get_ref()).map_err(status::of)?;
        let rounds = self.engine.rounds(&campaign, after, limit).await.map_err(status::of)?;
        Ok(Response::new(render::round_page(rounds, limit)))
    }

    type WatchRoundStream = BoxStream<pb::WatchRoundResponse>;

    async fn watch_round(
        &self,
        request: Request<pb::WatchRoundRequest>,
    ) -> Result<Response<Self::WatchRoundStream>, Status> {
        let (campaign, round, seen) = parse::watch_round(request.get_ref()).map_err(status::of)?;
        let watch = self.engine.watch_round(&campaign, round, seen).await.map_err(status::of)?;
        Ok(Response::new(streams::watched(watch, self.stopping.clone())))
    }

    async fn set_beacon(
        &self,
        request: Request<pb::SetBeaconRequest>,
    ) -> Result<Response<pb::SetBeaconResponse>, Status> {
        let (caller, _, request) = request.into_parts();
        let (campaign, round, beacon, by) = parse::set_beacon(&caller, request).map_err(status::of)?;
        let beacon_source = self.engine.set_beacon(&campaign, round, &beacon, &by).await.map_err(status::of)?;
        Ok(Response::new(pb::SetBeaconResponse { round_id: round.to_string(), beacon_source, beacon }))
    }

    async fn get_draw(&self, request: Request<pb::GetDrawRequest>) -> Result<Response<pb::GetDrawResponse>, Status> {
        let pb::GetDrawRequest { campaign_id, round_id } = request.get_ref();
        let (campaign, round) = parse::round(campaign_id, round_id).map_err(status::of)?;
        let draw = self.engine.draw(&campaign, round).await.map_err(status::of)?;
        Ok(Response::new(render::draw(draw)))
    }

    type ExportPlacesStream = BoxStream<pb::ExportPlacesResponse>;

    async fn export_places(
        &self,
        request: Request<pb::ExportPlacesRequest>,
    ) -> Result<Response<Self::ExportPlacesStream>, Status> {
        let pb::ExportPlacesRequest { campaign_id, round_id } = request.get_ref();
        let (campaign, round) = parse::round(campaign_id, round_id).map_err(status::of)?;
        let draw = self.engine.draw(&campaign, round).await.map_err(status::of)?;
        let places = draw.root.ok_or_else(|| status::of(Fault::DrawNotReady))?.places;
        Ok(Response::new(streams::leaves(Arc::clone(&self.engine), draw.view.spec.id, places)))
    }

    type ExportCouponsStream = BoxStream<pb::ExportCouponsResponse>;

    async fn export_coupons(
        &self,
        request: Request<pb::ExportCouponsRequest>,
    ) -> Result<Response<Self::ExportCouponsStream>, Status> {
        let (campaign, round, state) = parse::export_coupons(request.get_ref()).map_err(status::of)?;
        self.engine.campaign(&campaign).await.map_err(status::of)?;
        if round.is_some() {
            self.engine.round(&campaign, round).await.map_err(status::of)?;
        }
        Ok(Response::new(streams::coupons(Arc::clone(&self.engine), campaign, round, state)))
    }

    async fn get_stats(&self, request: Request<pb::GetStatsRequest>) -> Result<Response<pb::GetStatsResponse>, Status> {
        let pb::GetStatsRequest { campaign_id, round_id } = request.get_ref();
        let (campaign, round) = parse::round(campaign_id, round_id).map_err(status::of)?;
        let stats = self.engine.stats(&campaign, round).await.map_err(status::of)?;
        Ok(Response::new(render::stats(stats)))
    }

    async fn list_audit_records(
        &self,
        request: Request<pb::ListAuditRecordsRequest>,
    ) -> Result<Response<pb::ListAuditRecordsResponse>, Status> {
        let (campaign, before, limit) = parse::list_audit_records(request.get_ref()).map_err(status::of)?;
        let records = self.engine.audit_records(campaign.as_ref(), before, limit).await.map_err(status::of)?;
        Ok(Response::new(audit_page(records, limit)))
    }
}

impl Services {
    async fn transition(
        &self,
        caller: &MetadataMap,
        campaign: &str,
        request: &str,
        transition: Transition,
    ) -> Result<pb::Campaign, Status> {
        let (id, by) = parse::operation(caller, campaign, request).map_err(status::of)?;
        let campaign = self.engine.transition(id, transition, by).await.map_err(status::of)?;
        Ok(render::campaign(campaign))
    }
}
