//! Synchronous saving: SAVE, DEBUG RELOAD, and the end of the server.

use std::time::Duration;

use crate::drive::save;
use crate::engine::state::ServerState;
use crate::storage::file::new_file::NewFile;
use crate::storage::save::save_at_once;
use crate::storage::snapshot::{Origin, Snapshot};

use super::log_failure;

/// The data set could not be saved; the log tells why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveFailed;

/// Saves the data set. O(bytes).
///
/// # Errors
///
/// The system's reason is in the log. The file is as it was before.
pub fn save(state: &mut ServerState) -> Result<(), SaveFailed> {
    let origin = save::origin(state);
    save_as(state, origin)
}

/// Saves the data set in the middle of a command that has changed it: the data are at no place of the history, since
/// the change is not in the log yet.
///
/// # Errors
///
/// As `save`.
pub(super) fn save_amid_command(state: &mut ServerState) -> Result<(), SaveFailed> {
    save_as(state, Origin::Plain)
}

fn save_as(state: &mut ServerState, origin: Origin) -> Result<(), SaveFailed> {
    let settings = save::snapshot_settings(state, origin);
    let snapshot = Snapshot::pin(&state.keyspace, settings);
    let changes = state.keyspace.changes.total();
    let (target, temporary) = (save::snapshot_path(state), save::foreground_snapshot_path(state));
    let file = NewFile::create(&state.disk, &temporary, state.config.rdb_save_incremental_fsync);
    let delay_us = u64::try_from(state.config.rdb_key_save_delay).unwrap_or(0);
    let clock = &mut state.clock;
    let pause = || {
        if delay_us > 0 {
            clock.sleep(Duration::from_micros(delay_us));
        }
    };
    let saved = file.and_then(|file| save_at_once(snapshot, file, &target, pause));
    state.saving.stats.saves += 1;
    match saved {
        Ok(()) => {
            save::note_saved(state, changes);
            Ok(())
        }
        Err(failed) => {
            log_failure(&failed, &temporary, &target);
            Err(SaveFailed)
        }
    }
}
