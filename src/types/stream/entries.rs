//! The entries of a stream and what is known of those that are gone. Never knows who reads them.
//!
//! Full blocks lie in a tree, in the order of their IDs; the last block, to which entries are added, lies beside it, so
//! that adding one searches for nothing.

use std::rc::Rc;

use crate::collections::element::Element;
use crate::collections::listpack::Position;
use crate::collections::ordered::{Item, Ordered, Weighted};

use super::id::Id;
use super::node::{self, Entry, Field, Node, NodeLimits, Place};

/// A block in the tree.
#[derive(Clone)]
pub(super) struct Block {
    pub first: Id,
    bytes: Element,
    /// Live entries.
    live: u32,
}

impl Item for Block {
    type Weight = Weighted;

    fn weight(&self) -> usize {
        self.live as usize
    }
}

impl Block {
    pub(super) fn new(first: Id, bytes: &[u8]) -> Block {
        Block { first, live: Node::new(first, bytes).master().live as u32, bytes: Element::new(bytes) }
    }

    #[inline]
    pub fn node(&self) -> Node<'_> {
        Node::new(self.first, self.bytes.key())
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes.key().to_vec();
        change(&mut bytes);
        *self = Block::new(self.first, &bytes);
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.memory_bytes()
    }
}

/// The block to which entries are added.
#[derive(Clone)]
pub(super) struct Tail {
    first: Id,
    bytes: Rc<Vec<u8>>,
}

impl Tail {
    #[inline]
    pub fn node(&self) -> Node<'_> {
        Node::new(self.first, &self.bytes)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + size_of::<Vec<u8>>() + 2 * size_of::<usize>()
    }
}

/// Where a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// In the tree, with this index.
    Full(usize),
    Tail,
}

/// Why an entry cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// Its ID is not greater than the last one.
    NotGreater,
    /// Names and values take more than a block can hold.
    TooLarge,
}

/// The entries of a stream.
#[derive(Default)]
pub struct Entries {
    pub(super) blocks: Ordered<Block>,
    pub(super) tail: Option<Tail>,
    length: usize,
    /// The greatest ID that was ever given.
    pub last_id: Id,
    /// The first entry's; 0-0 if there is none.
    pub(super) first_id: Id,
    /// The greatest ID of an entry that was deleted, other than by trimming.
    pub max_deleted_id: Id,
    /// How many entries were ever added.
    pub added: u64,
}

impl Entries {
    /// How many there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The first entry's ID; 0-0 if there is none. O(1).
    pub fn first_id(&self) -> Id {
        self.first_id
    }

    pub(super) fn fork(&self) -> Entries {
        Entries { blocks: self.blocks.fork(), tail: self.tail.clone(), ..*self }
    }

    /// How many blocks there are. O(1).
    pub fn blocks(&self) -> usize {
        self.blocks.len() + usize::from(self.tail.is_some())
    }

