//! Owns changes to single items: first the way to the item is found, then the nodes on it are changed. Never touches
//! others, but for a neighbour to merge with.

use super::Ordered;
use super::inner::Edges;
use super::item::{Item, SumOf, sum_of};
use super::memory::{Edit, Leaf, Node};
use super::route::{At, Back, First, Front, Gap, Last, Path, Probe, Route};
use std::cmp::Ordering;
use std::mem;

/// The place at the end of a path that leads to a leaf. Shows the sums on the way.
#[inline]
fn place_in_leaf<'a, T: Item>(
    mut node: &'a mut Node<T>,
    path: &Path,
    mut change: impl FnMut(&mut SumOf<T>),
) -> (&'a mut Leaf<T>, usize) {
    for &step in path.steps() {
        let place = usize::from(step);
        match node.edit() {
            Edit::Leaf(leaf) => return (leaf, place),
            Edit::Inner(inner) => {
                let entry = &mut inner[place];
                change(&mut entry.sum);
                node = &mut entry.child;
            }
        }
    }
    unreachable!("the path leads to a leaf")
}

/// Puts an item in at the end of a path. If the node had to be split, the item and the node that are returned belong
/// behind it.
fn insert<T: Item>(node: &mut Node<T>, steps: &[u8], item: T, edges: Edges) -> Option<(T, Node<T>)> {
    let place = usize::from(steps[0]);
    let changed = match node.edit() {
        Edit::Leaf(leaf) => {
            leaf.insert(place, item);
            place
        }
        Edit::Inner(inner) => {
            let added = sum_of(&item);
            let edges = edges.of_child(place, inner.len());
            let below = |child: &mut Node<T>| insert(child, &steps[1..], item, edges);
            let split = inner.change_child(place, below);
            inner[place].sum = inner[place].sum.plus(added);
            let (item, right) = split?;
            let is_last = place + 1 == inner.len();
            inner.insert_behind(place, item, right);
            if is_last { place + 1 } else { place }
        }
    };
    node.is_overfull().then(|| node.split(edges, changed))
}

/// Takes out the item at the end of a path.
fn remove<T: Item>(node: &mut Node<T>, steps: &[u8]) -> T {
    let place = usize::from(steps[0]);
    match node.edit() {
        Edit::Leaf(leaf) => leaf.remove(place),
        Edit::Inner(inner) => {
            let removed = match &steps[1..] {
                [] => {
                    let before = inner.change_child(place, remove_last);
                    match inner[place].item.replace(before) {
                        Some(removed) => removed,
                        None => unreachable!("the path leads to an item"),
                    }
                }
                steps => inner.change_child(place, |child| remove(child, steps)),
            };
            inner[place].sum = inner[place].sum.minus(sum_of(&removed));
            inner.mend(place);
            removed
        }
    }
}

fn remove_last<T: Item>(node: &mut Node<T>) -> T {
    let path = Path::of(node, &mut Last);
    remove(node, path.steps())
}

/// Changes the item at the end of a path. Gives what the sum grows by, too.
fn update<T: Item, R>(node: &mut Node<T>, steps: &[u8], change: impl FnOnce(&mut T) -> R) -> (R, SumOf<T>) {
    let place = usize::from(steps[0]);
    match node.edit() {
        Edit::Leaf(leaf) => update_item(&mut leaf[place], change),
        Edit::Inner(inner) => {
            let (result, added) = match (&steps[1..], &mut inner[place].item) {
                ([], Some(item)) => update_item(item, change),
                (steps, _) => inner.change_child(place, |child| update(child, steps, change)),
            };
            inner[place].sum = inner[place].sum.plus(added);
            (result, added)
        }
    }
}

fn update_item<T: Item, R>(item: &mut T, change: impl FnOnce(&mut T) -> R) -> (R, SumOf<T>) {
    let before = sum_of(item);
    let result = change(item);
    (result, sum_of(item).minus(before))
}

impl<T: Item> Ordered<T> {
    /// The way to an item, if the route ends at one.
    #[inline]
    fn path_to(&self, route: &mut impl Route<T>) -> Option<Path> {
        let path = Path::of(self.root.as_ref()?, route);
        path.found.then_some(path)
    }

    fn insert_in(&mut self, mut gap: impl Route<T>, item: T) {
        let path = self.root.as_ref().map(|root| Path::of(root, &mut gap));
        self.insert_along(path, item);
    }

