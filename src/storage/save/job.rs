//! The job that moves the bytes of a source into a sink, and the release of versions that are no longer needed.

use crate::collections::table;
use crate::keyspace;
use crate::storage::save::sink::{Chunk, SaveSink, SinkState};
use crate::storage::save::source::SaveSource;

/// Records released in one step.
const RELEASE_RECORDS: usize = 256;

/// Bytes that were copied so far because they were changed while a version shared them.
fn copied_bytes() -> u64 {
    table::copied_bytes() + keyspace::cow_bytes()
}

/// A save that is going on. Once it is over or cancelled it goes to [`AbandonedSaves`]: dropping it would release its
/// version at once.
pub struct SaveJob {
    source: SaveSource,
    /// What was made and not taken by the sink.
    chunk: Chunk,
    /// Whether the source is at its end.
    is_made: bool,
    /// Whether the sink was told that it has everything.
    is_finished: bool,
    taken_bytes: u64,
    began_ms: i64,
    copied_before: u64,
    /// For tests: nothing is made before this time, in ticks.
    paused_until: u64,
}

/// How fast a job may go on: at once, or, for tests, with a pause after each piece (`rdb-key-save-delay`). In ticks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    pub now: u64,
    pub pause: u64,
}

/// What a step of a job has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum SaveStep<E> {
    /// It can go on.
    More,
    /// It waits for the sink, or for a time.
    Waits,
    /// The sink has everything and has completed it. Reported once.
    Complete,
    /// The sink has failed.
    Failed(E),
}

/// How far a save has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveProgress {
    pub keys: usize,
    pub keys_written: usize,
    /// Since it began.
    pub seconds: i64,
    /// Copied because they were changed meanwhile, for all versions that were pinned at the time.
    pub copied_bytes: u64,
}

impl SaveJob {
    /// A job that begins now, in ms since the epoch.
    pub fn new(source: impl Into<SaveSource>, now_ms: i64) -> SaveJob {
        SaveJob {
            source: source.into(),
            chunk: Chunk::default(),
            is_made: false,
            is_finished: false,
            taken_bytes: 0,
            began_ms: now_ms,
            copied_before: copied_bytes(),
            paused_until: 0,
        }
    }

    /// Does a piece: some ten microseconds' worth. The sink has to be the same one each time, or stand for the same
    /// one.
    pub fn step<S: SaveSink>(&mut self, sink: &mut S, pace: Pace) -> SaveStep<S::Error> {
        match sink.state() {
            SinkState::Open => {}
            SinkState::Full => return SaveStep::Waits,
            SinkState::Complete => return SaveStep::Complete,
            SinkState::Failed(error) => return SaveStep::Failed(error),
        }
        if self.is_finished {
            return SaveStep::Waits;
        }
        if !self.chunk.is_empty() {
            return self.hand_over(sink);
        }
        if self.is_made {
            sink.finish();
            self.is_finished = true;
            return SaveStep::More;
        }
        if pace.pause > 0 {
            if pace.now < self.paused_until {
                return SaveStep::Waits;
            }
            self.paused_until = pace.now + pace.pause;
        }
        self.is_made = !self.source.step();
        if self.is_made || self.source.buffered_bytes() >= sink.chunk_bytes() {
            self.chunk.refill(|spare| self.source.take(spare));
            return self.hand_over(sink);
        }
        SaveStep::More
    }

    fn hand_over<S: SaveSink>(&mut self, sink: &mut S) -> SaveStep<S::Error> {
        let offered = self.chunk.rest().len();
        if offered > 0 {
            sink.write(&mut self.chunk);
        }
        let left = self.chunk.rest().len();
        self.taken_bytes += (offered - left) as u64;
        if left > 0 && left == offered { SaveStep::Waits } else { SaveStep::More }
    }

    /// Bytes that the sink has taken.
    pub fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// Bytes that were copied since it began because they were changed, for all versions that were pinned at the time.
    pub fn copied_bytes(&self) -> u64 {
        copied_bytes() - self.copied_before
    }

    /// How far it has come by now, in ms since the epoch.
    pub fn progress(&self, now_ms: i64) -> SaveProgress {
        SaveProgress {
            keys: self.source.keys(),
            keys_written: self.source.keys_written(),
            seconds: (now_ms - self.began_ms) / 1000,
            copied_bytes: self.copied_bytes(),
        }
    }
}

/// Jobs that are over or were cancelled. Their versions are released in steps, since a version may be the last owner of
/// many records that were changed or deleted meanwhile.
#[derive(Default)]
pub struct AbandonedSaves {
    sources: Vec<SaveSource>,
}

impl AbandonedSaves {
    /// Takes a job that is over or cancelled. O(1).
    pub fn add(&mut self, job: SaveJob) {
        self.sources.push(job.source);
    }

    /// Whether there is nothing to release.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Releases a piece; says whether there was anything to release.
    pub fn release_step(&mut self) -> bool {
        let Some(source) = self.sources.last_mut() else {
            return false;
        };
        if !source.release_step(RELEASE_RECORDS) {
            self.sources.pop();
        }
        true
    }
}
