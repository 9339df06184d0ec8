//! Trimming: removing the oldest entries. Never looks at entries of blocks that go as a whole.

use smallvec::SmallVec;

use crate::collections::listpack::Position;
use crate::collections::ordered::Ordered;

use super::Stream;
use super::entries::{Block, Entries, Tail, Which};
use super::id::Id;
use super::node::Node;

/// How much is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// All but so many entries.
    Length(usize),
    /// Those with lower IDs.
    Below(Id),
}

/// What becomes of what consumer groups know of an entry that is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum References {
    /// It stays.
    #[default]
    Keep,
    /// It goes too.
    Delete,
    /// Entries that a group has yet to read, or to acknowledge, are not deleted.
    Acknowledged,
}

/// What to trim.
#[derive(Clone, Copy, Debug)]
pub struct Trim {
    pub threshold: Threshold,
    /// Whole blocks only.
    pub is_approximate: bool,
    /// At most so many entries; 0: any number.
    pub limit: usize,
    pub references: References,
}

/// What was trimmed.
pub struct Trimmed {
    /// How many entries.
    pub entries: usize,
    /// How many references of groups went with entries, also with those that were deleted before.
    pub references: usize,
    /// The last entry that was looked at, where entries were looked at one by one.
    pub up_to: Option<Id>,
    /// The blocks they were in, to be freed in steps if there are many.
    pub garbage: Stream,
}

impl Stream {
    /// Removes the oldest entries. O(log n + block) if what the groups know is kept, else O(entries looked at).
    pub fn trim(&mut self, trim: &Trim) -> Trimmed {
        let mut trimmed = Trimmed { entries: 0, references: 0, up_to: None, garbage: Stream::default() };
        if trim.references != References::Keep {
            let pending = self.groups.pending();
            self.trim_singly(trim, &mut trimmed);
            trimmed.references = pending - self.groups.pending();
        } else {
            self.entries.trim_blocks(trim, &mut trimmed);
            if !trim.is_approximate {
                let (removed, first) = self.entries.trim_first_block(trim.threshold);
                trimmed.entries += removed;
                if let Some(first) = first {
                    self.entries.set_first(first);
                    return trimmed;
                }
            }
        }
        if trimmed.entries > 0 {
            self.entries.find_first();
        }
        trimmed
    }

    /// Removes entries one by one, each together with what the groups know of it, or only if they do not need it any
    /// more. Approximate trimming looks at blocks of which all entries are to go, and at no others.
    fn trim_singly(&mut self, trim: &Trim, trimmed: &mut Trimmed) {
        let mut index = 0;
        while let Some(node) = self.entries.node_at(index) {
            let live = node.master().live;
            let is_over_limit = trim.limit > 0 && trimmed.entries + live > trim.limit;
            let is_whole = self.entries.is_block_to_go(node, trim.threshold);
            if is_over_limit || trim.is_approximate && !is_whole {
                break;
            }
            let entries: Vec<(Id, bool)> = node.forward().map(|place| (place.id, place.is_deleted)).collect();
            let blocks = self.entries.blocks();
            for (id, is_deleted) in entries {
                if self.entries.is_trimmed_up_to(id, trim.threshold) {
                    return;
                }
                trimmed.entries += usize::from(self.trim_one(id, is_deleted, trim.references));
                trimmed.up_to = Some(id);
            }
            // A block that has lost its last entry is gone.
            index += usize::from(self.entries.blocks() == blocks);
        }
    }

    /// Removes an entry, unless it was deleted before or a group needs it; tells whether it did. References to an entry
    /// that was deleted before go with it.
    fn trim_one(&mut self, id: Id, is_deleted: bool, references: References) -> bool {
        match references {
            References::Acknowledged if self.groups.need(id) => return false,
            References::Delete => {
                self.groups.forget(id);
            }
            References::Acknowledged | References::Keep => {}
        }
        !is_deleted && self.entries.take_out(id)
    }
}

impl Entries {
    /// How many entries a threshold would have go, at most.
    fn excess(&self, threshold: Threshold) -> usize {
        match threshold {
            Threshold::Length(length) => self.len().saturating_sub(length),
            Threshold::Below(_) => self.len(),
        }
    }

