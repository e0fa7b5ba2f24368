//! What an outlet's receiver did not take, and how it gets it after all.

use anyhow::Context as _;
use clap::Args;
use coupon_domain::ids::SubscriberName;
use coupon_proto::v1 as pb;
use coupon_proto::v1::event_service_client::EventServiceClient;
use coupon_proto::v1::replay_events_request::What;
use coupon_usecases::delivery::{OUTLET_PREFIX, Outlet};
use indicatif::HumanCount;

use crate::cli::json::Json;
use crate::cli::print;
use crate::cli::target::Target;
use crate::settings::Settings;

/// Dead letters fetched at once: together they may have a few megabytes.
const PAGE: i32 = 500;

/// The arguments of `coupon events dead-letters`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DeadLetters {
    /// The outlet, by its name
    #[arg(value_name = "OUTLET", value_parser = outlet)]
    outlet: SubscriberName,

    #[command(flatten)]
    target: Target,
}

/// The arguments of `coupon events replay`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Replay {
    /// The outlet, by its name
    #[arg(value_name = "OUTLET", value_parser = outlet)]
    outlet: SubscriberName,

    #[command(flatten)]
    what: Again,

    #[command(flatten)]
    target: Target,
}

/// Which events.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Again {
    /// Its dead letters
    #[arg(long)]
    dead_letters: bool,

    /// Everything behind this position; the receiver knows repeats by the events' ids
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
}

/// The name as people call it, or as the list of subscribers has it.
fn outlet(raw: &str) -> Result<SubscriberName, String> {
    let name = Outlet::name_of(raw.strip_prefix(OUTLET_PREFIX).unwrap_or(raw));
    name.map_err(|why| format!("the name {why}"))
}

impl DeadLetters {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = EventServiceClient::new(self.target.connect(settings).await?);
        let json = Json::of("DeadLetter")?;
        let outlet = self.outlet.to_string();
        let mut page_token = String::new();
        loop {
            let request = pb::ListDeadLettersRequest { outlet: outlet.clone(), page_size: PAGE, page_token };
            let page = client.list_dead_letters(request).await.context("ListDeadLetters")?.into_inner();
            json.print(&page.dead_letters)?;
            if page.next_page_token.is_empty() {
                return Ok(());
            }
            page_token = page.next_page_token;
        }
    }
}

impl Replay {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = EventServiceClient::new(self.target.connect(settings).await?);
        let what = self.what.after.map_or(What::DeadLetters(true), What::After);
        let request = pb::ReplayEventsRequest { outlet: self.outlet.to_string(), what: Some(what) };
        let told = client.replay_events(request).await.context("ReplayEvents")?.into_inner();
        let count = HumanCount(u64::try_from(told.events).unwrap_or(0));
        match self.what.after {
            None => print(&format!("{count} dead letters are tried again")),
            Some(after) => print(&format!("events behind position {after} are delivered again: {count} positions")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlet_is_named_with_its_prefix_or_without() {
        for raw in ["crm", "outlet:crm"] {
            assert_eq!(outlet(raw).as_ref().map(SubscriberName::as_str), Ok("outlet:crm"));
        }
        assert_eq!(outlet(""), Err("the name is required".to_owned()));
        assert!(outlet("a b").is_err());
    }
}
