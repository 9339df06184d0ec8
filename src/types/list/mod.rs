//! The list. Never a client, a reply, a clock or I/O.
//!
//! A small list is a listpack in its key's record. A larger one is a [`List`]: blocks in a row, of which the first and
//! the last are at hand and the others hang in a tree that finds any position.
//!
//! ```text
//! front block │ middle: tree of blocks, weighed by their elements │ back block
//! ```
//!
//! There is a back block if there is more than one block, and a middle if there are more than two. No block is empty
//! unless the list is. `run` is a block's elements with room at both ends, `block` the forms of a block, `blocks` the
//! row and its invariants, `change` what is done in the middle, `view` reads either form of a list, `editor` changes
//! either and converts between them, `builder` makes one of blocks that come from elsewhere.

mod block;
mod blocks;
mod builder;
mod change;
mod compress;
mod editor;
mod item;
mod limits;
mod run;
#[cfg(test)]
mod tests;
mod view;

pub use block::BlockRef;
pub use builder::ListBuilder;
pub use editor::ListEditor;
pub use item::{Given, Item, Taken};
pub use limits::Limits;
pub use run::End;
pub use view::ListRef;

use std::rc::Rc;

use crate::collections::ordered::Ordered;

use block::{Block, Link};

/// A list too large to lie packed in its key's record. Copy-on-write.
pub struct List {
    front: Rc<Block>,
    middle: Ordered<Link>,
    back: Option<Rc<Block>>,
    /// Elements in all blocks.
    len: usize,
    /// Bytes of all blocks, compressed as they are.
    block_bytes: usize,
    /// What the settings were when the list became large: it keeps them.
    limits: Limits,
    /// Whether it is one block that might as well be packed, and is only here because long records are slow to change.
    is_compact: bool,
}

impl Default for List {
    fn default() -> List {
        List::new(Limits::default())
    }
}

impl List {
    /// An empty list.
    pub fn new(limits: Limits) -> List {
        let front: Rc<Block> = Rc::default();
        List {
            block_bytes: front.memory_bytes(),
            front,
            middle: Ordered::new(),
            back: None,
            len: 0,
            limits,
            is_compact: false,
        }
    }

    /// How many elements there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the settings were when the list became large. O(1).
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The name of the representation, as OBJECT ENCODING gives it. O(1).
    pub fn encoding_name(&self) -> &'static str {
        if self.is_compact { "listpack" } else { "quicklist" }
    }

    /// Another one with the same elements, to be changed apart from this one. O(1): later changes to either copy what
    /// they touch, once.
    pub fn fork(&self) -> List {
        List { front: Rc::clone(&self.front), middle: self.middle.fork(), back: self.back.clone(), ..*self }
    }

    /// Bytes that it takes, its own structure included. O(1).
    pub fn memory_bytes(&self) -> usize {
        let blocks = self.block_bytes + self.block_count() * size_of::<(usize, usize, Block)>();
        size_of::<List>() + self.middle.memory_bytes() + blocks
    }

    /// Frees about this many elements of a value that is no longer used. Returns whether elements are left.
    pub fn reclaim_step(&mut self, elements: usize) -> bool {
        let mut freed = 0;
        while freed < elements && !self.is_empty() {
            let last = self.block_count() - 1;
            freed += self.block(last).len();
            self.remove_block(last);
        }
        !self.is_empty()
    }
}
