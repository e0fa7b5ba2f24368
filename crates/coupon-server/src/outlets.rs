//! Where events are carried to: webhooks and NATS, as the settings say.

mod secrets;

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use coupon_domain::ids::SubscriberName;
use coupon_domain::ports::{Clock, EventFilter, EventKind};
use coupon_nats::{NatsConfig, NatsPublisher, Servers};
use coupon_usecases::delivery::{Outlet, Pace};
use coupon_webhook::{Target, WebhookConfig, WebhookPublisher};
use uuid::Uuid;

use crate::settings::Settings;

const WEBHOOKS: &str = "--webhooks (COUPON_WEBHOOKS)";
const KINDS: &str = "--webhook-kinds (COUPON_WEBHOOK_KINDS)";
const NATS: &str = "--nats-url (COUPON_NATS_URL), --nats-stream and --nats-subject";

/// A webhook of the settings.
struct Webhook {
    name: String,
    outlet: SubscriberName,
    target: Target,
}

/// What can be said of the outlets without trying them.
///
/// # Errors
/// With the setting and the reason, and without what may be secret in a URL.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    webhooks(settings)?;
    kinds(settings)?;
    nats(settings, "").map(drop)
}

/// The outlets of the settings; nothing is sent yet.
///
/// # Errors
/// If the settings, the secrets or the credentials cannot be used. That a receiver is away is none.
pub async fn open(settings: &Settings, installation: Uuid, clock: Arc<dyn Clock>) -> anyhow::Result<Vec<Outlet>> {
    let source = coupon_envelope::source(&installation.to_string());
    let mut outlets = Vec::new();
    let webhooks = webhooks(settings)?;
    if !webhooks.is_empty() {
        let names: Vec<_> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let mut secrets = secrets::load_or_create(&settings.webhook_secrets_path(), &names)?;
        let filter = EventFilter { kinds: kinds(settings)?, campaign: None };
        for Webhook { name, outlet, target } in webhooks {
            let config = WebhookConfig::new(target, secrets.remove(&name).unwrap_or_default(), source.clone());
            let publisher = WebhookPublisher::new(config, Arc::clone(&clock));
            let publisher = Arc::new(publisher.with_context(|| format!("the webhook {name} cannot be set up"))?);
            outlets.push(Outlet { name: outlet, filter: filter.clone(), publisher, pace: Pace::default() });
        }
    }
    if let Some(config) = nats(settings, &source)? {
        let publisher = Arc::new(NatsPublisher::connect(config).await.context("NATS cannot be set up")?);
        let (name, filter) = (Outlet::name_of("nats")?, EventFilter::default());
        outlets.push(Outlet { name, filter, publisher, pace: Pace::default() });
    }
    Ok(outlets)
}

/// The outlets of the settings, a line each, for people.
#[must_use]
pub fn describe(settings: &Settings) -> Vec<String> {
    let webhooks = webhooks(settings).unwrap_or_default().into_iter();
    let mut lines: Vec<_> = webhooks.map(|w| format!("events   to the webhook {} at {}", w.name, w.target)).collect();
    if settings.nats_url.is_some() {
        lines.push(format!("events   to NATS at {}", describe_nats(settings)));
    }
    lines
}

/// [`Settings::webhooks`] without what may be secret: neither user, path nor query.
#[must_use]
pub fn describe_webhooks(settings: &Settings) -> String {
    let Ok(webhooks) = webhooks(settings) else { return "(cannot be read)".to_owned() };
    if webhooks.is_empty() {
        return "(none)".to_owned();
    }
    let webhooks: Vec<_> = webhooks.iter().map(|webhook| format!("{}={}", webhook.name, webhook.target)).collect();
    webhooks.join(",")
}

/// [`Settings::nats_url`] without users and passwords.
#[must_use]
pub fn describe_nats(settings: &Settings) -> String {
    match settings.nats_url.as_deref().map(Servers::parse) {
        None => "(none)".to_owned(),
        Some(Ok(servers)) => servers.to_string(),
        Some(Err(_)) => "(cannot be read)".to_owned(),
    }
}

