//! What operators call, and the faults that they are told.

use std::fmt::Debug;

use coupon_proto::v1 as pb;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::shop::{Instance, eventually};

impl Instance {
    pub(crate) async fn campaign(&self, campaign: &str) -> pb::Campaign {
        let request = pb::GetCampaignRequest { campaign_id: campaign.to_owned() };
        self.campaigns
            .clone()
            .get_campaign(request)
            .await
            .expect("an answer")
            .into_inner()
            .campaign
            .expect("a campaign")
    }

    /// Creates a campaign and leaves it a draft.
    pub(crate) async fn draft(&self, campaign: pb::Campaign) -> Result<(pb::Campaign, pb::Round), Status> {
        let request = pb::CreateCampaignRequest { campaign: Some(campaign), ..Default::default() };
        let created = self.campaigns.clone().create_campaign(request).await?.into_inner();
        Ok((created.campaign.expect("a campaign"), created.first_round.expect("a round")))
    }

    pub(crate) async fn update(&self, request: pb::UpdateCampaignRequest) -> Result<pb::Campaign, Status> {
        Ok(self.campaigns.clone().update_campaign(request).await?.into_inner().campaign.expect("a campaign"))
    }

    pub(crate) async fn activate(&self, campaign: &str) -> Result<pb::Campaign, Status> {
        let request = pb::ActivateCampaignRequest { campaign_id: campaign.to_owned(), request_id: String::new() };
        Ok(self.campaigns.clone().activate_campaign(request).await?.into_inner().campaign.expect("a campaign"))
    }

    pub(crate) async fn pause(&self, campaign: &str) -> Result<pb::Campaign, Status> {
        let request = pb::PauseCampaignRequest { campaign_id: campaign.to_owned(), request_id: String::new() };
        Ok(self.campaigns.clone().pause_campaign(request).await?.into_inner().campaign.expect("a campaign"))
    }

    pub(crate) async fn resume(&self, campaign: &str) -> Result<pb::Campaign, Status> {
        let request = pb::ResumeCampaignRequest { campaign_id: campaign.to_owned(), request_id: String::new() };
        Ok(self.campaigns.clone().resume_campaign(request).await?.into_inner().campaign.expect("a campaign"))
    }

    pub(crate) async fn end(&self, campaign: &str) -> Result<pb::Campaign, Status> {
        let request = pb::EndCampaignRequest { campaign_id: campaign.to_owned(), request_id: String::new() };
        Ok(self.campaigns.clone().end_campaign(request).await?.into_inner().campaign.expect("a campaign"))
    }

    /// Adds coupons to a round; without one to the total limit.
    pub(crate) async fn add_supply(
        &self,
        campaign: &str,
        round: &str,
        amount: i64,
        request_id: &str,
    ) -> Result<pb::AddSupplyResponse, Status> {
        let request = pb::AddSupplyRequest {
            campaign_id: campaign.to_owned(),
            round_id: round.to_owned(),
            amount,
            request_id: request_id.to_owned(),
        };
        Ok(self.campaigns.clone().add_supply(request).await?.into_inner())
    }

    pub(crate) async fn get_round(&self, campaign: &str, round: &str) -> Result<pb::Round, Status> {
        let request = pb::GetRoundRequest { campaign_id: campaign.to_owned(), round_id: round.to_owned() };
        Ok(self.campaigns.clone().get_round(request).await?.into_inner().round.expect("a round"))
    }

    /// All rounds of a campaign, from pages of this size.
    pub(crate) async fn rounds(&self, campaign: &str, page_size: i32) -> Result<Vec<pb::Round>, Status> {
        let (mut rounds, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListRoundsRequest { campaign_id: campaign.to_owned(), page_size, page_token };
            let page = self.campaigns.clone().list_rounds(request).await?.into_inner();
            rounds.extend(page.rounds);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(rounds);
            }
        }
    }

    /// All rounds of a campaign, once there are so many: whichever instance is first plans them, one after the other.
    pub(crate) async fn planned(&self, campaign: &str, count: usize) -> Vec<pb::Round> {
        eventually(|| async {
            let rounds = self.rounds(campaign, 1000).await.expect("a list");
            (rounds.len() == count).then_some(rounds)
        })
        .await
    }
}

/// Changes these fields of a campaign to these values, whatever its etag.
pub(crate) fn change(campaign: &str, fields: &[&str], values: pb::Campaign) -> pb::UpdateCampaignRequest {
    let paths = fields.iter().map(ToString::to_string).collect();
    pb::UpdateCampaignRequest {
        campaign: Some(pb::Campaign { id: campaign.to_owned(), etag: String::new(), ..values }),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    }
}

/// The status of a call that came to this fault.
#[track_caller]
pub(crate) fn fault(answer: Result<impl Debug, Status>, code: Code, reason: &str) -> Status {
    let status = answer.expect_err("not accepted");
    let told = status.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!((status.code(), told.as_deref()), (code, Some(reason)), "{status:?}");
    status
}

/// A request id, another one for each number.
pub(crate) fn request_id(number: u32) -> String {
    format!("0190d0a0-0000-7000-8000-{number:012}")
}
