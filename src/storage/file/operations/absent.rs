//! No disk at all: there are no files, and none can be made. For servers that tools run on a state of their own.

use std::io;
use std::path::Path;

use super::{DiskFile, DiskOperations};
use crate::base::sys::lock::{FolderLock, LockError};

/// The disk that is not there.
pub struct AbsentDisk;

/// Why nothing can be written.
pub fn refusal() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

fn missing<T>() -> io::Result<T> {
    Err(io::ErrorKind::NotFound.into())
}

impl DiskOperations for AbsentDisk {
    fn create_new(&self, _: &Path) -> io::Result<DiskFile> {
        Err(refusal())
    }

    fn create(&self, _: &Path) -> io::Result<DiskFile> {
        Err(refusal())
    }

    fn open_to_append(&self, _: &Path) -> io::Result<DiskFile> {
        Err(refusal())
    }

    fn open(&self, _: &Path) -> io::Result<DiskFile> {
        missing()
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        missing()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        missing()
    }

    fn create_folder(&self, _: &Path) -> io::Result<()> {
        Err(refusal())
    }

    fn is_folder(&self, _: &Path) -> bool {
        false
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn length(&self, _: &Path) -> io::Result<u64> {
        missing()
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        missing()
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock_folder(&self, _: &Path) -> Result<Option<FolderLock>, LockError> {
        Ok(None)
    }

    fn end_process(&self) {
        std::process::exit(1)
    }
}
