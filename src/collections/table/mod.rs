//! Owns the segmented table: extendible hashing, copy-on-write. Never holds up its caller: no operation touches more
//! than a segment of 64 buckets and a node of 4096 slots, whatever the size of the table.
//!
//! ```text
//! hash ── spread ──► position ── directory (trie of nodes) ──► segment ── home bucket ──► tag ──► entry ──► key
//!                    high bits                                            bits 7..19      bits 0..7
//! ```
//!
//! `entry` is what a table holds, `directory` finds the segment, `segment` places entries in its buckets, `growth`
//! splits and merges segments, `walk` goes through tables (SCAN, random picks), `ahead` through many keys of one,
//! `by_slot` through the keys of a slot, which `slot_counts` counts; `pinned` holds versions and reclaims them; `link`,
//! `segment_box` and `bucket` keep the memory.
//!
//! Segments of a plain hash would all fill up and split at the same time, and the memory per entry would jump. So the
//! position is the hash bent a little (see [`spread`]): half as dense at one end as at the other. Then segments are at
//! all stages of their life at any time, as in Martin's spiral storage (1979).

mod ahead;
mod bucket;
mod by_slot;
mod directory;
mod entry;
mod growth;
mod link;
mod occupancy;
mod pinned;
mod prefetch;
mod segment;
mod segment_box;
mod slot_counts;
#[cfg(test)]
mod slot_tests;
#[cfg(test)]
mod tests;
mod walk;

pub use ahead::look_ahead;
pub use entry::Entry;
pub use link::copied_bytes;
pub use occupancy::Occupancy;
pub use pinned::{LazyFree, Pinned};
pub use prefetch::prefetch;

use super::bend::spread;
use super::hash::HashSeed;
use super::key_hash::behind_slot;
use directory::Directory;
use slot_counts::SlotCounts;

/// A hash table of entries with distinct keys. Hashes are computed by the caller with the table's seed.
pub struct Table<E: Entry> {
    directory: Directory<E>,
    len: usize,
    shrink_position: u64,
    /// How many entries there will be, where that is known: see [`Table::foresee`].
    expected: usize,
    seed: HashSeed,
    /// Only in a table by slot: one whose hashes begin with the slot of the key.
    slots: Option<Box<SlotCounts>>,
}

/// What a probe for a key found.
pub enum Slot<'a, E: Entry> {
    /// The entry with the key. It may have other owners; then replace it instead of changing it.
    Occupied(&'a mut E),
    /// The key is absent.
    Vacant(Vacant<'a, E>),
}

/// The place for an absent key.
pub struct Vacant<'a, E: Entry> {
    table: &'a mut Table<E>,
    hash: u64,
}

impl<E: Entry> Vacant<'_, E> {
    /// Puts in the entry with the key that was looked for. O(1).
    #[inline]
    pub fn insert(self, entry: E) {
        self.table.insert(self.hash, entry);
    }
}

impl<E: Entry> Table<E> {
    /// An empty table without memory of its own.
    pub fn new(seed: HashSeed) -> Table<E> {
        const { assert!(size_of::<E>() == 8 && align_of::<E>() <= 8) };
        Table { directory: Directory::new(), len: 0, shrink_position: 0, expected: 0, seed, slots: None }
    }

