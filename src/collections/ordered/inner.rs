//! Owns splitting and merging nodes. Never looks for an item.

use super::item::{Item, SumOf, sum_of};
use super::memory::{Edit, Entry, Inner, Leaf, Node, Parts, View};
use std::mem;

/// Leaves have about this many bytes. More would make inserts and copies dearer, fewer the tree deeper.
const LEAF_BYTES: usize = 1024;

/// Inner nodes have about this many bytes.
const INNER_BYTES: usize = 2048;

/// Whether a node lies at an end of the tree, at the left, at the right, or both.
#[derive(Clone, Copy)]
pub struct Edges {
    pub left: bool,
    pub right: bool,
}

impl Edges {
    /// The root lies at both.
    pub const ROOT: Edges = Edges { left: true, right: true };

    /// Those of a child.
    pub fn of_child(self, place: usize, children: usize) -> Edges {
        Edges { left: self.left && place == 0, right: self.right && place + 1 == children }
    }
}

const fn clamp(value: usize, least: usize, most: usize) -> usize {
    match value {
        value if value < least => least,
        value if value > most => most,
        value => value,
    }
}

impl<T: Item> Node<T> {
    /// The most items of a leaf. One more must fit into the block, for a moment.
    pub const LEAF_MAX: usize = clamp(LEAF_BYTES / size_of::<T>(), 5, 128) - 1;

    /// The most children of an inner node.
    pub const INNER_MAX: usize = clamp(INNER_BYTES / size_of::<Entry<T>>(), 5, 64) - 1;

    /// A child of this node, which is going to be searched.
    #[inline]
    pub fn descend<'a>(&'a self, entry: &'a Entry<T>) -> &'a Node<T> {
        entry.child.prefetch(self.height() - 1);
        &entry.child
    }

    fn most(&self) -> usize {
        match self.height() {
            0 => Self::LEAF_MAX,
            _ => Self::INNER_MAX,
        }
    }

    /// Smaller nodes are merged with a neighbour. The limit is a third of the most, not a half, so that no change
    /// undoes the one before; leaves give up room that they do not need. The first and the last child of a node may be
    /// smaller: where items are taken from an end of the tree, a node will soon be gone.
    pub fn least(&self, is_end: bool) -> usize {
        match self.height() {
            0 if is_end => 1,
            0 => (Self::LEAF_MAX / 3).max(1),
            _ if is_end => 2,
            _ => (Self::INNER_MAX / 3).max(2),
        }
    }

    /// Whether one more would make the node overfull.
    pub fn is_full(&self) -> bool {
        self.len() >= self.most()
    }

    /// Whether the node must be split.
    pub fn is_overfull(&self) -> bool {
        self.len() > self.most()
    }

    /// The sum of all items below. O(node).
    pub fn sum(&self) -> SumOf<T> {
        match self.view() {
            View::Leaf(items) => items.iter().map(sum_of).fold(SumOf::<T>::default(), SumOf::<T>::plus),
            View::Inner(entries) => entries.iter().map(|entry| entry.sum).fold(SumOf::<T>::default(), SumOf::<T>::plus),
        }
    }

    /// What is left of a root: none if it is empty, its child if that is the only one.
    pub fn shrunk(mut self) -> Option<Node<T>> {
        loop {
            match (self.len(), self.view()) {
                (0, _) => return None,
                (1, View::Inner(entries)) => self = entries[0].child.clone(),
                _ => return Some(self),
            }
        }
    }

    /// A root above two nodes of the same height.
    pub fn join_equals(left: Node<T>, item: T, right: Node<T>) -> Node<T> {
        debug_assert_eq!(left.height(), right.height());
        let below = left.bytes() + right.bytes();
        let mut inner = Inner::new(2, left.height() + 1, below);
        inner.push(Entry { sum: left.sum().plus(sum_of(&item)), child: left, item: Some(item) });
        inner.push(Entry { sum: right.sum(), child: right, item: None });
        Node::from(inner)
    }

    /// Cuts an overfull node in two with an item between. At an end of the tree, where items are likely to be added in
    /// order, the other part stays full.
    pub fn split(&mut self, edges: Edges, place: usize) -> (T, Node<T>) {
        let last = self.len() - 1;
        let cut = |least: usize| match edges {
            Edges { right: true, .. } if place == last => last - least,
            Edges { left: true, .. } if place == 0 => least,
            _ => last / 2,
        };
        let fits = edges.left || edges.right;
        match self.edit() {
            Edit::Leaf(leaf) => {
                let (item, mut right) = split_leaf(leaf, cut(1));
                if fits {
                    leaf.shrink_to_fit();
                    right.shrink_to_fit();
                }
                (item, Node::from(right))
            }
            Edit::Inner(inner) => {
                let (item, mut right) = split_inner(inner, cut(2));
                if fits {
                    inner.shrink_to_fit();
                    right.shrink_to_fit();
                }
                (item, Node::from(right))
            }
        }
    }
}

