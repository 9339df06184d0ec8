//! Owns one bucket: seven entries and a control word in one cache line. Never looks at a neighbour.
//!
//! ```text
//! byte 0        8        16       24       32       40       48       56             63
//!      | slot 0 | slot 1 | slot 2 | slot 3 | slot 4 | slot 5 | slot 6 | tags 0..=6 | spare |
//! ```
//!
//! A tag is `0` for an empty slot, else `0x80` and seven bits of the hash, so that one vector compare finds the few
//! slots worth looking at. The spare byte's low seven bits say which slots hold *displaced* entries (whose home is the
//! bucket before this one); its top bit says that the bucket after this one holds displaced entries whose home is this
//! one, so that most probes, also those that miss, touch one line.

use std::mem::MaybeUninit;

/// Entries that a bucket has room for.
pub const SLOTS: usize = 7;

const ALL_SLOTS: u8 = 0x7f;
const DISPLACED_SHIFT: u32 = 56;
const OVERFLOW: u64 = 1 << 63;

/// A set of slots of one bucket, iterated from the lowest up.
#[derive(Clone, Copy, PartialEq)]
pub struct Slots(u8);

impl Slots {
    /// The lowest slot of the set.
    #[inline]
    pub fn first(self) -> Option<usize> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as usize)
    }

    /// The slots that are in this set and not in `other`.
    #[inline]
    pub fn without(self, other: Slots) -> Slots {
        Slots(self.0 & !other.0)
    }
}

impl Iterator for Slots {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let slot = self.first()?;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

/// The tag that an entry with this hash has.
#[inline]
pub fn tag_of(hash: u64) -> u8 {
    hash as u8 | 0x80
}

/// One cache line of a segment.
#[repr(C, align(64))]
pub struct Bucket<E> {
    slots: [MaybeUninit<E>; SLOTS],
    control: u64,
}

impl<E> Bucket<E> {
    /// A bucket without entries.
    pub fn empty() -> Bucket<E> {
        const { assert!(size_of::<Bucket<E>>() == 64, "an entry is one pointer") };
        Bucket { slots: [const { MaybeUninit::uninit() }; SLOTS], control: 0 }
    }

    /// The slots whose tag is `tag`.
    #[inline]
    pub fn matches(&self, tag: u8) -> Slots {
        Slots(lanes::equal_bytes(self.control, tag) & ALL_SLOTS)
    }

    /// The slots with `tag` that hold entries at home in the bucket before this one.
    #[inline]
    pub fn displaced_matches(&self, tag: u8) -> Slots {
        Slots(lanes::equal_bytes(self.control, tag) & self.displaced().0)
    }

    /// The slots that hold an entry.
    #[inline]
    pub fn occupied(&self) -> Slots {
        Slots(lanes::high_bits(self.control) & ALL_SLOTS)
    }

    /// The slots that hold nothing.
    #[inline]
    pub fn vacant(&self) -> Slots {
        Slots(!lanes::high_bits(self.control) & ALL_SLOTS)
    }

    /// The slots that hold entries at home in the bucket before this one.
    #[inline]
    pub fn displaced(&self) -> Slots {
        Slots((self.control >> DISPLACED_SHIFT) as u8 & ALL_SLOTS)
    }

    /// The slots that hold entries at home in this bucket.
    #[inline]
    pub fn at_home(&self) -> Slots {
        self.occupied().without(self.displaced())
    }

    /// Whether the bucket after this one holds entries at home in this one.
    #[inline]
    pub fn overflows(&self) -> bool {
        self.control & OVERFLOW != 0
    }

    /// Notes whether the bucket after this one holds entries at home in this one.
    #[inline]
    pub fn set_overflows(&mut self, overflows: bool) {
        self.control = self.control & !OVERFLOW | if overflows { OVERFLOW } else { 0 };
    }

    #[inline]
    fn is_occupied(&self, slot: usize) -> bool {
        slot < SLOTS && self.control >> (slot * 8) & 0x80 != 0
    }

    /// The entry in an occupied slot.
    #[inline]
    pub fn entry(&self, slot: usize) -> &E {
        assert!(self.is_occupied(slot));
        // SAFETY: a slot whose tag is not zero holds an entry: `put` sets both, `take` clears both.
        unsafe { self.slots[slot].assume_init_ref() }
    }

    /// The entry in an occupied slot.
    #[inline]
    pub fn entry_mut(&mut self, slot: usize) -> &mut E {
        assert!(self.is_occupied(slot));
        // SAFETY: as in `entry`.
        unsafe { self.slots[slot].assume_init_mut() }
    }

