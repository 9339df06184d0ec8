//! Owns one segment: a run of buckets that fills up before the table grows. Never knows which hashes lead to it.
//!
//! An entry lives in its home bucket or, when that is full, in the next one (the last bucket's next is the first). When
//! both are full, entries are shifted along the chain of neighbours, which finds room whenever any arrangement has it:
//!
//! ```text
//! forwards:  b and b+1 are full; an entry at home in b+1 moves to b+2, one at home there to b+3, … until there is room
//! backwards: an entry in b whose home is b-1 goes back there; if that is full too, one of its displaced goes back to b-2, …
//! ```
//!
//! Which bucket is home follows from twelve bits of the hash scaled to the number of buckets, so that a segment may
//! have any number of buckets and the order of homes does not depend on that number. SCAN relies on that.

use super::Entry;
use super::bucket::{Bucket, SLOTS, tag_of};
use super::prefetch::prefetch;
use std::cell::Cell;

/// Bits of the hash that choose the home bucket.
pub const HOME_BITS: u32 = 12;

/// Buckets of the largest segment: with its header it takes 4 KiB.
pub const MAX_BUCKETS: usize = 63;

const HOME_SHIFT: u32 = 7;
const HOME_MASK: u64 = (1 << HOME_BITS) - 1;

/// The sizes that a segment has in its life, in buckets. Fine steps keep the memory per entry even.
const SIZES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 56, MAX_BUCKETS];

/// The share of slots that may be filled when a segment is built, in percent: it must be able to take some more.
const BUILD_FILL_PERCENT: usize = 85;

/// The place of the home bucket in the order of all homes, whatever the number of buckets: 0 up to `1 << HOME_BITS`.
#[inline]
pub fn home_point(hash: u64) -> u64 {
    hash >> HOME_SHIFT & HOME_MASK
}

/// The sizes, in buckets and ascending, that suit a segment which has to hold `entries`.
pub fn sizes_for(entries: usize) -> impl Iterator<Item = usize> {
    let suits = move |size: usize| entries * 100 <= size * SLOTS * BUILD_FILL_PERCENT;
    SIZES.into_iter().filter(move |&size| suits(size))
}

/// The size, in buckets, below `size`, if there is one.
pub fn smaller_size(size: usize) -> Option<usize> {
    SIZES.into_iter().rev().find(|&smaller| smaller < size)
}

/// Where in a segment an entry is.
#[derive(Clone, Copy)]
pub struct Place {
    bucket: usize,
    slot: usize,
}

/// A reference-counted block of buckets; its length is kept in the links that lead to it.
#[repr(C)]
pub struct Segment<E> {
    references: Cell<u32>,
    count: u32,
    buckets: [Bucket<E>],
}

impl<E> Segment<E> {
    /// Makes a segment with one owner of raw memory.
    ///
    /// # Safety
    /// `segment` must lead to writable memory of its size and alignment, and `buckets` give as many as its length says.
    pub unsafe fn initialize(segment: *mut Segment<E>, entries: u32, buckets: impl Iterator<Item = Bucket<E>>) {
        // SAFETY: the caller vouches for the memory; nothing that was there before is read or dropped.
        unsafe {
            (&raw mut (*segment).references).write(Cell::new(1));
            (&raw mut (*segment).count).write(entries);
            let first = (&raw mut (*segment).buckets).cast::<Bucket<E>>();
            for (index, bucket) in buckets.enumerate() {
                first.add(index).write(bucket);
            }
        }
    }

    /// The buckets, for a copy.
    pub fn buckets(&self) -> &[Bucket<E>] {
        &self.buckets
    }

    /// The count of owners. Only `link.rs` changes it.
    pub fn references(&self) -> &Cell<u32> {
        &self.references
    }

    /// How many entries it holds.
    #[inline]
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// How many buckets it has.
    #[inline]
    pub fn size(&self) -> usize {
        self.buckets.len()
    }

    /// The first home point that belongs to a bucket.
    pub fn first_point(&self, bucket: usize) -> u64 {
        ((bucket as u64) << HOME_BITS).div_ceil(self.size() as u64)
    }

