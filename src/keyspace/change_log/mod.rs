//! The log of changes: what commands did, unit by unit, as bytes with offsets. Each of its readers has a position of
//! its own.
//!
//! ```text
//! offset    0                64 KiB                   128 KiB
//! blocks    [SELECT 0|SET a …][…|MULTI|INCR b|INCR c …][EXEC|PUBLISH …   ]
//! runs       all               all                      all  |replicas
//! readers                      ^ backlog (keeps the last n bytes)
//!                                  ^ a replica           ^ the append-only file
//! ```
//!
//! The log holds the very bytes that its readers pass on, with SELECT, MULTI and EXEC. So a reader copies nothing and
//! encodes nothing, and a replica that comes back goes on at any byte. Nearly all bytes are for all targets, and are
//! there once. What is for one target alone (an annotation of the file, a SELECT that only it needs, PUBLISH) is a
//! *run* that the others skip. The database that is selected is a state of the target, not of the reader: the replicas
//! read one stream.
//!
//! Two kinds of offsets: an *offset* counts all bytes, and compares what a client has written with what a reader has
//! read. A *count* is the number of bytes that one target was given: the offset of the replication stream.
//!
//! What all readers have passed is dropped in whole blocks. Without a reader nothing is gathered and nothing is kept.
//! Never encodes a command (but SELECT, MULTI and EXEC), and never does I/O.

mod block;
mod readers;
pub mod targets;
pub mod unit;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use block::BLOCK_BYTES;
use block::{Block, Run};
use readers::Reader;
pub use readers::{ReaderId, Unread};
pub use targets::{Target, Targets};
pub use unit::Unit;
use unit::encode;

/// The log of changes.
#[derive(Default)]
pub struct ChangeLog {
    blocks: VecDeque<Block>,
    /// The buffer of a block that was dropped, for the next one.
    spare: Vec<u8>,
    /// The offset behind the last byte.
    end: u64,
    /// The targets of the run that is being appended to, and where it began.
    open: Targets,
    open_start: u64,
    /// Of each target, without the open run: the offset behind its last byte, and the number of its bytes.
    ends: [u64; Target::ALL.len()],
    counts: [u64; Target::ALL.len()],
    /// What each target's count was when its first reader came: nothing before that can be read.
    first_counts: [u64; Target::ALL.len()],
    /// The database that each target is in.
    selected: [Option<usize>; Target::ALL.len()],
    /// The time that the file was given last, in s since the epoch.
    stamped_s: i64,
    readers: Vec<Option<Reader>>,
    is_muted: bool,
    /// What the replicas get comes from elsewhere, byte by byte: this server is a replica itself.
    is_relaying: bool,
    /// Units are gathered for nodes that slots move to as well, which are no readers.
    has_moves: bool,
    /// The targets that have a reader; none while the log is muted.
    wanted: Targets,
    /// The targets that units are gathered for.
    gathered: Targets,
}

impl ChangeLog {
    /// Whether units are gathered for any target.
    #[inline]
    pub fn is_read(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Whether what the replicas get comes from elsewhere (`append_raw`), and not from units.
    pub fn set_relaying(&mut self, is_relaying: bool) {
        self.is_relaying = is_relaying;
        self.update_wanted();
    }

    /// Stops or resumes gathering, whatever the readers: the changes are made on a copy, or are in the log already.
    pub(super) fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
        self.update_wanted();
    }

    /// Whether units are gathered for nodes that slots move to ([`Unit::moves`]), whether or not there is a reader.
    pub fn set_moves(&mut self, has_moves: bool) {
        self.has_moves = has_moves;
        self.update_wanted();
    }

    fn update_wanted(&mut self) {
        let readers = self.readers.iter().flatten().filter(|_| !self.is_muted);
        self.wanted = readers.fold(Targets::NONE, |all, reader| all | Targets::of(reader.target));
        self.gathered = match self.is_relaying {
            true => self.wanted.without(Target::Replicas),
            false => self.wanted,
        };
        if self.has_moves && !self.is_muted {
            self.gathered = self.gathered | Targets::MOVES;
        }
    }

    /// The offset behind the last byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The offset behind the last byte that is for a target.
    #[inline]
    pub fn end_of(&self, target: Target) -> u64 {
        if self.open.has(target) { self.end } else { self.ends[target as usize] }
    }

    /// Number of bytes that a target was given.
    pub fn count_of(&self, target: Target) -> u64 {
        let within = if self.open.has(target) { self.end - self.open_start } else { 0 };
        self.counts[target as usize] + within
    }

    /// The database that a target is in, if it knows.
    pub fn selected(&self, target: Target) -> Option<usize> {
        self.selected[target as usize]
    }

    /// Bytes that are kept, for all targets together.
    pub fn kept_bytes(&self) -> u64 {
        self.end - self.blocks.front().map_or(self.end, |block| block.start)
    }

    /// Memory that the blocks take beyond those that hold so many bytes. O(1).
    pub fn memory_beyond(&self, bytes: u64) -> usize {
        let needed = usize::try_from(bytes.div_ceil(BLOCK_BYTES as u64)).unwrap_or(usize::MAX);
        let rows = self.blocks.capacity().saturating_sub(needed) * size_of::<Block>();
        self.blocks.len().saturating_sub(needed) * BLOCK_BYTES + rows
    }