/// Cuts a leaf around the item at `at`.
fn split_leaf<T: Item>(leaf: &mut Leaf<T>, at: usize) -> (T, Leaf<T>) {
    let right = leaf.split_off(at + 1);
    (leaf.remove(at), right)
}

/// Cuts an inner node before the child at `at`.
fn split_inner<T: Item>(inner: &mut Inner<T>, at: usize) -> (T, Inner<T>) {
    let mut right = inner.split_off(at);
    right.set_extra(bytes_of(&right));
    inner.set_extra(inner.extra() - right.extra());
    let last = &mut inner[at - 1];
    last.sum = last.child_sum();
    match last.item.take() {
        Some(item) => (item, right),
        None => unreachable!("an item parts every two children"),
    }
}

fn bytes_of<T: Item>(entries: &[Entry<T>]) -> usize {
    entries.iter().map(|entry| entry.child.bytes()).sum()
}

impl<T: Item> Inner<T> {
    /// An inner node of these entries, of which there is at least one; a child alone needs none. The last entry must
    /// have no item.
    pub fn into_node(mut self) -> Node<T> {
        if self.len() > 1 {
            self.set_extra(bytes_of(&self));
            return Node::from(self);
        }
        match self.pop() {
            Some(entry) => entry.child,
            None => unreachable!("an inner node has children"),
        }
    }

    /// Lets a child be changed, and counts its bytes anew.
    #[inline]
    pub fn change_child<R>(&mut self, place: usize, change: impl FnOnce(&mut Node<T>) -> R) -> R {
        self.make_unique();
        let child = &mut self[place].child;
        let before = child.bytes();
        let result = change(child);
        let after = child.bytes();
        if before != after {
            self.set_extra(self.extra() + after - before);
        }
        result
    }

    /// Puts an item and a new child in behind the child at `place`. The items of both must have been the child's, or
    /// new: the entry's sum must count them.
    pub fn insert_behind(&mut self, place: usize, item: T, right: Node<T>) {
        self.set_extra(self.extra() + right.bytes());
        let entry = &mut self[place];
        let right_sum = right.sum();
        let item_behind = entry.item.take();
        let behind = item_behind.as_ref().map(sum_of).unwrap_or_default();
        entry.sum = entry.sum.minus(right_sum).minus(behind);
        entry.item = Some(item);
        let new = Entry { child: right, sum: right_sum.plus(behind), item: item_behind };
        self.insert(place + 1, new);
    }

    /// Merges the child at `place` with a neighbour if it has become too small.
    pub fn mend(&mut self, place: usize) {
        let is_end = place == 0 || place + 1 == self.len();
        let child = &self[place].child;
        if self.len() < 2 || child.len() >= child.least(is_end) {
            return;
        }
        let left = place.min(self.len() - 2);
        let right = self.remove(left + 1);
        self.set_extra(self.extra() - right.child.bytes());
        let entry = &mut self[left];
        entry.sum = entry.sum.plus(right.sum);
        let Some(item) = mem::replace(&mut entry.item, right.item) else {
            unreachable!("an item parts every two children");
        };
        let split = self.change_child(left, |child| {
            child.append(item, right.child);
            let inside = Edges { left: false, right: false };
            child.is_overfull().then(|| child.split(inside, 0))
        });
        if let Some((item, right)) = split {
            self.insert_behind(left, item, right);
        }
    }
}

impl<T: Item> Node<T> {
    /// Appends an item and what is in a node of the same height.
    fn append(&mut self, item: T, right: Node<T>) {
        match (self.edit(), right.into_parts()) {
            (Edit::Leaf(leaf), Parts::Leaf(right)) => {
                leaf.push(item);
                leaf.append(right);
            }
            (Edit::Inner(inner), Parts::Inner(right)) => {
                inner.set_extra(inner.extra() + right.extra());
                let last = inner.len() - 1;
                inner[last].sum = inner[last].sum.plus(sum_of(&item));
                inner[last].item = Some(item);
                inner.append(right);
            }
            _ => unreachable!("all leaves have the same depth"),
        }
    }
}
