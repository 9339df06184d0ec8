//! One block of the log: bytes, and which stretches of them are for whom.

use smallvec::SmallVec;

use super::targets::{Target, Targets};

/// Bytes in one block.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// A stretch of bytes that have the same targets. It ends where the next one begins, or with its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) targets: Targets,
    /// How many bytes each target was given before it.
    pub(super) before: [u64; Target::ALL.len()],
}

/// Consecutive bytes of the log, and their runs; the first run begins where the bytes do.
pub(super) struct Block {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) runs: SmallVec<[Run; 2]>,
}

impl Block {
    /// An empty block that begins at an offset.
    pub(super) fn new(start: u64, mut bytes: Vec<u8>) -> Block {
        bytes.clear();
        bytes.reserve_exact(BLOCK_BYTES);
        Block { start, bytes, runs: SmallVec::new() }
    }

    /// Forgets its bytes, and begins at another offset.
    pub(super) fn empty(&mut self, start: u64) {
        self.start = start;
        self.bytes.clear();
        self.runs.clear();
    }

    /// The offset behind its bytes.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// How many bytes fit in behind those that are there.
    #[inline]
    pub(super) fn room(&self) -> usize {
        BLOCK_BYTES - self.bytes.len()
    }

    /// The place of the run that an offset within the block is in.
    fn run_at(&self, offset: u64) -> usize {
        self.runs.partition_point(|run| run.start <= offset).saturating_sub(1)
    }

    fn run_end(&self, run: usize) -> u64 {
        self.runs.get(run + 1).map_or(self.end(), |next| next.start)
    }

    /// The first stretch of a target's bytes from an offset on: where it begins, and where it ends.
    pub(super) fn stretch(&self, target: Target, offset: u64) -> Option<(u64, u64)> {
        if offset >= self.end() {
            return None;
        }
        // Most readers read what was appended last.
        if let Some(last) = self.runs.last()
            && offset >= last.start
        {
            return last.targets.has(target).then_some((offset, self.end()));
        }
        let is_its_own = |run: &usize| self.runs[*run].targets.has(target);
        let first = (self.run_at(offset)..self.runs.len()).find(is_its_own)?;
        let last = (first..self.runs.len()).take_while(is_its_own).last()?;
        Some((self.runs[first].start.max(offset), self.run_end(last)))
    }

    /// The bytes between two offsets.
    pub(super) fn slice(&self, start: u64, end: u64) -> &[u8] {
        &self.bytes[(start - self.start) as usize..(end - self.start) as usize]
    }

    /// How many bytes a target was given before an offset within the block or at its end.
    pub(super) fn count_at(&self, target: Target, offset: u64) -> Option<u64> {
        let run = self.runs.get(self.run_at(offset))?;
        let within = if run.targets.has(target) { offset - run.start } else { 0 };
        Some(run.before[target as usize] + within)
    }

    /// The offset at which a target had been given so many bytes; the block has it.
    pub(super) fn offset_of(&self, target: Target, count: u64) -> Option<u64> {
        let behind = self.runs.partition_point(|run| run.before[target as usize] <= count);
        let run = self.runs.get(behind.checked_sub(1)?)?;
        let within = if run.targets.has(target) { count - run.before[target as usize] } else { 0 };
        Some(run.start + within)
    }
}