    /// Appends a unit, as a transaction where a target gets several commands that belong together. `time_s` is told to
    /// the file before it, if it is not what was told last.
    pub fn append_unit(&mut self, unit: &Unit, belong_together: bool, time_s: Option<i64>) {
        if let Some(time_s) = time_s.filter(|time_s| *time_s != self.stamped_s) {
            self.stamp(unit.targets() & self.gathered, time_s);
        }
        let gathered = self.gathered & Targets::LOGGED;
        let together = match belong_together && unit.len() > 1 {
            true => unit.targets_of_several() & gathered,
            false => Targets::NONE,
        };
        if !together.is_empty() {
            self.push(together, b"*1\r\n$5\r\nMULTI\r\n");
        }
        for (targets, database, command) in unit.iter() {
            let targets = targets & gathered;
            if targets.is_empty() {
                continue;
            }
            self.select(targets, database);
            self.push(targets, command);
        }
        if !together.is_empty() {
            self.push(together, b"*1\r\n$4\r\nEXEC\r\n");
        }
    }

    /// Appends a unit of one command, which is encoded already.
    #[inline]
    pub fn append_command(&mut self, targets: Targets, database: usize, command: &[u8], time_s: Option<i64>) {
        let targets = targets & self.gathered;
        if let Some(time_s) = time_s.filter(|time_s| *time_s != self.stamped_s) {
            self.stamp(targets, time_s);
        }
        self.select(targets, database);
        self.push(targets, command);
    }

    /// Appends bytes that are no change and belong to no database: an annotation, for one.
    pub fn append_raw(&mut self, targets: Targets, bytes: &[u8]) {
        let targets = targets & self.wanted;
        if !targets.is_empty() {
            self.push(targets, bytes);
        }
    }

    /// Has the next command for a target say which database it is for, and when: another file or a full copy begins.
    pub fn begin_anew(&mut self, target: Target) {
        self.selected[target as usize] = None;
        if target == Target::File {
            self.stamped_s = 0;
        }
    }

    #[cold]
    fn stamp(&mut self, targets: Targets, time_s: i64) {
        if targets.has(Target::File) {
            self.stamped_s = time_s;
            let mut line = b"#TS:".to_vec();
            line.extend_from_slice(itoa::Buffer::new().format(time_s).as_bytes());
            line.extend_from_slice(b"\r\n");
            self.push(Targets::FILE, &line);
        }
    }

    #[inline]
    fn select(&mut self, targets: Targets, database: usize) {
        for target in Target::ALL {
            if targets.has(target) && self.selected[target as usize] != Some(database) {
                return self.select_slowly(targets, database);
            }
        }
    }

    #[cold]
    fn select_slowly(&mut self, targets: Targets, database: usize) {
        let mut elsewhere = Targets::NONE;
        for target in Target::ALL {
            if targets.has(target) && self.selected[target as usize].replace(database) != Some(database) {
                elsewhere = elsewhere | Targets::of(target);
            }
        }
        let mut digits = itoa::Buffer::new();
        let words: [&[u8]; 2] = [b"SELECT", digits.format(database).as_bytes()];
        let mut command = Vec::new();
        encode(&mut command, words.len(), words.into_iter());
        self.push(elsewhere, &command);
    }

    #[inline]
    fn push(&mut self, targets: Targets, bytes: &[u8]) {
        match self.blocks.back_mut() {
            Some(block) if targets == self.open && bytes.len() <= block.room() => {
                block.bytes.extend_from_slice(bytes);
                self.end += bytes.len() as u64;
            }
            _ => self.push_slowly(targets, bytes),
        }
    }

    /// Appends what begins a run or a block.
    #[inline(never)]
    fn push_slowly(&mut self, targets: Targets, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.blocks.back().is_none_or(|block| block.room() == 0) {
                self.begin_block();
            }
            let Some(block) = self.blocks.back_mut() else {
                return;
            };
            let count = block.room().min(bytes.len());
            let (piece, rest) = bytes.split_at(count);
            block.bytes.extend_from_slice(piece);
            if targets != self.open {
                self.begin_run(targets);
            }
            self.end += count as u64;
            bytes = rest;
        }
    }

    fn begin_block(&mut self) {
        self.end_run();
        self.drop_passed();
        if self.blocks.back().is_none_or(|block| block.room() == 0) {
            self.blocks.push_back(Block::new(self.end, std::mem::take(&mut self.spare)));
        }
    }

    fn begin_run(&mut self, targets: Targets) {
        self.end_run();
        (self.open, self.open_start) = (targets, self.end);
        let run = Run { start: self.end, targets, before: self.counts };
        if let Some(block) = self.blocks.back_mut() {
            block.runs.push(run);
        }
    }

    fn end_run(&mut self) {
        for target in Target::ALL {
            if self.open.has(target) {
                self.counts[target as usize] += self.end - self.open_start;
                self.ends[target as usize] = self.end;
            }
        }
        self.open = Targets::NONE;
    }

    /// Drops the blocks that all readers have passed. A last one is emptied: what comes next goes where the cache has
    /// it.
    fn drop_passed(&mut self) {
        for index in 0..self.readers.len() {
            self.skip_foreign(index);
        }
        while let Some(block) = self.blocks.front()
            && !block.bytes.is_empty()
            && self.readers.iter().flatten().all(|reader| self.has_passed(reader, block))
        {
            if self.blocks.len() == 1 {
                return self.empty_last();
            }
            if let Some(block) = self.blocks.pop_front() {
                self.spare = block.bytes;
            }
        }
    }

    /// Empties the only block; its last run goes on.
    fn empty_last(&mut self) {
        let open = self.open;
        self.end_run();
        (self.open, self.open_start) = (open, self.end);
        if let Some(block) = self.blocks.back_mut() {
            block.empty(self.end);
            if !open.is_empty() {
                block.runs.push(Run { start: self.end, targets: open, before: self.counts });
            }
        }
    }

    /// Drops everything: there is no reader.
    fn drop_all(&mut self) {
        self.end_run();
        self.blocks.clear();
        self.spare = Vec::new();
    }
}
