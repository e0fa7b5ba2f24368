//! Publishers and receivers for tests.

use std::sync::Arc;
use std::time::Duration;

use coupon_domain::ports::Clock;
use coupon_domain::time::Timestamp;
use coupon_envelope::source;
use coupon_testkit::contract::publisher::samples::AT;
use coupon_webhook::{Secret, Target, WebhookConfig, WebhookPublisher};

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const NEWER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Short, for tests; long enough for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(2);

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        AT
    }
}

pub(crate) fn config(url: &str, secrets: &[&str]) -> WebhookConfig {
    let secrets = secrets.iter().map(|secret| Secret::parse(secret).expect("a secret")).collect();
    let target = Target::parse(url, true).expect("a target");
    WebhookConfig { timeout: TIMEOUT, ..WebhookConfig::new(target, secrets, source("test")) }
}

pub(crate) fn publisher(config: WebhookConfig) -> WebhookPublisher {
    WebhookPublisher::new(config, Arc::new(Standing)).expect("a publisher")
}
