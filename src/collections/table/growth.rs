//! Owns how a table grows and shrinks: rebuilding, splitting and merging single segments. Never touches more than one
//! segment or a pair of them at a time.

use super::bucket::SLOTS;
use super::prefetch::prefetch;
use super::segment::{MAX_BUCKETS, Segment, sizes_for, smaller_size};
use super::segment_box::SegmentBox;
use super::slot_counts::share_of_even_slots;
use super::walk::shares_of;
use super::{Entry, Table};
use crate::collections::bend::spread;
use crate::collections::hash::HashSeed;
use crate::collections::key_hash::{hash_at, place_of, with_place};
use crate::collections::key_slot::reversed_slot;

/// How full, in percent, a smaller segment may be after shrinking: far below full, so that growth does not undo it.
const SHRINK_FILL_PERCENT: usize = 60;

/// Bytes per entry from which shrinking is worth while. Shrunk segments are below it.
const SPARSE_BYTES_PER_ENTRY: usize = 26;

/// What a table may take without counting as sparse, in bytes.
const SPARSE_BYTES_MIN: usize = 512;

/// Entries with their hashes; in a table by slot perhaps without the slots, which only a split needs to know.
type Hashed<E> = Vec<(u64, E)>;

fn fits_shrunk(entries: usize, buckets: usize) -> bool {
    entries * 100 <= buckets * SLOTS * SHRINK_FILL_PERCENT
}

impl<E: Entry> Table<E> {
    /// A table of entries with distinct keys, each with its hash as the seed makes it. O(n log n), but a fraction of n
    /// inserts: no segment is built twice.
    pub fn from_distinct(entries: Vec<(u64, E)>, seed: HashSeed) -> Table<E> {
        let mut table = Table::new(seed);
        table.len = entries.len();
        if !entries.is_empty() {
            table.settle(0, entries, 0);
        }
        table
    }

    /// Says that there will be so many entries: segments are made as large as they will have to be, once they have any
    /// entries at all, and need not be rebuilt as they fill. 0: nothing is known, as at first. It is a hint, and costs
    /// nothing by itself. O(1).
    pub fn presize(&mut self, entries: usize) {
        self.expected = entries;
    }

    /// How many entries will lie at a position, as far as that is known.
    fn expected_at(&self, position: u64) -> usize {
        match self.expected {
            0 => 0,
            expected => {
                let (start, end) = shares_of(position, self.directory.depth(position));
                let share = match self.slots() {
                    Some(_) => share_of_even_slots(end) - share_of_even_slots(start),
                    None => end - start,
                };
                (expected as f64 * share) as usize
            }
        }
    }

    /// Makes room where the segment of a position rejected an entry: a larger segment or two.
    #[cold]
    pub(super) fn make_room(&mut self, position: u64) {
        let Some(segment) = self.directory.take(position) else {
            return self.directory.put(position, SegmentBox::new(1));
        };
        let size = segment.size();
        let entries = self.unpack(segment);
        self.settle(position, entries, size);
    }

    /// Fills the hole at a position with a segment larger than `size_above` or, where none can hold the entries, with
    /// two.
    fn settle(&mut self, position: u64, mut entries: Hashed<E>, size_above: usize) {
        // An empty half of what was split gets its size when its first entries come: no step does more than a bounded
        // piece.
        let room_for = match entries.len() {
            0 => 0,
            present => present.max(self.expected_at(position)),
        };
        for size in sizes_for(room_for).filter(|&size| size > size_above) {
            match self.build(size, entries) {
                Ok(segment) => return self.directory.put(position, segment),
                Err(rejected) => entries = rejected,
            }
        }
        self.complete_hashes(&mut entries);
        let bit = self.directory.halve(position);
        let (upper, lower): (Hashed<E>, Hashed<E>) =
            entries.into_iter().partition(|(hash, _)| spread(*hash) & bit != 0);
        for (position, entries) in [(position & !bit, lower), (position | bit, upper)] {
            drop(self.directory.take(position));
            self.settle(position, entries, 0);
        }
    }