    /// Removes blocks of which all entries are to go.
    fn trim_blocks(&mut self, trim: &Trim, trimmed: &mut Trimmed) {
        let limit = match trim.limit {
            0 => usize::MAX,
            limit => limit,
        };
        let full = self.blocks.len();
        let within = |entries: usize| {
            let around = self.blocks.at_weight(entries);
            around.map_or(full, |around| around.index)
        };
        let wanted = match trim.threshold {
            Threshold::Length(length) if self.len() <= length => 0,
            Threshold::Length(_) => within(self.excess(trim.threshold)),
            Threshold::Below(id) => self.blocks_below(id),
        };
        let count = wanted.min(within(limit));
        let garbage = self.blocks.remove_range(..count);
        trimmed.entries = garbage.weight();
        trimmed.garbage = Stream::of_garbage(garbage);
        self.note_removed(trimmed.entries);
        if count == full && self.is_tail_to_go(trim.threshold, limit - trimmed.entries) {
            let live = self.tail.take().map_or(0, |tail| tail.node().master().live);
            self.note_removed(live);
            trimmed.entries += live;
        }
    }

    /// How many full blocks have only entries with lower IDs.
    fn blocks_below(&self, id: Id) -> usize {
        let begun = self.blocks.upper_bound(|block| block.first.cmp(&id));
        let Some(last) = begun.checked_sub(1) else {
            return 0;
        };
        let last_id = self.blocks.at(last).map(|block| block.node().last_id());
        if last_id < Some(id) { begun } else { last }
    }

    /// Whether all entries of the last block are to go, of which at most so many may.
    fn is_tail_to_go(&self, threshold: Threshold, limit: usize) -> bool {
        let node = self.tail.as_ref().map(Tail::node);
        node.is_some_and(|node| node.master().live <= limit && self.is_block_to_go(node, threshold))
    }

    /// Whether all entries of the first block that is left are to go.
    fn is_block_to_go(&self, node: Node<'_>, threshold: Threshold) -> bool {
        match threshold {
            Threshold::Length(length) => self.len() > length && self.len() - node.master().live >= length,
            Threshold::Below(id) => node.last_id() < id,
        }
    }

    /// Whether nothing from this entry on is to go.
    fn is_trimmed_up_to(&self, id: Id, threshold: Threshold) -> bool {
        match threshold {
            Threshold::Length(length) => self.len() <= length,
            Threshold::Below(below) => id >= below,
        }
    }

    /// Removes entries within the first block; gives their number, and the first one that stays, if it is in this
    /// block.
    fn trim_first_block(&mut self, threshold: Threshold) -> (usize, Option<Id>) {
        let (which, node): (Which, Node<'_>) = match (self.blocks.first(), &self.tail) {
            (Some(block), _) => (Which::Full(0), block.node()),
            (None, Some(tail)) => (Which::Tail, tail.node()),
            (None, None) => return (0, None),
        };
        let most = self.excess(threshold);
        let is_nothing_to_go = match threshold {
            Threshold::Length(_) => most == 0,
            Threshold::Below(id) => self.first_id() >= id,
        };
        if is_nothing_to_go {
            return (0, None);
        }
        let mut positions: SmallVec<[Position; 16]> = SmallVec::new();
        let mut first = None;
        for place in node.forward().filter(|place| !place.is_deleted) {
            let goes = match threshold {
                Threshold::Length(_) => positions.len() < most,
                Threshold::Below(id) => place.id < id,
            };
            if !goes {
                first = Some(place.id);
                break;
            }
            positions.push(place.position);
        }
        let count = positions.len();
        if first.is_none() && count > 0 {
            // What is left of the block are entries that were deleted before.
            self.remove_block(which);
            self.note_removed(count);
        } else if count > 0 {
            self.mark_deleted(which, &positions);
        }
        (count, first)
    }
}

impl Stream {
    /// A stream whose blocks are no longer needed.
    fn of_garbage(blocks: Ordered<Block>) -> Stream {
        let mut stream = Stream::default();
        stream.entries.adopt(blocks);
        stream
    }
}
