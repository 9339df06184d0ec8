//! Memory that was thrown away and is freed in slices: no deletion, however large, holds the loop.

use std::collections::VecDeque;

use crate::collections::table::Reclaim;

use super::record::{Record, VolatileReference};

enum Garbage {
    Volatile(Reclaim<VolatileReference>),
    Records(Reclaim<Record>),
}

/// What waits to be freed.
#[derive(Default)]
pub struct ReclaimQueue {
    queue: VecDeque<Garbage>,
    freed: u64,
}

impl ReclaimQueue {
    /// Adds the parts of an emptied database. The index goes first: it refers to the records.
    pub fn add(&mut self, records: Reclaim<Record>, volatile: Reclaim<VolatileReference>) {
        self.queue.push_back(Garbage::Volatile(volatile));
        self.queue.push_back(Garbage::Records(records));
    }

    /// Frees about so many elements; tells whether there is more.
    pub fn step(&mut self, elements: usize) -> bool {
        let Some(front) = self.queue.front_mut() else {
            return false;
        };
        let before = pending(front);
        let more = match front {
            Garbage::Volatile(reclaim) => reclaim.step(elements),
            Garbage::Records(reclaim) => reclaim.step(elements),
        };
        if let Garbage::Records(_) = front {
            self.freed += before.saturating_sub(pending(front)) as u64;
        }
        if !more {
            self.queue.pop_front();
        }
        !self.queue.is_empty()
    }

    /// Number of records that wait.
    pub fn pending(&self) -> usize {
        self.queue.iter().filter(|item| matches!(item, Garbage::Records(_))).map(pending).sum()
    }

    /// Number of records freed since the start.
    pub fn freed(&self) -> u64 {
        self.freed
    }
}

fn pending(garbage: &Garbage) -> usize {
    match garbage {
        Garbage::Volatile(reclaim) => reclaim.len(),
        Garbage::Records(reclaim) => reclaim.len(),
    }
}
