//! The row of a list's blocks: the ends at hand, the others in the tree, and those compressed that are far from both
//! ends. Never looks for an element but by its position.

use std::mem;
use std::rc::Rc;

use crate::collections::listpack::{self, EMPTY, Element, encoded_size};

use super::List;
use super::block::{Block, Link};
use super::item::Given;
use super::run::{End, Run};

/// A part of the list's blocks to spare when a run grows at an end of the list.
const SPARE_DIVISOR: usize = 32;
/// The least to spare then, in bytes.
const SPARE_BYTES_MIN: usize = 64;

/// Where an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of its block.
    pub block: usize,
    /// Its index in the block.
    pub within: usize,
}

impl List {
    /// How many blocks there are. O(1).
    #[inline]
    pub(super) fn block_count(&self) -> usize {
        1 + self.middle.len() + usize::from(self.back.is_some())
    }

    /// The block of that number, which must exist. O(log n), O(1) at the ends.
    #[inline]
    pub(super) fn block(&self, number: usize) -> &Block {
        if number == 0 {
            return &self.front;
        }
        match (self.middle.at(number - 1), &self.back) {
            (Some(link), _) => &link.block,
            (None, Some(back)) => back,
            (None, None) => unreachable!("the number is that of a block"),
        }
    }

    /// The block at an end.
    #[inline]
    pub(super) fn end(&self, end: End) -> &Block {
        match (end, &self.back) {
            (End::Back, Some(back)) => back,
            _ => &self.front,
        }
    }

    #[inline]
    fn end_mut(&mut self, end: End) -> &mut Rc<Block> {
        match (end, &mut self.back) {
            (End::Back, Some(back)) => back,
            _ => &mut self.front,
        }
    }

    /// Where the element with this index is, which must exist. O(log n), and no more than O(1) in the blocks at the
    /// ends.
    #[inline]
    pub(super) fn locate(&self, index: usize) -> Place {
        let at_front = self.front.len();
        if index < at_front {
            return Place { block: 0, within: index };
        }
        match self.middle.at_weight(index - at_front) {
            Some(found) => Place { block: 1 + found.index, within: found.within },
            None => Place { block: self.block_count() - 1, within: index - at_front - self.middle.weight() },
        }
    }

    /// Puts an element in at an end. Amortised O(1) but for what hangs on the length of the element, and O(log n) once
    /// in a block.
    #[inline]
    pub(super) fn push(&mut self, end: End, given: &impl Given, is_large: bool) {
        let text = given.text();
        if is_large {
            return self.push_block(end, Block::Large(given.shared()));
        }
        let admitted = match self.end(end) {
            Block::Run(run) => self.is_compact || self.limits.admit(run.listpack(), text.len()),
            Block::Large(_) | Block::Compressed(_) => false,
        };
        let spare = (self.block_bytes / SPARE_DIVISOR).max(SPARE_BYTES_MIN);
        let bytes_max = self.limits.bytes_max();
        let element = Element::of(text);
        // A copy, if the block is shared, has no room: so this comes first.
        let before = self.end(end).memory_bytes();
        if admitted && let Block::Run(run) = Rc::make_mut(self.end_mut(end)) {
            run.make_room(end, encoded_size(&element), spare, bytes_max);
            run.push(end, &element);
            let after = run.memory_bytes();
            self.block_bytes = self.block_bytes + after - before;
            self.len += 1;
            return;
        }
        let needed = EMPTY.len() + encoded_size(&element);
        let mut run = Run::with_capacity((needed + spare).min(bytes_max).max(needed), end);
        run.push(end, &element);
        self.push_block(end, Block::Run(run));
    }

    /// Puts a block in at an end.
    pub(super) fn push_block(&mut self, end: End, block: Block) {
        let number = match end {
            _ if self.is_empty() => 0,
            End::Front => 0,
            End::Back => self.block_count(),
        };
        self.insert_block(number, block);
    }

    /// Puts a block in so that it has this number. O(log n).
    pub(super) fn insert_block(&mut self, number: usize, block: Block) {
        let count = self.block_count();
        self.len += block.len();
        self.block_bytes += block.memory_bytes();
        let block = Rc::new(block);
        if self.front.len() == 0 {
            self.block_bytes -= self.front.memory_bytes();
            self.front = block;
            return;
        }
        if number == 0 {
            let old = mem::replace(&mut self.front, block);
            match self.back {
                Some(_) => self.push_inner(0, old),
                None => self.back = Some(old),
            }
        } else if number == count {
            if let Some(old) = self.back.replace(block) {
                self.push_inner(self.middle.len(), old);
            }
        } else {
            self.push_inner(number - 1, block);
            if self.is_compressed_at(number) {
                // It may lie far from the borders; the change itself compresses it.
                self.change_block(number, |_| ());
            }
        }
        self.fit_compression(1);
    }

