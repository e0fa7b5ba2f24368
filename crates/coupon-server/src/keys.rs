//! The file with the master keys.

use std::path::Path;

use anyhow::{Context as _, ensure};
use coupon_domain::code::MasterKeys;
use coupon_domain::ports::CampaignRepository;
use rand::RngCore as _;
use tracing::info;

use crate::private_file;

/// Reads the keys; makes a file with one key if there is none.
///
/// # Errors
/// If the file is damaged, can be read by others, or cannot be made.
pub fn load_or_create(path: &Path) -> anyhow::Result<MasterKeys> {
    if !path.exists() {
        create(path).with_context(|| format!("the master keys {} cannot be made", path.display()))?;
    }
    let name = || format!("the master keys {}", path.display());
    let text = private_file::read(path, &name())?;
    MasterKeys::parse(&text).with_context(name)
}

/// Whether these are the keys of the installation: codes made with others would be worth nothing elsewhere.
///
/// # Errors
/// If another instance named another key by the same id, or the ledger does not answer.
pub async fn agree(keys: &MasterKeys, ledger: &dyn CampaignRepository) -> anyhow::Result<()> {
    for (id, check) in keys.checks() {
        ensure!(
            ledger.master_key(id, &check).await? == check,
            "master key {id} is not the one that this installation uses: give all instances the same --keys-file (COUPON_KEYS_FILE)"
        );
    }
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<()> {
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    let text = format!(
        "# Master keys of coupon: <id>:<secret>. The first signs, all verify. Keep this file secret and keep a copy.\n{}\n",
        MasterKeys::format_line(0, &secret)
    );
    if private_file::create(path, &text)? {
        info!(file = %path.display(), "made a new master key");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_for_the_owner_alone_and_stays_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/master.keys");
        load_or_create(&path).expect("made");
        let first = std::fs::read(&path).expect("there");
        load_or_create(&path).expect("read");
        assert_eq!(std::fs::read(&path).expect("there"), first);
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).expect("a folder").count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("master.keys");
        load_or_create(&path).expect("made");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("mine");
        let error = load_or_create(&path).expect_err("too open").to_string();
        assert!(error.contains("mode 644"), "{error}");
    }
}
