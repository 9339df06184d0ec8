//! Owns walking over items by index, from either end. Never changes the tree.

use super::item::Item;
use super::memory::{Entry, Node, View};
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

/// Items in their order. Leaves under the same node are walked one after the other; to get to the next such node it
/// goes down the tree anew, which some 2000 items pay for.
#[derive(Clone)]
pub struct Range<'a, T: Item> {
    root: Option<&'a Node<T>>,
    start: usize,
    end: usize,
    front: Stretch<'a, T>,
    back: Stretch<'a, T>,
}

/// Items that lie together, which one end of a range walks over: of a leaf, or a single one between leaves.
struct Stretch<'a, T: Item> {
    items: slice::Iter<'a, T>,
    /// What comes after them on the way, of the entries of the node above the leaves. If the items are of a leaf,
    /// forwards the first is the entry of this leaf, and backwards the last is the one before it. If the item is of an
    /// entry, the child is next.
    entries: &'a [Entry<T>],
    in_leaf: bool,
}

impl<'a, T: Item> Stretch<'a, T> {
    fn none() -> Stretch<'a, T> {
        Stretch::leaf(&[], &[])
    }

    fn item(item: &'a Option<T>, entries: &'a [Entry<T>]) -> Stretch<'a, T> {
        Stretch { items: item.as_slice().iter(), entries, in_leaf: false }
    }

    fn leaf(items: &'a [T], entries: &'a [Entry<T>]) -> Stretch<'a, T> {
        Stretch { items: items.iter(), entries, in_leaf: true }
    }

    /// The stretch behind this one, if the node above the leaves has it.
    fn next(&self) -> Stretch<'a, T> {
        match self.entries {
            [entry, rest @ ..] if self.in_leaf => Stretch::item(&entry.item, rest),
            [entry, rest @ ..] => {
                if let [next, ..] = rest {
                    next.child.prefetch(0);
                }
                Stretch::leaf(entry.child.items(), self.entries)
            }
            [] => Stretch::none(),
        }
    }

    /// The stretch before this one, if the node above the leaves has it.
    fn previous(&self) -> Stretch<'a, T> {
        match self.entries {
            [.., entry] if self.in_leaf => Stretch::item(&entry.item, self.entries),
            [rest @ .., entry] => {
                if let [.., previous] = rest {
                    previous.child.prefetch(0);
                }
                Stretch::leaf(entry.child.items(), rest)
            }
            [] => Stretch::none(),
        }
    }

    /// The stretches that begin and end with the item with this index.
    fn find(root: Option<&'a Node<T>>, index: usize) -> (Stretch<'a, T>, Stretch<'a, T>) {
        let mut route = At(index);
        let Some(mut node) = root else {
            return (Stretch::none(), Stretch::none());
        };
        let (mut before, mut from): (&[Entry<T>], &[Entry<T>]) = (&[], &[]);
        loop {
            match node.view() {
                View::Leaf(items) => {
                    let forwards = Stretch::leaf(&items[route.0..], from);
                    return (forwards, Stretch::leaf(&items[..=route.0], before));
                }
                View::Inner(entries) => {
                    let found = route.in_inner(entries);
                    let (Ok(place) | Err(place)) = found;
                    (before, from) = entries.split_at(place);
                    if found.is_ok() {
                        let item = &entries[place].item;
                        if node.height() > 1 {
                            return (Stretch::item(item, &[]), Stretch::item(item, &[]));
                        }
                        let forwards = Stretch::item(item, &from[1..]);
                        return (forwards, Stretch::item(item, &entries[..=place]));
                    }
                    node = node.descend(&entries[place]);
                }
            }
        }
    }
}

impl<'a, T: Item> Range<'a, T> {
    /// The range must lie within the tree.
    pub(super) fn new(root: Option<&'a Node<T>>, indices: std::ops::Range<usize>) -> Range<'a, T> {
        Range { root, start: indices.start, end: indices.end, front: Stretch::none(), back: Stretch::none() }
    }

    #[cold]
    fn advance(&mut self) {
        self.front = self.front.next();
        if self.front.items.len() == 0 {
            self.front = Stretch::find(self.root, self.start).0;
        }
    }

    #[cold]
    fn advance_back(&mut self) {
        self.back = self.back.previous();
        if self.back.items.len() == 0 {
            self.back = Stretch::find(self.root, self.end - 1).1;
        }
    }

    /// Items that lie together, the next ones, to look at before they are walked over: so that what they point at can
    /// be prefetched. Empty at the end only.
    pub fn ahead(&mut self) -> &'a [T] {
        if self.front.items.len() == 0 && self.start < self.end {
            self.advance();
        }
        let items = self.front.items.as_slice();
        &items[..items.len().min(self.end - self.start)]
    }

    /// The same from the other end: the last of them is the next one.
    pub fn behind(&mut self) -> &'a [T] {
        if self.back.items.len() == 0 && self.start < self.end {
            self.advance_back();
        }
        let items = self.back.items.as_slice();
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
        if self.front.items.len() == 0 {
            self.advance();
        }
        self.start += 1;
        self.front.items.next()
    }

    fn nth(&mut self, skipped: usize) -> Option<&'a T> {
        let skipped = skipped.min(self.end - self.start);
        self.start += skipped;
        match self.front.items.as_slice().get(skipped..) {
            Some(items) => self.front.items = items.iter(),
            None => self.front = Stretch::none(),
        }
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
        if self.back.items.len() == 0 {
            self.advance_back();
        }
        self.end -= 1;
        self.back.items.next_back()
    }
}

impl<T: Item> Clone for Stretch<'_, T> {
    fn clone(&self) -> Self {
        Stretch { items: self.items.clone(), ..*self }
    }
}

impl<T: Item> ExactSizeIterator for Range<'_, T> {}

impl<T: Item> FusedIterator for Range<'_, T> {}