    fn build(&self, size: usize, mut entries: Hashed<E>) -> Result<SegmentBox<E>, Hashed<E>> {
        let mut segment = SegmentBox::new(size);
        while let Some((hash, entry)) = entries.pop() {
            if let Err(entry) = segment.insert(hash, entry) {
                entries.push((hash, entry));
                entries.extend(self.unpack(segment));
                return Err(entries);
            }
        }
        Ok(segment)
    }

    /// The entries of a segment with their hashes (without the slots): new references to them if the segment is shared.
    fn unpack(&self, mut segment: SegmentBox<E>) -> Hashed<E> {
        /// How far ahead of the hashing the keys are fetched.
        const AHEAD: usize = 16;
        let entries: Vec<E> = if segment.is_shared() {
            segment.prefetch_entries();
            segment.iter().cloned().collect()
        } else {
            segment.drain().collect()
        };
        entries.iter().take(AHEAD).for_each(|entry| prefetch(entry.address()));
        let is_by_slot = self.slots().is_some();
        let mut hashes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if let Some(later) = entries.get(index + AHEAD) {
                prefetch(later.address());
            }
            let hash = self.seed.hash(entry.key());
            hashes.push(if is_by_slot { hash_at(0, hash) } else { hash });
        }
        hashes.into_iter().zip(entries).collect()
    }

    /// Adds the slots to hashes that are without.
    fn complete_hashes(&self, entries: &mut Hashed<E>) {
        if self.slots().is_some() {
            for (hash, entry) in entries.iter_mut().filter(|(hash, _)| place_of(*hash) == 0) {
                *hash = with_place(*hash, reversed_slot(entry.key()));
            }
        }
    }

    /// Whether the table has much more memory than it needs, so that [`Table::shrink_step`] is worth while. O(1).
    pub fn needs_shrink(&self) -> bool {
        self.directory.bytes() > SPARSE_BYTES_MIN + self.len() * SPARSE_BYTES_PER_ENTRY
    }

    /// Shrinks and merges segments, walking on from where the last call stopped, until about `budget_entries` entries
    /// have been looked at or moved. Says whether there is more to do now. O(budget).
    pub fn shrink_step(&mut self, budget_entries: usize) -> bool {
        let mut spent = 0;
        while spent < budget_entries {
            if !self.needs_shrink() {
                return false;
            }
            let position = self.shrink_position;
            spent += 8 + self.shrink_at(position);
            let Some((_, depth)) = self.directory.locate(position) else {
                return false;
            };
            let width = u64::MAX >> depth;
            match (position | width).checked_add(1) {
                Some(next) => self.shrink_position = next,
                None => {
                    self.shrink_position = 0;
                    return false;
                }
            }
        }
        true
    }

    /// Merges the segment of a position with its buddies as long as that pays, then fits its size. Gives the entries
    /// moved.
    fn shrink_at(&mut self, position: u64) -> usize {
        let mut moved = 0;
        while let Some(buddy) = self.directory.buddy(position)
            && fits_shrunk(self.count_at(position) + self.count_at(buddy), MAX_BUCKETS)
        {
            let parts_depth = self.depth_at(position);
            let mut entries = Hashed::new();
            for part in [position, buddy] {
                if let Some(segment) = self.directory.take(part) {
                    entries.extend(self.unpack(segment));
                }
            }
            moved += entries.len();
            self.settle(position, entries, 0);
            self.directory.compact(position);
            if self.depth_at(position) >= parts_depth {
                // Too many entries have the same home: they had to be split again.
                break;
            }
        }
        let segment = self.directory.segment(position);
        let shrinks =
            |segment: &Segment<E>| smaller_size(segment.size()).is_some_and(|size| fits_shrunk(segment.count(), size));
        if segment.is_some_and(shrinks)
            && let Some(segment) = self.directory.take(position)
        {
            moved += segment.count();
            let entries = self.unpack(segment);
            self.settle(position, entries, 0);
        }
        moved
    }

    fn depth_at(&self, position: u64) -> u32 {
        self.directory.locate(position).map_or(0, |(_, depth)| depth)
    }

    fn count_at(&self, position: u64) -> usize {
        self.directory.segment(position).map_or(0, Segment::count)
    }
}
