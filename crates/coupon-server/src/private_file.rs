//! Files with secrets, for their owner alone.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, ensure};

/// Reads one; `name` is what people call it.
///
/// # Errors
/// If it cannot be read, or can be read by others.
pub(crate) fn read(path: &Path, name: &str) -> anyhow::Result<String> {
    let context = || name.to_owned();
    let text = std::fs::read_to_string(path).with_context(context)?;
    let mode = std::fs::metadata(path).with_context(context)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "{name} can be read by others (mode {:o}): set it to 600", mode & 0o777);
    Ok(text)
}

/// Makes one, unless somebody else has made it meanwhile; whether it did.
///
/// Written under another name and linked, so that two instances starting together agree on one file, whole.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn create(path: &Path, text: &str) -> anyhow::Result<bool> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}
