//! Owns the tagged pointers that lead to a table's blocks (segments and nodes), their counts of owners, and the memory
//! of nodes. Never decides what a node should hold.
//!
//! A link carries in its top sixteen bits what it leads to, so that a lookup need not read the block's header:
//!
//! ```text
//! bit 63          48 47                                   0
//!     | shape       | address of the block                 |      shape 1..=64: a segment with so many buckets
//!                                                                 shape 128 + depth: a node with 1 << depth slots
//! ```
//!
//! Both kinds of block begin with their count of owners. A node's slots follow its count. Slots that lead to the same
//! block form a run, and the run owns one reference.

use super::bucket::Bucket;
use super::segment::Segment;
use crate::collections::heap;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::slice;

const SHAPE_SHIFT: u32 = 48;
const ADDRESS_MASK: usize = (1 << SHAPE_SHIFT) - 1;
const NODE_SHAPE: usize = 128;

/// Bytes in front of a node's slots.
const NODE_HEAD: usize = 8;

thread_local! {
    static COPIED_BYTES: Cell<u64> = const { Cell::new(0) };
}

/// Bytes of all blocks of all tables that were copied so far because they were changed while they were shared.
pub fn copied_bytes() -> u64 {
    COPIED_BYTES.get()
}

/// Notes that so many bytes were copied.
pub fn note_copy(bytes: usize) {
    COPIED_BYTES.set(COPIED_BYTES.get() + bytes as u64);
}

/// A pointer to a block, or to nothing. Copying it does not count; code that stores one must own a reference.
pub struct Link<E> {
    tagged: *mut u8,
    marker: PhantomData<*mut Segment<E>>,
}

impl<E> Clone for Link<E> {
    fn clone(&self) -> Link<E> {
        *self
    }
}

impl<E> Copy for Link<E> {}

impl<E> PartialEq for Link<E> {
    fn eq(&self, other: &Link<E>) -> bool {
        self.tagged == other.tagged
    }
}

fn node_bytes<E>(slots: usize) -> usize {
    NODE_HEAD + slots * size_of::<Link<E>>()
}

impl<E> Link<E> {
    /// The link of an empty table.
    pub const EMPTY: Link<E> = Link { tagged: ptr::null_mut(), marker: PhantomData };

    fn new(block: NonNull<u8>, shape: usize) -> Link<E> {
        let tag = |address: usize| {
            assert!(address <= ADDRESS_MASK, "user addresses have 48 bits");
            address | shape << SHAPE_SHIFT
        };
        Link { tagged: block.as_ptr().map_addr(tag), marker: PhantomData }
    }

    /// The link to a segment with so many buckets.
    ///
    /// # Safety
    /// A segment of that size must begin there, and the holder of the link takes over a reference to it.
    pub unsafe fn to_segment(block: NonNull<u8>, buckets: usize) -> Link<E> {
        assert!((1..NODE_SHAPE).contains(&buckets));
        Link::new(block, buckets)
    }

    #[inline]
    fn shape(self) -> usize {
        self.tagged.addr() >> SHAPE_SHIFT
    }

    #[inline]
    fn block(self) -> *mut u8 {
        self.tagged.map_addr(|address| address & ADDRESS_MASK)
    }

    /// The depth and the first slot of the node that it leads to, if it leads to one.
    #[inline]
    pub fn as_node(self) -> Option<(u32, *mut Link<E>)> {
        let shape = self.shape();
        (shape > NODE_SHAPE).then(|| ((shape - NODE_SHAPE) as u32, self.first_slot()))
    }

    /// The first slot of the node that it leads to.
    #[inline]
    pub fn first_slot(self) -> *mut Link<E> {
        self.block().wrapping_add(NODE_HEAD).cast()
    }

    /// The slots of the node that it leads to.
    ///
    /// # Safety
    /// It must lead to a node that is alive and not written to for `'a`.
    pub unsafe fn slots<'a>(self) -> &'a [Link<E>] {
        let count = 1 << (self.shape() - NODE_SHAPE);
        // SAFETY: `new_node` wrote that many slots; the caller vouches for the rest.
        unsafe { slice::from_raw_parts(self.first_slot(), count) }
    }

