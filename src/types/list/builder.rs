//! Making a list of what comes from elsewhere: elements, or blocks of an RDB file. Never trusts sizes: blocks that are
//! too large for a list are made anew.

use bytes::Bytes;

use crate::collections::listpack::Listpack;
use crate::types::slot::OwnedValue;

use super::List;
use super::block::Block;
use super::item::Given;
use super::limits::Limits;
use super::run::{End, Run};

/// The largest listpack that becomes a block as it is, in bytes.
const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// A list that is being made, from front to back.
pub struct ListBuilder {
    list: List,
    limits: Limits,
}

impl ListBuilder {
    /// A list without elements yet.
    pub fn new(limits: &Limits) -> ListBuilder {
        ListBuilder { list: List::new(*limits), limits: *limits }
    }

    /// Appends an element. Amortised O(bytes).
    pub fn push(&mut self, given: &impl Given) {
        let is_large = self.limits.is_large(given.text().len());
        self.list.push(End::Back, given, is_large);
    }

    /// Appends the elements of a listpack, which was found valid, as a block.
    pub fn push_listpack(&mut self, listpack: Vec<u8>) {
        let view = Listpack::new(&listpack);
        if view.is_empty() {
            return;
        }
        if listpack.len() <= BLOCK_BYTES_MAX {
            return self.list.push_block(End::Back, Block::Run(Run::new(&listpack)));
        }
        for element in view.iter() {
            element.with_bytes(|bytes| self.push(&bytes));
        }
    }

    /// Appends a large element as a block.
    pub fn push_large(&mut self, element: Bytes) {
        self.list.push_block(End::Back, Block::Large(element));
    }

    /// How many elements there are so far.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The list, in the form that the settings ask for.
    pub fn finish(self) -> OwnedValue {
        self.list.into_value(&self.limits)
    }
}
