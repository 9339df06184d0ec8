//! Owns the seeded hash that all tables share. Never hashes without a seed, so that an attacker cannot choose keys that
//! collide.

use std::hash::{BuildHasher, Hasher};

/// The seed of a hash function. Two seeds with the same origin give the same hashes in every run.
#[derive(Clone, Debug)]
pub struct HashSeed(ahash::RandomState);

impl HashSeed {
    /// A seed that depends on `seed` alone, for repeatable runs.
    pub fn from_seed(seed: u64) -> HashSeed {
        let mut generator = fastrand::Rng::with_seed(seed);
        HashSeed::draw(|| generator.u64(..))
    }

    /// A seed from the operating system's entropy.
    pub fn random() -> HashSeed {
        HashSeed::draw(|| std::hash::RandomState::new().build_hasher().finish())
    }

    fn draw(mut next: impl FnMut() -> u64) -> HashSeed {
        HashSeed(ahash::RandomState::with_seeds(next(), next(), next(), next()))
    }

    /// The hash of a key; all 64 bits are well mixed. O(length).
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::HashSeed;

    #[test]
    fn the_seed_alone_decides_the_hash() {
        let first = HashSeed::from_seed(7);
        assert_eq!(first.hash(b"key"), HashSeed::from_seed(7).hash(b"key"));
        assert_ne!(first.hash(b"key"), HashSeed::from_seed(8).hash(b"key"));
        assert_ne!(HashSeed::random().hash(b"key"), HashSeed::random().hash(b"key"));
    }
}
