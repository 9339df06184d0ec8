//! Owns trees that are given up, to be freed in slices. Never frees more than about a leaf beyond what a step allows,
//! unless it is dropped.

use super::memory::{Node, Parts};
use super::{Item, Ordered};
use std::mem;

/// What a tree held before it was emptied.
pub struct LazyFree<T: Item> {
    /// What is left. At most a node's children at each level.
    nodes: Vec<Node<T>>,
}

impl<T: Item> LazyFree<T> {
    /// Frees about `max_items` items, and the nodes that held them; nodes with other owners are just let go of. Says
    /// whether there are more.
    pub fn step(&mut self, max_items: usize) -> bool {
        let mut freed = 0;
        while freed < max_items {
            let Some(node) = self.nodes.pop() else {
                return false;
            };
            freed += 1;
            if node.is_shared() {
                continue;
            }
            match node.into_parts() {
                Parts::Leaf(leaf) => freed += leaf.len(),
                Parts::Inner(inner) => {
                    freed += inner.len();
                    let children = inner.iter().map(|entry| entry.child.clone());
                    self.nodes.extend(children);
                }
            }
        }
        !self.nodes.is_empty()
    }
}

impl<T: Item> Ordered<T> {
    /// Empties the tree. O(1); the items are freed by the steps, or the drop, of what it gives.
    pub fn take(&mut self) -> LazyFree<T> {
        let taken = mem::take(self);
        LazyFree { nodes: taken.root.into_iter().collect() }
    }
}
