//! `coupon draw export`: what a running service publishes of a draw, as one file.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use coupon_domain::draw::{Format, Hash, PublishedDraw, Seed};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_domain::supply::{Ratio, Rounding};
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_client::CampaignServiceClient;
use tonic::transport::Channel;

use crate::cli::target::Target;
use crate::settings::Settings;

/// Its arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    target: Target,

    /// The campaign
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: CampaignId,

    /// The round, as r-7 [default: the earliest whose claims have not closed, else the latest]
    #[arg(long, value_name = "ROUND", value_parser = RoundId::parse)]
    round: Option<RoundId>,

    /// Where to write it [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Export {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = CampaignServiceClient::new(self.target.connect(settings).await?);
        let draw = fetch(&mut client, &self.campaign, self.round).await?;
        let text = draw.to_json() + "\n";
        match &self.out {
            Some(file) => std::fs::write(file, text).with_context(|| format!("{} cannot be written", file.display())),
            None => std::io::stdout().write_all(text.as_bytes()).context("standard output cannot be written"),
        }
    }
}

async fn fetch(
    client: &mut CampaignServiceClient<Channel>,
    campaign: &CampaignId,
    round: Option<RoundId>,
) -> anyhow::Result<PublishedDraw> {
    let campaign_id = campaign.to_string();
    let round_id = round.map(|round| round.to_string()).unwrap_or_default();
    let request = pb::GetDrawRequest { campaign_id: campaign_id.clone(), round_id };
    let draw = client.get_draw(request).await.context("GetDraw")?.into_inner();
    ensure!(
        draw.places.is_some(),
        "reservation of {} has not closed yet: nothing is published but its commit {}",
        draw.round_id,
        hash(&draw.commit)?
    );
    // The round that answered: by now another one may be the earliest.
    let request = pb::ExportPlacesRequest { campaign_id, round_id: draw.round_id.clone() };
    let mut pages = client.export_places(request).await.context("ExportPlaces")?.into_inner();
    let mut leaves = Vec::new();
    while let Some(page) = pages.message().await.context("ExportPlaces")? {
        ensure!(usize::try_from(page.first_ticket) == Ok(leaves.len()), "ExportPlaces left places out");
        for leaf in &page.leaves {
            leaves.push(hash(leaf)?);
        }
    }
    published(campaign, draw, leaves).context("the service's answer cannot be read")
}

fn published(campaign: &CampaignId, draw: pb::GetDrawResponse, leaves: Vec<Hash>) -> anyhow::Result<PublishedDraw> {
    let places = u32::try_from(draw.places.unwrap_or_default())?;
    ensure!(leaves.len() == places as usize, "{} leaves for {places} places", leaves.len());
    Ok(PublishedDraw {
        format: Format::V1,
        campaign_id: campaign.clone(),
        round_id: RoundId::parse(&draw.round_id)?,
        ratio: draw.ratio.map(ratio).transpose()?,
        cap: u32::try_from(draw.cap)?,
        added: u32::try_from(draw.added)?,
        remaining_total: draw.remaining_total.map(u64::try_from).transpose()?,
        commit: hash(&draw.commit)?,
        places,
        root: hash(&draw.root)?,
        beacon_source: Some(draw.beacon_source).filter(|source| !source.is_empty()),
        beacon: Some(draw.beacon.to_vec()).filter(|bytes| !bytes.is_empty()),
        seed: published_bytes(&draw.seed)?.map(Seed::from),
        key: published_bytes(&draw.key)?.map(Hash::from),
        winners: draw.winners.map(u32::try_from).transpose()?,
        last_score: published_bytes(&draw.last_score)?.map(Hash::from),
        leaves,
    })
}

/// Empty where it is not published yet.
fn published_bytes(bytes: &[u8]) -> anyhow::Result<Option<[u8; 32]>> {
    if bytes.is_empty() { Ok(None) } else { Ok(Some(bytes.try_into().context("a hash has 32 bytes")?)) }
}

fn hash(bytes: &[u8]) -> anyhow::Result<Hash> {
    published_bytes(bytes)?.map(Hash::from).context("a hash is missing")
}

fn ratio(raw: pb::Ratio) -> anyhow::Result<Ratio> {
    let rounding = match raw.rounding() {
        pb::Rounding::Floor => Rounding::Floor,
        pb::Rounding::Ceil => Rounding::Ceil,
        pb::Rounding::Nearest => Rounding::Nearest,
        pb::Rounding::Unspecified => bail!("the ratio has no rounding"),
    };
    Ok(Ratio::new(u32::try_from(raw.numerator)?, u32::try_from(raw.denominator)?, rounding)?)
}
