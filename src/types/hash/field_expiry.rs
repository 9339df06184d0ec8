//! Owns the index of the fields of a large hash that expire, in the order of their times. Never knows their names: a
//! field is known by the hash of its name.

use std::cmp::Ordering;

use crate::collections::ordered::{Item, LazyFree, Ordered, Single};

/// A field that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldExpiry {
    /// When, in ms since the epoch.
    pub time_ms: i64,
    /// The hash of the field's name.
    pub hash: u64,
}

impl Item for FieldExpiry {
    type Weight = Single;
}

/// The fields that expire. Copy-on-write.
#[derive(Default)]
pub struct DueFields {
    order: Ordered<FieldExpiry>,
}

impl DueFields {
    /// How many fields expire. O(1).
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none does. O(1).
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The one that expires first. O(log n).
    #[inline]
    pub fn first(&self) -> Option<FieldExpiry> {
        self.order.first().copied()
    }

    /// How many expire before a time. O(log n).
    pub fn count_before(&self, time_ms: i64) -> usize {
        self.order.lower_bound(|due| due.time_ms.cmp(&time_ms).then(Ordering::Greater))
    }

    /// Notes that a field expires. O(log n).
    pub fn insert(&mut self, due: FieldExpiry) {
        self.order.insert(due, Ord::cmp);
    }

    /// Forgets a field. O(log n).
    pub fn remove(&mut self, due: FieldExpiry) {
        self.order.remove(|other| other.cmp(&due));
    }

    /// Another index of the same fields, to be changed apart from this one. O(1).
    pub fn fork(&self) -> DueFields {
        DueFields { order: self.order.fork() }
    }

    /// Bytes that it takes. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.order.memory_bytes()
    }

    /// Empties it. O(1); the memory is freed by the steps of what it gives.
    pub fn take(&mut self) -> LazyFree<FieldExpiry> {
        self.order.take()
    }
}
