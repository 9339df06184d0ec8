//! A sketch of the keys with the greatest sum of something: of requests, time or bytes. Never reads a clock.
//!
//! It keeps the heaviest keys in a bounded number of places (Metwally, Agrawal and El Abbadi's *Space-Saving*, 2005): a
//! key without a place takes that of the lightest one, together with its sum, which is remembered as the new key's
//! possible excess. So a sum is never too small, and too large by no more than that.

/// Bytes that are kept of a key's name.
const NAME_BYTES_MAX: usize = 1024;

/// A key with its sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    hash: u64,
    /// The beginning of its name.
    pub key: Box<[u8]>,
    pub database: usize,
    pub count: u64,
    /// By how much the sum may be too large.
    pub excess: u64,
}

/// The sketch.
#[derive(Clone, Debug)]
pub struct Sketch {
    most: usize,
    places: Vec<HotKey>,
}

impl Sketch {
    /// A sketch with so many places.
    pub fn new(most: usize) -> Sketch {
        Sketch { most, places: Vec::new() }
    }

    /// Adds to the sum of a key. O(places).
    pub fn add(&mut self, hash: u64, database: usize, key: &[u8], weight: u64) {
        if let Some(known) = self.places.iter_mut().find(|known| known.hash == hash && known.database == database) {
            known.count += weight;
            return;
        }
        let (place, least) = match self.places.len() < self.most {
            true => (None, 0),
            false => self.lightest(),
        };
        let name = &key[..key.len().min(NAME_BYTES_MAX)];
        let added = HotKey { hash, key: name.into(), database, count: least + weight, excess: least };
        match place {
            Some(place) => self.places[place] = added,
            None => self.places.push(added),
        }
    }

    /// The place with the least sum, and that sum.
    fn lightest(&self) -> (Option<usize>, u64) {
        let least = self.places.iter().enumerate().min_by_key(|(_, known)| known.count);
        least.map_or((None, 0), |(place, known)| (Some(place), known.count))
    }

    /// Halves all sums; what is left of nothing is forgotten.
    pub fn halve(&mut self) {
        self.places.iter_mut().for_each(|known| (known.count, known.excess) = (known.count / 2, known.excess / 2));
        self.places.retain(|known| known.count > 0);
    }

    /// The keys with the greatest sums, the greatest first.
    pub fn heaviest(&self, count: usize) -> Vec<&HotKey> {
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
    fn sums_are_never_too_small_and_by_no_more_than_said_too_large() {
        const PLACES: usize = 100;
        let mut random = fastrand::Rng::with_seed(3);
        let mut keys = Sketch::new(PLACES);
        let mut exact: HashMap<u64, u64> = HashMap::new();
        // Key k comes about as often as 1/k of all times, with any weight.
        for _ in 0..5000 {
            let key = (1.0 / (random.f64() + 1e-4)) as u64;
            let weight = random.u64(1..20);
            *exact.entry(key).or_default() += weight;
            keys.add(key, 0, &key.to_le_bytes(), weight);
        }
        assert_eq!(keys.heaviest(usize::MAX).len(), PLACES);
        for known in keys.heaviest(usize::MAX) {
            let sum = exact[&known.hash];
            assert!(known.count >= sum && known.count - known.excess <= sum, "{known:?} {sum}");
        }
        assert_eq!(keys.heaviest(1)[0].hash, 1);
        keys.add(1, 5, b"other", 1);
        keys.add(2, 6, &[b'x'; 5000], 1);
        assert!(keys.heaviest(usize::MAX).iter().any(|known| *known.key == [b'x'; NAME_BYTES_MAX]));
        assert!(keys.heaviest(usize::MAX).iter().any(|known| known.database == 5 && &*known.key == b"other"));
    }
}
