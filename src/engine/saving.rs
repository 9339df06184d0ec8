//! What the server knows of saving its data: the save that is going on, and what is counted.

use std::path::PathBuf;

use crate::storage::file::writer::FileWriter;
use crate::storage::save::{AbandonedSaves, FileSave, SaveJob};

/// What the server knows of its saving.
#[derive(Default)]
pub struct Saving {
    pub stats: SaveStats,
    pub(crate) background: Option<Background>,
    /// Jobs of any kind that are over or were cancelled.
    pub(crate) abandoned: AbandonedSaves,
    /// Something was begun or abandoned that the job has not heard of.
    pub(crate) has_begun: bool,
    /// Whether a background save is to begin when it may (BGSAVE SCHEDULE).
    pub is_scheduled: bool,
    /// The backup that is being made.
    pub(crate) backup: Option<Box<Backup>>,
    /// What became of the last one.
    pub last_backup: Option<BackupReport>,
    /// Number of files begun, for their temporary names.
    pub(crate) files: u64,
}

/// What INFO shows of saving and loading.
#[derive(Clone, Copy, Debug, Default)]
pub struct SaveStats {
    /// Changes that had been made when the data set was last saved.
    pub saved_changes: u64,
    /// When it was last saved, in seconds since the epoch; at first when the server was started.
    pub last_save_seconds: i64,
    /// When a background save was last begun.
    pub last_try_seconds: i64,
    /// Whether the last background save failed.
    pub last_failed: bool,
    /// How long the last background save took.
    pub last_duration_seconds: Option<i64>,
    /// Bytes that the last background save had copied because they were changed meanwhile.
    pub last_copied_bytes: u64,
    pub saves: u64,
    pub keys_loaded: u64,
    pub keys_expired: u64,
}

impl Saving {
    /// Whether something was begun or abandoned, and the loop has not looked for it yet.
    #[inline]
    pub fn has_beginning(&self) -> bool {
        self.has_begun
    }

    /// Whether something was begun or abandoned since the last time.
    #[inline]
    pub fn take_beginning(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    /// Takes a job that is over or cancelled, whatever it was for: its version is released in steps. O(1).
    pub fn abandon(&mut self, job: SaveJob) {
        self.abandoned.add(job);
        self.has_begun = true;
    }

    /// Makes the loop look for something to be written.
    pub fn wake(&mut self) {
        self.has_begun = true;
    }

    /// Whether there are versions to be released.
    pub fn has_abandoned(&self) -> bool {
        !self.abandoned.is_empty()
    }

    /// Whether a background save is going on.
    pub fn is_active(&self) -> bool {
        self.background.is_some()
    }
}

/// A save that is going on.
pub struct Background {
    pub(crate) save: FileSave,
    pub(crate) temporary: PathBuf,
    pub(crate) target: PathBuf,
    /// Changes when it began.
    pub(crate) changes: u64,
}

/// A backup that is being made.
pub struct Backup {
    pub(crate) report: BackupReport,
    pub(crate) folder: PathBuf,
    /// The id of the data's history, and how far it had come.
    pub(crate) history: Option<(String, i64)>,
    pub(crate) stage: BackupStage,
}

/// What of a backup is being written.
pub enum BackupStage {
    Data(FileSave),
    Manifest(FileWriter),
}

/// The progress and the result of a backup, as BACKUP STATUS shows them.
#[derive(Clone, Debug)]
pub struct BackupReport {
    pub name: String,
    pub keys: u64,
    pub keys_written: u64,
    /// In ms since the epoch.
    pub began_ms: i64,
    pub end: Option<BackupEnd>,
}

/// What became of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupEnd {
    Done,
    Cancelled,
    /// With the reason.
    Failed(String),
}

/// What became of the wish to save in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundStart {
    Started,
    /// One is going on already.
    InProgress,
    /// No thread could be started.
    Failed,
}