    /// How many entries there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the table's own blocks, without what the entries point at. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.directory.bytes() + self.slots().map_or(0, SlotCounts::bytes)
    }

    /// The hash of a key, as all operations of this table expect it.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let hash = self.seed.hash(key);
        if self.slots().is_some() { behind_slot(hash, key) } else { hash }
    }

    /// The seed of the hashes.
    pub fn seed(&self) -> &HashSeed {
        &self.seed
    }

    /// Has the processor fetch what tells where the buckets of a hash's segment are. Before the first step, where many
    /// keys are looked up in a table so large that this is not in the cache either. O(1).
    pub fn prefetch_segment(&self, hash: u64) {
        if let Some(segment) = self.directory.segment(spread(hash)) {
            prefetch((&raw const *segment).cast());
        }
    }

    /// Has the processor fetch the cache line where a key's entry should be. First step of a batch.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        if let Some(segment) = self.directory.segment(spread(hash)) {
            prefetch(segment.bucket_address(hash));
        }
    }

    /// Has the processor fetch the first two lines of the likely entry's allocation. Second step of a batch, when the
    /// buckets have arrived.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        const LINE: usize = 64;
        let segment = self.directory.segment(spread(hash));
        if let Some(entry) = segment.and_then(|segment| segment.likely(hash)) {
            prefetch(entry.address());
            prefetch(entry.address().wrapping_add(LINE));
        }
    }

    /// The entry of a key. O(1).
    #[inline(always)]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&E> {
        let segment = self.directory.segment(spread(hash))?;
        let place = segment.find(hash, key)?;
        Some(segment.entry(place))
    }

    /// The entry with this hash that `is_it` says yes to: for who knows a key's hash but not the key. It is asked of
    /// some entries with other hashes too. O(1).
    #[inline]
    pub fn get_where(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<&E> {
        let segment = self.directory.segment(spread(hash))?;
        let place = segment.find_where(hash, is_it)?;
        Some(segment.entry(place))
    }

    /// The entry of a key, in a segment that no other version shares. O(1), at most one node and one segment are copied
    /// per level while a version is pinned. The entry itself may have other owners; then replace it instead of changing
    /// it.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut E> {
        if self.directory.is_shared() && self.get(hash, key).is_none() {
            return None;
        }
        let segment = self.directory.segment_mut(spread(hash))?;
        let place = segment.find(hash, key)?;
        Some(segment.entry_mut(place))
    }

    /// Looks a key up in order to change or to insert its entry. O(1), see [`Table::get_mut`].
    #[inline]
    pub fn entry(&mut self, hash: u64, key: &[u8]) -> Slot<'_, E> {
        let position = spread(hash);
        let segment = self.directory.segment_mut(position);
        match segment.and_then(|segment| segment.find(hash, key)) {
            // The borrow checker does not let the segment of the probe out of one arm only, so it is looked up again.
            Some(place) => match self.directory.segment_mut(position) {
                Some(segment) => Slot::Occupied(segment.entry_mut(place)),
                None => unreachable!("the probe found it"),
            },
            None => Slot::Vacant(Vacant { table: self, hash }),
        }
    }

    /// Puts in an entry whose key is absent. O(1): now and then one segment is rebuilt.
    #[inline]
    pub fn insert(&mut self, hash: u64, entry: E) {
        let position = spread(hash);
        let mut homeless = Some(entry);
        while let Some(entry) = homeless.take() {
            let segment = self.directory.segment_mut(position);
            let rejected = match segment {
                Some(segment) => segment.insert(hash, entry).err(),
                None => Some(entry),
            };
            if rejected.is_some() {
                self.make_room(position);
            }
            homeless = rejected;
        }
        self.count_in(hash);
    }

    #[inline]
    fn count_in(&mut self, hash: u64) {
        self.len += 1;
        if let Some(slots) = self.slots_mut() {
            slots.add(hash);
        }
    }

    #[inline]
    fn count_out(&mut self, hash: u64) {
        self.len -= 1;
        if let Some(slots) = self.slots_mut() {
            slots.remove(hash);
        }
    }

    /// Puts an entry in, in the place of the one with the same key, which is given back. O(1).
    #[inline]
    pub fn replace(&mut self, hash: u64, entry: E) -> Option<E> {
        match self.get_mut(hash, entry.key()) {
            Some(old) => Some(std::mem::replace(old, entry)),
            None => {
                self.insert(hash, entry);
                None
            }
        }
    }

    /// The entry of a key, or, taken out, if `is_spent` says that its time is over. O(1): a spent entry costs a second
    /// probe, any other a second look into the directory, as the borrow checker ties the probe's borrow to what is
    /// returned.
    #[inline]
    pub fn get_or_remove(&mut self, hash: u64, key: &[u8], is_spent: impl FnOnce(&E) -> bool) -> Result<Option<&E>, E> {
        let position = spread(hash);
        let Some(segment) = self.directory.segment(position) else {
            return Ok(None);
        };
        let Some(place) = segment.find(hash, key) else {
            return Ok(None);
        };
        if is_spent(segment.entry(place))
            && let Some(spent) = self.remove(hash, key)
        {
            return Err(spent);
        }
        Ok(self.directory.segment(position).map(|segment| segment.entry(place)))
    }

    /// Takes the entry out that has this hash and that `is_it` says yes to, as [`Table::get_where`] finds it. O(1).
    pub fn remove_where(&mut self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<E> {
        if self.directory.is_shared() && self.get_where(hash, &is_it).is_none() {
            return None;
        }
        let segment = self.directory.segment_mut(spread(hash))?;
        let place = segment.find_where(hash, is_it)?;
        let removed = segment.remove(place);
        self.count_out(hash);
        Some(removed)
    }

    /// Takes the entry of a key out. O(1); memory is given back by [`Table::shrink_step`].
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        if self.directory.is_shared() && self.get(hash, key).is_none() {
            return None;
        }
        let segment = self.directory.segment_mut(spread(hash))?;
        let place = segment.find(hash, key)?;
        let removed = segment.remove(place);
        self.count_out(hash);
        Some(removed)
    }
}
