//! The folder of the parts and its lock, and going from one log to the next.

use std::io;
use std::sync::Arc;

use crate::base::logging;
use crate::base::sys::lock::{LockError, PathLock};
use crate::base::tape::{self, Kind};
use crate::config::system_reason;
use crate::keyspace::{ChangeLog, Target, Targets};
use crate::storage::file::operations::FileOperations;

use super::append_only::{AppendOnly, Previous};
use super::log_file::LogFile;
use super::loss;
use super::manifest::Manifest;
use super::paths::{AofPaths, ListError};

impl AppendOnly {
    /// Sees to it that the folder is there, that no other process uses it, and that its list is known.
    ///
    /// Errors: the text for the log.
    pub(crate) fn enter_folder(&mut self) -> Result<(), FolderError> {
        let places = self.settings.places.clone();
        let created = places.create_folder(&self.disk);
        created.map_err(|error| {
            FolderError::Other(format!(
                "Can't open or create append-only dir {}: {}",
                places.folder.display(),
                system_reason(&error)
            ))
        })?;
        if self.lock.is_some() {
            return Ok(());
        }
        let released = self.released_lock.upgrade();
        // Whether the thread has let go of it yet.
        if tape::pass(Kind::Helper, || released.is_some()) {
            self.lock = Some(released.unwrap_or_else(|| Arc::new(PathLock::replayed())));
            return Ok(());
        }
        let lock = self.disk.files().lock_path(&places.folder);
        let lock = lock.map_err(|error| describe_lock(&error, &places))?;
        self.lock = lock.map(Arc::new);
        self.learn_list().map_err(FolderError::Other)
    }

    /// Appends to another file from now on. What is gathered goes to the one before, which is forced to the disk as
    /// well.
    pub(crate) fn switch_log(&mut self, changes: &mut ChangeLog, name: &str, now_us: u64) -> io::Result<()> {
        self.write(changes, now_us);
        if self.log.is_some() && self.written < self.appended {
            return Err(io::Error::other("what was appended cannot be written"));
        }
        if self.log.as_ref().is_some_and(LogFile::is_torn) {
            return Err(io::Error::other("a torn write cannot be cut off"));
        }
        let path = self.settings.places.part(name);
        let next = LogFile::open(&self.disk, &path)?;
        let is_synced = self.written == self.synced;
        if !is_synced {
            self.begin_sync(now_us);
        }
        match self.log.replace(next) {
            None => self.attach_reader(changes),
            Some(before) => {
                self.marked = None;
                changes.begin_anew(Target::File);
                self.other_bytes += before.length();
                if !is_synced {
                    changes.append_raw(Targets::FILE, &loss::note(before.length()));
                    self.previous = Some(Previous { file: before.file(), end: self.written });
                    self.note_appended(changes.end_of(Target::File));
                }
            }
        }
        Ok(())
    }

    /// What changes from now on is for the file.
    fn attach_reader(&mut self, changes: &mut ChangeLog) {
        self.marked = None;
        self.reader = Some(changes.attach(Target::File));
        self.written = self.appended;
        self.synced = self.appended;
        self.update_is_behind();
    }

    /// Nothing is appended any more, and no reply waits for what was.
    pub(crate) fn drop_log(&mut self, changes: &mut ChangeLog) {
        if let Some(reader) = self.reader.take() {
            changes.detach(reader);
        }
        self.log = None;
        self.log_number += 1;
        self.previous = None;
        self.written = self.appended;
        self.synced = self.written;
        self.failure = None;
        self.sync_failure = None;
        self.start_failure = None;
        self.has_denial_changed = true;
        self.update_is_behind();
    }
}

impl AppendOnly {
    /// Reads the list of parts, unless that was done before, and removes what an earlier process has left behind.
    ///
    /// Errors: the text for the log.
    pub(crate) fn learn_list(&mut self) -> Result<(), String> {
        if !self.knows_list {
            let places = &self.settings.places;
            places.remove_leftovers(&self.disk);
            let manifest = places.list(&self.disk);
            let manifest = manifest.map_err(|error| describe(places, &error))?;
            self.machine.adopt(manifest);
            self.knows_list = true;
        }
        Ok(())
    }

    /// Brings to the disk what was loaded. A process that was killed may have left all of it in the system's cache: the
    /// files, and their names.
    pub(crate) fn sync_parts(&self, manifest: &Manifest) -> Result<(), String> {
        let (places, files) = (&self.settings.places, self.disk.files());
        let text = |name: &str, error: &std::io::Error| {
            let reason = system_reason(error);
            format!("Can't bring {name} of the append-only file to the disk: {reason}")
        };
        for part in manifest.parts() {
            let file = files.open_to_append(&places.part(&part.name));
            let synced = file.and_then(|file| file.sync());
            synced.map_err(|error| text(&part.name, &error))?;
        }
        let synced = files.sync_folder(&places.folder);
        synced.map_err(|error| text("the folder", &error))
    }

    /// Appends to this file from now on.
    pub(crate) fn begin(&mut self, changes: &mut ChangeLog, log: LogFile, is_new: bool) {
        if !is_new {
            // What it holds was counted with the others.
            self.other_bytes = self.other_bytes.saturating_sub(log.length());
        }
        self.log = Some(log);
        self.machine.begin_on();
        self.attach_reader(changes);
    }

    pub(crate) fn note_sizes(&mut self, sizes: &[u64]) {
        self.other_bytes = sizes.iter().sum();
        self.base_bytes = self.other_bytes;
    }
}

/// Why the folder of the parts cannot be used: the text for the log.
#[derive(Debug)]
pub(crate) enum FolderError {
    /// Another server uses it.
    Taken(String),
    Other(String),
}

impl FolderError {
    pub fn text(&self) -> &str {
        match self {
            FolderError::Taken(text) | FolderError::Other(text) => text,
        }
    }
}

impl From<FolderError> for String {
    fn from(error: FolderError) -> String {
        error.text().to_string()
    }
}

fn describe_lock(error: &LockError, places: &AofPaths) -> FolderError {
    let folder = places.folder.display();
    match error {
        LockError::Taken(owner) => {
            let owner = owner.map_or(String::new(), |pid| format!(" (pid {pid})"));
            FolderError::Taken(format!("The append-only dir {folder} is in use by another server{owner}"))
        }
        LockError::System(error) => {
            FolderError::Other(format!("Can't lock the append-only dir {folder}: {}", system_reason(error)))
        }
    }
}

/// Why there is no list of parts.
pub(crate) fn describe(places: &AofPaths, error: &ListError) -> String {
    match error {
        ListError::System(error) => format!(
            "Fatal error: can't open the AOF manifest {} for reading: {}",
            logging::whole_path(&places.manifest()),
            system_reason(error)
        ),
        ListError::Format(error) => {
            let manifest = logging::whole_path(&places.manifest());
            let place = match error.line_number {
                0 => String::new(),
                number => format!(", line {number}: '{}'", error.line),
            };
            format!("{}: {manifest}{place}", error.reason)
        }
    }
}
