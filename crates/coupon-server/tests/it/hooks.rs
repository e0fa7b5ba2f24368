//! The receiver of the examples, as a process of its own: it answers when it has an event on disk.

use std::io::Write as _;

use coupon_domain::ports::Event;
use coupon_testkit::server::{ChildServer, free_port};

use crate::told::of_document;

/// The outlet's name in the command line of the service.
pub(crate) const NAME: &str = "hooks";
/// The name under which it keeps its place.
pub(crate) const OUTLET: &str = "outlet:webhook:hooks";
/// What the service and receivers of tests share.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const FILE: &str = "events";
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/webhook_receiver.py");

/// The file that tells the service the secret.
pub(crate) fn secrets_file() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    writeln!(file, "{NAME} {SECRET}").expect("written");
    file
}

pub(crate) struct Hooks {
    child: ChildServer,
    port: u16,
    secrets: tempfile::NamedTempFile,
}

impl Hooks {
    pub(crate) async fn start() -> Self {
        let (mut child, port) = (ChildServer::new().expect("a folder"), free_port().expect("a free port"));
        let secret = format!("WEBHOOK_SECRETS={SECRET}");
        child.start(&["env", &secret, "python3", PROGRAM, FILE, &port.to_string()]).expect("it starts");
        child.listens_on(port).await.expect("the receiver listens");
        Self { child, port, secrets: secrets_file() }
    }

    /// What tells the service of it.
    pub(crate) fn arguments(&self) -> [String; 3] {
        [
            format!("--webhooks={NAME}=http://127.0.0.1:{}/", self.port),
            format!("--webhook-secrets-file={}", self.secrets.path().display()),
            "--webhook-allow-private".to_owned(),
        ]
    }

    /// What it has on disk, in the order of arrival.
    pub(crate) fn events(&self) -> Vec<Event> {
        let kept = std::fs::read_to_string(self.child.folder().join(FILE)).unwrap_or_default();
        // One that is being written, or was when it was killed, is not taken yet.
        let whole = kept.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.split_once(' '));
        whole.map(|(id, document)| of_document(id, document.as_bytes())).collect()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
    }

    pub(crate) async fn start_again(&mut self) {
        self.child.start_again().expect("it starts");
        self.child.listens_on(self.port).await.expect("the receiver listens");
    }
}