    /// Puts a block in that is no longer at an end, or never was.
    fn push_inner(&mut self, index: usize, mut block: Rc<Block>) {
        // A fork's block is left as it is.
        if let Some(Block::Run(run)) = Rc::get_mut(&mut block) {
            let before = run.memory_bytes();
            run.fit();
            self.block_bytes = self.block_bytes + run.memory_bytes() - before;
        }
        self.middle.insert_at(index, Link::new(block));
    }

    /// Takes out the block of that number, which must exist. O(log n).
    pub(super) fn remove_block(&mut self, number: usize) {
        let last = self.block_count() - 1;
        let removed = if number == 0 {
            let next = match self.middle.pop_front() {
                Some(link) => link.block,
                None => self.back.take().unwrap_or_default(),
            };
            mem::replace(&mut self.front, next)
        } else if number == last {
            let previous = self.middle.pop_back().map(|link| link.block);
            mem::replace(&mut self.back, previous).unwrap_or_default()
        } else {
            let link = self.middle.remove_at(number - 1);
            link.map(|link| link.block).unwrap_or_default()
        };
        self.len -= removed.len();
        self.block_bytes -= removed.memory_bytes();
        if self.front.len() == 0 {
            self.block_bytes = self.front.memory_bytes();
        }
        self.fit_compression(1);
    }

    /// Takes out blocks from that number on, so many of them, none of which is at an end. O(log n) and the freeing of
    /// them.
    pub(super) fn remove_inner_blocks(&mut self, number: usize, count: usize) {
        let removed = self.middle.remove_range(number - 1..number - 1 + count);
        self.len -= removed.weight();
        let bytes = removed.iter().map(|link| link.block.memory_bytes());
        self.block_bytes -= bytes.sum::<usize>();
        self.fit_compression(count);
    }

    /// Changes the block of that number, which must exist and must not become empty by it. O(log n), O(block) if it is
    /// shared or compressed.
    pub(super) fn change_block<R>(&mut self, number: usize, change: impl FnOnce(&mut Block) -> R) -> R {
        let is_inner = self.is_compressed_at(number);
        let mut bytes = (0, 0);
        let mut lengths = (0, 0);
        let change = |block: &mut Rc<Block>| {
            (bytes.0, lengths.0) = (block.memory_bytes(), block.len());
            let block = Rc::make_mut(block);
            block.decompress();
            let result = change(block);
            if is_inner {
                block.compress();
            }
            (bytes.1, lengths.1) = (block.memory_bytes(), block.len());
            result
        };
        let last = self.block_count() - 1;
        let result = if number == 0 || number == last {
            let end = if number == 0 { End::Front } else { End::Back };
            Some(change(self.end_mut(end)))
        } else {
            self.middle.update_at(number - 1, |link| {
                let result = change(&mut link.block);
                link.count = link.block.len() as u32;
                result
            })
        };
        self.block_bytes = self.block_bytes + bytes.1 - bytes.0;
        self.len = self.len + lengths.1 - lengths.0;
        match result {
            Some(result) => result,
            None => unreachable!("the number is that of a block"),
        }
    }

    /// Whether a block of that number is to be compressed: one that is far enough from both ends.
    fn is_compressed_at(&self, number: usize) -> bool {
        let depth = self.limits.compress_depth as usize;
        depth > 0 && number >= depth && number + depth < self.block_count()
    }

    /// Brings the compression up to date after so many blocks came or went at one place: around the two borders between
    /// what is compressed and what is not. O(blocks that came or went × log n).
    pub(super) fn fit_compression(&mut self, changed: usize) {
        let depth = self.limits.compress_depth as usize;
        if depth == 0 {
            return;
        }
        let count = self.block_count();
        let from = depth.saturating_sub(changed);
        for distance in from..=depth.min(count - 1) {
            for number in [distance, count - 1 - distance] {
                let compressed = self.is_compressed_at(number);
                if compressed != self.block(number).is_compressed() {
                    // The change itself decompresses it, and compresses it where that is due.
                    self.change_block(number, |_| ());
                }
            }
        }
    }

    /// Takes out up to so many elements at one end of a block, after which it must not be empty.
    pub(super) fn cut_block(&mut self, number: usize, at: usize, count: usize) {
        self.change_block(number, |block| {
            if let Block::Run(run) = block {
                listpack::remove_range(run, at as i64, count);
                run.fit_loosely();
            }
        });
    }
}
