//! Backups (BACKUP TO): a snapshot of a pinned version in a folder of its own, with a manifest that tells what is in it
//! and how it sums up.
//!
//! ```text
//! NAME/temp-dump.rdb        written in slices, like a background save
//! NAME/dump.rdb             when it is whole and on the disk
//! NAME/backup.manifest      the last: a backup is complete once this is there
//! ```
//!
//! A thread waits for the disk and makes the sum. What fails or is cancelled is removed.

use std::path::{Component, Path};

use crate::config::system_reason;
use crate::drive::save;
use crate::engine::saving::{Backup, BackupEnd, BackupReport, BackupStage};
use crate::engine::state::ServerState;
use crate::storage::backup::{DATA_NAME, MANIFEST_NAME, Manifest};
use crate::storage::file::new_file::StepFailed;
use crate::storage::file::writer::{FileWriter, WriterOptions, WriterState};
use crate::storage::save::{FileSave, FileSink, SaveJob, SaveStep};
use crate::storage::snapshot::{Origin, Snapshot};

/// Begins a backup of all data as they are now. `anywhere`: whether it may lie outside of the working folder.
///
/// Errors: why none was begun.
pub fn begin(state: &mut ServerState, name: &str, anywhere: bool) -> Result<(), String> {
    if state.saving.backup.is_some() {
        return Err("A backup is already in progress".into());
    }
    let path = Path::new(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.contains('\0') || !is_plain && !anywhere {
        return Err("the name of a backup is relative to dir, unless protected configurations are enabled".into());
    }
    let folder = save::snapshot_path(state).with_file_name("").join(path);
    state.disk.files().create_folder(&folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("'{name}' exists already"),
        _ => format!("can't create the folder '{name}': {}", system_reason(&error)),
    })?;
    let writer = start_writer(state, &folder, "temp-dump.rdb").map_err(|error| {
        let _ = state.disk.files().remove_folder(&folder);
        format!("can't start to write: {}", system_reason(&error))
    })?;
    let now_ms = state.now_ms();
    let origin = save::origin(state);
    let history = match &origin {
        Origin::Replication { id, offset, .. } => Some((id.clone(), *offset)),
        _ => None,
    };
    let mut settings = save::snapshot_settings(state, origin);
    settings.has_checksum = true;
    let job = SaveJob::new(Snapshot::pin(&state.keyspace, settings), now_ms);
    let report = BackupReport {
        name: name.to_string(),
        keys: job.progress(now_ms).keys as u64,
        keys_written: 0,
        began_ms: now_ms,
        end: None,
    };
    let sink = FileSink::replacing(writer, &folder.join(DATA_NAME));
    let stage = BackupStage::Data(FileSave { job, sink });
    log::info!("Backup to '{name}' started");
    state.saving.backup = Some(Box::new(Backup { report, folder, history, stage }));
    state.saving.wake();
    Ok(())
}

fn start_writer(state: &ServerState, folder: &Path, name: &str) -> std::io::Result<FileWriter> {
    let options = WriterOptions {
        syncs_in_pieces: state.config.rdb_save_incremental_fsync,
        is_alone: true,
        has_sum: true,
        is_in_new_folder: true,
    };
    FileWriter::start(&state.disk, &folder.join(name), options, state.wake.clone())
}

/// Does a piece: some ten microseconds' worth. Says whether it could go on at once; else the loop is woken when the
/// disk has done something.
pub fn step(state: &mut ServerState) -> bool {
    let pace = save::pace(state);
    let now_ms = state.now_ms();
    let Some(backup) = &mut state.saving.backup else {
        return false;
    };
    let failed = match &mut backup.stage {
        BackupStage::Data(save) => {
            let step = save.step(pace);
            backup.report.keys_written = save.job.progress(now_ms).keys_written as u64;
            match step {
                SaveStep::More => return true,
                SaveStep::Waits => return false,
                SaveStep::Complete => return write_manifest(state),
                SaveStep::Failed(failed) => failed,
            }
        }
        BackupStage::Manifest(writer) => match writer.state() {
            WriterState::Writing => return false,
            WriterState::Complete => {
                log::info!("Backup to '{}' complete", backup.report.name);
                end(state, BackupEnd::Done);
                return true;
            }
            WriterState::Failed(failed) => failed,
        },
    };
    fail(state, &failed);
    true
}

/// The data are on the disk: the manifest follows.
fn write_manifest(state: &mut ServerState) -> bool {
    let Some(mut backup) = state.saving.backup.take() else {
        return false;
    };
    let BackupStage::Data(save) = backup.stage else {
        state.saving.backup = Some(backup);
        return true;
    };
    let manifest = Manifest {
        server: env!("CARGO_PKG_VERSION").to_string(),
        began_ms: backup.report.began_ms,
        keys: backup.report.keys_written,
        history: backup.history.clone(),
        data_bytes: save.job.taken_bytes(),
        data_sha256: save.sink.sum().unwrap_or_default(),
    };
    state.saving.abandon(save.job);
    match start_writer(state, &backup.folder, "temp-backup.manifest") {
        Ok(writer) => {
            writer.write(manifest.to_text().into_bytes());
            writer.publish(&backup.folder.join(MANIFEST_NAME));
            backup.stage = BackupStage::Manifest(writer);
            state.saving.backup = Some(backup);
        }
        Err(error) => {
            log::warn!("Backup to '{}' failed: {}", backup.report.name, system_reason(&error));
            remove(state, &backup.folder);
            keep_report(state, backup.report, BackupEnd::Failed(system_reason(&error).to_string()));
        }
    }
    true
}

fn fail(state: &mut ServerState, failed: &StepFailed) {
    if let Some(backup) = &state.saving.backup {
        log::warn!("Backup to '{}' failed: {failed}", backup.report.name);
    }
    end(state, BackupEnd::Failed(failed.to_string()));
}

/// Gives a backup up; says whether there was one.
pub fn cancel(state: &mut ServerState) -> bool {
    let Some(backup) = &state.saving.backup else {
        return false;
    };
    log::info!("Backup to '{}' cancelled", backup.report.name);
    end(state, BackupEnd::Cancelled);
    true
}

fn end(state: &mut ServerState, end: BackupEnd) {
    let Some(backup) = state.saving.backup.take() else {
        return;
    };
    let Backup { report, folder, stage, .. } = *backup;
    // A writer that goes before it is complete removes its file.
    if let BackupStage::Data(FileSave { job, .. }) = stage {
        state.saving.abandon(job);
    }
    if end != BackupEnd::Done {
        remove(state, &folder);
    }
    keep_report(state, report, end);
}

/// Removes what there is of a backup. Where a thread has yet to remove its own file, the thread removes the folder.
fn remove(state: &ServerState, folder: &Path) {
    let files = state.disk.files();
    for name in [MANIFEST_NAME, DATA_NAME] {
        let _ = files.remove(&folder.join(name));
    }
    let _ = files.remove_folder(folder);
}

fn keep_report(state: &mut ServerState, report: BackupReport, end: BackupEnd) {
    state.saving.last_backup = Some(BackupReport { end: Some(end), ..report });
}
