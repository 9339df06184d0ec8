//! Owns the hashes that all tables and maps share. Never hashes what clients choose without a seed, so that an attacker
//! cannot choose keys that collide; and never draws a seed, so that two runs with one seed walk their maps alike.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use ahash::AHasher;

/// A map whose order follows from the seed.
pub type SeededMap<K, V> = HashMap<K, V, HashSeed>;
/// A set whose order follows from the seed.
pub type SeededSet<K> = HashSet<K, HashSeed>;

/// The hash of numbers that the server itself hands out: the same in every run.
pub type NumberHash = BuildHasherDefault<AHasher>;
/// A map by numbers that the server itself hands out, such as those of clients.
pub type NumberMap<K, V> = HashMap<K, V, NumberHash>;
/// A set of such numbers.
pub type NumberSet<K> = HashSet<K, NumberHash>;

/// The seed of a hash function. Two seeds with the same origin give the same hashes in every run.
#[derive(Clone, Debug)]
pub struct HashSeed(ahash::RandomState);

impl HashSeed {
    /// A seed that depends on `seed` alone.
    pub fn from_seed(seed: u64) -> HashSeed {
        let mut generator = fastrand::Rng::with_seed(seed);
        let mut next = || generator.u64(..);
        HashSeed(ahash::RandomState::with_seeds(next(), next(), next(), next()))
    }

    /// The hash of a key; all 64 bits are well mixed. O(length).
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }

    /// An empty map with this seed.
    pub fn map<K, V>(&self) -> SeededMap<K, V> {
        HashMap::with_hasher(self.clone())
    }

    /// An empty set with this seed.
    pub fn set<K>(&self) -> SeededSet<K> {
        HashSet::with_hasher(self.clone())
    }
}

impl BuildHasher for HashSeed {
    type Hasher = AHasher;

    #[inline]
    fn build_hasher(&self) -> AHasher {
        self.0.build_hasher()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_alone_decides_the_hash() {
        let first = HashSeed::from_seed(7);
        assert_eq!(first.hash(b"key"), HashSeed::from_seed(7).hash(b"key"));
        assert_ne!(first.hash(b"key"), HashSeed::from_seed(8).hash(b"key"));
    }

    #[test]
    fn the_seed_alone_decides_the_order_of_a_map() {
        let order = |seed| {
            let mut set = HashSeed::from_seed(seed).set();
            set.extend(0..100);
            set.into_iter().collect::<Vec<u32>>()
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn a_map_by_numbers_has_one_order() {
        let order = || NumberSet::from_iter(0..100).into_iter().collect::<Vec<u32>>();
        assert_eq!(order(), order());
    }
}
