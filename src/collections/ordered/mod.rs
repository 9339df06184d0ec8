//! Owns the ordered tree: a copy-on-write B-tree with counts, for sorted sets, streams and lists. Never holds up its
//! caller: no operation on single items touches more than a path of nodes of some KiB, whatever the size of the tree.
//!
//! ```text
//! root, height 2:       | child, sum, item | child, sum, item | child, sum |
//!                         /                    …
//! inner, height 1:      | child, sum, item | child, sum |         sum: count and weight of the child's items and the item
//!                         /                    …                  that follows the child
//! leaf, height 0:       | item | item | item |
//! ```
//!
//! Every item lies in the tree once, some in inner nodes, between the children they part. So a fork shares all, and
//! items that own memory can be held by value. Items are found by a probe (how does an item compare with what is looked
//! for?), by index, or by an offset in units of weight. A position is an index; it is good until the tree changes.
//!
//! `item` is what a tree holds, `memory` has the nodes, `sum` counts and weighs, `route` finds the way down, `inner`
//! splits and merges, `change` inserts and removes, `cut` cuts trees and joins them, `range` walks, `lazy_free` frees
//! in slices.

pub mod lazy_free;

mod change;
mod cut;
mod inner;
mod item;
mod memory;
mod range;
mod route;
mod sum;
#[cfg(test)]
mod tests;

pub use crate::collections::ordered::lazy_free::LazyFree;
pub use item::Item;
pub use range::Range;
pub use sum::{Single, Weighing, Weighted};

use item::{SumOf, sum_of};
use memory::{Node, View};
use route::{At, Offset, Probe, Route};
use std::cmp::Ordering;
use std::ops::RangeBounds;
use sum::Sum;

/// A sequence of items, in an order that the caller keeps.
pub struct Ordered<T: Item> {
    root: Option<Node<T>>,
    sum: SumOf<T>,
}

impl<T: Item> Default for Ordered<T> {
    fn default() -> Ordered<T> {
        Ordered::new()
    }
}

impl<T: Item> Ordered<T> {
    /// An empty tree without memory of its own.
    pub fn new() -> Ordered<T> {
        Ordered { root: None, sum: Sum::default() }
    }

