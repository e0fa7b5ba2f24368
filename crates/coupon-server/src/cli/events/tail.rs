//! `coupon events tail`: events as they come.

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::PossibleValuesParser;
use coupon_domain::ids::{CampaignId, SubscriberName};
use coupon_domain::ports::EventKind;
use coupon_proto::v1 as pb;
use coupon_proto::v1::event_service_client::EventServiceClient;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::cli::json::Json;
use crate::cli::target::Target;
use crate::settings::Settings;

/// Its arguments.
#[derive(Debug, Args)]
pub(in crate::cli) struct Tail {
    #[command(flatten)]
    target: Target,

    /// Only events of this kind, as coupon.redeemed; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_parser = kinds(), hide_possible_values = true)]
    kinds: Vec<String>,

    /// Only events of this campaign
    #[arg(long, value_name = "CAMPAIGN")]
    campaign: Option<CampaignId>,

    /// Begin behind this position; 0 is before the first event that is kept
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,

    /// Go on where this subscriber has come to, and acknowledge what is printed
    ///
    /// Whoever else reads under this name is told no more.
    #[arg(long, value_name = "NAME")]
    subscriber: Option<SubscriberName>,
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(EventKind::ALL.map(EventKind::as_str))
}

impl Tail {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let mut client = EventServiceClient::new(self.target.connect(settings).await?);
        let mut place = self.subscriber.as_ref().map(|name| Place::keep(client.clone(), name));
        let stopped = tokio::select! {
            stopped = follow(&mut client, self.request(), place.as_mut()) => stopped,
            signal = tokio::signal::ctrl_c() => signal.map_err(Into::into),
        };
        // What was printed is acknowledged in any case.
        let acknowledged = match place {
            Some(place) => place.settle().await,
            None => Ok(()),
        };
        stopped.and(acknowledged)
    }

    fn request(&self) -> pb::SubscribeRequest {
        let kinds = self.kinds.iter().filter_map(|word| {
            let name = format!("EVENT_KIND_{}", word.replace('.', "_").to_ascii_uppercase());
            pb::EventKind::from_str_name(&name).map(i32::from)
        });
        pb::SubscribeRequest {
            subscriber: self.subscriber.as_ref().map(ToString::to_string).unwrap_or_default(),
            after: self.after,
            kinds: kinds.collect(),
            campaign_id: self.campaign.as_ref().map(ToString::to_string).unwrap_or_default(),
            max_unacknowledged: 0,
        }
    }
}

/// Prints until the service ends it.
async fn follow(
    client: &mut EventServiceClient<Channel>,
    request: pb::SubscribeRequest,
    mut place: Option<&mut Place>,
) -> anyhow::Result<()> {
    let json = Json::of("SubscribeResponse")?;
    let mut last = None;
    let mut events = client.subscribe(request).await.context("Subscribe")?.into_inner();
    loop {
        let event = match events.message().await {
            Ok(Some(event)) => event,
            Ok(None) => return Err(anyhow!("the service has ended the feed")).with_context(|| so_far(last)),
            Err(status) => return Err(anyhow::Error::from(status)).with_context(|| so_far(last)),
        };
        json.print(std::slice::from_ref(&event))?;
        last = Some(event.position);
        if let Some(place) = &mut place {
            place.printed(event.position).await?;
        }
    }
}

fn so_far(last: Option<i64>) -> String {
    last.map_or_else(|| "nothing was printed".to_owned(), |last| format!("printed up to position {last}"))
}

/// A subscriber's place, which follows what is printed: the latest position, one call after the other.
struct Place {
    printed: watch::Sender<i64>,
    acknowledging: JoinHandle<anyhow::Result<()>>,
}

impl Place {
    fn keep(mut client: EventServiceClient<Channel>, name: &SubscriberName) -> Self {
        let subscriber = name.to_string();
        let (printed, mut latest) = watch::channel(0);
        let acknowledging = tokio::spawn(async move {
            while latest.changed().await.is_ok() {
                let position = *latest.borrow_and_update();
                let request = pb::AcknowledgeRequest { subscriber: subscriber.clone(), position };
                client.acknowledge(request).await.context("Acknowledge")?;
            }
            Ok(())
        });
        Self { printed, acknowledging }
    }

    /// Fails if nothing can be acknowledged any more.
    async fn printed(&mut self, position: i64) -> anyhow::Result<()> {
        if self.printed.send(position).is_err() {
            (&mut self.acknowledging).await??;
        }
        Ok(())
    }

    /// Acknowledges what is left.
    async fn settle(self) -> anyhow::Result<()> {
        drop(self.printed);
        self.acknowledging.await?
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        tail: Tail,
    }

    fn request(arguments: &[&str]) -> Result<pb::SubscribeRequest, clap::Error> {
        Ok(Command::try_parse_from([&["tail"], arguments].concat())?.tail.request())
    }

    #[test]
    fn every_kind_is_named_by_its_word() {
        for (kind, number) in EventKind::ALL.into_iter().zip(1..) {
            let asked = request(&["--kind", kind.as_str()]).expect("sound arguments");
            assert_eq!(asked.kinds, [number], "{}", kind.as_str());
        }
        assert!(request(&["--kind", "coupon.lost"]).is_err());
    }

    #[test]
    fn arguments_become_a_subscription() {
        let asked = request(&["--campaign=c-1", "--after=0", "--subscriber=crm"]).expect("sound arguments");
        assert_eq!((asked.campaign_id.as_str(), asked.after, asked.subscriber.as_str()), ("c-1", Some(0), "crm"));
        assert_eq!(request(&[]).expect("sound arguments"), pb::SubscribeRequest::default());
        assert!(request(&["--after=-1"]).is_err());
    }
}
