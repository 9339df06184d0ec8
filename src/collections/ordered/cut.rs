//! Owns cutting trees in two and joining them. Never looks at nodes that lie within one part: the costs are those of
//! the paths along the cuts.

use super::inner::Edges;
use super::item::{Item, SumOf, sum_of};
use super::memory::{Edit, Entry, Inner, Leaf, Node, Parts};
use super::route::{Gap, Route};
use super::{Ordered, range};
use std::mem;
use std::ops::RangeBounds;

/// Ranges up to this length are removed item by item.
const FEW: usize = 4;

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// Joins a lower node, with the sum of its items, to a side of a node. If that had to be split, the item and the node
/// that are returned belong behind it.
fn attach<T: Item>(node: &mut Node<T>, side: Side, item: T, lower: Node<T>, sum: SumOf<T>) -> Option<(T, Node<T>)> {
    let adjacent = lower.height() + 1 == node.height();
    let Edit::Inner(inner) = node.edit() else {
        unreachable!("a leaf is not higher than another node");
    };
    match side {
        Side::Left if adjacent => inner.push_left(lower, sum, item),
        Side::Right if adjacent => inner.push_right(item, lower, sum),
        _ => {
            let place = side.place(inner.len());
            let added = sum.plus(sum_of(&item));
            let split = inner.change_child(place, |child| attach(child, side, item, lower, sum));
            inner[place].sum = inner[place].sum.plus(added);
            if let Some((item, right)) = split {
                inner.insert_behind(place, item, right);
            }
        }
    }
    let place = side.place(node.len());
    node.is_overfull().then(|| node.split(Edges::ROOT, place))
}

impl Side {
    fn place(self, len: usize) -> usize {
        match self {
            Side::Left => 0,
            Side::Right => len - 1,
        }
    }
}

impl<T: Item> Inner<T> {
    /// Puts a child and an item in before all children.
    fn push_left(&mut self, child: Node<T>, sum: SumOf<T>, item: T) {
        self.set_extra(self.extra() + child.bytes());
        let sum = sum.plus(sum_of(&item));
        let item = Some(item);
        self.insert(0, Entry { child, sum, item });
        self.mend(0);
    }

    /// Puts an item and a child in behind all children.
    fn push_right(&mut self, item: T, child: Node<T>, sum: SumOf<T>) {
        self.set_extra(self.extra() + child.bytes());
        let last = self.len() - 1;
        self[last].sum = self[last].sum.plus(sum_of(&item));
        self[last].item = Some(item);
        let item = None;
        self.push(Entry { child, sum, item });
        self.mend(last + 1);
    }
}

/// Cuts a tree at a gap.
fn split<T: Item>(node: Node<T>, gap: &mut Gap) -> (Ordered<T>, Ordered<T>) {
    match node.into_parts() {
        Parts::Leaf(mut leaf) => {
            let (Ok(place) | Err(place)) = gap.in_leaf(&leaf);
            let right = leaf.split_off(place);
            (Ordered::of(leaf.into()), Ordered::of(right.into()))
        }
        Parts::Inner(mut inner) => {
            let (Ok(place) | Err(place)) = gap.in_inner(&inner);
            let entries_right = inner.split_off(place + 1);
            let Some(entry) = inner.pop() else {
                unreachable!("the place is that of an entry");
            };
            let (mut left, mut right) = split(entry.child, gap);
            if let Some(last) = inner.last_mut() {
                last.sum = last.child_sum();
                if let Some(item) = last.item.take() {
                    left = Ordered::of(inner.into_node()).joined(item, left);
                }
            }
            if let Some(item) = entry.item {
                right = right.joined(item, Ordered::of(entries_right.into_node()));
            }
            (left, right)
        }
    }
}

impl<T: Item> Ordered<T> {
    /// The tree below a node. O(node).
    fn of(node: Node<T>) -> Ordered<T> {
        let root = node.shrunk();
        Ordered { sum: root.as_ref().map(Node::sum).unwrap_or_default(), root }
    }

    /// This tree, an item, and another tree. O(difference in height).
    fn joined(mut self, item: T, mut right: Ordered<T>) -> Ordered<T> {
        let sum = self.sum.plus(sum_of(&item)).plus(right.sum);
        let root = match (self.root.take(), right.root.take()) {
            (left_root, None) => {
                self.root = left_root;
                self.push_back(item);
                return self;
            }
            (None, right_root) => {
                right.root = right_root;
                right.push_front(item);
                return right;
            }
            (Some(mut left), Some(lower)) if left.height() > lower.height() => {
                let split = attach(&mut left, Side::Right, item, lower, right.sum);
                Some(left.grown(split))
            }
            (Some(lower), Some(mut right)) if lower.height() < right.height() => {
                let split = attach(&mut right, Side::Left, item, lower, self.sum);
                Some(right.grown(split))
            }
            (Some(left), Some(right)) => Node::join_equals(left, item, right).mended(),
        };
        Ordered { root, sum }
    }

    /// Cuts off the items from `index` on. O(log n). Panics when the index is greater than the length.
    pub fn split_off(&mut self, index: usize) -> Ordered<T> {
        assert!(index <= self.len());
        if index == 0 {
            return mem::take(self);
        }
        match self.root.take() {
            Some(root) if index < self.len() => {
                let (left, right) = split(root, &mut Gap(index));
                *self = left;
                right
            }
            root => {
                self.root = root;
                Ordered::new()
            }
        }
    }

    /// Puts all items of another tree behind these. O(log n).
    pub fn append(&mut self, mut tail: Ordered<T>) {
        if let Some(item) = tail.pop_front() {
            *self = mem::take(self).joined(item, tail);
        }
    }

    /// Cuts out the items with these indices; to free them in slices, `take` the result. What lies beyond the length is
    /// left out. O(log n).
    pub fn remove_range(&mut self, indices: impl RangeBounds<usize>) -> Ordered<T> {
        let indices = range::within(indices, self.len());
        if indices.len() <= FEW {
            let mut removed = Ordered::new();
            for item in indices.clone().filter_map(|_| self.remove_at(indices.start)) {
                removed.push_back(item);
            }
            return removed;
        }
        let tail = self.split_off(indices.end);
        let removed = self.split_off(indices.start);
        self.append(tail);
        removed
    }

    /// A tree of items that come in their order, with full nodes. O(n).
    pub fn from_sorted(items: impl IntoIterator<Item = T>) -> Ordered<T> {
        let mut tree = Ordered::new();
        let mut items = items.into_iter();
        let mut between = None;
        loop {
            let mut leaf = Leaf::new(Node::<T>::LEAF_MAX, 0, ());
            while leaf.len() < Node::<T>::LEAF_MAX
                && let Some(item) = items.next()
            {
                leaf.push(item);
            }
            leaf.shrink_to_fit();
            let leaf = Ordered::of(Node::from(leaf));
            tree = match between {
                Some(item) => tree.joined(item, leaf),
                None => leaf,
            };
            between = items.next();
            if between.is_none() {
                return tree;
            }
        }
    }
}

impl<T: Item> Node<T> {
    /// The root above this node and what it was split into, if it was.
    fn grown(self, split: Option<(T, Node<T>)>) -> Node<T> {
        match split {
            Some((item, right)) => Node::join_equals(self, item, right),
            None => self,
        }
    }

    /// This root of two nodes, or what they make up if one is too small to stay.
    fn mended(mut self) -> Option<Node<T>> {
        if let Edit::Inner(inner) = self.edit() {
            inner.mend(0);
            inner.mend(inner.len() - 1);
        }
        self.shrunk()
    }
}
