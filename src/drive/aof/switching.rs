//! Turning the append-only file on and off, and going from one log to the next.

use crate::config::system_reason;
use crate::drive::aof::rewrite;
use crate::engine::state::ServerState;

use crate::storage::aof::machine::{Event, State};
use crate::storage::aof::switching::FolderError;

/// CONFIG SET appendonly yes. What is appended from the moment on at which the data are held on to.
///
/// # Errors
///
/// What the client is told; the reason is in the log.
pub fn turn_on_append_only(state: &mut ServerState) -> Result<(), String> {
    if state.aof.state() != State::Off {
        return Ok(());
    }
    if let Err(error) = state.aof.enter_folder() {
        log::warn!("Can't turn the append-only file on: {}", error.text());
        return Err(match error {
            FolderError::Taken(text) => text,
            FolderError::Other(_) => "Unable to turn on AOF. Check server logs.".to_string(),
        });
    }
    if state.saving.is_active() {
        log::warn!(
            "AOF was enabled but there is already another background operation. An AOF background was scheduled to start \
             when possible."
        );
    }
    rewrite::drive_rewrite(state, Event::TurnOn);
    state.aof.rewrites.retry_ms = 0;
    if state.saving.is_active() {
        state.aof.is_scheduled = true;
        return Ok(());
    }
    // Where that fails it is tried again.
    let _ = rewrite::begin_rewrite(state);
    Ok(())
}

/// CONFIG SET appendonly no: what was appended is brought to the disk, and nothing more is appended.
pub fn turn_off_append_only(state: &mut ServerState) {
    if state.aof.state() == State::Off {
        return;
    }
    if state.aof.is_rewriting() {
        // Redis's words: tools look for them in logs.
        log::info!("Killing AOF child");
    }
    if let Err(error) = state.aof.finish(&mut state.keyspace.changes.propagation.log) {
        // The user may turn it off for that very reason.
        log::warn!("Fail to fsync the AOF file: {}", system_reason(&error));
    }
    rewrite::drive_rewrite(state, Event::TurnOff);
    state.aof.is_scheduled = false;
    state.aof.drop_log(&mut state.keyspace.changes.propagation.log);
    state.unflushed = None;
    state.update_restrictions();
}
