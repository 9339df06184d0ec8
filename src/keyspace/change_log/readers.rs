//! The readers of the log: where each of them is, and what lies before it.

use super::block::Block;
use super::targets::Target;
use super::{ChangeLog, Targets};

/// The number of a registered reader. Its holder is that reader.
#[derive(Debug, PartialEq, Eq)]
pub struct ReaderId(usize);

/// How long a reader needs what is in the log.
enum Position {
    /// Until it has read that: it is at this offset.
    At(u64),
    /// It needs so many of its target's last bytes at any time, for others that come later.
    Behind(u64),
}

pub(super) struct Reader {
    pub(super) target: Target,
    position: Position,
}

impl ChangeLog {
    /// A reader of what is appended for a target from now on. Its first command says which database it is for.
    pub fn attach(&mut self, target: Target) -> ReaderId {
        self.begin_anew(target);
        self.register(target, Position::At(self.end))
    }

    /// A reader that never reads: it keeps so many of a target's last bytes, from now on, for replicas that come back.
    pub fn attach_backlog(&mut self, target: Target, kept_bytes: u64) -> ReaderId {
        self.begin_anew(target);
        self.register(target, Position::Behind(kept_bytes))
    }

    /// A backlog is to keep so many bytes from now on. What is gone already does not come back.
    pub fn resize_backlog(&mut self, backlog: &ReaderId, bytes: u64) {
        if let Some(Reader { position: Position::Behind(kept_bytes), .. }) = &mut self.readers[backlog.0] {
            *kept_bytes = bytes;
            self.drop_passed();
        }
    }

    /// A reader that goes on where another one of its target has stopped: after so many of the target's bytes. `None`
    /// if they are not kept any more, or not there yet.
    pub fn attach_at(&mut self, target: Target, count: u64) -> Option<ReaderId> {
        let (first, last) = self.kept_counts(target)?;
        if count < first || count > last {
            return None;
        }
        let before = |block: &Block| block.runs.first().is_some_and(|run| run.before[target as usize] <= count);
        let behind = self.blocks.partition_point(before);
        let block = behind.checked_sub(1).and_then(|block| self.blocks.get(block));
        let offset = block.and_then(|block| block.offset_of(target, count));
        Some(self.register(target, Position::At(offset.unwrap_or(self.end))))
    }

    /// The counts from which a reader of a target may go on: the first and the last. `None` without readers of that
    /// target.
    pub fn kept_counts(&self, target: Target) -> Option<(u64, u64)> {
        if !self.readers.iter().flatten().any(|reader| reader.target == target) {
            return None;
        }
        let last = self.count_of(target);
        let first = self.blocks.front().and_then(|block| block.runs.first());
        let first = first.map_or(last, |run| run.before[target as usize]);
        let first = first.max(self.first_counts[target as usize]);
        // What a backlog is to keep counts by the byte, though whole blocks are dropped.
        Some((self.first_needed(target, last).map_or(first, |needed| needed.max(first)), last))
    }

    /// The count from which on a target's readers need its bytes, if one of them is a backlog.
    fn first_needed(&self, target: Target, last: u64) -> Option<u64> {
        let of_target = || self.readers.iter().flatten().filter(|reader| reader.target == target);
        if !of_target().any(|reader| matches!(reader.position, Position::Behind(_))) {
            return None;
        }
        let needed = |reader: &Reader| match reader.position {
            Position::At(position) => self.count_at(target, position),
            Position::Behind(kept_bytes) => last.saturating_sub(kept_bytes),
        };
        of_target().map(needed).min()
    }

    /// A target goes on with a history that it was told: it was given so many bytes. For a target without readers.
    pub fn set_count(&mut self, target: Target, count: u64) {
        self.end_run();
        for run in self.blocks.iter_mut().flat_map(|block| &mut block.runs) {
            run.targets = run.targets.without(target);
            run.before[target as usize] = count;
        }
        self.counts[target as usize] = count;
        self.first_counts[target as usize] = count;
    }

    fn register(&mut self, target: Target, position: Position) -> ReaderId {
        if !self.readers.iter().flatten().any(|reader| reader.target == target) {
            self.first_counts[target as usize] = self.count_of(target);
        }
        let free = self.readers.iter().position(Option::is_none);
        let index = free.unwrap_or(self.readers.len());
        if free.is_none() {
            self.readers.push(None);
        }
        self.readers[index] = Some(Reader { target, position });
        self.update_wanted();
        ReaderId(index)
    }

    /// The reader reads no more.
    pub fn detach(&mut self, reader: ReaderId) {
        self.readers[reader.0] = None;
        self.update_wanted();
        match self.readers.iter().all(Option::is_none) {
            true => self.drop_all(),
            false => self.drop_passed(),
        }
    }

