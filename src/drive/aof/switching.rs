//! Turning the append-only file on and off, and going from one log to the next.


use crate::config::system_reason;
use crate::engine::state::ServerState;

use crate::storage::aof::switching::FolderError;
use crate::storage::aof::machine::{Event, State};

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
