//! The base that is being written: where its bytes come from, and the thread that they go to.

use crate::storage::aof::CommandDump;
use crate::storage::file::new_file::StepFailed;
use crate::storage::file::writer::{FileWriter, WriterState};
use crate::storage::snapshot::{Progress, Snapshot};

/// Handed over at a time, in bytes.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;
/// The loop stops making bytes while so many wait for the disk.
const PENDING_BYTES_MAX: usize = 4 << 20;
/// Records let go of in one step.
const RELEASE_RECORDS: usize = 256;

/// Where the bytes of a base come from.
pub(crate) enum Source {
    Snapshot(Box<Snapshot>),
    Commands(Box<CommandDump>),
}

impl Source {
    pub fn step(&mut self) -> bool {
        match self {
            Source::Snapshot(snapshot) => snapshot.step() == Progress::More,
            Source::Commands(dump) => dump.step(),
        }
    }

    pub fn buffered_bytes(&self) -> usize {
        match self {
            Source::Snapshot(snapshot) => snapshot.buffered_bytes(),
            Source::Commands(dump) => dump.buffered_bytes(),
        }
    }

    pub fn take(&mut self, next: Vec<u8>) -> Vec<u8> {
        match self {
            Source::Snapshot(snapshot) => snapshot.take(next),
            Source::Commands(dump) => dump.take(next),
        }
    }

    pub fn release_step(&mut self) -> bool {
        match self {
            Source::Snapshot(snapshot) => snapshot.release_step(RELEASE_RECORDS),
            Source::Commands(dump) => dump.release_step(RELEASE_RECORDS),
        }
    }
}

/// A base that is being written.
pub(crate) struct Writing {
    pub source: Source,
    pub writer: FileWriter,
    pub bytes: u64,
    is_complete: bool,
    /// For tests: nothing is written before this time, in ticks.
    paused_until: u64,
}

/// What a step of the base has come to.
pub(crate) enum Written {
    More,
    /// It waits for the disk, or for a time.
    Waits,
    /// It is on the disk, under its temporary name.
    Complete,
    Failed(StepFailed),
}

impl Writing {
    pub fn new(source: Source, writer: FileWriter) -> Writing {
        Writing { source, writer, bytes: 0, is_complete: false, paused_until: 0 }
    }

    /// Does a piece: some ten microseconds' worth. `pause` is how long the next one waits, in ticks, for tests.
    pub(crate) fn advance(&mut self, now: u64, pause: u64) -> Written {
        match self.writer.state() {
            WriterState::Writing => {}
            WriterState::Complete => return Written::Complete,
            WriterState::Failed(failed) => return Written::Failed(failed),
        }
        let waits = self.writer.pending_bytes() > PENDING_BYTES_MAX || now < self.paused_until;
        if self.is_complete || waits {
            return Written::Waits;
        }
        if pause > 0 {
            self.paused_until = now + pause;
        }
        self.step();
        Written::More
    }

    fn step(&mut self) {
        let more = self.source.step();
        if self.source.buffered_bytes() >= CHUNK_BYTES || !more {
            let chunk = self.source.take(self.writer.used_buffer());
            self.bytes += chunk.len() as u64;
            self.writer.write(chunk);
        }
        if !more {
            self.writer.keep();
            self.is_complete = true;
        }
    }
}
