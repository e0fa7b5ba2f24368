//! `coupon events`: the feed of a running service.

mod outlets;
mod tail;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use coupon_proto::v1 as pb;
use coupon_proto::v1::event_service_client::EventServiceClient;

use super::json::Json;
use super::target::Target;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// Print events as they come, with their positions, one JSON object a line
    ///
    /// Without --after it begins with what happens from now on, or with --subscriber where that has come to. It ends when it is stopped.
    Tail(tail::Tail),
    /// Print who reads the feed and how far they are, one JSON object a line
    Subscribers(Subscribers),
    /// Print the events that an outlet's receiver did not take, one JSON object a line
    DeadLetters(outlets::DeadLetters),
    /// Have an outlet deliver events again
    Replay(outlets::Replay),
}

/// The arguments of `coupon events subscribers`.
#[derive(Debug, Args)]
pub(super) struct Subscribers {
    #[command(flatten)]
    target: Target,
}

impl EventsCommand {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        match self {
            Self::Tail(command) => command.run(settings).await,
            Self::Subscribers(command) => command.run(settings).await,
            Self::DeadLetters(command) => command.run(settings).await,
            Self::Replay(command) => command.run(settings).await,
        }
    }
}

impl Subscribers {
    async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = EventServiceClient::new(self.target.connect(settings).await?);
        let told = client.list_subscribers(pb::ListSubscribersRequest {}).await.context("ListSubscribers")?;
        Json::of("Subscriber")?.print(&told.into_inner().subscribers)
    }
}