    /// The bucket that a home point belongs to.
    #[inline]
    pub fn bucket_at(&self, point: u64) -> usize {
        (point as usize * self.buckets.len()) >> HOME_BITS
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        self.bucket_at(home_point(hash))
    }

    #[inline]
    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    #[inline]
    fn previous(&self, bucket: usize) -> usize {
        if bucket == 0 { self.buckets.len() - 1 } else { bucket - 1 }
    }

    /// The address of the home bucket's cache line.
    #[inline]
    pub fn bucket_address(&self, hash: u64) -> *const u8 {
        (&raw const self.buckets[self.home(hash)]).cast()
    }

    /// The entry at a place.
    #[inline]
    pub fn entry(&self, place: Place) -> &E {
        self.buckets[place.bucket].entry(place.slot)
    }

    /// The entry at a place.
    #[inline]
    pub fn entry_mut(&mut self, place: Place) -> &mut E {
        self.buckets[place.bucket].entry_mut(place.slot)
    }

    /// Takes the entry at a place out. O(1).
    pub fn remove(&mut self, place: Place) -> E {
        self.count -= 1;
        self.take(place.bucket, place.slot).0
    }

    /// Takes an entry out of a slot and keeps the note of overflow right.
    fn take(&mut self, bucket: usize, slot: usize) -> (E, u8) {
        let displaced_before = self.buckets[bucket].displaced();
        let taken = self.buckets[bucket].take(slot);
        let displaced = self.buckets[bucket].displaced();
        // The line before is touched only if something changes there.
        if displaced != displaced_before {
            let previous = self.previous(bucket);
            self.buckets[previous].set_overflows(displaced.first().is_some());
        }
        taken
    }

    /// Puts an entry into a bucket if that has room.
    #[inline]
    fn put(&mut self, bucket: usize, tag: u8, displaced: bool, entry: E) -> Result<Place, E> {
        let Some(slot) = self.buckets[bucket].vacant().first() else {
            return Err(entry);
        };
        self.buckets[bucket].put(slot, tag, displaced, entry);
        if displaced {
            let home = self.previous(bucket);
            self.buckets[home].set_overflows(true);
        }
        Ok(Place { bucket, slot })
    }

    /// Puts in an entry whose key is absent, or gives it back when no arrangement has room. O(1), near fullness
    /// O(size).
    #[inline]
    pub fn insert(&mut self, hash: u64, entry: E) -> Result<Place, E> {
        let (tag, home) = (tag_of(hash), self.home(hash));
        let place = match self.put(home, tag, false, entry) {
            Ok(place) => place,
            Err(entry) => self.insert_crowded(home, tag, entry)?,
        };
        self.count += 1;
        Ok(place)
    }

    #[cold]
    fn insert_crowded(&mut self, home: usize, tag: u8, entry: E) -> Result<Place, E> {
        let next = self.next(home);
        if next == home {
            return Err(entry);
        }
        let entry = match self.put(next, tag, true, entry) {
            Ok(place) => return Ok(place),
            Err(entry) => entry,
        };
        if self.shift_forwards(next) {
            self.put(next, tag, true, entry)
        } else if self.shift_backwards(home) {
            self.put(home, tag, false, entry)
        } else {
            Err(entry)
        }
    }

    /// Makes room in a full bucket by moving entries at home in it and its followers one bucket on.
    fn shift_forwards(&mut self, bucket: usize) -> bool {
        let mut last = bucket;
        while self.buckets[last].vacant().first().is_none() {
            let next = self.next(last);
            if next == bucket || self.buckets[last].at_home().first().is_none() {
                return false;
            }
            last = next;
        }
        while last != bucket {
            let from = self.previous(last);
            let moved = self.buckets[from].at_home().first();
            self.shift(from, moved, last, true);
            last = from;
        }
        true
    }

    /// Makes room in a full bucket by moving displaced entries of it and its predecessors back home.
    fn shift_backwards(&mut self, bucket: usize) -> bool {
        let mut last = bucket;
        while self.buckets[last].vacant().first().is_none() {
            let previous = self.previous(last);
            if previous == bucket || self.buckets[last].displaced().first().is_none() {
                return false;
            }
            last = previous;
        }
        while last != bucket {
            let from = self.next(last);
            let moved = self.buckets[from].displaced().first();
            self.shift(from, moved, last, false);
            last = from;
        }
        true
    }

