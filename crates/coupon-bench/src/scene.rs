//! The campaigns that are loaded, made and looked at as an operator does.

use std::time::Duration;

use anyhow::{Context as _, bail};
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_client::CampaignServiceClient;
use coupon_proto::v1::coupon_service_client::CouponServiceClient;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::job::Scene;

/// How long windows stay open that a load must not outlast.
const LONG: Duration = Duration::from_secs(12 * 3600);
/// How long a window may take to open beyond its time.
const OPENS_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);
/// Claims open so soon.
const SOON: Duration = Duration::from_millis(300);
/// How long claims last in a rush.
const RUSH: Duration = Duration::from_secs(300);
/// Of the places in a rush, one in so many gets a coupon.
pub(crate) const RATIO: u64 = 5;

/// An operator's connection.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) campaigns: CampaignServiceClient<Channel>,
    pub(crate) coupons: CouponServiceClient<Channel>,
}

impl Operator {
    pub(crate) async fn connect(address: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await;
        let channel = channel.with_context(|| format!("no service answers at {address}"))?;
        Ok(Self { campaigns: CampaignServiceClient::new(channel.clone()), coupons: CouponServiceClient::new(channel) })
    }

    /// A round whose claims are open for hours, with so many coupons, for anybody.
    pub(crate) async fn claims(&self, coupons: u64) -> anyhow::Result<Scene> {
        let schedule = schedule(SOON, LONG)?;
        let supply = pb::supply::Rule::Fixed(i64::try_from(coupons)?);
        let scene = self.create(pb::Campaign { supply: rule(supply), ..campaign(schedule) }).await?;
        self.wait_for(&scene, pb::RoundPhase::Claiming, SOON).await?;
        Ok(scene)
    }

    /// A round whose reservation is open for hours, with room for so many.
    pub(crate) async fn reservations(&self, places: u64) -> anyhow::Result<Scene> {
        self.reserving(schedule(LONG, LONG)?, places).await
    }

    /// A round whose reservation closes after so long; then claims open.
    pub(crate) async fn rush(&self, reservation: Duration, places: u64) -> anyhow::Result<Scene> {
        self.reserving(schedule(reservation, RUSH)?, places).await
    }

    async fn reserving(&self, schedule: pb::Schedule, places: u64) -> anyhow::Result<Scene> {
        let ratio = pb::Ratio { numerator: 1, denominator: RATIO as i32, rounding: pb::Rounding::Floor.into() };
        let campaign = pb::Campaign {
            supply: rule(pb::supply::Rule::RatioOfPlaces(ratio)),
            reservation_required: true,
            max_places: Some(i64::try_from(places)?),
            ..campaign(schedule)
        };
        let scene = self.create(campaign).await?;
        self.wait_for(&scene, pb::RoundPhase::Reserving, Duration::ZERO).await?;
        Ok(scene)
    }

    async fn create(&self, campaign: pb::Campaign) -> anyhow::Result<Scene> {
        let request = pb::CreateCampaignRequest { campaign: Some(campaign), activate: true, ..Default::default() };
        let created = self.campaigns.clone().create_campaign(request).await?.into_inner();
        let (campaign, round) = created.campaign.zip(created.first_round).context("a campaign has a round")?;
        Ok(Scene { campaign: campaign.id, round: round.id })
    }

    /// The round, as its gate has it.
    pub(crate) async fn round(&self, scene: &Scene) -> anyhow::Result<pb::GetRoundResponse> {
        let request = pb::GetRoundRequest { campaign_id: scene.campaign.clone(), round_id: scene.round.clone() };
        Ok(self.campaigns.clone().get_round(request).await?.into_inner())
    }

    /// Waits until the round is there, for a minute beyond its time.
    pub(crate) async fn wait_for(
        &self,
        scene: &Scene,
        phase: pb::RoundPhase,
        within: Duration,
    ) -> anyhow::Result<pb::Round> {
        let wait = async {
            loop {
                // A gate that is being opened has no answer yet.
                let round = self.round(scene).await.ok().and_then(|answer| answer.round);
                match round {
                    Some(round) if round.phase() == phase => return Ok(round),
                    Some(round) if round.phase() == pb::RoundPhase::Closed => bail!("the round has closed already"),
                    _ => tokio::time::sleep(POLL).await,
                }
            }
        };
        let waited = tokio::time::timeout(within + OPENS_WITHIN, wait).await;
        waited.with_context(|| format!("the round does not become {}", phase.as_str_name()))?
    }

    /// Ends the campaign; its rows stay.
    pub(crate) async fn end(&self, scene: &Scene) -> anyhow::Result<()> {
        let request_id = Uuid::new_v4().to_string();
        let request = pb::EndCampaignRequest { campaign_id: scene.campaign.clone(), request_id };
        self.campaigns.clone().end_campaign(request).await?;
        Ok(())
    }
}

fn campaign(schedule: pb::Schedule) -> pb::Campaign {
    pb::Campaign {
        title: format!("bench {}", Uuid::now_v7()),
        benefit: Some(pb::Benefit { kind: Some(pb::benefit::Kind::PercentOff(20)), ..Default::default() }),
        schedule: Some(schedule),
        validity: Some(pb::Validity { until: Some(pb::validity::Until::AfterClaim(span(30 * 24 * LONG / 12))) }),
        ..Default::default()
    }
}

fn rule(rule: pb::supply::Rule) -> Option<pb::Supply> {
    Some(pb::Supply { rule: Some(rule) })
}

/// Reservation is open by now, if there is one, and closes when claims open.
fn schedule(claims_in: Duration, claims_last: Duration) -> anyhow::Result<pb::Schedule> {
    Ok(pb::Schedule {
        start: Some(pb::schedule::Start::Once(wall_time(claims_in)?)),
        reserve_lead: Some(span(claims_in + LONG)),
        reserve_close_lead: Some(span(Duration::ZERO)),
        claim_duration: Some(span(claims_last)),
    })
}

fn span(span: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: span.as_secs() as i64, nanos: span.subsec_nanos() as i32 }
}

/// So long from now.
fn wall_time(ahead: Duration) -> anyhow::Result<prost_types::Timestamp> {
    #[expect(clippy::disallowed_methods, reason = "campaigns begin by the wall's clock")]
    let now = std::time::SystemTime::now();
    let at = (now + ahead).duration_since(std::time::UNIX_EPOCH)?;
    Ok(prost_types::Timestamp { seconds: i64::try_from(at.as_secs())?, nanos: at.subsec_micros() as i32 * 1000 })
}