    /// Adds an entry. Amortised O(its bytes): blocks that are full are closed once.
    ///
    /// Errors: its ID is not greater than the last one; it is too large.
    pub fn append<'f>(
        &mut self,
        id: Id,
        fields: impl ExactSizeIterator<Item = Field<'f>> + Clone,
        limits: NodeLimits,
    ) -> Result<(), AppendError> {
        if id <= self.last_id {
            return Err(AppendError::NotGreater);
        }
        let sizes = fields.clone().map(|(name, value)| name.len() + value.len());
        let entry_bytes: usize = sizes.sum();
        if entry_bytes > node::BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        self.reopen();
        match &mut self.tail {
            Some(tail) if tail.node().has_room(entry_bytes, limits) => {
                let first = tail.first;
                node::append(Rc::make_mut(&mut tail.bytes), first, id, fields);
            }
            Some(tail) => {
                let full = Block::new(tail.first, &tail.bytes);
                self.blocks.push_back(full);
                tail.first = id;
                // The buffer is as large as a block gets, and is used again unless a fork has it.
                match Rc::get_mut(&mut tail.bytes) {
                    Some(buffer) => node::begin(buffer, fields),
                    None => tail.bytes = begun(fields),
                }
            }
            None => {
                self.tail = Some(Tail { first: id, bytes: begun(fields) });
            }
        }
        self.length += 1;
        self.added = self.added.wrapping_add(1);
        self.last_id = id;
        if self.length == 1 {
            self.first_id = id;
        }
        Ok(())
    }

    /// Sees to it that the last block is the one to which entries are added.
    fn reopen(&mut self) {
        if self.tail.is_none()
            && let Some(last) = self.blocks.pop_back()
        {
            self.tail = Some(Tail { first: last.first, bytes: Rc::new(last.bytes.key().to_vec()) });
        }
    }

    /// The block that would have an ID.
    #[inline]
    pub(super) fn which(&self, id: Id) -> Option<Which> {
        if self.tail.as_ref().is_some_and(|tail| tail.first <= id) {
            return Some(Which::Tail);
        }
        let index = self.blocks.upper_bound(|block| block.first.cmp(&id));
        Some(Which::Full(index.checked_sub(1)?))
    }

    #[inline]
    fn node(&self, which: Which) -> Option<Node<'_>> {
        match which {
            Which::Full(index) => self.blocks.at(index).map(Block::node),
            Which::Tail => self.tail.as_ref().map(Tail::node),
        }
    }

    #[inline]
    fn place(&self, id: Id) -> Option<(Which, Place<'_>)> {
        let which = self.which(id)?;
        Some((which, self.node(which)?.find(id)?))
    }

    /// The entry with an ID. O(log n + block).
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.place(id).map(|(_, place)| place.entry())
    }

    /// Whether there is an entry with this ID. O(log n + block).
    pub fn contains(&self, id: Id) -> bool {
        self.place(id).is_some()
    }

    /// The last entry's ID; the last one given may have been deleted. O(block).
    pub fn last_live_id(&self) -> Option<Id> {
        if self.is_empty() {
            return None;
        }
        self.iter().next_back().map(|entry| entry.id)
    }

    /// Deletes an entry, as XDEL does: the greatest such ID is remembered. Tells whether it was there. O(log n +
    /// block).
    pub fn delete(&mut self, id: Id) -> bool {
        if !self.take_out(id) {
            return false;
        }
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id || self.is_empty() {
            self.find_first();
        }
        true
    }

    /// Takes an entry out and does no more. The last one of a block takes the block with it.
    pub(super) fn take_out(&mut self, id: Id) -> bool {
        let Some((which, place)) = self.place(id) else {
            return false;
        };
        let position = place.position;
        if self.node(which).is_some_and(|node| node.master().live > 1) {
            self.mark_deleted(which, &[position]);
            return true;
        }
        self.remove_block(which);
        self.length -= 1;
        true
    }

    /// Removes a block; the caller notes how many entries went.
    pub(super) fn remove_block(&mut self, which: Which) {
        match which {
            Which::Full(index) => drop(self.blocks.remove_at(index)),
            Which::Tail => self.tail = None,
        }
    }

    /// The block with this number. O(log n).
    pub(super) fn node_at(&self, index: usize) -> Option<Node<'_>> {
        let full = self.blocks.at(index).map(Block::node);
        full.or_else(|| {
            let is_tail = index == self.blocks.len();
            self.tail.as_ref().filter(|_| is_tail).map(Tail::node)
        })
    }

    /// Marks live entries of a block as deleted. The block stays.
    pub(super) fn mark_deleted(&mut self, which: Which, positions: &[Position]) {
        let mark = |bytes: &mut Vec<u8>| node::mark_deleted(bytes, positions);
        match which {
            Which::Full(index) => {
                self.blocks.update_at(index, |block| block.change(mark));
            }
            Which::Tail => {
                if let Some(tail) = &mut self.tail {
                    mark(Rc::make_mut(&mut tail.bytes));
                }
            }
        }
        self.length -= positions.len();
    }

    /// Takes over blocks of a stream that has none.
    pub(super) fn adopt(&mut self, blocks: Ordered<Block>) {
        self.length = blocks.weight();
        self.blocks = blocks;
    }

    /// Notes that so many entries went with their blocks.
    pub(super) fn note_removed(&mut self, entries: usize) {
        self.length -= entries;
    }

    /// Notes the first entry's ID.
    pub(super) fn set_first(&mut self, first: Id) {
        self.first_id = first;
    }

    /// Frees about so many entries. Says whether there are more.
    pub(super) fn reclaim_step(&mut self, entries: usize) -> bool {
        self.tail = None;
        let count = (entries / 64 + 1).min(self.blocks.len());
        let rest = self.blocks.split_off(count);
        self.blocks = rest;
        !self.blocks.is_empty()
    }
}

/// A buffer with a block of one entry.
fn begun<'f>(fields: impl ExactSizeIterator<Item = Field<'f>> + Clone) -> Rc<Vec<u8>> {
    let mut buffer = Vec::new();
    node::begin(&mut buffer, fields);
    Rc::new(buffer)
}
