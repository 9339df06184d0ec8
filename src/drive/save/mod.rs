//! Saving the data set to its file: at once, in the background, and by itself when enough has changed.
//!
//! [`Saving`] is what the server knows of it; the methods are `ServerState`'s: `foreground` saves while all clients
//! wait, `background` does it in slices between polls, `points` decides when it is time. `loading` is the way back.
//! `digest` sums up the data of a server that is recorded. Nothing forks: a background save writes a pinned version of
//! the keyspace. Never waits for the disk but in the foreground.

pub mod save_points;

pub mod background;
pub mod backup;
pub mod digest;
pub mod foreground;
pub mod loading;

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::REDIS_VERSION;
use crate::base::tape::{self, Kind};
use crate::config::{Named, system_reason};
use crate::engine::state::ServerState;
use crate::storage::file::new_file::{StepFailed, WriteStep};
use crate::storage::rdb::RdbVersion;
use crate::storage::save::Pace;
use crate::storage::snapshot::{AccessNote, Origin, SnapshotSettings};

/// How a snapshot of the present is to be written.
pub fn snapshot_settings(state: &ServerState, origin: Origin) -> SnapshotSettings {
    let policy = state.config.maxmemory_policy;
    SnapshotSettings {
        version: RdbVersion::default(),
        is_for_valkey: false,
        compresses: state.config.rdbcompression,
        has_checksum: state.config.rdbchecksum,
        now_ms: state.now_ms(),
        used_memory: state.used_memory(),
        server_version: REDIS_VERSION,
        origin,
        access: match policy.name() {
            name if name.ends_with("lru") || name.ends_with("lrm") => AccessNote::Idle,
            name if name.ends_with("lfu") => AccessNote::Frequency,
            _ => AccessNote::Nothing,
        },
        functions: libraries(state),
        keys_per_step: usize::from(state.config.rdb_key_save_delay > 0),
    }
}

/// What a snapshot of the present says of its history, so that replication goes on after a restart: nothing unless the
/// stream is kept.
pub fn origin(state: &ServerState) -> Origin {
    match state.place_in_history() {
        None => Origin::Plain,
        Some((position, database)) => Origin::Replication {
            id: position.id.to_string(),
            offset: i64::try_from(position.offset).unwrap_or(i64::MAX),
            database: Some(database),
        },
    }
}

/// How fast saves may go on.
pub fn pace(state: &ServerState) -> Pace {
    let delay_us = u64::try_from(state.config.rdb_key_save_delay).unwrap_or(0);
    match delay_us {
        0 => Pace::default(),
        _ => Pace { now: state.clock.ticks(), pause: state.clock.nanos_as_ticks(delay_us.saturating_mul(1000)) },
    }
}

/// The code of the libraries of functions.
fn libraries(state: &ServerState) -> Vec<Bytes> {
    let libraries = state.scripting.functions.iter();
    libraries.map(|(_, library)| Bytes::copy_from_slice(&library.code)).collect()
}

/// Where the data set is saved. The folder is looked up now: it may be another one when a save is over.
pub fn snapshot_path(state: &ServerState) -> PathBuf {
    let folder = tape::pass(Kind::Process, || {
        let folder = std::env::current_dir().unwrap_or_default();
        folder.to_string_lossy().into_owned()
    });
    PathBuf::from(folder).join(&state.config.dbfilename)
}

/// The name of a snapshot that is being written synchronously.
pub fn foreground_snapshot_path(state: &ServerState) -> PathBuf {
    let name = format!("temp-{}.rdb", state.machine.process_id());
    snapshot_path(state).with_file_name(name)
}

/// A name for a snapshot that is written in the background, in the same folder.
pub fn background_snapshot_path(state: &mut ServerState) -> PathBuf {
    state.saving.files += 1;
    let name = format!("temp-{}.{}.rdb", state.machine.process_id(), state.saving.files);
    snapshot_path(state).with_file_name(name)
}

/// Notes that the data set is saved, as it was after so many changes.
fn note_saved(state: &mut ServerState, changes: u64) {
    log::info!("DB saved on disk");
    let now_seconds = state.now_ms() / 1000;
    let stats = &mut state.saving.stats;
    stats.saved_changes = changes;
    stats.last_save_seconds = now_seconds;
    state.set_save_failed(false);
}

/// Tells in the log why a snapshot could not be written.
fn log_failure(failed: &StepFailed, temporary: &Path, target: &Path) {
    let name = |path: &Path| path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
    let folder = target.parent().unwrap_or(Path::new("."));
    let (folder, reason) = (folder.display(), system_reason(&failed.error));
    let (temporary, target) = (name(temporary), name(target));
    match failed.step {
        WriteStep::Create => log::warn!(
            "Failed opening the temp RDB file {temporary} (in server root dir {folder}) for saving: {reason}"
        ),
        WriteStep::Write => log::warn!("Write error saving DB on disk: {reason}"),
        WriteStep::Publish | WriteStep::SyncFolder => log::warn!(
            "Error moving temp DB file {temporary} on the final destination {target} \
             (in server root dir {folder}): {reason}"
        ),
    }
}
