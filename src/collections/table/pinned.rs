//! Owns versions of a table that are out of its hands: pinned for a walk, or given up to be freed. Never frees more
//! than one segment at a time unless it is dropped.

use super::directory::{Consume, Directory};
use super::{Entry, Table};
use crate::collections::key_slot::key_slot;

/// A table as it was when it was pinned. Later changes to the table copy what they touch, once.
pub struct Pinned<E: Entry> {
    segments: Consume<E>,
    len: usize,
    /// The slot, where the version holds one slot only: other entries of the same segments are left out.
    slot: Option<u16>,
}

/// What a table held before it was emptied, to be freed in slices.
pub struct LazyFree<E: Entry> {
    segments: Consume<E>,
}

/// Lets go of segments until `max_entries` entries are gone or all are. Says whether there are more.
fn release<E: Entry>(segments: &mut Consume<E>, max_entries: usize) -> bool {
    let mut released = 0;
    while released < max_entries {
        match segments.next() {
            Some(segment) => released += 1 + segment.count(),
            None => return false,
        }
    }
    true
}

impl<E: Entry> Pinned<E> {
    /// The version of a slot: so many entries, in these segments.
    pub(super) fn of_slot(segments: Consume<E>, len: usize, slot: u16) -> Pinned<E> {
        Pinned { segments, len, slot: Some(slot) }
    }

    /// How many entries the version had when it was pinned.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the version had no entries when it was pinned.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shows the entries of the next segment in the order of the hash and lets go of it. Says whether there was one.
    /// O(1), at most 448 entries.
    pub fn next_segment(&mut self, visit: impl FnMut(&E)) -> bool {
        match self.segments.next() {
            Some(segment) => {
                segment.prefetch_entries();
                match self.slot {
                    None => segment.iter().for_each(visit),
                    Some(slot) => segment.iter().filter(|entry| key_slot(entry.key()) == slot).for_each(visit),
                }
                true
            }
            None => false,
        }
    }

    /// Lets go of the rest in slices of about `max_entries` entries. Says whether there is more.
    pub fn release_step(&mut self, max_entries: usize) -> bool {
        release(&mut self.segments, max_entries)
    }
}

impl<E: Entry> LazyFree<E> {
    /// Frees about `max_entries` entries. Says whether there are more.
    pub fn step(&mut self, max_entries: usize) -> bool {
        release(&mut self.segments, max_entries)
    }
}

impl<E: Entry> Table<E> {
    /// Holds on to the table as it is now. O(1).
    pub fn pin(&self) -> Pinned<E> {
        Pinned { segments: self.directory.fork().consume(), len: self.len, slot: None }
    }

    /// A second table with the same entries, which can be changed apart from the first. O(1); later changes to either
    /// copy what they touch, once.
    pub fn fork(&self) -> Table<E> {
        Table {
            directory: self.directory.fork(),
            len: self.len,
            shrink_position: 0,
            expected: 0,
            seed: self.seed.clone(),
            slots: self.slots.clone(),
        }
    }

    /// Empties the table. O(1); the entries are freed by the steps or the drop of what it gives.
    pub fn take(&mut self) -> LazyFree<E> {
        self.len = 0;
        self.shrink_position = 0;
        if let Some(slots) = self.slots_mut() {
            slots.clear();
        }
        let mut directory = std::mem::replace(&mut self.directory, Directory::new());
        LazyFree { segments: directory.consume() }
    }
}
