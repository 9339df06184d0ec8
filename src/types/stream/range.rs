//! Walking over the entries of a stream, from either end. Never changes anything.

use crate::collections::ordered;

use super::entries::{Block, Entries, Tail, Which};
use super::id::Id;
use super::node::{Backward, Entry, Forward, Node};

impl Entries {
    /// The entries with IDs from `start` to `end`, from either end. O(log n + block), then O(entry).
    #[inline]
    pub fn range(&self, start: Id, end: Id) -> Range<'_> {
        Range::new(self, start, end)
    }

    /// All entries in order.
    pub fn iter(&self) -> Range<'_> {
        self.range(Id::MIN, Id::MAX)
    }

    /// Finds the first entry's ID anew.
    pub(super) fn find_first(&mut self) {
        let first = self.iter().next().map(|entry| entry.id);
        self.set_first(first.unwrap_or_default());
    }
}

/// Entries within a range of IDs, in order.
pub struct Range<'a> {
    /// Blocks that are yet to be read, the tail aside.
    blocks: ordered::Range<'a, Block>,
    tail: Option<&'a Tail>,
    front: Option<Forward<'a>>,
    back: Option<Backward<'a>>,
    start: Id,
    end: Id,
    is_over: bool,
}

impl<'a> Range<'a> {
    /// The two ends may be used, but not both of one range: they do not know of each other within a block.
    #[inline]
    pub(super) fn new(entries: &'a Entries, start: Id, end: Id) -> Range<'a> {
        let full = entries.blocks.len();
        let first = match entries.which(start) {
            Some(Which::Tail) => full,
            Some(Which::Full(index)) => index,
            None => 0,
        };
        let (behind, tail) = match entries.which(end) {
            Some(Which::Tail) => (full, entries.tail.as_ref()),
            Some(Which::Full(index)) => (index + 1, None),
            None => (0, None),
        };
        Range {
            blocks: entries.blocks.range(first..behind.max(first)),
            tail,
            front: None,
            back: None,
            start,
            end,
            is_over: start > end,
        }
    }

    #[inline]
    fn next_node(&mut self) -> Option<Node<'a>> {
        match self.blocks.next() {
            Some(block) => Some(block.node()),
            None => self.tail.take().map(Tail::node),
        }
    }

    #[inline]
    fn next_node_back(&mut self) -> Option<Node<'a>> {
        match self.tail.take() {
            Some(tail) => Some(tail.node()),
            None => self.blocks.next_back().map(Block::node),
        }
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        while !self.is_over {
            let Some(front) = &mut self.front else {
                self.front = Some(self.next_node()?.forward());
                continue;
            };
            match front.next() {
                None => self.front = None,
                Some(place) if place.id > self.end => self.is_over = true,
                Some(place) if place.is_deleted || place.id < self.start => {}
                Some(place) => return Some(place.entry()),
            }
        }
        None
    }
}

impl DoubleEndedIterator for Range<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        while !self.is_over {
            let Some(back) = &mut self.back else {
                self.back = Some(self.next_node_back()?.backward());
                continue;
            };
            match back.next() {
                None => self.back = None,
                Some(place) if place.id < self.start => self.is_over = true,
                Some(place) if place.is_deleted || place.id > self.end => {}
                Some(place) => return Some(place.entry()),
            }
        }
        None
    }
}
