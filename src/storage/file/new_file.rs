//! A file that takes the place of another once it is complete, or never.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Written data are brought to the disk in pieces of so many bytes, if they are: else the end would bring all of it at once, and
/// every other writer would wait.
const SYNC_BYTES: u64 = 4 << 20;

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStep {
    Create,
    Write,
    Publish,
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
        };
        write!(formatter, "{what}: {}", self.error)
    }
}

impl std::error::Error for StepFailed {}

/// Attributes an error to a step.
fn during(step: WriteStep) -> impl Fn(io::Error) -> StepFailed {
    move |error| StepFailed { step, error }
}

/// A file under a temporary name, which is removed unless it is published.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
    is_published: bool,
    unsynced_bytes: u64,
    syncs_in_pieces: bool,
}

impl NewFile {
    /// Creates it. With `syncs_in_pieces` what is written goes to the disk every few megabytes.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn create(path: &Path, syncs_in_pieces: bool) -> Result<NewFile, StepFailed> {
        let file = File::create(path).map_err(during(WriteStep::Create))?;
        Ok(NewFile { file, path: path.to_path_buf(), is_published: false, unsynced_bytes: 0, syncs_in_pieces })
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
            self.file.sync_data().map_err(during(WriteStep::Write))?;
        }
        Ok(())
    }

    /// Brings everything to the disk and gives the file its name, in place of any that has it. After that a crash of the system
    /// finds the new file, before it the old one.
    ///
    /// # Errors
    ///
    /// The system's; the old file is still there unless only the folder could not be brought to the disk.
    pub fn publish(mut self, name: &Path) -> Result<(), StepFailed> {
        self.file.sync_all().map_err(during(WriteStep::Write))?;
        fs::rename(&self.path, name).map_err(during(WriteStep::Publish))?;
        self.is_published = true;
        sync_folder(name).map_err(during(WriteStep::Publish))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_published {
            // Nobody needs it, and whoever cleans the folder finds it by its name.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Brings the names in the folder of a file to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_published_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("oneloop-new-file-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (temporary, name) = (folder.join("temporary"), folder.join("name"));
        let mut file = NewFile::create(&temporary, true).unwrap();
        file.write(b"lost").unwrap();
        drop(file);
        assert!(!temporary.exists() && !name.exists());
        let mut file = NewFile::create(&temporary, true).unwrap();
        file.write(&[1; 5 << 20]).unwrap();
        file.publish(&name).unwrap();
        assert!(!temporary.exists());
        assert_eq!(fs::metadata(&name).unwrap().len(), 5 << 20);
        let file = NewFile::create(&temporary, false).unwrap();
        let failed = file.publish(&folder).unwrap_err();
        assert_eq!(failed.step, WriteStep::Publish);
        assert!(!temporary.exists(), "it is removed where it cannot be moved");
        let failed = NewFile::create(&folder, false).unwrap_err();
        assert_eq!(failed.step, WriteStep::Create);
        fs::remove_dir_all(&folder).unwrap();
    }
}
