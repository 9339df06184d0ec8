//! A file that takes the place of another once it is complete, or never.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::operations::{Disk, DiskFile, FileOperations, folder_of};
use crate::config::system_reason;

/// Written data are brought to the disk in pieces of so many bytes, if they are: else the end would bring all of it at
/// once, and every other writer would wait.
const SYNC_BYTES: u64 = 4 << 20;

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStep {
    Create,
    Write,
    Publish,
    /// The file has its name, but a crash of the system may undo that.
    SyncFolder,
}

/// A step that failed, with the system's reason.
#[derive(Debug)]
pub struct StepFailed {
    pub step: WriteStep,
    pub error: io::Error,
}

impl fmt::Display for StepFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.step {
            WriteStep::Create => "creating the file",
            WriteStep::Write => "writing",
            WriteStep::Publish => "moving the file to its place",
            WriteStep::SyncFolder => "bringing the folder to the disk",
        };
        write!(formatter, "{what}: {}", system_reason(&self.error))
    }
}

impl std::error::Error for StepFailed {}

/// Attributes an error to a step.
fn during(step: WriteStep) -> impl Fn(io::Error) -> StepFailed {
    move |error| StepFailed { step, error }
}

/// A file under a temporary name, which is removed unless it is published or kept.
#[derive(Debug)]
pub struct NewFile {
    disk: Disk,
    file: DiskFile,
    path: PathBuf,
    is_published: bool,
    unsynced_bytes: u64,
    syncs_in_pieces: bool,
}

impl NewFile {
    /// Creates it, in place of what an earlier process left under that name. With `syncs_in_pieces` what is written
    /// goes to the disk every few megabytes.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn create(disk: &Disk, path: &Path, syncs_in_pieces: bool) -> Result<NewFile, StepFailed> {
        let file = disk.files().create(path);
        NewFile::of(disk, file, path, syncs_in_pieces)
    }

    /// Creates it under a name that nothing has yet.
    ///
    /// # Errors
    ///
    /// Something has the name, or the system's.
    pub fn create_alone(disk: &Disk, path: &Path, syncs_in_pieces: bool) -> Result<NewFile, StepFailed> {
        let file = disk.files().create_new(path);
        NewFile::of(disk, file, path, syncs_in_pieces)
    }

    fn of(disk: &Disk, file: io::Result<DiskFile>, path: &Path, syncs_in_pieces: bool) -> Result<NewFile, StepFailed> {
        Ok(NewFile {
            disk: disk.clone(),
            file: file.map_err(during(WriteStep::Create))?,
            path: path.to_path_buf(),
            is_published: false,
            unsynced_bytes: 0,
            syncs_in_pieces,
        })
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// The system's: the disk is full, or broken.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StepFailed> {
        self.file.write_all(bytes).map_err(during(WriteStep::Write))?;
        self.unsynced_bytes += bytes.len() as u64;
        if self.syncs_in_pieces && self.unsynced_bytes >= SYNC_BYTES {
            self.unsynced_bytes = 0;
            self.file.sync().map_err(during(WriteStep::Write))?;
        }
        Ok(())
    }

    /// Brings everything to the disk and gives the file its name, in place of any that has it. After that a crash of
    /// the system finds the new file, before it the old one.
    ///
    /// # Errors
    ///
    /// The system's; the old file is still there unless only the folder could not be brought to the disk
    /// (`WriteStep::SyncFolder`).
    pub fn publish(self, name: &Path) -> Result<(), StepFailed> {
        self.publish_if(name, |rename| rename())
    }

    /// The same, where the new name is given by way of `guard`, which may leave it: then the file is removed.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn publish_if(
        mut self,
        name: &Path,
        guard: impl FnOnce(&mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
    ) -> Result<(), StepFailed> {
        self.file.sync().map_err(during(WriteStep::Write))?;
        let (disk, path, is_published) = (&self.disk, &self.path, &mut self.is_published);
        guard(&mut || {
            disk.files().rename(path, name)?;
            *is_published = true;
            Ok(())
        })
        .map_err(during(WriteStep::Publish))?;
        if !self.is_published {
            return Ok(());
        }
        let synced = self.disk.files().sync_folder(&folder_of(name));
        synced.map_err(during(WriteStep::SyncFolder))
    }

    /// Brings everything to the disk under the temporary name, which the caller will change.
    ///
    /// # Errors
    ///
    /// The system's; the file is removed.
    pub fn keep(mut self) -> Result<(), StepFailed> {
        self.file.sync().map_err(during(WriteStep::Write))?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_published {
            // It is not needed, and its name shows that to a user who cleans the folder.
            let _ = self.disk.files().remove(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_published_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("oneloop-new-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (temporary, name) = (folder.join("temporary"), folder.join("name"));
        let mut file = NewFile::create(&Disk::System, &temporary, true).unwrap();
        file.write(b"lost").unwrap();
        drop(file);
        assert!(!temporary.exists() && !name.exists());
        let mut file = NewFile::create(&Disk::System, &temporary, true).unwrap();
        file.write(&[1; 5 << 20]).unwrap();
        file.publish(&name).unwrap();
        assert!(!temporary.exists());
        assert_eq!(fs::metadata(&name).unwrap().len(), 5 << 20);
        let file = NewFile::create(&Disk::System, &temporary, false).unwrap();
        let failed = file.publish(&folder).unwrap_err();
        assert_eq!(failed.step, WriteStep::Publish);
        assert!(!temporary.exists(), "it is removed where it cannot be moved");
        let failed = NewFile::create(&Disk::System, &folder, false).unwrap_err();
        assert_eq!(failed.step, WriteStep::Create);
        let file = NewFile::create_alone(&Disk::System, &temporary, false).unwrap();
        let failed = NewFile::create_alone(&Disk::System, &temporary, false).unwrap_err();
        assert_eq!(failed.step, WriteStep::Create);
        file.keep().unwrap();
        assert!(temporary.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
