//! Owns the memory of segments and the handle that keeps one alive. Never looks for a key.

use super::Entry;
use super::bucket::Bucket;
use super::link::{Link, note_copy};
use super::segment::Segment;
use crate::collections::heap;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

/// Owns one reference to a segment. The last owner's drop drops the entries and frees the block. May be changed only
/// while it is the single owner.
pub struct SegmentBox<E>(NonNull<Segment<E>>);

impl<E> SegmentBox<E> {
    /// A segment without entries.
    pub fn new(buckets: usize) -> SegmentBox<E> {
        SegmentBox::from_buckets((0..buckets).map(|_| Bucket::empty()), 0)
    }

    fn from_buckets(buckets: impl ExactSizeIterator<Item = Bucket<E>>, entries: usize) -> SegmentBox<E> {
        let size = buckets.len();
        let head = size_of::<Bucket<E>>();
        let block = heap::allocate(head + size * size_of::<Bucket<E>>());
        assert!(block.addr().get().is_multiple_of(align_of::<Bucket<E>>()));
        let slice = ptr::slice_from_raw_parts_mut(block.cast::<Bucket<E>>().as_ptr(), size);
        let segment = slice as *mut Segment<E>;
        // SAFETY: the block is new, aligned and has room for the head and `size` buckets, each of which is written
        // once.
        unsafe {
            Segment::initialize(segment, entries as u32, buckets.take(size));
            SegmentBox(NonNull::new_unchecked(segment))
        }
    }

    /// Takes over the reference that a link's holder owned.
    ///
    /// # Safety
    /// The caller must own a reference and give it up.
    pub unsafe fn from_owned(segment: NonNull<Segment<E>>) -> SegmentBox<E> {
        SegmentBox(segment)
    }

    /// Whether there are other owners.
    pub fn is_shared(&self) -> bool {
        self.references().get() > 1
    }

    /// Gives the reference to the holder of a link.
    pub fn into_link(self) -> Link<E> {
        let segment = self.0;
        let size = self.size();
        mem::forget(self);
        // SAFETY: the box owned a reference to this segment, which goes over to the link.
        unsafe { Link::to_segment(segment.cast(), size) }
    }
}

impl<E: Entry> SegmentBox<E> {
    /// A segment of its own with one more reference to each entry.
    pub fn copy_of(segment: &Segment<E>) -> SegmentBox<E> {
        note_copy(segment.size() * size_of::<Bucket<E>>());
        segment.prefetch_entries();
        SegmentBox::from_buckets(segment.buckets().iter().cloned(), segment.count())
    }
}

impl<E> Deref for SegmentBox<E> {
    type Target = Segment<E>;

    fn deref(&self) -> &Segment<E> {
        // SAFETY: a reference is owned, so the block is alive.
        unsafe { self.0.as_ref() }
    }
}

impl<E> DerefMut for SegmentBox<E> {
    fn deref_mut(&mut self) -> &mut Segment<E> {
        assert!(!self.is_shared());
        // SAFETY: this is the single owner.
        unsafe { self.0.as_mut() }
    }
}

impl<E> Drop for SegmentBox<E> {
    fn drop(&mut self) {
        let count = self.references();
        count.set(count.get() - 1);
        if count.get() > 0 {
            return;
        }
        let bytes = size_of_val::<Segment<E>>(self);
        // SAFETY: the last owner is gone; the block was allocated with this size by `from_buckets`.
        unsafe {
            ptr::drop_in_place(self.0.as_ptr());
            heap::free(self.0.cast(), bytes);
        }
    }
}
