//! Where the parts of the append-only file lie, and how their list is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::storage::aof::{Manifest, ManifestError};
use crate::storage::file::new_file::{NewFile, StepFailed, WriteStep};
use crate::storage::file::operations::Disk;

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

    /// The name of something that is not complete: `what` it is, and the number of the attempt, which has no other of
    /// that name.
    pub fn temporary_name(&self, attempt: u64, what: &str) -> String {
        format!("{TEMPORARY_PREFIX}{}.{attempt}.{what}", self.file_name)
    }

    /// Creates the folder if need be, and brings its name to the disk.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn create_folder(&self, disk: &Disk) -> io::Result<()> {
        match disk.files().create_folder(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && disk.files().is_folder(&self.folder) => {
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => disk.files().sync_folder(Path::new(".")),
        }
    }

    /// Removes what attempts of an earlier process have left behind.
    pub fn remove_leftovers(&self, disk: &Disk) {
        let prefix = format!("{TEMPORARY_PREFIX}{}.", self.file_name);
        // Where the folder cannot be read, what follows says so.
        for name in disk.files().list(&self.folder).unwrap_or_default() {
            if name.starts_with(&prefix) {
                remove(disk, &[self.part(&name)]);
            }
        }
    }

    /// Reads the list of the parts; an empty one if there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read, or makes no sense.
    pub fn list(&self, disk: &Disk) -> Result<Manifest, ListError> {
        match disk.read(&self.manifest()) {
            Ok(text) => Manifest::parse(&text).map_err(ListError::Format),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Manifest::default()),
            Err(error) => Err(ListError::System(error)),
        }
    }

    /// Takes over a file of before there were parts, if there is one and the manifest does not say otherwise. Gives the
    /// list.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_over_old_file(
        &self,
        disk: &Disk,
        store: &ManifestStore,
        version: u64,
        manifest: Manifest,
    ) -> io::Result<Manifest> {
        let old = Path::new(&self.file_name);
        let is_interrupted =
            manifest.base.as_ref().is_some_and(|base| base.name == self.file_name) && manifest.increments.is_empty();
        let has_list = disk.files().exists(&self.manifest());
        let goes_on = is_interrupted && !disk.files().exists(&self.part(&self.file_name));
        if !disk.files().exists(old) || has_list && !goes_on {
            return Ok(manifest);
        }
        self.create_folder(disk)?;
        let manifest = match has_list {
            true => manifest,
            false => {
                let manifest = Manifest::of_old_file(&self.file_name);
                let stored = store.write(disk, self, version, &manifest);
                stored.map_err(|failed| failed.error)?;
                manifest
            }
        };
        disk.files().rename(old, &self.part(&self.file_name))?;
        disk.files().sync_folder(&self.folder)?;
        log::info!(
            "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
            self.file_name,
            self.folder.display()
        );
        Ok(manifest)
    }
}

/// The one way to write the list of the parts. Each list has a version, and none is written once a newer one has been.
#[derive(Clone, Debug, Default)]
pub struct ManifestStore {
    latest: Arc<Mutex<u64>>,
}

impl ManifestStore {
    /// Writes a list, in place of any that is there. After that a crash of the system finds the new one. Waits for the
    /// disk.
    ///
    /// # Errors
    ///
    /// The system's. The list before is still there, unless only the folder could not be brought to the disk: then
    /// either may be.
    pub fn write(&self, disk: &Disk, places: &AofPaths, version: u64, manifest: &Manifest) -> Result<(), StepFailed> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if version <= *latest {
            return Err(StepFailed {
                step: WriteStep::Create,
                error: io::Error::other("a newer manifest has been written"),
            });
        }
        *latest = version;
        let temporary = places.part(&places.temporary_name(version, "manifest"));
        let mut file = NewFile::create_alone(disk, &temporary, false)?;
        file.write(manifest.text().as_bytes())?;
        file.publish(&places.manifest())
    }
}

/// Removes unneeded files; what cannot be removed does no harm.
pub(crate) fn remove(disk: &Disk, paths: &[PathBuf]) {
    for path in paths {
        if let Err(error) = disk.files().remove(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("Can't remove {}: {error}", path.display());
        }
    }
}
