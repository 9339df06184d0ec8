//! Owns how many entries of a table by slot lie in each slot, and what follows from that: where an entry may lie that
//! is chosen by chance, and how many are to be expected where. Never sees an entry.

use crate::collections::bend::share_below;
use crate::collections::key_hash::{hash_at, place_of};
use crate::collections::key_slot::{SLOTS, reverse};

/// Places whose counts are summed up, so that none of the sums takes long.
const SUMMED: usize = 128;

/// How many entries have which slot. Without entries it takes a kilobyte.
#[derive(Clone)]
pub struct SlotCounts {
    /// By the slot with its bits reversed, the order of the table; empty until there is an entry. (2³² keys in one slot
    /// would take more than a hundred gigabytes.)
    counts: Vec<u32>,
    /// The sums of `SUMMED` counts each.
    sums: [u64; SLOTS as usize / SUMMED],
}

impl SlotCounts {
    /// No entry in any slot.
    pub fn new() -> SlotCounts {
        SlotCounts { counts: Vec::new(), sums: [0; SLOTS as usize / SUMMED] }
    }

    /// Counts an entry with this hash more. O(1).
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let place = usize::from(place_of(hash));
        if self.counts.is_empty() {
            self.counts.resize(usize::from(SLOTS), 0);
        }
        self.counts[place] += 1;
        self.sums[place / SUMMED] += 1;
    }

    /// Counts an entry with this hash less. O(1).
    #[inline]
    pub fn remove(&mut self, hash: u64) {
        let place = usize::from(place_of(hash));
        self.counts[place] -= 1;
        self.sums[place / SUMMED] -= 1;
    }

    /// Counts nothing any more.
    pub fn clear(&mut self) {
        *self = SlotCounts::new();
    }

    /// How many entries have this slot. O(1).
    #[inline]
    pub fn of(&self, slot: u16) -> usize {
        self.counts.get(usize::from(reverse(slot))).map_or(0, |count| *count as usize)
    }

    /// Bytes of the counts.
    pub fn bytes(&self) -> usize {
        size_of::<SlotCounts>() + self.counts.capacity() * size_of::<u32>()
    }

    /// A hash by chance: the slot as likely as an entry's, and the place within the slot as for any entry. O(sums).
    pub fn random_hash(&self, random: &mut fastrand::Rng) -> u64 {
        let total: u64 = self.sums.iter().sum();
        let mut rank = random.u64(..total.max(1));
        let mut place = 0;
        for sum in self.sums {
            if rank < sum {
                break;
            }
            rank -= sum;
            place += SUMMED;
        }
        for count in self.counts.iter().skip(place) {
            if rank < u64::from(*count) {
                break;
            }
            rank -= u64::from(*count);
            place += 1;
        }
        hash_at(place.min(usize::from(SLOTS) - 1) as u16, random.u64(..))
    }

    /// How many entries are to be expected below a share of all hashes. O(sums).
    pub fn expected_below(&self, share: f64) -> f64 {
        let place = share * f64::from(SLOTS);
        let whole = (place as usize).min(self.counts.len());
        let summed = whole / SUMMED;
        let sums: u64 = self.sums[..summed].iter().sum();
        let counts: u64 = self.counts[summed * SUMMED..whole].iter().map(|&count| u64::from(count)).sum();
        let within = self.counts.get(whole).map_or(0.0, |&count| f64::from(count) * share_below(place.fract()));
        (sums + counts) as f64 + within
    }
}

/// The same where nothing is known but that all slots have as many entries: a share of them.
pub fn share_of_even_slots(share: f64) -> f64 {
    let place = share * f64::from(SLOTS);
    (place.floor() + share_below(place.fract())) / f64::from(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::key_hash::hashes_of;

    #[test]
    fn what_is_expected_is_what_is_there() {
        let mut counts = SlotCounts::new();
        assert_eq!((counts.of(5), counts.expected_below(0.5)), (0, 0.0));
        let mut random = fastrand::Rng::with_seed(4);
        let mut hashes: Vec<u64> =
            (0..60_000).map(|number| hash_at([5, 5, 700, 16_383][number % 4], random.u64(..))).collect();
        hashes.extend((0..20_000).map(|_| hash_at(random.u16(..SLOTS), random.u64(..))));
        hashes.iter().for_each(|hash| counts.add(*hash));
        hashes.sort_unstable();
        for (rank, hash) in hashes.iter().enumerate().step_by(500) {
            let expected = counts.expected_below(*hash as f64 / u64::MAX as f64);
            assert!((expected - rank as f64).abs() < 400.0, "{rank} {expected}");
        }
        assert_eq!(counts.expected_below(1.0), 80_000.0);
        let slot = reverse(700);
        let in_slot = hashes.iter().filter(|hash| hashes_of(slot).contains(hash)).count();
        assert_eq!(counts.of(slot), in_slot);
        let chosen = (0..4000).filter(|_| hashes_of(slot).contains(&counts.random_hash(&mut random))).count();
        assert!((600..900).contains(&chosen), "{chosen}: 3/16 of them have this slot");
        hashes.iter().for_each(|hash| counts.remove(*hash));
        assert_eq!(counts.expected_below(1.0), 0.0);
    }

    #[test]
    fn even_slots_have_even_shares() {
        for slot in 0..SLOTS {
            let share = f64::from(slot) / f64::from(SLOTS);
            assert!((share_of_even_slots(share) - share).abs() < 1e-12);
        }
        assert!(share_of_even_slots(0.5 / f64::from(SLOTS)) < 0.5 / f64::from(SLOTS));
    }
}