/// The webhooks, each `NAME=URL`, with commas between.
fn webhooks(settings: &Settings) -> anyhow::Result<Vec<Webhook>> {
    let mut webhooks: Vec<Webhook> = Vec::new();
    for (index, part) in settings.webhooks.split(',').filter(|part| !part.is_empty()).enumerate() {
        // A part that is not of this form may have a secret anywhere in it.
        let form = || format!("{WEBHOOKS}: the {}. is not of the form NAME=URL; a comma in a URL is %2C", index + 1);
        let (name, url) = part.split_once('=').with_context(form)?;
        let outlet = Outlet::name_of(&format!("webhook:{name}")).ok().with_context(form)?;
        let target = Target::parse(url, settings.webhook_allow_private);
        let target = target.with_context(|| format!("{WEBHOOKS}: {name} cannot be told there"))?;
        ensure!(webhooks.iter().all(|other| other.name != name), "{WEBHOOKS}: {name} is there twice");
        webhooks.push(Webhook { name: name.to_owned(), outlet, target });
    }
    Ok(webhooks)
}

fn kinds(settings: &Settings) -> anyhow::Result<Vec<EventKind>> {
    let kind = |word: &str| {
        EventKind::from_word(word).with_context(|| {
            let known = EventKind::ALL.map(EventKind::as_str).join(", ");
            format!("{KINDS}: {word:?} is not a kind of event; there are {known}")
        })
    };
    settings.webhook_kinds.split(',').map(str::trim).filter(|word| !word.is_empty()).map(kind).collect()
}

fn nats(settings: &Settings, source: &str) -> anyhow::Result<Option<NatsConfig>> {
    let Some(url) = &settings.nats_url else { return Ok(None) };
    let config = NatsConfig {
        credentials_file: settings.nats_credentials_file.clone(),
        stream: settings.nats_stream.clone(),
        subject: settings.nats_subject.clone(),
        ..NatsConfig::new(Servers::parse(url).context(NATS)?, source.to_owned())
    };
    config.check().context(NATS)?;
    Ok(Some(config))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    fn settings(arguments: &[&str]) -> Settings {
        let command = Settings::augment_args(Command::new("coupon"));
        let matches = command.get_matches_from(["coupon"].into_iter().chain(arguments.iter().copied()));
        Settings::from_arg_matches(&matches).expect("settings")
    }

    fn refused(arguments: &[&str]) -> String {
        format!("{:#}", check(&settings(arguments)).expect_err("refused"))
    }

    #[test]
    fn webhooks_are_read_and_shown_without_what_may_be_secret() {
        let settings =
            settings(&["--webhooks=shop=https://shop.example/hooks?key=word,crm=https://u:p@crm.example:8443/"]);
        assert!(check(&settings).is_ok());
        assert_eq!(describe_webhooks(&settings), "shop=https://shop.example,crm=https://crm.example:8443");
        let names: Vec<_> = webhooks(&settings).expect("two").into_iter().map(|w| w.outlet.to_string()).collect();
        assert_eq!(names, ["outlet:webhook:shop", "outlet:webhook:crm"]);
    }

    #[test]
    fn what_cannot_be_an_outlet_is_refused_without_being_shown() {
        let refusals = [
            refused(&["--webhooks=https://shop.example/secret"]),
            refused(&["--webhooks=shop=http://shop.example/secret"]),
            refused(&["--webhooks=shop=https://127.0.0.1/secret"]),
            refused(&["--webhooks=a=https://a.example/secret,a=https://b.example/secret"]),
            refused(&["--nats-url=http://ada:secret@nats.example"]),
            refused(&["--nats-url=nats://a:secret@nats.example", "--nats-subject=coupon.>"]),
            refused(&["--webhook-kinds=coupon.redeemed,coupon.reborn"]),
        ];
        assert!(
            refusals.iter().all(|refusal| !refusal.contains("secret") && refusal.starts_with("--")),
            "{refusals:#?}"
        );
        assert!(refusals[6].contains("\"coupon.reborn\"") && refusals[2].contains("not public"), "{refusals:#?}");
    }

    #[test]
    fn nats_is_shown_without_its_user() {
        let settings = settings(&["--nats-url=nats://ada:secret@a.example,nats://ada:secret@b.example:4223"]);
        assert!(check(&settings).is_ok());
        assert_eq!(describe_nats(&settings), "a.example:4222, b.example:4223");
    }

    #[test]
    fn this_machine_is_told_only_when_that_is_wanted() {
        let url = "--webhooks=shop=http://127.0.0.1:8080/hooks";
        assert!(refused(&[url]).contains("only https"));
        assert!(check(&settings(&[url, "--webhook-allow-private"])).is_ok());
    }
}
