//! The data folder: one process owns it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::OpenError;

const LOCK_FILE: &str = "coupon.lock";

/// A data folder that this process owns, until this is dropped.
pub(crate) struct DataFolder {
    path: PathBuf,
    /// The lock goes with the open file, also when the process is killed.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, for this user alone, and locks it.
    pub(crate) fn claim(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder { folder: path.to_owned(), source };
        create(path).map_err(unusable)?;
        let mut lock = open_lock_file(&path.join(LOCK_FILE)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Owned { folder: path.to_owned(), owner: owner(&mut lock) });
            }
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
        }
        sign(&mut lock).map_err(unusable)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes sure that the files made in it are found after a crash.
    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(|source| OpenError::Folder { folder: self.path.clone(), source })
    }
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    write!(lock, "pid {}", std::process::id())
}

fn owner(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(1..) => text,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}
