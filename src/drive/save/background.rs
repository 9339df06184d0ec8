//! Saving in slices between polls. The loop makes the bytes and hands them to a thread that waits for the disk.

use crate::drive::save;
use crate::drive::save::foreground;
use crate::engine::saving::{Background, BackgroundStart};
use crate::engine::state::ServerState;
use crate::storage::file::new_file::StepFailed;
use crate::storage::file::writer::{FileWriter, WriterOptions};
use crate::storage::save::{FileSave, FileSink, SaveJob, SaveProgress, SaveStep};
use crate::storage::snapshot::Snapshot;

use super::log_failure;

/// Begins to save the data set as it is now. O(databases).
pub fn begin_background_save(state: &mut ServerState) -> BackgroundStart {
    if state.saving.is_active() {
        return BackgroundStart::InProgress;
    }
    let (target, temporary) = (save::snapshot_path(state), save::background_snapshot_path(state));
    let now_ms = state.now_ms();
    state.saving.stats.saves += 1;
    state.saving.stats.last_try_seconds = now_ms / 1000;
    let options = WriterOptions {
        syncs_in_pieces: state.config.rdb_save_incremental_fsync,
        is_alone: false,
        ..WriterOptions::default()
    };
    let writer = FileWriter::start(&state.disk, &temporary, options, state.wake.clone());
    let writer = match writer {
        Ok(writer) => writer,
        Err(error) => {
            log::warn!("Can't save in background: {error}");
            state.set_save_failed(true);
            return BackgroundStart::Failed;
        }
    };
    let snapshot = Snapshot::pin(&state.keyspace, save::snapshot_settings(state, save::origin(state)));
    let save = FileSave { job: SaveJob::new(snapshot, now_ms), sink: FileSink::replacing(writer, &target) };
    let changes = state.keyspace.changes.total();
    state.saving.has_begun = true;
    state.saving.background = Some(Background { save, temporary, target, changes });
    log::info!("Background saving started by pid {}", state.machine.process_id());
    BackgroundStart::Started
}

/// Gives a background save up; says whether there was one. O(1): the rest goes in slices.
pub fn cancel_background_save(state: &mut ServerState) -> bool {
    let Some(background) = state.saving.background.take() else {
        return false;
    };
    let seconds = background.save.job.progress(state.now_ms()).seconds;
    state.saving.stats.last_duration_seconds = Some(seconds);
    // The sink goes, and with it the file.
    state.saving.abandon(background.save.job);
    true
}

/// After all keys were removed: what a background save would bring is not wanted, and the file is not to bring them
/// back.
pub fn save_after_flush(state: &mut ServerState) {
    cancel_background_save(state);
    if !state.config.save.is_empty() {
        // Where it fails the log tells; the keys are gone all the same.
        let _ = foreground::save_amid_command(state);
    }
}

/// Whether there is anything to do for a background save, now or once the disk is ready.
pub fn has_saving_to_do(state: &ServerState) -> bool {
    state.saving.is_active() || state.saving.backup.is_some() || state.saving.has_abandoned()
}

/// Does a piece of the background save, or releases one of a save that is over: some ten microseconds' worth. Says
/// whether it could go on at once. Else it waits for the disk, and the loop is woken when it has done something.
pub fn save_step(state: &mut ServerState) -> bool {
    if state.saving.abandoned.release_step() {
        return true;
    }
    let pace = save::pace(state);
    let Some(background) = &mut state.saving.background else {
        return false;
    };
    match background.save.step(pace) {
        SaveStep::More => return true,
        SaveStep::Waits => return false,
        SaveStep::Complete => end_background_save(state, Ok(())),
        SaveStep::Failed(failed) => end_background_save(state, Err(failed)),
    }
    true
}

fn end_background_save(state: &mut ServerState, result: Result<(), StepFailed>) {
    let Some(background) = state.saving.background.take() else {
        return;
    };
    let progress = background.save.job.progress(state.now_ms());
    let stats = &mut state.saving.stats;
    stats.last_duration_seconds = Some(progress.seconds);
    stats.last_copied_bytes = progress.copied_bytes;
    match result {
        Ok(()) => {
            save::note_saved(state, background.changes);
            log::info!("Background saving terminated with success");
        }
        Err(failed) => {
            log_failure(&failed, &background.temporary, &background.target);
            log::warn!("Background saving error");
            state.set_save_failed(true);
        }
    }
    state.saving.abandon(background.save.job);
}

/// How far the background save that is going on has come.
pub fn background_save_progress(state: &ServerState) -> Option<SaveProgress> {
    let background = state.saving.background.as_ref()?;
    Some(background.save.job.progress(state.now_ms()))
}
