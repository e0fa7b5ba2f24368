//! `coupon export`: a campaign's coupons from a running service into a file.

mod rows;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use coupon_domain::ids::{CampaignId, RoundId};
use coupon_proto::v1 as pb;
use coupon_proto::v1::campaign_service_client::CampaignServiceClient;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use self::rows::Rows;
use super::target::Target;
use super::{Unusable, tell};
use crate::settings::Settings;

/// Its arguments.
#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    target: Target,

    /// The campaign
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: CampaignId,

    /// Only of this round, as r-7
    #[arg(long, value_name = "ROUND", value_parser = RoundId::parse)]
    round: Option<RoundId>,

    /// Only coupons in this state
    #[arg(long, value_enum, ignore_case = true, value_name = "STATE")]
    state: Option<State>,

    /// How a coupon is written
    #[arg(long, value_enum, default_value = "ndjson", value_name = "FORMAT")]
    format: Format,

    /// Where to write them [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Where a coupon stands.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum State {
    Issued,
    Held,
    Redeemed,
    Expired,
    Void,
}

/// How a coupon is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Ndjson,
    /// Comma-separated values under a line of names
    Csv,
}

impl Export {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = CampaignServiceClient::new(self.target.connect(settings).await?);
        let request = pb::ExportCouponsRequest {
            campaign_id: self.campaign.to_string(),
            round_id: self.round.map(|round| round.to_string()).unwrap_or_default(),
            state: self.state.map_or(0, |state| state.message().into()),
        };
        // The file is not touched if the service refuses.
        let mut pages = client.export_coupons(request).await.context("ExportCoupons")?.into_inner();
        let mut rows = Rows::of(self.format, open(self.output.as_deref())?)?;
        let progress = ProgressBar::new_spinner();
        progress.set_style(ProgressStyle::with_template("{spinner} {human_pos} coupons, {elapsed} {msg}")?);
        let written = loop {
            match pages.message().await {
                Ok(Some(page)) => rows.write(&page.coupons)?,
                Ok(None) => break rows.finish()?,
                Err(status) => {
                    let left_at = format!("the export has broken off behind {} coupons", HumanCount(rows.written()));
                    return Err(anyhow::Error::from(status)).context(left_at);
                }
            }
            progress.set_position(rows.written());
        };
        progress.finish_and_clear();
        tell(&format!("{} exported", HumanCount(written)));
        Ok(())
    }
}

impl State {
    fn message(self) -> pb::CouponState {
        match self {
            Self::Issued => pb::CouponState::Issued,
            Self::Held => pb::CouponState::Held,
            Self::Redeemed => pb::CouponState::Redeemed,
            Self::Expired => pb::CouponState::Expired,
            Self::Void => pb::CouponState::Void,
        }
    }
}

fn open(file: Option<&Path>) -> anyhow::Result<Box<dyn Write>> {
    let Some(file) = file else { return Ok(Box::new(BufWriter::new(std::io::stdout()))) };
    let opened = File::create(file).with_context(|| Unusable(file.to_owned()))?;
    Ok(Box::new(BufWriter::new(opened)))
}