    /// How many items there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.sum.count
    }

    /// Whether there are no items. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The weight of all items. O(1).
    #[inline]
    pub fn weight(&self) -> usize {
        self.sum.weight()
    }

    /// Bytes of the nodes, those that are shared with forks included, without what the items point at. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.root.as_ref().map_or(0, Node::bytes)
    }

    /// A second tree with the same items, which can be changed apart from the first. O(1); later changes to either copy
    /// the nodes that they touch, once.
    pub fn fork(&self) -> Ordered<T> {
        Ordered { root: self.root.clone(), sum: self.sum }
    }

    /// The item at the end of a route.
    #[inline]
    fn follow(&self, route: &mut impl Route<T>) -> Option<&T> {
        let mut node = self.root.as_ref()?;
        loop {
            match node.view() {
                View::Leaf(items) => return items.get(route.in_leaf(items).ok()?),
                View::Inner(entries) => match route.in_inner(entries) {
                    Ok(place) => return entries[place].item.as_ref(),
                    Err(place) => node = node.descend(&entries[place]),
                },
            }
        }
    }

    /// Where a route ends: at an item, or before one; with the sum of the items before.
    #[inline]
    fn locate(&self, route: &mut impl Route<T>) -> Result<SumOf<T>, SumOf<T>> {
        let mut before = Sum::default();
        let Some(mut node) = self.root.as_ref() else {
            return Err(before);
        };
        loop {
            match node.view() {
                View::Leaf(items) => {
                    let sum = |place: usize| {
                        let sums = items[..place].iter().map(sum_of);
                        sums.fold(before, Sum::plus)
                    };
                    return route.in_leaf(items).map(sum).map_err(sum);
                }
                View::Inner(entries) => {
                    let found = route.in_inner(entries);
                    let (Ok(place) | Err(place)) = found;
                    let sums = entries[..place].iter().map(|entry| entry.sum);
                    before = sums.fold(before, Sum::plus);
                    if found.is_ok() {
                        return Ok(before.plus(entries[place].child_sum()));
                    }
                    node = node.descend(&entries[place]);
                }
            }
        }
    }

    /// The item for which `probe` says `Equal`. The probe tells how an item compares with what is looked for, as in
    /// `slice::binary_search_by`. O(log n).
    #[inline]
    pub fn get(&self, probe: impl Fn(&T) -> Ordering) -> Option<&T> {
        self.follow(&mut Probe(probe))
    }

    /// The index of the item for which `probe` says `Equal`, or the one where it would be. O(log n).
    #[inline]
    pub fn search(&self, probe: impl Fn(&T) -> Ordering) -> Result<usize, usize> {
        let found = self.locate(&mut Probe(probe));
        found.map(|sum| sum.count).map_err(|sum| sum.count)
    }

    /// The weight before the item for which `probe` says `Equal`: its rank, if all weights are 1. O(log n).
    #[inline]
    pub fn rank(&self, probe: impl Fn(&T) -> Ordering) -> Option<usize> {
        let found = self.locate(&mut Probe(probe));
        found.ok().map(Sum::weight)
    }

    /// The index of the first item for which `probe` does not say `Less`, or the length. O(log n).
    pub fn lower_bound(&self, probe: impl Fn(&T) -> Ordering) -> usize {
        let probe = |item: &T| match probe(item) {
            Ordering::Less => Ordering::Less,
            _ => Ordering::Greater,
        };
        let (Ok(index) | Err(index)) = self.search(probe);
        index
    }

    /// The index of the first item for which `probe` says `Greater`, or the length. O(log n).
    pub fn upper_bound(&self, probe: impl Fn(&T) -> Ordering) -> usize {
        let probe = |item: &T| match probe(item) {
            Ordering::Greater => Ordering::Greater,
            _ => Ordering::Less,
        };
        let (Ok(index) | Err(index)) = self.search(probe);
        index
    }

    /// The item with this index. O(log n).
    pub fn at(&self, index: usize) -> Option<&T> {
        if index >= self.len() {
            return None;
        }
        self.follow(&mut At(index))
    }

    /// The item around this offset, in units of weight. O(log n).
    pub fn at_weight(&self, offset: usize) -> Option<AtWeight<'_, T>> {
        if offset >= self.weight() {
            return None;
        }
        let before = self.locate(&mut Offset(offset)).ok()?;
        Some(AtWeight { index: before.count, item: self.at(before.count)?, within: offset - before.weight() })
    }

    /// The weight of the items before this index; of all, if it is the length or more. O(log n).
    pub fn weight_before(&self, index: usize) -> usize {
        if index >= self.len() {
            return self.weight();
        }
        let (Ok(before) | Err(before)) = self.locate(&mut At(index));
        before.weight()
    }

    /// The first item. O(log n).
    pub fn first(&self) -> Option<&T> {
        self.follow(&mut route::First)
    }

    /// The last item. O(log n).
    pub fn last(&self) -> Option<&T> {
        self.follow(&mut route::Last)
    }

    /// All items in order, from either end.
    pub fn iter(&self) -> Range<'_, T> {
        self.range(..)
    }

    /// The items with these indices, in order, from either end. What lies beyond the length is left out.
    pub fn range(&self, indices: impl RangeBounds<usize>) -> Range<'_, T> {
        let indices = range::within(indices, self.len());
        Range::new(self.root.as_ref(), indices)
    }
}

/// What lies at an offset in units of weight.
pub struct AtWeight<'a, T> {
    /// The item around the offset.
    pub item: &'a T,
    /// The offset within the item, less than its weight.
    pub within: usize,
    /// The item's index.
    pub index: usize,
}
