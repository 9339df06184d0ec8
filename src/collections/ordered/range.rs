//! Owns walking over items by index, from either end. Never changes the tree.

use super::Item;
use super::memory::{Node, View};
use super::route::{At, Route};
use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};
use std::slice;

/// The part of a range of indices that lies below `len`; an empty one if it is the wrong way round.
pub fn within(indices: impl RangeBounds<usize>, len: usize) -> std::ops::Range<usize> {
    let end = match indices.end_bound() {
        Bound::Included(&last) => last.saturating_add(1).min(len),
        Bound::Excluded(&end) => end.min(len),
        Bound::Unbounded => len,
    };
    let start = match indices.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    start.min(end)..end
}

/// Items in their order. From leaf to leaf it goes down the tree anew, which some 60 items pay for.
pub struct Range<'a, T: Item> {
    root: Option<&'a Node<T>>,
    start: usize,
    end: usize,
    /// Items from `start` on.
    front: slice::Iter<'a, T>,
    /// Items up to `end`.
    back: slice::Iter<'a, T>,
}

impl<'a, T: Item> Range<'a, T> {
    /// The range must lie within the tree.
    pub(super) fn new(root: Option<&'a Node<T>>, indices: std::ops::Range<usize>) -> Range<'a, T> {
        Range {
            root,
            start: indices.start,
            end: indices.end,
            front: [].iter(),
            back: [].iter(),
        }
    }

    /// The items around an index that lie together: those before it, and those from it on.
    fn around(&self, index: usize) -> (&'a [T], &'a [T]) {
        let mut route = At(index);
        let Some(mut node) = self.root else {
            return (&[], &[]);
        };
        loop {
            match node.view() {
                View::Leaf(items) => return items.split_at(route.0),
                View::Inner(entries) => match route.in_inner(entries) {
                    Ok(place) => return (&[], entries[place].item.as_slice()),
                    Err(place) => node = &entries[place].child,
                },
            }
        }
    }

    /// Items that lie together, the next ones, to look at before they are walked over: so that what they point at can be
    /// prefetched. Empty at the end only.
    pub fn ahead(&mut self) -> &'a [T] {
        if self.front.len() == 0 && self.start < self.end {
            self.front = self.around(self.start).1.iter();
        }
        let items = self.front.as_slice();
        &items[..items.len().min(self.end - self.start)]
    }
}

impl<'a, T: Item> Range<'a, T> {
    /// Items that lie together and come next from the end, the last one first, as far as the walk has come upon them.
    #[inline]
    pub fn behind(&self) -> &'a [T] {
        let items = self.back.as_slice();
        &items[items.len().saturating_sub(self.end - self.start)..]
    }
}

impl<'a, T: Item> Iterator for Range<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        if self.start == self.end {
            return None;
        }
        if self.front.len() == 0 {
            self.front = self.around(self.start).1.iter();
        }
        self.start += 1;
        self.front.next()
    }

    fn nth(&mut self, skipped: usize) -> Option<&'a T> {
        let skipped = skipped.min(self.end - self.start);
        self.start += skipped;
        self.front = self.front.as_slice().get(skipped..).unwrap_or(&[]).iter();
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.end - self.start;
        (len, Some(len))
    }
}

impl<'a, T: Item> DoubleEndedIterator for Range<'a, T> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a T> {
        if self.start == self.end {
            return None;
        }
        self.end -= 1;
        if self.back.len() == 0 {
            let (before, from) = self.around(self.end);
            self.back = before.iter();
            return from.first();
        }
        self.back.next_back()
    }
}

impl<T: Item> ExactSizeIterator for Range<'_, T> {}

impl<T: Item> FusedIterator for Range<'_, T> {}

impl<T: Item> Clone for Range<'_, T> {
    fn clone(&self) -> Self {
        Range {
            root: self.root,
            start: self.start,
            end: self.end,
            front: self.front.clone(),
            back: self.back.clone(),
        }
    }
}