    fn shift(&mut self, from: usize, slot: Option<usize>, to: usize, displaced: bool) {
        let room = self.buckets[to].vacant().first();
        if let (Some(slot), Some(room)) = (slot, room) {
            let (entry, tag) = self.take(from, slot);
            self.buckets[to].put(room, tag, displaced, entry);
            if displaced {
                self.buckets[from].set_overflows(true);
            }
        }
    }

    /// Shows every entry whose home is `bucket`. O(1).
    pub fn visit_home<'a>(&'a self, bucket: usize, mut visit: impl FnMut(&'a E)) {
        let home = &self.buckets[bucket];
        for slot in home.at_home() {
            visit(home.entry(slot));
        }
        if home.overflows() {
            let next = &self.buckets[self.next(bucket)];
            for slot in next.displaced() {
                visit(next.entry(slot));
            }
        }
    }

    /// Every entry, in the order of buckets.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.buckets.iter().flat_map(|bucket| bucket.occupied().map(|slot| bucket.entry(slot)))
    }

    /// Takes every entry out, in the order of buckets.
    pub fn drain(&mut self) -> impl Iterator<Item = E> {
        self.count = 0;
        self.buckets.iter_mut().flat_map(|bucket| {
            bucket.set_overflows(false);
            bucket.occupied().map(|slot| bucket.take(slot).0)
        })
    }

    /// The place of a random entry, each with the same chance. O(1) expected, on a nearly empty segment O(size).
    pub fn random(&self, random: &mut fastrand::Rng) -> Option<Place> {
        const SPARSE: usize = 8;
        if self.count() * SPARSE < self.size() * SLOTS {
            return match self.count() {
                0 => None,
                count => self.places().nth(random.usize(..count)),
            };
        }
        loop {
            let bucket = random.usize(..self.size());
            let slot = random.usize(..SLOTS);
            if self.buckets[bucket].occupied().any(|occupied| occupied == slot) {
                return Some(Place { bucket, slot });
            }
        }
    }

    /// The place of some entry.
    pub fn first_place(&self) -> Option<Place> {
        self.places().next()
    }

    fn places(&self) -> impl Iterator<Item = Place> {
        self.buckets.iter().enumerate().flat_map(|(index, bucket)| {
            let place = move |slot| Place { bucket: index, slot };
            bucket.occupied().map(place)
        })
    }
}

impl<E: Entry> Segment<E> {
    /// Has the processor fetch what every entry points at.
    pub fn prefetch_entries(&self) {
        self.iter().for_each(|entry| prefetch(entry.address()));
    }

    /// Finds the entry with this key. O(1): one cache line of buckets, seldom two.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<Place> {
        self.find_where(hash, |entry| entry.key() == key)
    }

    /// Where the entry is that has this hash and that `is_it` says yes to. It is asked of some with other hashes too.
    #[inline]
    pub fn find_where(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<Place> {
        let (tag, home) = (tag_of(hash), self.home(hash));
        let bucket = &self.buckets[home];
        for slot in bucket.matches(tag) {
            if is_it(bucket.entry(slot)) {
                return Some(Place { bucket: home, slot });
            }
        }
        if bucket.overflows() {
            return self.find_displaced(self.next(home), tag, is_it);
        }
        None
    }

    #[inline]
    fn find_displaced(&self, index: usize, tag: u8, is_it: impl Fn(&E) -> bool) -> Option<Place> {
        let bucket = &self.buckets[index];
        for slot in bucket.displaced_matches(tag) {
            if is_it(bucket.entry(slot)) {
                return Some(Place { bucket: index, slot });
            }
        }
        None
    }

    /// The first entry whose tag fits the hash: in all likelihood the one that a `find` will compare.
    #[inline]
    pub fn likely(&self, hash: u64) -> Option<&E> {
        let (tag, home) = (tag_of(hash), self.home(hash));
        let bucket = &self.buckets[home];
        if let Some(slot) = bucket.matches(tag).first() {
            return Some(bucket.entry(slot));
        }
        if bucket.overflows() {
            let next = &self.buckets[self.next(home)];
            let slot = next.displaced_matches(tag).first()?;
            return Some(next.entry(slot));
        }
        None
    }
}
