//! Owns what a tree asks of its items, and what one weighs. Never knows a node.

use super::sum::{Sum, Weighing};

/// What a tree holds. A clone should be cheap, as a counted reference is: a write to a node with other owners clones up
/// to 127 items (63 if they take 16 bytes). Alignment at most 8, size best at most 64 bytes.
pub trait Item: Clone {
    /// How weights are summed up: [`super::Single`] if all are 1, else [`super::Weighted`].
    type Weight: Weighing;

    /// The weight, for [`super::Weighted`] items. It may change by `update` only. It should be at hand in the item
    /// itself, since all items of a leaf are weighed to find an offset.
    fn weight(&self) -> usize {
        1
    }
}

/// The count and the weight of some items.
pub type SumOf<T> = Sum<<T as Item>::Weight>;

/// The count and the weight of one item.
#[inline]
pub fn sum_of<T: Item>(item: &T) -> SumOf<T> {
    Sum::one(|| item.weight())
}
