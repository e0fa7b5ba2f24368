//! The file with the webhooks' secrets: lines `NAME whsec_…`, the one that signs first in front, and comments.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use coupon_webhook::Secret;
use rand::RngCore as _;
use tracing::info;
use zeroize::Zeroizing;

use crate::private_file;

/// Reads the secrets of these webhooks; makes a file with a fresh one for each if there is none.
///
/// # Errors
/// If the file cannot be made or read, can be read by others, has a line of another form, or lacks one of the webhooks.
pub(super) fn load_or_create(path: &Path, names: &[&str]) -> anyhow::Result<HashMap<String, Vec<Secret>>> {
    if !path.exists() {
        create(path, names).with_context(|| format!("the webhook secrets {} cannot be made", path.display()))?;
    }
    let file = format!("the webhook secrets {}", path.display());
    let secrets = parse(&Zeroizing::new(private_file::read(path, &file)?)).with_context(|| file.clone())?;
    for name in names {
        ensure!(secrets.contains_key(*name), "{file}: there is none for {name}; add a line `{name} whsec_...`");
    }
    Ok(secrets)
}

fn create(path: &Path, names: &[&str]) -> anyhow::Result<()> {
    let mut text = Zeroizing::new(
        "# Webhook secrets of coupon: <name> whsec_<base64>, also given to the receiver. Several of a name all sign.\n"
            .to_owned(),
    );
    for name in names {
        let mut bytes = Zeroizing::new(vec![0; 32]);
        rand::rng().fill_bytes(&mut bytes);
        text.push_str(&format!("{name} {}\n", Secret::from_bytes(bytes)?.reveal().as_str()));
    }
    if private_file::create(path, &text)? {
        info!(file = %path.display(), "made new webhook secrets");
    }
    Ok(())
}

fn parse(text: &str) -> anyhow::Result<HashMap<String, Vec<Secret>>> {
    let mut secrets: HashMap<String, Vec<Secret>> = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = || format!("line {}", index + 1);
        let (name, secret) = line.split_once(char::is_whitespace).context("it has no secret").with_context(number)?;
        secrets.entry(name.to_owned()).or_default().push(Secret::parse(secret.trim()).with_context(number)?);
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_has_a_secret_for_each_and_stays_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("webhook.secrets");
        let made = load_or_create(&path, &["shop", "crm"]).expect("made");
        assert_eq!((made["shop"].len(), made["crm"].len()), (1, 1));
        assert_ne!(made["shop"], made["crm"]);
        assert_eq!(load_or_create(&path, &["shop", "crm"]).expect("read"), made);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn several_secrets_of_a_name_are_for_their_exchange() {
        let (old, new) =
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let secrets = parse(&format!("# both\n shop  {new}\n\nshop\t{old}\n")).expect("two");
        let revealed: Vec<_> = secrets["shop"].iter().map(|secret| secret.reveal().to_string()).collect();
        assert_eq!(revealed, [new, old]);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number_alone() {
        for text in ["# one\nshop", "# one\nshop whsec_tooshort", "# one\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let error = format!("{:#}", parse(text).expect_err("refused"));
            assert!(error.starts_with("line 2: ") && !error.contains("Mf") && !error.contains("short"), "{error}");
        }
    }

    #[test]
    fn a_webhook_without_a_secret_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("webhook.secrets");
        load_or_create(&path, &["shop"]).expect("made");
        let error = load_or_create(&path, &["shop", "crm"]).expect_err("no secret").to_string();
        assert!(error.contains("none for crm"), "{error}");
    }
}
