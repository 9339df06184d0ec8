//! Which keys are asked for most, while the ledger is kept: a sketch of a sample of the requests.
//!
//! One of `GAP` requests is looked at, on average; the distance to the next one is random, so that no pattern of
//! requests escapes. Of the sample the sketch keeps the most frequent keys (Metwally, Agrawal and El Abbadi's
//! *Space-Saving*, 2005): a key without a place takes that of the least frequent one, together with its count, which is
//! remembered as the new key's possible excess. So a count is never too small, and too large by no more than that.
//! Counts are halved now and then: old times fade.

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

/// A key with how often it was seen in the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    hash: u64,
    /// Its beginning.
    pub key: Box<[u8]>,
    pub database: usize,
    pub count: u64,
    /// By how much the count may be too large.
    pub excess: u64,
}

/// The sketch.
#[derive(Debug)]
pub struct HotKeys {
    is_on: bool,
    /// Requests before the next one that is looked at.
    gap: u32,
    random: fastrand::Rng,
    places: Vec<HotKey>,
    seen: u64,
}

impl Default for HotKeys {
    fn default() -> HotKeys {
        HotKeys { is_on: false, gap: 0, random: fastrand::Rng::with_seed(SEED), places: Vec::new(), seen: 0 }
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
        if let Some(known) = self.places.iter_mut().find(|known| known.hash == hash && known.database == database) {
            known.count += 1;
        } else {
            let (place, least) = match self.places.len() < PLACES {
                true => (None, 0),
                false => self.least(),
            };
            let key = key[..key.len().min(KEY_BYTES_MAX)].into();
            let added = HotKey { hash, key, database, count: least + 1, excess: least };
            match place {
                Some(place) => self.places[place] = added,
                None => self.places.push(added),
            }
        }
        if self.seen >= HALVED_AT {
            self.seen /= 2;
            self.places.iter_mut().for_each(|known| (known.count, known.excess) = (known.count / 2, known.excess / 2));
            self.places.retain(|known| known.count > 0);
        }
    }

    /// The place with the least count, and that count.
    fn least(&self) -> (Option<usize>, u64) {
        let least = self.places.iter().enumerate().min_by_key(|(_, known)| known.count);
        least.map_or((None, 0), |(place, known)| (Some(place), known.count))
    }

    /// Requests of the sample.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The keys that were seen most, most frequent first.
    pub fn hottest(&self, count: usize) -> Vec<&HotKey> {
        let mut found: Vec<&HotKey> = self.places.iter().collect();
        found.sort_by(|a, b| b.count.cmp(&a.count).then(a.key.cmp(&b.key)));
        found.truncate(count);
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn counts_are_never_too_small_and_by_no_more_than_said_too_large() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut keys = HotKeys::default();
        let mut exact: HashMap<u64, u64> = HashMap::new();
        // Key k comes about as often as 1/k of all times.
        for _ in 0..HALVED_AT - 1 {
            let key = (1.0 / (random.f64() + 1e-4)) as u64;
            *exact.entry(key).or_default() += 1;
            keys.add(key, 0, &key.to_le_bytes());
        }
        assert_eq!(keys.hottest(usize::MAX).len(), PLACES);
        for known in keys.hottest(usize::MAX) {
            let count = exact[&known.hash];
            assert!(known.count >= count && known.count - known.excess <= count, "{known:?} {count}");
        }
        assert_eq!(keys.hottest(1)[0].hash, 1);
        keys.add(1, 0, b"");
        assert_eq!(keys.seen(), HALVED_AT / 2);
        keys.add(1, 5, b"other");
        assert!(keys.hottest(usize::MAX).iter().any(|known| known.database == 5 && &*known.key == b"other"));
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