    /// The segment that it leads to, if it leads to one.
    #[inline]
    pub fn as_segment(self) -> Option<NonNull<Segment<E>>> {
        if self.shape() >= NODE_SHAPE {
            return None;
        }
        let buckets = ptr::slice_from_raw_parts_mut(self.block().cast::<Bucket<E>>(), self.shape());
        NonNull::new(buckets as *mut Segment<E>)
    }

    /// # Safety
    /// The block, if there is one, must be alive as long as the link is borrowed.
    unsafe fn references(&self) -> Option<&Cell<u32>> {
        // SAFETY: both kinds of block begin with this count; the caller vouches for the block.
        unsafe { self.block().cast::<Cell<u32>>().as_ref() }
    }

    /// Whether the block has another owner.
    ///
    /// # Safety
    /// The caller must own a reference, or borrow from its owner.
    pub unsafe fn is_shared(self) -> bool {
        // SAFETY: the caller's reference keeps the block alive.
        unsafe { self.references() }.is_some_and(|count| count.get() > 1)
    }

    /// Counts one more owner.
    ///
    /// # Safety
    /// The caller must own a reference, or borrow from its owner.
    pub unsafe fn acquire(self) {
        // SAFETY: the caller's reference keeps the block alive.
        if let Some(count) = unsafe { self.references() } {
            count.set(count.get() + 1);
        }
    }

    /// Counts one owner less; returns whether it was the last one, which must free the block.
    ///
    /// # Safety
    /// The caller must own a reference, which it gives up.
    #[must_use]
    pub unsafe fn release(self) -> bool {
        // SAFETY: the caller's reference keeps the block alive.
        unsafe { self.references() }.is_some_and(|count| {
            count.set(count.get() - 1);
            count.get() == 0
        })
    }

    /// Bytes of the block that it leads to.
    pub fn bytes(self) -> usize {
        match self.shape() {
            0 => 0,
            shape if shape > NODE_SHAPE => node_bytes::<E>(1 << (shape - NODE_SHAPE)),
            buckets => (1 + buckets) * size_of::<Bucket<E>>(),
        }
    }

    /// A new node; the references that the slots own go over to it. There are a power of two of them, from 2 to 4096.
    /// Nothing is read through the slots, so a mistake costs no more than a leak before one of the unsafe calls.
    pub fn new_node(slots: &[Link<E>]) -> Link<E> {
        assert!(slots.len().is_power_of_two() && (2..=4096).contains(&slots.len()));
        let block = heap::allocate(node_bytes::<E>(slots.len()));
        let shape = NODE_SHAPE + slots.len().trailing_zeros() as usize;
        let link = Link::new(block, shape);
        // SAFETY: the block is new and has room for the count and the slots.
        unsafe {
            block.cast::<Cell<u32>>().write(Cell::new(1));
            ptr::copy_nonoverlapping(slots.as_ptr(), link.first_slot(), slots.len());
        }
        link
    }

    /// Frees the memory of a node. Its children's references stay counted.
    ///
    /// # Safety
    /// It must lead to a node that is no longer used.
    pub unsafe fn free_node(self) {
        let bytes = self.bytes();
        if let Some(block) = NonNull::new(self.block()) {
            // SAFETY: `new_node` allocated the block with this size; the caller says that it is out of use.
            unsafe { heap::free(block, bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Link;

    #[test]
    fn a_node_is_no_segment() {
        let node: Link<u64> = Link::new_node(&[Link::EMPTY; 4]);
        assert!(node.as_node().is_some_and(|(depth, _)| depth == 2));
        assert!(node.as_segment().is_none());
        assert!(Link::<u64>::EMPTY.as_node().is_none() && Link::<u64>::EMPTY.as_segment().is_none());
        // SAFETY: the node was just made, and nothing else leads to it.
        unsafe {
            assert!(node.release());
            node.free_node();
        }
    }
}
