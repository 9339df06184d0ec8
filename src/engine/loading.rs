//! What is being loaded at present: a snapshot, or an append-only file.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::base::wake::Wake;
use crate::engine::history::LoadedHistory;
use crate::engine::session::Session;
use crate::resp::{OwnedArgs, Reply};
use crate::storage::aof::part::{Open, PartToLoad};
use crate::storage::aof::paths::AofPaths;
use crate::storage::file::reader::FileReader;
use crate::storage::snapshot::Loader;

/// A data set that is being loaded.
pub struct Loading {
    pub(crate) reader: FileReader,
    pub(crate) loader: Loader,
    pub(crate) path: PathBuf,
    pub(crate) started_ms: i64,
    pub(crate) started_us: u64,
    pub(crate) progress_due_ms: i64,
    /// For tests: nothing more is loaded before this time, in ticks.
    pub(crate) paused_until: u64,
    /// What is left of other data is to be freed before the first key.
    pub(crate) frees_first: bool,
}

impl Loading {
    /// Whether it is held up on purpose, for tests.
    pub fn is_paced(&self) -> bool {
        self.paused_until > 0
    }

    /// How far it has come.
    pub fn stats(&self, now_ms: i64) -> LoadingStats {
        LoadingStats {
            started_seconds: self.started_ms / 1000,
            total_bytes: self.reader.length(),
            loaded_bytes: self.loader.offset(),
            used_memory: self.loader.notes.used_memory.unwrap_or(0),
            elapsed_seconds: (now_ms - self.started_ms) / 1000,
        }
    }
}

/// An append-only file that is being loaded.
pub struct Replay {
    pub(crate) places: AofPaths,
    pub(crate) parts: VecDeque<PartToLoad>,
    pub(crate) open: Option<Open>,
    pub(crate) session: Box<Session>,
    pub(crate) reply: Reply,
    /// The commands since MULTI.
    pub(crate) transaction: Option<Vec<OwnedArgs>>,
    /// Commands that wait for a script that takes long.
    pub(crate) pending: VecDeque<OwnedArgs>,
    pub(crate) wake: Wake,
    pub(crate) started_ms: i64,
    pub(crate) started_us: u64,
    pub(crate) total_bytes: u64,
    /// Bytes of the parts that are loaded.
    pub(crate) done_bytes: u64,
    pub(crate) used_memory: u64,
    /// Bytes of each part that was there, in order: what the base takes is the first one.
    pub(crate) sizes: Vec<u64>,
    /// What the last mark of the history says, and whether no command has come since.
    pub(crate) history: Option<LoadedHistory>,
    pub(crate) is_marked: bool,
}

impl Replay {
    /// How far it has come.
    pub fn stats(&self, now_ms: i64) -> LoadingStats {
        LoadingStats {
            started_seconds: self.started_ms / 1000,
            total_bytes: self.total_bytes,
            loaded_bytes: self.done_bytes + self.open.as_ref().map_or(0, Open::offset),
            used_memory: self.used_memory,
            elapsed_seconds: (now_ms - self.started_ms) / 1000,
        }
    }
}

/// What INFO shows while the data set is being loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadingStats {
    /// In seconds since the epoch.
    pub started_seconds: i64,
    pub total_bytes: u64,
    pub loaded_bytes: u64,
    /// Memory in use when the snapshot was written, if it tells.
    pub used_memory: u64,
    pub elapsed_seconds: i64,
}

/// What a step of loading has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadingStep {
    More,
    /// The disk is slower; the loop is woken when there is more.
    Waits,
    Done,
}
