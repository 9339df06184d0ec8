//! Memory that was thrown away and is freed in slices: no deletion, however large, holds the loop.

use std::collections::VecDeque;

use crate::collections::ordered;
use crate::collections::table::LazyFree;
use crate::types::hash::FieldExpiry;

use super::record::{Record, VolatileRemains};

enum LazyFreeItem {
    FieldsDue(ordered::LazyFree<FieldExpiry>),
    Volatile(VolatileRemains),
    Records { lazy_free: LazyFree<Record>, left: usize },
}

/// What waits to be freed.
#[derive(Default)]
pub struct LazyFreeQueue {
    queue: VecDeque<LazyFreeItem>,
    pending: usize,
    freed: u64,
}

impl LazyFreeQueue {
    /// Adds the parts of an emptied database of so many keys. The index goes first: it refers to
    /// the records.
    pub fn add(&mut self, records: LazyFree<Record>, volatile: VolatileRemains, keys: usize) {
        self.pending += keys;
        self.queue.push_back(LazyFreeItem::Volatile(volatile));
        self.queue.push_back(LazyFreeItem::Records { lazy_free: records, left: keys });
    }

    /// Adds the index of the hashes of an emptied database whose fields expire.
    pub fn add_fields_due(&mut self, fields_due: ordered::LazyFree<FieldExpiry>) {
        self.queue.push_back(LazyFreeItem::FieldsDue(fields_due));
    }

    /// Frees about so many elements; tells whether there is more.
    pub fn step(&mut self, elements: usize) -> bool {
        let Some(front) = self.queue.front_mut() else {
            return false;
        };
        let more = match front {
            LazyFreeItem::Volatile(remains) => remains.step(elements),
            LazyFreeItem::FieldsDue(lazy_free) => lazy_free.step(elements),
            LazyFreeItem::Records { lazy_free, left } => {
                let more = lazy_free.step(elements);
                let freed = if more { elements.min(*left) } else { *left };
                *left -= freed;
                self.pending -= freed;
                self.freed += freed as u64;
                more
            }
        };
        if !more {
            self.queue.pop_front();
        }
        !self.queue.is_empty()
    }

    /// Counts what was freed elsewhere.
    pub fn count_freed(&mut self, freed: u64) {
        self.freed += freed;
    }

    /// Number of records that wait.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Number of records, and of what was counted besides, freed since the start, or the last reset.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Counts the freed ones from zero again.
    pub fn reset_freed(&mut self) {
        self.freed = 0;
    }
}
