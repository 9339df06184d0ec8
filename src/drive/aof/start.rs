//! Beginning and ending: what is there is loaded and appended to; DEBUG LOADAOF.

use std::path::Path;

use crate::base::logging;
use crate::base::wake::Wake;
use crate::config::system_reason;
use crate::drive::aof::rewrite;
use crate::drive::save::loading;
use crate::engine::loading::LoadingStep;
use crate::engine::origin::Origin;
use crate::engine::state::ServerState;
use crate::keyspace::propagation::Pending;
use crate::storage::aof::{BaseFormat, Manifest};
use crate::storage::file::new_file::{NewFile, StepFailed};
use crate::storage::save::save_at_once;

use crate::engine::loading::Replay;
use crate::storage::aof::log_file::LogFile;
use crate::storage::aof::paths;
use crate::storage::aof::switching::describe;

/// Elements freed at a time while a file is loaded at once.
const RECLAIM_ELEMENTS: usize = 256;

/// Begins to load the append-only file; says whether there is anything to load.
///
/// # Errors
///
/// The text for the log: the list of its parts makes no sense, or one of them is not there.
pub fn begin_replay(state: &mut ServerState) -> Result<bool, String> {
    let places = state.aof.settings.places.clone();
    state.aof.enter_folder()?;
    let manifest = state.aof.machine.manifest().clone();
    let version = state.aof.machine.next_version();
    let taken_over = places.take_over_old_file(&state.disk, &state.aof.store, version, manifest);
    let manifest = taken_over.map_err(|error| {
        format!(
            "Error trying to move the old AOF file {} into dir {}: {}",
            places.file_name,
            logging::whole_path(&places.folder),
            system_reason(&error)
        )
    })?;
    state.aof.machine.adopt(manifest.clone());
    if manifest.is_empty() {
        return Ok(false);
    }
    state.aof.discard_behind_loss(&manifest, state.config.aof_load_truncated)?;
    let replay = Replay::new(state, places, &manifest, state.wake.clone())?;
    state.replay = Some(Box::new(replay));
    state.update_restrictions();
    Ok(true)
}

/// Loads a piece of the append-only file: some ten microseconds' worth, or one command.
///
/// # Errors
///
/// The text for the log. What was loaded before stays in the keyspace.
pub fn replay_step(state: &mut ServerState) -> Result<LoadingStep, String> {
    let Some(mut replay) = state.replay.take() else {
        return Ok(LoadingStep::Done);
    };
    let step = replay.step(state, false)?;
    if step == LoadingStep::Done {
        state.replication.loaded = replay.history();
        state.aof.note_sizes(replay.sizes());
        state.update_restrictions();
    } else {
        state.replay = Some(replay);
    }
    Ok(step)
}

/// Begins to append. What is in the keyspace is what the files have, or there are none.
///
/// # Errors
///
/// The text for the log: a file cannot be created or written.
pub fn open_append_only(state: &mut ServerState) -> Result<(), String> {
    let places = state.aof.settings.places.clone();
    state.aof.enter_folder()?;
    let mut manifest = state.aof.machine.manifest().clone();
    state.aof.sync_parts(&manifest)?;
    let before = manifest.text();
    if manifest.is_empty() {
        write_first_base(state, &mut manifest)?;
    }
    let is_new = manifest.increments.is_empty();
    if is_new {
        manifest.add_increment(&places.file_name);
    }
    // INVARIANT: one was added if there was none.
    let name = manifest.increments.last().map(|part| part.name.clone());
    let name = name.unwrap_or_default();
    if is_new {
        // What has the name is in no list: it was left behind.
        paths::remove(&state.disk, &[places.part(&name)]);
    }
    let path = places.part(&name);
    let log = LogFile::open(&state.disk, &path).map_err(|error| {
        format!("Can't open the append-only file {}: {}", logging::whole_path(&path), system_reason(&error))
    })?;
    if manifest.text() != before {
        let version = state.aof.machine.next_version();
        let store = &state.aof.store;
        let stored = store.write(&state.disk, &places, version, &manifest);
        stored.map_err(|failed| {
            format!(
                "Error trying to write the AOF manifest {}: {}",
                logging::whole_path(&places.manifest()),
                system_reason(&failed.error)
            )
        })?;
    }
    let what = if is_new { "Creating" } else { "Opening" };
    log::info!("{what} AOF incr file {name} on server start");
    state.aof.machine.adopt(manifest);
    state.aof.begin(&mut state.keyspace.changes.propagation.log, log, is_new);
    Ok(())
}

/// Writes the data that are there as the first base.
fn write_first_base(state: &mut ServerState, manifest: &mut Manifest) -> Result<(), String> {
    let places = state.aof.settings.places.clone();
    let format = match state.config.aof_use_rdb_preamble {
        true => BaseFormat::Snapshot,
        false => BaseFormat::Commands,
    };
    let name = manifest.replace_base(&places.file_name, format, false).name.clone();
    let path = places.part(&name);
    write_base(state, format, &path).map_err(|failed| {
        let path = logging::whole_path(&path);
        format!("Can't write the AOF base file {path}: {failed}")
    })?;
    let bytes = state.disk.files().length(&path).unwrap_or(0);
    state.aof.note_sizes(&[bytes]);
    log::info!("Creating AOF base file {name} on server start");
    Ok(())
}

/// Writes a base, waiting for the disk. O(bytes).
fn write_base(state: &ServerState, format: BaseFormat, path: &Path) -> Result<(), StepFailed> {
    let source = rewrite::rewrite_source(state, format);
    let places = &state.aof.settings.places;
    let temporary = places.part(&places.temporary_name(0, "base"));
    let file = NewFile::create_alone(&state.disk, &temporary, true)?;
    save_at_once(source, file, path, || {})
}

/// DEBUG LOADAOF: forgets all data and loads the append-only file at once.
///
/// # Errors
///
/// The text for the log.
pub fn load_append_only(state: &mut ServerState) -> Result<(), String> {
    let written = state.aof.finish(&mut state.keyspace.changes.propagation.log);
    written.map_err(|error| format!("Can't write the AOF: {}", system_reason(&error)))?;
    let loaded = state.with_policy(Origin::Replay.policy(), forget_and_load);
    // The changes of the present unit before this command are forgotten as well.
    state.keyspace.changes.propagation.resume(Pending::default());
    loaded
}

fn forget_and_load(state: &mut ServerState) -> Result<(), String> {
    loading::forget_all(state);
    let places = state.aof.settings.places.clone();
    let listed = places.list(&state.disk);
    let manifest = listed.map_err(|error| describe(&places, &error))?;
    let replay = Replay::new(state, places, &manifest, Wake::default());
    replay.and_then(|replay| replay_at_once(state, replay))
}

fn replay_at_once(state: &mut ServerState, mut replay: Replay) -> Result<(), String> {
    while replay.step(state, true)? != LoadingStep::Done {
        // No job runs meanwhile that frees what the commands have deleted.
        while state.keyspace.reclaim_step(RECLAIM_ELEMENTS) {}
    }
    Ok(())
}