    /// Fills a vacant slot.
    #[inline]
    pub fn put(&mut self, slot: usize, tag: u8, displaced: bool, entry: E) {
        assert!(slot < SLOTS && !self.is_occupied(slot) && tag >= 0x80);
        self.slots[slot].write(entry);
        self.control |= u64::from(tag) << (slot * 8);
        self.control |= u64::from(displaced) << (DISPLACED_SHIFT as usize + slot);
    }

    /// Empties an occupied slot; gives the entry and its tag.
    #[inline]
    pub fn take(&mut self, slot: usize) -> (E, u8) {
        assert!(self.is_occupied(slot));
        let tag = (self.control >> (slot * 8)) as u8;
        self.control &= !(0xff << (slot * 8) | 1 << (DISPLACED_SHIFT as usize + slot));
        // SAFETY: the slot was occupied (see `entry`) and its tag is cleared now, so that the entry is never read
        // again.
        (unsafe { self.slots[slot].assume_init_read() }, tag)
    }
}

impl<E> Drop for Bucket<E> {
    fn drop(&mut self) {
        for slot in self.occupied() {
            self.take(slot);
        }
    }
}

impl<E: Clone> Clone for Bucket<E> {
    fn clone(&self) -> Bucket<E> {
        let mut copy = Bucket::empty();
        for slot in self.occupied() {
            copy.slots[slot].write(self.entry(slot).clone());
        }
        copy.control = self.control;
        copy
    }
}

#[cfg(target_arch = "x86_64")]
mod lanes {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_cvtsi64_si128, _mm_movemask_epi8};

    /// Which bytes of `word` equal `byte`: bit n of the answer for byte n.
    #[inline]
    pub fn equal_bytes(word: u64, byte: u8) -> u8 {
        let pattern = u64::from(byte) * 0x0101_0101_0101_0101;
        // SAFETY: SSE2 is part of every x86-64 processor.
        unsafe {
            let word = _mm_cvtsi64_si128(word as i64);
            let pattern = _mm_cvtsi64_si128(pattern as i64);
            _mm_movemask_epi8(_mm_cmpeq_epi8(word, pattern)) as u8
        }
    }

    /// Which bytes of `word` have their high bit set: bit n of the answer for byte n.
    #[inline]
    pub fn high_bits(word: u64) -> u8 {
        // SAFETY: SSE2 is part of every x86-64 processor.
        unsafe { _mm_movemask_epi8(_mm_cvtsi64_si128(word as i64)) as u8 }
    }
}

#[cfg(not(target_arch = "x86_64"))]
use portable_lanes as lanes;

/// What `lanes` does, without vector instructions.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable_lanes {
    const HIGH: u64 = 0x8080_8080_8080_8080;

    #[inline]
    pub fn equal_bytes(word: u64, byte: u8) -> u8 {
        let difference = word ^ (u64::from(byte) * 0x0101_0101_0101_0101);
        // A byte's high bit ends up set unless the byte is zero; no carry leaves its byte.
        let nonzero = ((difference & !HIGH) + !HIGH) | difference;
        high_bits(!nonzero)
    }

    #[inline]
    pub fn high_bits(word: u64) -> u8 {
        // The product's top byte gathers one bit of each byte; no two partial products meet in one bit.
        (((word & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::{Bucket, SLOTS, lanes, portable_lanes};

    #[test]
    fn portable_lanes_agree_with_the_vector_ones() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            let word = random.u64(..);
            let byte = (word >> (random.u32(0..8) * 8)) as u8;
            assert_eq!(lanes::high_bits(word), portable_lanes::high_bits(word));
            assert_eq!(lanes::equal_bytes(word, byte), portable_lanes::equal_bytes(word, byte));
        }
    }

    #[test]
    fn slots_keep_tag_entry_and_displacement() {
        let mut bucket: Bucket<Box<usize>> = Bucket::empty();
        for slot in 0..SLOTS {
            bucket.put(slot, 0x80 + slot as u8, slot % 2 == 1, Box::new(slot));
        }
        bucket.set_overflows(true);
        assert_eq!(bucket.vacant().count(), 0);
        assert_eq!(bucket.displaced().count(), 3);
        assert_eq!(bucket.take(3), (Box::new(3), 0x83));
        assert_eq!(bucket.matches(0x85).first(), Some(5));
        assert_eq!(bucket.matches(0x83).first(), None);
        assert_eq!(bucket.displaced_matches(0x84).first(), None);
        assert_eq!(bucket.displaced().collect::<Vec<_>>(), [1, 5]);
        assert_eq!(bucket.at_home().collect::<Vec<_>>(), [0, 2, 4, 6]);
        assert_eq!(bucket.vacant().first(), Some(3));
        assert!(bucket.overflows());
        assert_eq!(**bucket.clone().entry(6), 6);
    }
}
