//! Where the parts of the append-only file lie, and how their list is kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::aof::{Manifest, ManifestError};
use crate::storage::file::new_file::NewFile;

/// Begins the names of files that are not complete.
const TEMPORARY_PREFIX: &str = "temp-";

/// The folder and the names in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AofPaths {
    /// Relative to the working folder.
    pub folder: PathBuf,
    /// What all names begin with.
    pub file_name: String,
}

/// Why the parts cannot be listed.
#[derive(Debug)]
pub enum ListError {
    System(io::Error),
    Format(ManifestError),
}

impl AofPaths {
    /// The path of a part.
    pub fn part(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of the manifest.
    pub fn manifest(&self) -> PathBuf {
        self.folder.join(format!("{}.manifest", self.file_name))
    }

    /// The path of a base that is being written.
    pub fn temporary_base(&self) -> PathBuf {
        let process = std::process::id();
        PathBuf::from(format!("{TEMPORARY_PREFIX}rewriteaof-bg-{process}.aof"))
    }

    /// The path of what is appended while the first base is being written.
    pub fn temporary_increment(&self) -> PathBuf {
        self.folder.join(format!("{TEMPORARY_PREFIX}{}.incr", self.file_name))
    }

    /// Creates the folder if need be.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn create_folder(&self) -> io::Result<()> {
        match fs::create_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.folder.is_dir() => Ok(()),
            result => result,
        }
    }

    /// Reads the list of the parts; an empty one if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or makes no sense.
    pub fn list(&self) -> Result<Manifest, ListError> {
        match fs::read(self.manifest()) {
            Ok(text) => Manifest::parse(&text).map_err(ListError::Format),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Manifest::default()),
            Err(error) => Err(ListError::System(error)),
        }
    }

    /// Writes the list of the parts, in place of any that is there. After that a crash of the system finds the new one. Waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn store(&self, text: &str) -> io::Result<()> {
        let temporary = format!("{TEMPORARY_PREFIX}{}.manifest", self.file_name);
        let mut file = NewFile::create(&self.folder.join(temporary), false).map_err(|failed| failed.error)?;
        file.write(text.as_bytes()).map_err(|failed| failed.error)?;
        file.publish(&self.manifest()).map_err(|failed| failed.error)
    }

    /// Takes over a file of before there were parts, if there is one and the manifest does not say otherwise. Gives the list.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_over_old_file(&self, manifest: Manifest) -> io::Result<Manifest> {
        let old = Path::new(&self.file_name);
        let is_interrupted =
            manifest.base.as_ref().is_some_and(|base| base.name == self.file_name) && manifest.increments.is_empty();
        let has_list = self.manifest().exists();
        let goes_on = is_interrupted && !self.part(&self.file_name).exists();
        if !old.exists() || has_list && !goes_on {
            return Ok(manifest);
        }
        self.create_folder()?;
        let manifest = match has_list {
            true => manifest,
            false => {
                let manifest = Manifest::of_old_file(&self.file_name);
                self.store(&manifest.text())?;
                manifest
            }
        };
        fs::rename(old, self.part(&self.file_name))?;
        log::info!(
            "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
            self.file_name,
            self.folder.display()
        );
        Ok(manifest)
    }
}

/// Removes files nobody needs; what cannot be removed does no harm.
pub(crate) fn remove(paths: &[PathBuf]) {
    for path in paths {
        if let Err(error) = fs::remove_file(path) {
            log::warn!("Can't remove {}: {error}", path.display());
        }
    }
}
