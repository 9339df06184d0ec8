//! Owns how the keys of a database are hashed: as anything else, or so that the keys of a slot lie side by side.
//!
//! In a cluster the slot of a key is the top 14 bits of its hash, so that a slot is a range of the table, which needs
//! no index of its own to count, list, delete or pin it:
//!
//! ```text
//! bit 63                 50 49                                    0
//!     | slot, bits reversed | the seeded hash of the key, bent      |
//! ```
//!
//! The bits are reversed so that a node that owns a range of slots has them everywhere in its table, which then grows
//! evenly. The lower part is bent as the table bends the whole (see [`spread`]): else the segments of a slot that has
//! most of the keys would all be full at the same time. Both are monotone, so the entries of a slot stay together.
//! Never decides where in a table a hash leads.

use std::ops::RangeInclusive;

use super::bend::spread;
use super::hash::HashSeed;
use super::key_slot::{SLOTS, reverse, reversed_slot};

const SLOT_BITS: u32 = SLOTS.trailing_zeros();

/// How many bits of a hash by slot are below the slot.
const BITS_BELOW_SLOT: u32 = u64::BITS - SLOT_BITS;

/// The hash of keys.
#[derive(Clone, Debug)]
pub struct KeyHasher {
    seed: HashSeed,
    is_by_slot: bool,
}

impl From<HashSeed> for KeyHasher {
    /// Keys are hashed as anything else.
    fn from(seed: HashSeed) -> KeyHasher {
        KeyHasher { seed, is_by_slot: false }
    }
}

impl KeyHasher {
    /// The hash that begins with the slot.
    pub fn by_slot(seed: HashSeed) -> KeyHasher {
        KeyHasher { seed, is_by_slot: true }
    }

    /// Whether the hash begins with the slot.
    #[inline]
    pub fn is_by_slot(&self) -> bool {
        self.is_by_slot
    }

    /// The seed, for what is hashed and is no key.
    #[inline]
    pub fn seed(&self) -> &HashSeed {
        &self.seed
    }

    /// The hash of a key. O(length).
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let hash = self.seed.hash(key);
        if self.is_by_slot { behind_slot(hash, key) } else { hash }
    }
}

/// The hash by slot of a key whose plain hash is known. Out of line, so that it is not in the way where there is no
/// cluster.
#[inline(never)]
pub fn behind_slot(hash: u64, key: &[u8]) -> u64 {
    hash_at(reversed_slot(key), hash)
}

/// The hash by slot for a slot with its bits reversed and a plain hash, whose lower bits count.
#[inline]
pub fn hash_at(reversed_slot: u16, hash: u64) -> u64 {
    with_place(spread(hash << SLOT_BITS) >> SLOT_BITS, reversed_slot)
}

/// A hash by slot of which only the slot is missing, which is there with its bits reversed.
#[inline]
pub fn with_place(hash: u64, reversed_slot: u16) -> u64 {
    u64::from(reversed_slot) << BITS_BELOW_SLOT | hash
}

/// Where the slot of a hash by slot is in the order of the table: the slot with its bits reversed.
#[inline]
pub fn place_of(hash: u64) -> u16 {
    (hash >> BITS_BELOW_SLOT) as u16
}

/// The slot of a hash by slot. O(1).
#[inline]
pub fn slot_of(hash: u64) -> u16 {
    reverse(place_of(hash))
}

/// All hashes by slot that keys of a slot can have.
pub fn hashes_of(slot: u16) -> RangeInclusive<u64> {
    let first = u64::from(reverse(slot)) << BITS_BELOW_SLOT;
    first..=first | u64::MAX >> SLOT_BITS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collections::key_slot::key_slot;

    #[test]
    fn a_hash_by_slot_begins_with_the_slot() {
        let (plain, by_slot) = (HashSeed::from_seed(5), KeyHasher::by_slot(HashSeed::from_seed(5)));
        for number in 0..1000 {
            let key = format!("key:{number}");
            let (key, hash) = (key.as_bytes(), by_slot.hash(key.as_bytes()));
            assert_eq!(slot_of(hash), key_slot(key));
            assert!(hashes_of(slot_of(hash)).contains(&hash));
            assert_eq!(reverse(slot_of(hash)), place_of(hash));
            assert_eq!(hash, behind_slot(plain.hash(key), key));
            assert_eq!(KeyHasher::from(plain.clone()).hash(key), plain.hash(key));
        }
    }

    proptest! {
        #[test]
        fn within_a_slot_the_hashes_keep_their_order(left in 0..1u64 << 50, right in 0..1u64 << 50, place in 0..SLOTS) {
            let (low, high) = (left.min(right), left.max(right));
            prop_assert!(hash_at(place, low) <= hash_at(place, high));
            prop_assert_eq!((place_of(hash_at(place, low)), place_of(hash_at(place, high))), (place, place));
            prop_assert_eq!(hash_at(place, low), hash_at(place, low | 1 << 63));
        }
    }
}
