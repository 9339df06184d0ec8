//! Turning the append-only file on and off, and going from one log to the next.

use std::io;
use std::sync::Arc;

use crate::base::sys::lock::LockError;
use crate::config::system_reason;
use crate::engine::state::ServerState;

use crate::storage::aof::append_only::{AppendOnly, Previous};
use crate::storage::aof::log_file::LogFile;
use crate::storage::aof::loss;
use crate::storage::aof::machine::{Event, State};
use crate::storage::aof::paths::AofPaths;

impl ServerState {
    /// CONFIG SET appendonly yes. What is appended from the moment on at which the data are held on to.
    ///
    /// # Errors
    ///
    /// What the client is told; the reason is in the log.
    pub fn turn_on_append_only(&mut self) -> Result<(), String> {
        if self.aof.state() != State::Off {
            return Ok(());
        }
        if let Err(error) = self.aof.enter_folder() {
            log::warn!("Can't turn the append-only file on: {}", error.text());
            return Err(match error {
                FolderError::Taken(text) => text,
                FolderError::Other(_) => "Unable to turn on AOF. Check server logs.".to_string(),
            });
        }
        if self.saving.is_active() {
            log::warn!(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to start \
                 when possible."
            );
        }
        self.drive_rewrite(Event::TurnOn);
        self.aof.rewrites.retry_ms = 0;
        if self.saving.is_active() {
            self.aof.is_scheduled = true;
            return Ok(());
        }
        // Where that fails it is tried again.
        let _ = self.begin_rewrite();
        Ok(())
    }

    /// CONFIG SET appendonly no: what was appended is brought to the disk, and nothing more is appended.
    pub fn turn_off_append_only(&mut self) {
        if self.aof.state() == State::Off {
            return;
        }
        if self.aof.is_rewriting() {
            // As Redis says it: whoever reads logs knows it so.
            log::info!("Killing AOF child");
        }
        if let Err(error) = self.aof.finish() {
            // Whoever turns it off may do so because of that.
            log::warn!("Fail to fsync the AOF file: {}", system_reason(&error));
        }
        self.drive_rewrite(Event::TurnOff);
        self.aof.is_scheduled = false;
        self.aof.drop_log();
        self.unflushed = None;
        self.follow_log();
        self.update_restrictions();
    }

    /// What was appended while the first base was being written is not wanted.
    pub(crate) fn drop_first_log(&mut self) {
        if self.aof.log.is_some() {
            log::info!("Removing the temp incr aof file in the background");
            self.aof.drop_log();
            self.unflushed = None;
            self.update_restrictions();
        }
    }
}

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
        if let Some(lock) = self.released_lock.upgrade() {
            self.lock = Some(lock);
            return Ok(());
        }
        let lock = self.disk.files().lock_folder(&places.folder);
        let lock = lock.map_err(|error| describe_lock(&error, &places))?;
        self.lock = lock.map(Arc::new);
        self.learn_list().map_err(FolderError::Other)
    }

    /// Appends to another file from now on. What is gathered goes to the one before, which is forced to the disk as well.
    pub(crate) fn switch_log(&mut self, name: &str, now_us: u64) -> io::Result<()> {
        self.write(now_us);
        if self.log.is_some() && !self.feeder.is_empty() {
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
        self.feeder.begin_file();
        if let Some(before) = self.log.replace(next) {
            self.other_bytes += before.length();
            if !is_synced {
                self.feeder.annotate(&loss::note(before.length()));
                self.previous = Some(Previous { file: before.file(), end: self.written });
                self.note_settled();
            }
        }
        Ok(())
    }

    /// Nothing is appended any more, and nobody waits for what was.
    pub(crate) fn drop_log(&mut self) {
        self.log = None;
        self.log_number += 1;
        self.previous = None;
        self.written = self.appended();
        self.synced = self.written;
        self.feeder.take();
        self.failure = None;
        self.sync_failure = None;
        self.start_failure = None;
        self.has_denial_changed = true;
        self.note_settled();
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
