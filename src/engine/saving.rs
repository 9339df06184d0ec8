//! What the server knows of saving its data: the save that is going on, and what is counted.

use std::path::PathBuf;

use crate::storage::file::writer::FileWriter;
use crate::storage::snapshot::{Progress, Snapshot};

/// Handed over at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the server knows of its saving.
#[derive(Default)]
pub struct Saving {
    pub stats: SaveStats,
    pub(crate) background: Option<Background>,
    /// Snapshots that were given up; they are let go of in slices.
    pub(crate) abandoned: Vec<Snapshot>,
    /// Something was begun or given up that the job has not heard of.
    pub(crate) has_begun: bool,
    /// Whether a background save is to begin when it may (BGSAVE SCHEDULE).
    pub is_scheduled: bool,
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
    /// Whether something was begun or given up since the last time.
    #[inline]
    pub fn take_beginning(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    /// Whether a background save is going on.
    pub fn is_active(&self) -> bool {
        self.background.is_some()
    }
}

/// A save that is going on.
pub struct Background {
    pub(crate) snapshot: Snapshot,
    pub(crate) writer: FileWriter,
    pub(crate) temporary: PathBuf,
    pub(crate) target: PathBuf,
    /// Changes when it began.
    pub(crate) changes: u64,
    pub(crate) started_ms: i64,
    /// Bytes that had been copied for the sake of pinned versions when it began.
    pub(crate) copied_before: u64,
    pub(crate) is_written: bool,
    /// For tests: no key is written before this time, in ticks.
    pub(crate) paused_until: u64,
}

impl Background {
    pub(crate) fn step(&mut self) {
        let progress = self.snapshot.step();
        if self.snapshot.buffered_bytes() >= CHUNK_BYTES || progress == Progress::Done {
            self.writer.write(self.snapshot.take(self.writer.used_buffer()));
        }
        if progress == Progress::Done {
            self.writer.publish(&self.target);
            self.is_written = true;
        }
    }
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

/// How far a background save has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackgroundProgress {
    pub keys: usize,
    pub keys_written: usize,
    /// Since it began.
    pub seconds: i64,
    /// Copied because they were changed meanwhile.
    pub copied_bytes: u64,
}
