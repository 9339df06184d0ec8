//! Where the bytes of a save come from: a pinned version of the keyspace, as a snapshot or as commands.

use crate::storage::aof::dump::CommandDump;
use crate::storage::snapshot::{Progress, Snapshot};

/// A pinned version of the keyspace that is being written, in one of two forms.
pub enum SaveSource {
    /// A snapshot: an RDB file, the base of an append-only file, a replica's full sync.
    Snapshot(Box<Snapshot>),
    /// The commands that make the data: the base of an append-only file without a preamble.
    Commands(Box<CommandDump>),
}

impl From<Snapshot> for SaveSource {
    fn from(snapshot: Snapshot) -> SaveSource {
        SaveSource::Snapshot(Box::new(snapshot))
    }
}

impl From<CommandDump> for SaveSource {
    fn from(dump: CommandDump) -> SaveSource {
        SaveSource::Commands(Box::new(dump))
    }
}

impl SaveSource {
    /// Makes a piece: some ten microseconds' worth. Says whether there is more; if not, the rest is to be taken, once.
    pub fn step(&mut self) -> bool {
        match self {
            SaveSource::Snapshot(snapshot) => snapshot.step() == Progress::More,
            SaveSource::Commands(dump) => dump.step(),
        }
    }

    /// Bytes that were made and not taken.
    pub fn buffered_bytes(&self) -> usize {
        match self {
            SaveSource::Snapshot(snapshot) => snapshot.buffered_bytes(),
            SaveSource::Commands(dump) => dump.buffered_bytes(),
        }
    }

    /// Takes what was made since the last time; `next` is the buffer for what is made next.
    pub fn take(&mut self, next: Vec<u8>) -> Vec<u8> {
        match self {
            SaveSource::Snapshot(snapshot) => snapshot.take(next),
            SaveSource::Commands(dump) => dump.take(next),
        }
    }

    /// Number of keys in the version.
    pub fn keys(&self) -> usize {
        match self {
            SaveSource::Snapshot(snapshot) => snapshot.keys(),
            SaveSource::Commands(dump) => dump.keys(),
        }
    }

    /// Number of keys that were written.
    pub fn keys_written(&self) -> usize {
        match self {
            SaveSource::Snapshot(snapshot) => snapshot.keys_written(),
            SaveSource::Commands(dump) => dump.keys_written(),
        }
    }

    /// Releases about so many records of a version that is no longer needed; says whether there are more.
    pub fn release_step(&mut self, records: usize) -> bool {
        match self {
            SaveSource::Snapshot(snapshot) => snapshot.release_step(records),
            SaveSource::Commands(dump) => dump.release_step(records),
        }
    }
}
