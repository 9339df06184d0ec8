//! Which keys are asked for most, while the ledger is kept: a sketch of a sample of the requests.
//!
//! One of `GAP` requests is looked at, on average; the distance to the next one is random, so that no pattern of
//! requests escapes. Counts of the sketch are halved now and then: old times fade.

use super::sketch::{HotKey, Sketch};

/// Keys that have a place.
const PLACES: usize = 128;
/// Requests for each one that is looked at.
pub const GAP: u32 = 16;
/// Requests of the sample after which all counts are halved.
const HALVED_AT: u64 = 4096;
/// Bytes kept of a key.
const KEY_BYTES_MAX: usize = 96;
/// Where the random distances begin.
const SEED: u64 = 0x6b65_7973;

/// The sketch.
#[derive(Debug)]
pub struct HotKeys {
    is_on: bool,
    /// Requests before the next one that is looked at.
    gap: u32,
    random: fastrand::Rng,
    sketch: Sketch,
    seen: u64,
}

impl Default for HotKeys {
    fn default() -> HotKeys {
        let random = fastrand::Rng::with_seed(SEED);
        HotKeys { is_on: false, gap: 0, random, sketch: Sketch::new(PLACES), seen: 0 }
    }
}

impl HotKeys {
    /// Begins to look, or ends and forgets.
    pub fn set_on(&mut self, is_on: bool) {
        if self.is_on != is_on {
            *self = HotKeys { is_on, ..HotKeys::default() };
        }
    }

    /// Whether keys are sampled.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the next request with a key is to be looked at.
    pub fn wants_next(&mut self) -> bool {
        if self.gap > 0 {
            self.gap -= 1;
            return false;
        }
        self.gap = self.random.u32(..2 * GAP - 1);
        true
    }

    /// Adds a key of the sample. O(places).
    pub fn add(&mut self, hash: u64, database: usize, key: &[u8]) {
        self.seen += 1;
        self.sketch.add(hash, database, &key[..key.len().min(KEY_BYTES_MAX)], 1);
        if self.seen >= HALVED_AT {
            self.seen /= 2;
            self.sketch.halve();
        }
    }

    /// Requests of the sample.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The keys that were seen most, most frequent first.
    pub fn hottest(&self, count: usize) -> Vec<&HotKey> {
        self.sketch.heaviest(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_counts_fade() {
        let mut keys = HotKeys::default();
        (0..HALVED_AT - 1).for_each(|_| keys.add(1, 0, b"one"));
        keys.add(2, 0, b"two");
        assert_eq!(keys.seen(), HALVED_AT / 2);
        assert_eq!(keys.hottest(9).iter().map(|hot| hot.count).collect::<Vec<_>>(), [HALVED_AT / 2 - 1]);
    }

    #[test]
    fn one_of_sixteen_is_looked_at() {
        let mut keys = HotKeys::default();
        keys.set_on(true);
        let looked = (0..160_000).filter(|_| keys.wants_next()).count();
        assert!((9_800..10_200).contains(&looked), "{looked}");
        keys.add(1, 0, b"a");
        keys.set_on(true);
        assert_eq!(keys.seen(), 1);
        keys.set_on(false);
        assert_eq!(keys.seen(), 0);
    }
}
