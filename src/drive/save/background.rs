//! Saving in slices between polls. The loop makes the bytes and hands them to a thread that waits for the disk.

use crate::collections::table;
use crate::drive::save;
use crate::drive::save::foreground;
use crate::engine::saving::{Background, BackgroundProgress, BackgroundStart};
use crate::engine::state::ServerState;
use crate::keyspace;
use crate::storage::file::new_file::StepFailed;
use crate::storage::file::writer::{FileWriter, WriterOptions, WriterState};
use crate::storage::snapshot::{Origin, Snapshot};

use super::log_failure;

/// The loop stops making bytes while so many wait for the disk.
const PENDING_BYTES_MAX: usize = 4 << 20;
/// Records let go of in one step.
const RELEASE_RECORDS: usize = 256;

/// Bytes that were copied so far because they were changed while a version shared them.
fn copied_bytes() -> u64 {
    table::copied_bytes() + keyspace::cow_bytes()
}

/// Begins to save the data set as it is now. O(databases).
pub fn begin_background_save(state: &mut ServerState) -> BackgroundStart {
    if state.saving.is_active() {
        return BackgroundStart::InProgress;
    }
    let (target, temporary) = (save::snapshot_path(state), save::background_snapshot_path(state));
    let now_ms = state.now_ms();
    state.saving.stats.saves += 1;
    state.saving.stats.last_try_seconds = now_ms / 1000;
    let options = WriterOptions { syncs_in_pieces: state.config.rdb_save_incremental_fsync, is_alone: false };
    let writer = FileWriter::start(&state.disk, &temporary, options, state.wake.clone());
    let writer = match writer {
        Ok(writer) => writer,
        Err(error) => {
            log::warn!("Can't save in background: {error}");
            state.set_save_failed(true);
            return BackgroundStart::Failed;
        }
    };
    let settings = save::snapshot_settings(state, Origin::Plain);
    state.saving.has_begun = true;
    state.saving.background = Some(Background {
        snapshot: Snapshot::pin(&state.keyspace, settings),
        writer,
        temporary,
        target,
        changes: state.keyspace.changes.total(),
        started_ms: now_ms,
        copied_before: copied_bytes(),
        is_written: false,
        paused_until: 0,
    });
    log::info!("Background saving started by pid {}", std::process::id());
    BackgroundStart::Started
}

/// Gives a background save up; says whether there was one. O(1): the rest goes in slices.
pub fn cancel_background_save(state: &mut ServerState) -> bool {
    let Some(background) = state.saving.background.take() else {
        return false;
    };
    // The writer goes, and with it the file.
    state.saving.has_begun = true;
    state.saving.abandoned.push(background.snapshot);
    let seconds = state.now_ms() - background.started_ms;
    state.saving.stats.last_duration_seconds = Some(seconds / 1000);
    true
}

/// After all keys were removed: what a background save would bring is not wanted, and the file is not to bring them back.
pub fn save_after_flush(state: &mut ServerState) {
    cancel_background_save(state);
    if !state.config.save.is_empty() {
        // Where it fails the log tells; the keys are gone all the same.
        let _ = foreground::save(state);
    }
}

/// Whether there is anything to do for a background save, now or once the disk is ready.
pub fn has_saving_to_do(state: &ServerState) -> bool {
    state.saving.is_active() || !state.saving.abandoned.is_empty()
}

/// Does a piece of the background save: some ten microseconds' worth; says whether it could go on at once. Else it waits for
/// the disk, and the loop is woken when it has done something.
pub fn save_step(state: &mut ServerState) -> bool {
    if let Some(snapshot) = state.saving.abandoned.last_mut() {
        if !snapshot.release_step(RELEASE_RECORDS) {
            state.saving.abandoned.pop();
        }
        return true;
    }
    let delay_us = u64::try_from(state.config.rdb_key_save_delay).unwrap_or(0);
    let now = state.clock.ticks();
    let pause = state.clock.nanos_as_ticks(delay_us.saturating_mul(1000));
    let Some(background) = &mut state.saving.background else {
        return false;
    };
    match background.writer.state() {
        WriterState::Writing => {}
        WriterState::Complete => {
            end_background_save(state, Ok(()));
            return true;
        }
        WriterState::Failed(failed) => {
            end_background_save(state, Err(failed));
            return true;
        }
    }
    if background.is_written || background.writer.pending_bytes() > PENDING_BYTES_MAX {
        return false;
    }
    if delay_us > 0 {
        if now < background.paused_until {
            return false;
        }
        background.paused_until = now + pause;
    }
    background.step();
    true
}

fn end_background_save(state: &mut ServerState, result: Result<(), StepFailed>) {
    let Some(background) = state.saving.background.take() else {
        return;
    };
    let copied_bytes = copied_bytes() - background.copied_before;
    let seconds = (state.now_ms() - background.started_ms) / 1000;
    let stats = &mut state.saving.stats;
    stats.last_duration_seconds = Some(seconds);
    stats.last_copied_bytes = copied_bytes;
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
    state.saving.abandoned.push(background.snapshot);
}

/// What INFO shows of the save that is going on.
pub fn background_save_progress(state: &ServerState) -> Option<BackgroundProgress> {
    let background = state.saving.background.as_ref()?;
    Some(BackgroundProgress {
        keys: background.snapshot.keys(),
        keys_written: background.snapshot.keys_written(),
        seconds: (state.now_ms() - background.started_ms) / 1000,
        copied_bytes: copied_bytes() - background.copied_before,
    })
}
