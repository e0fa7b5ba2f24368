//! What operators call to set a campaign up and steer it.

use std::sync::Arc;

use coupon_domain::campaign::Transition;
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_server::CampaignService;
use coupon_usecases::error::Fault;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::{Services, streams};
use crate::parse::campaign as parse;
use crate::render::campaign as render;
use crate::status;

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

    async fn update_campaign(
        &self,
        request: Request<pb::UpdateCampaignRequest>,
    ) -> Result<Response<pb::UpdateCampaignResponse>, Status> {
        let call = parse::update_campaign(request.into_inner()).map_err(status::of)?;
        let campaign = self.engine.update_campaign(call).await.map_err(status::of)?;
        Ok(Response::new(pb::UpdateCampaignResponse { campaign: Some(render::campaign(campaign)) }))
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

    async fn end_campaign(
        &self,
        request: Request<pb::EndCampaignRequest>,
    ) -> Result<Response<pb::EndCampaignResponse>, Status> {
        let pb::EndCampaignRequest { campaign_id, request_id } = request.into_inner();
        let campaign = self.transition(&campaign_id, &request_id, Transition::End).await?;
        Ok(Response::new(pb::EndCampaignResponse { campaign: Some(campaign) }))
    }

    async fn add_supply(
        &self,
        request: Request<pb::AddSupplyRequest>,
    ) -> Result<Response<pb::AddSupplyResponse>, Status> {
        let (campaign, addition) = parse::add_supply(request.get_ref()).map_err(status::of)?;
        let (campaign, round) = self.engine.add_supply(campaign, addition).await.map_err(status::of)?;
        let round = round.map(|round| render::round(round).0);
        Ok(Response::new(pb::AddSupplyResponse { campaign: Some(render::campaign(campaign)), round }))
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
        let (campaign, round, beacon, request) = parse::set_beacon(request.into_inner()).map_err(status::of)?;
        let beacon_source = self.engine.set_beacon(&campaign, round, &beacon, request).await.map_err(status::of)?;
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

    async fn get_stats(&self, request: Request<pb::GetStatsRequest>) -> Result<Response<pb::GetStatsResponse>, Status> {
        let pb::GetStatsRequest { campaign_id, round_id } = request.get_ref();
        let (campaign, round) = parse::round(campaign_id, round_id).map_err(status::of)?;
        let stats = self.engine.stats(&campaign, round).await.map_err(status::of)?;
        Ok(Response::new(render::stats(stats)))
    }
}

impl Services {
    async fn transition(&self, campaign: &str, request: &str, transition: Transition) -> Result<pb::Campaign, Status> {
        let (id, request) = parse::operation(campaign, request).map_err(status::of)?;
        let campaign = self.engine.transition(id, transition, request).await.map_err(status::of)?;
        Ok(render::campaign(campaign))
    }
}