    /// Puts an item in. There is no path into an empty tree.
    fn insert_along(&mut self, path: Option<Path>, item: T) {
        self.sum = self.sum.plus(sum_of(&item));
        let (Some(root), Some(path)) = (&mut self.root, path) else {
            let mut leaf = Leaf::new(1, 0, ());
            leaf.push(item);
            self.root = Some(Node::from(leaf));
            return;
        };
        if path.simply_inserts {
            let added = sum_of(&item);
            let (leaf, place) = place_in_leaf(root, &path, |sum| *sum = sum.plus(added));
            leaf.insert(place, item);
            return;
        }
        if let Some((item, right)) = insert(root, path.steps(), item, Edges::ROOT) {
            let left = self.root.take();
            self.root = left.map(|left| Node::join_equals(left, item, right));
        }
    }

    fn remove_along(&mut self, path: &Path) -> Option<T> {
        let root = self.root.as_mut()?;
        if path.simply_removes {
            let (leaf, place) = place_in_leaf(root, path, |_| ());
            let removed = leaf.remove(place);
            let gone = sum_of(&removed);
            place_in_leaf(root, path, |sum| *sum = sum.minus(gone));
            self.sum = self.sum.minus(gone);
            return Some(removed);
        }
        let removed = remove(root, path.steps());
        self.sum = self.sum.minus(sum_of(&removed));
        self.root = self.root.take().and_then(Node::shrunk);
        Some(removed)
    }

    fn update_along<R>(&mut self, path: &Path, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let (result, added) = update(self.root.as_mut()?, path.steps(), change);
        self.sum = self.sum.plus(added);
        Some(result)
    }

    /// Puts an item in at its place in the order and gives the equal one whose place it took, if there was one.
    /// `compare` tells how an item of the tree compares with the new one. O(log n).
    pub fn insert(&mut self, item: T, compare: impl Fn(&T, &T) -> Ordering) -> Option<T> {
        let mut probe = Probe(|other: &T| compare(other, &item));
        let path = self.root.as_ref().map(|root| Path::of(root, &mut probe));
        match path {
            Some(path) if path.found => self.update_along(&path, |equal| mem::replace(equal, item)),
            path => {
                self.insert_along(path, item);
                None
            }
        }
    }

    /// Takes out the item for which `probe` says `Equal`. O(log n).
    pub fn remove(&mut self, probe: impl Fn(&T) -> Ordering) -> Option<T> {
        let path = self.path_to(&mut Probe(probe))?;
        self.remove_along(&path)
    }

    /// Changes the item for which `probe` says `Equal`, if there is one. The change must leave it in its place in the
    /// order; its weight may change. O(log n).
    pub fn update<R>(&mut self, probe: impl Fn(&T) -> Ordering, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let path = self.path_to(&mut Probe(probe))?;
        self.update_along(&path, change)
    }

    /// Changes the item with this index, if there is one, as `update` does. O(log n).
    pub fn update_at<R>(&mut self, index: usize, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let path = self.path_at(index)?;
        self.update_along(&path, change)
    }

    /// Puts an item in the place of the one with this index and gives that. Gives nothing, and drops the new one, if
    /// there is no such item. O(log n).
    pub fn replace_at(&mut self, index: usize, item: T) -> Option<T> {
        self.update_at(index, |old| mem::replace(old, item))
    }

    /// Puts an item in so that it has this index. O(log n). Panics when the index is greater than the length.
    pub fn insert_at(&mut self, index: usize, item: T) {
        assert!(index <= self.len());
        self.insert_in(Gap(index), item);
    }

    /// Takes out the item with this index. O(log n).
    pub fn remove_at(&mut self, index: usize) -> Option<T> {
        let path = self.path_at(index)?;
        self.remove_along(&path)
    }

    fn path_at(&self, index: usize) -> Option<Path> {
        if index >= self.len() {
            return None;
        }
        self.path_to(&mut At(index))
    }

    /// Puts an item in before all others. O(log n).
    pub fn push_front(&mut self, item: T) {
        self.insert_in(Front, item);
    }

    /// Puts an item in behind all others. O(log n).
    pub fn push_back(&mut self, item: T) {
        self.insert_in(Back, item);
    }

    /// Takes out the first item. O(log n).
    pub fn pop_front(&mut self) -> Option<T> {
        let path = self.path_to(&mut First)?;
        self.remove_along(&path)
    }

    /// Takes out the last item. O(log n).
    pub fn pop_back(&mut self) -> Option<T> {
        let path = self.path_to(&mut Last)?;
        self.remove_along(&path)
    }
}