    /// What the reader has not read yet, piece by piece.
    pub fn unread(&self, reader: &ReaderId) -> Unread<'_> {
        self.unread_from(reader, 0)
    }

    /// What the reader has not read yet, if it is one piece: most often it is what was appended last.
    #[inline]
    pub fn unread_piece(&self, reader: &ReaderId) -> Option<&[u8]> {
        let Some(Reader { target, position: Position::At(position) }) = &self.readers[reader.0] else {
            return None;
        };
        let block = self.blocks.back()?;
        let last = block.runs.last()?;
        let is_its_own = *position >= last.start && last.targets.has(*target);
        is_its_own.then(|| block.slice(*position, block.end()))
    }

    /// What the reader has not read yet and is not before an offset.
    pub fn unread_from(&self, reader: &ReaderId, offset: u64) -> Unread<'_> {
        let (target, position) = match &self.readers[reader.0] {
            Some(Reader { target, position: Position::At(position) }) => (*target, *position),
            Some(Reader { target, .. }) => (*target, self.end),
            None => (Target::File, self.end),
        };
        self.stretches(target, position.max(offset))
    }

    /// What the reader has not read yet and is before an offset.
    pub fn unread_up_to(&self, reader: &ReaderId, offset: u64) -> Unread<'_> {
        let mut unread = self.unread(reader);
        unread.end = offset.min(self.end);
        unread
    }

    fn stretches(&self, target: Target, position: u64) -> Unread<'_> {
        let block = match self.blocks.len() {
            0 | 1 => 0,
            _ => self.blocks.partition_point(|block| block.end() <= position),
        };
        Unread { log: self, target, position, end: self.end, block }
    }

    /// Whether the reader has read everything.
    pub fn is_at_end(&self, reader: &ReaderId) -> bool {
        self.unread(reader).next().is_none()
    }

    /// Number of bytes that the reader has not read yet.
    pub fn unread_bytes(&self, reader: &ReaderId) -> u64 {
        match &self.readers[reader.0] {
            Some(Reader { target, position: Position::At(position) }) => {
                self.count_of(*target) - self.count_at(*target, *position)
            }
            _ => 0,
        }
    }

    /// The reader has read so many bytes.
    pub fn advance(&mut self, reader: &ReaderId, count: usize) {
        let mut unread = self.unread(reader);
        let mut rest = count as u64;
        while rest > 0
            && let Some((start, end)) = unread.next_stretch()
        {
            let read = rest.min(end - start);
            unread.position = start + read;
            rest -= read;
        }
        let position = unread.position;
        self.move_to(reader, position);
    }

    /// The reader has read everything.
    pub fn advance_to_end(&mut self, reader: &ReaderId) {
        if let ([Some(Reader { position: Position::At(position), .. })], 1) = (&mut self.readers[..], self.blocks.len())
        {
            // There is no other reader, and most often there is one block.
            *position = self.end;
            return self.empty_last();
        }
        self.move_to(reader, self.end);
    }

    fn move_to(&mut self, reader: &ReaderId, offset: u64) {
        if let Some(Reader { position: Position::At(position), .. }) = &mut self.readers[reader.0] {
            *position = offset;
            self.drop_passed();
        }
    }

    /// Moves a reader past what is for others, so that it does not keep that.
    pub(super) fn skip_foreign(&mut self, index: usize) {
        if let Some(Reader { target, position: Position::At(position) }) = &self.readers[index]
            && *position < self.end
        {
            let first = self.stretches(*target, *position).next_stretch();
            let offset = first.map_or(self.end, |(start, _)| start);
            self.readers[index] = Some(Reader { target: *target, position: Position::At(offset) });
        }
    }

    /// Whether a reader does not need a block any more.
    pub(super) fn has_passed(&self, reader: &Reader, block: &Block) -> bool {
        match reader.position {
            Position::At(position) => position >= block.end(),
            Position::Behind(kept_bytes) => {
                let before = block.count_at(reader.target, block.end()).unwrap_or_default();
                self.count_of(reader.target) - before >= kept_bytes
            }
        }
    }

    /// How many bytes a target was given before an offset.
    fn count_at(&self, target: Target, offset: u64) -> u64 {
        let block = self.blocks.partition_point(|block| block.end() <= offset);
        let count = self.blocks.get(block).and_then(|block| block.count_at(target, offset));
        count.unwrap_or_else(|| self.count_of(target))
    }

    /// The targets that units are gathered for.
    pub fn targets(&self) -> Targets {
        self.gathered
    }
}

/// The bytes before a reader, in the order in which it passes them on.
#[derive(Clone)]
pub struct Unread<'a> {
    log: &'a ChangeLog,
    target: Target,
    position: u64,
    /// Where it ends.
    end: u64,
    /// The block that the position is in, or a later one.
    block: usize,
}

impl Unread<'_> {
    pub(super) fn next_stretch(&mut self) -> Option<(u64, u64)> {
        while self.position < self.end
            && let Some(block) = self.log.blocks.get(self.block)
        {
            let offset = self.position.max(block.start);
            if let Some((start, end)) = block.stretch(self.target, offset) {
                let end = end.min(self.end);
                self.position = end;
                return (start < end).then_some((start, end));
            }
            self.block += 1;
        }
        None
    }
}

impl<'a> Iterator for Unread<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (start, end) = self.next_stretch()?;
        Some(self.log.blocks.get(self.block)?.slice(start, end))
    }
}
