//! Owns the ways down the tree: by a probe, an index, a weight, or to an end. Never changes anything.

use super::item::{Item, sum_of};
use super::memory::{Entry, Node, View};
use arrayvec::ArrayVec;
use std::cmp::Ordering;

/// Chooses at each node where to go.
pub trait Route<T: Item> {
    /// The item that is looked for, or the place in this leaf where it would be.
    fn in_leaf(&mut self, items: &[T]) -> Result<usize, usize>;

    /// The entry whose item is the one that is looked for, or the entry whose child leads to it.
    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize>;

    /// Whether the way leads along an edge of the tree, which is likely to be in the cache.
    fn is_edge(&self) -> bool {
        false
    }
}

/// To the item for which the probe says `Equal`; it tells how an item compares with what is looked for.
pub struct Probe<F>(pub F);

/// To the item with this index.
pub struct At(pub usize);

/// To the gap before the item with this index.
pub struct Gap(pub usize);

/// To the item around this offset, in units of weight; in the end the offset is the one within the item.
pub struct Offset(pub usize);

/// To the last item.
pub struct Last;

/// To the first item.
pub struct First;

/// To the gap behind the last item.
pub struct Back;

/// To the gap before the first item.
pub struct Front;

impl<T: Item, F: Fn(&T) -> Ordering> Route<T> for Probe<F> {
    #[inline]
    fn in_leaf(&mut self, items: &[T]) -> Result<usize, usize> {
        items.binary_search_by(&self.0)
    }

    #[inline]
    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize> {
        let between = &entries[..entries.len() - 1];
        between.binary_search_by(|entry| match &entry.item {
            Some(item) => (self.0)(item),
            None => Ordering::Greater,
        })
    }
}

impl<T: Item> Route<T> for At {
    fn in_leaf(&mut self, _: &[T]) -> Result<usize, usize> {
        Ok(self.0)
    }

    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize> {
        let place = skip(entries, &mut self.0, |entry| entry.sum.count);
        match &entries[place] {
            entry if entry.item.is_some() && self.0 + 1 == entry.sum.count => Ok(place),
            _ => Err(place),
        }
    }
}

impl<T: Item> Route<T> for Gap {
    fn in_leaf(&mut self, _: &[T]) -> Result<usize, usize> {
        Err(self.0)
    }

    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize> {
        Err(skip(entries, &mut self.0, |entry| entry.sum.count))
    }
}

impl<T: Item> Route<T> for Offset {
    fn in_leaf(&mut self, items: &[T]) -> Result<usize, usize> {
        for (place, item) in items.iter().enumerate() {
            let weight = sum_of(item).weight();
            if self.0 < weight {
                return Ok(place);
            }
            self.0 -= weight;
        }
        Err(items.len())
    }

    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize> {
        let place = skip(entries, &mut self.0, |entry| entry.sum.weight());
        let below = entries[place].child_sum().weight();
        if self.0 < below || entries[place].item.is_none() {
            return Err(place);
        }
        self.0 -= below;
        Ok(place)
    }
}

/// The entry within which an offset lies, or the last one. The offset becomes the one within the entry.
fn skip<T: Item>(entries: &[Entry<T>], offset: &mut usize, size: impl Fn(&Entry<T>) -> usize) -> usize {
    for (place, entry) in entries.iter().enumerate() {
        let size = size(entry);
        if *offset < size || place + 1 == entries.len() {
            return place;
        }
        *offset -= size;
    }
    0
}

impl<T: Item> Route<T> for First {
    fn in_leaf(&mut self, _: &[T]) -> Result<usize, usize> {
        Ok(0)
    }

    fn in_inner(&mut self, _: &[Entry<T>]) -> Result<usize, usize> {
        Err(0)
    }

    fn is_edge(&self) -> bool {
        true
    }
}

impl<T: Item> Route<T> for Last {
    fn in_leaf(&mut self, items: &[T]) -> Result<usize, usize> {
        Ok(items.len() - 1)
    }

    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize> {
        Err(entries.len() - 1)
    }

    fn is_edge(&self) -> bool {
        true
    }
}

impl<T: Item> Route<T> for Front {
    fn in_leaf(&mut self, _: &[T]) -> Result<usize, usize> {
        Err(0)
    }

    fn in_inner(&mut self, _: &[Entry<T>]) -> Result<usize, usize> {
        Err(0)
    }

    fn is_edge(&self) -> bool {
        true
    }
}

impl<T: Item> Route<T> for Back {
    fn in_leaf(&mut self, items: &[T]) -> Result<usize, usize> {
        Err(items.len())
    }

    fn in_inner(&mut self, entries: &[Entry<T>]) -> Result<usize, usize> {
        Err(entries.len() - 1)
    }

    fn is_edge(&self) -> bool {
        true
    }
}

/// The places on the way from the root to an item, or to where it would be. Good until the tree changes.
pub struct Path {
    places: ArrayVec<u8, HEIGHT_MAX>,
    pub found: bool,
    /// Whether it ends at a leaf that can take an item in without other changes to nodes than that of the sums.
    pub simply_inserts: bool,
    /// Whether it ends at a leaf that can give an item up without other changes to nodes than that of the sums.
    pub simply_removes: bool,
}

/// No tree is as high: inner nodes have ten children or more, but for the first and last ones and where items are huge.
const HEIGHT_MAX: usize = 24;

impl Path {
    /// Goes down to the end of the route.
    #[inline]
    pub fn of<T: Item>(mut node: &Node<T>, route: &mut impl Route<T>) -> Path {
        let mut path = Path { places: ArrayVec::new(), found: false, simply_inserts: false, simply_removes: false };
        let mut owned = true;
        let mut is_end = false;
        loop {
            owned &= !node.is_shared();
            let found = match node.view() {
                View::Leaf(leaf) => {
                    path.simply_inserts = owned && leaf.has_room() && !node.is_full();
                    path.simply_removes = owned && leaf.keeps_room() && node.len() > node.least(is_end);
                    route.in_leaf(leaf)
                }
                View::Inner(entries) => route.in_inner(entries),
            };
            let (Ok(place) | Err(place)) = found;
            path.places.push(place as u8);
            path.found = found.is_ok();
            match node.view() {
                View::Inner(entries) if found.is_err() => {
                    is_end = place == 0 || place + 1 == entries.len();
                    node = match route.is_edge() {
                        true => &entries[place].child,
                        false => node.descend(&entries[place]),
                    };
                }
                _ => return path,
            }
        }
    }

    /// The steps from the root on.
    #[inline]
    pub fn steps(&self) -> &[u8] {
        &self.places
    }
}
