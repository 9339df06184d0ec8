//! Owns what a table by slot knows of a slot: how many entries it has, which ones, and a pinned version of it. Never
//! looks at segments that have none of them.
//!
//! A slot is a range of positions, but its borders fall inside segments. There the entries are asked for their slot.

use std::ops::RangeInclusive;

use super::slot_counts::SlotCounts;
use super::walk::{Cursor, first_of, last_of, shares_of};
use super::{Entry, Pinned, Table};
use crate::collections::bend::spread;
use crate::collections::key_hash::{KeyHasher, hashes_of};
use crate::collections::key_slot::key_slot;

/// The positions that entries of a slot can have.
fn positions_of(slot: u16) -> RangeInclusive<u64> {
    let hashes = hashes_of(slot);
    spread(*hashes.start())..=spread(*hashes.end())
}

/// Whether all positions of the segment of that depth around `position` are those of one slot.
fn is_within(positions: &RangeInclusive<u64>, position: u64, depth: u32) -> bool {
    // A border may be the position of two slots.
    first_of(position, depth) > *positions.start() && last_of(position, depth) < *positions.end()
}

impl<E: Entry> Table<E> {
    /// An empty table of keys, without memory of its own.
    pub fn of_keys(hasher: &KeyHasher) -> Table<E> {
        const { assert!(E::ARE_KEYS) };
        let mut table = Table::new(hasher.seed().clone());
        table.slots = hasher.is_by_slot().then(|| Box::new(SlotCounts::new()));
        table
    }

    /// The counts of a table by slot. The first condition is known when the program is built.
    #[inline(always)]
    pub(super) fn slots(&self) -> Option<&SlotCounts> {
        if E::ARE_KEYS { self.slots.as_deref() } else { None }
    }

    #[inline(always)]
    pub(super) fn slots_mut(&mut self) -> Option<&mut SlotCounts> {
        if E::ARE_KEYS { self.slots.as_deref_mut() } else { None }
    }

    /// How many entries a slot has; none if the table is not by slot. O(1).
    pub fn count_in_slot(&self, slot: u16) -> usize {
        self.slots().map_or(0, |slots| slots.of(slot))
    }

    /// Some entries of a slot, in the order of the table: as many as there are, but no more than `limit`. O(limit), and
    /// the entries of two segments.
    pub fn first_of_slot(&self, slot: u16, limit: usize) -> Vec<&E> {
        let wanted = limit.min(self.count_in_slot(slot));
        let mut found = Vec::with_capacity(wanted);
        let positions = positions_of(slot);
        let mut position = *positions.start();
        while found.len() < wanted
            && let Some((segment, depth)) = self.directory.locate(position)
        {
            let missing = wanted - found.len();
            if is_within(&positions, position, depth) {
                found.extend(segment.iter().take(missing));
            } else {
                segment.prefetch_entries();
                found.extend(segment.iter().filter(|entry| key_slot(entry.key()) == slot).take(missing));
            }
            match last_of(position, depth).checked_add(1) {
                Some(next) if next <= *positions.end() => position = next,
                _ => break,
            }
        }
        found
    }

    /// As [`Table::scan`], for the entries of one slot alone: a walk begins with 0, shows at least the entries that are
    /// there throughout, and is over when 0 comes back. A cursor that leads elsewhere ends the walk or begins it anew.
    /// O(1).
    pub fn scan_slot<'a>(&'a self, slot: u16, cursor: u64, mut visit: impl FnMut(&'a E)) -> u64 {
        let positions = positions_of(slot);
        let start = Cursor { position: *positions.start(), depth: 0, point: 0 };
        let cursor = if cursor == 0 { Some(start) } else { Cursor::unpack(cursor) };
        let mut step = cursor.and_then(|cursor| self.step_from(cursor));
        if step.as_ref().is_some_and(|step| last_of(step.position, step.depth) < *positions.start()) {
            step = self.step_from(start);
        }
        let Some(step) = step.filter(|step| step.position <= *positions.end()) else {
            return 0;
        };
        let shows_all = is_within(&positions, step.position, step.depth);
        step.segment.visit_home(step.bucket, |entry| {
            if shows_all || key_slot(entry.key()) == slot {
                visit(entry);
            }
        });
        match step.next() {
            Some(next) if next.position <= *positions.end() => next.pack(),
            _ => 0,
        }
    }

    /// Holds on to the entries of a slot as they are now. Only the blocks that they are in are copied when they change,
    /// once. O(nodes with the slot).
    pub fn pin_slot(&self, slot: u16) -> Pinned<E> {
        let segments = self.directory.share(&positions_of(slot));
        Pinned::of_slot(segments, self.count_in_slot(slot), slot)
    }

    /// How many entries are to be expected in the segment of that depth around a position.
    pub(super) fn expected_in(&self, position: u64, depth: u32) -> f64 {
        let (start, end) = shares_of(position, depth);
        match self.slots() {
            Some(slots) => slots.expected_below(end) - slots.expected_below(start),
            None => self.len() as f64 * (end - start),
        }
    }
}
