//! `coupon audit`: who changed what, as a running service tells it.

use anyhow::Context as _;
use clap::Args;
use coupon_domain::ids::CampaignId;
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_client::CampaignServiceClient;

use super::json::Json;
use super::target::Target;
use crate::settings::Settings;

/// Records fetched at once.
const PAGE: i32 = 1000;

/// Its arguments.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    target: Target,

    /// Only of this campaign [default: all, and the registry of users]
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<CampaignId>,
}

impl Audit {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = CampaignServiceClient::new(self.target.connect(settings).await?);
        let json = Json::of("AuditRecord")?;
        let campaign_id = self.campaign.map(|campaign| campaign.to_string()).unwrap_or_default();
        let mut page_token = String::new();
        loop {
            let request = pb::ListAuditRecordsRequest { campaign_id: campaign_id.clone(), page_size: PAGE, page_token };
            let page = client.list_audit_records(request).await.context("ListAuditRecords")?.into_inner();
            json.print(&page.audit_records)?;
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            page_token = page.next_page_token;
        }
    }
}
