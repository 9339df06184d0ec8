//! Owns the hash of the elements: MurmurHash64A (Austin Appleby, MurmurHash2.cpp, public domain), words little-endian
//! on every machine.

const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// MurmurHash64A of some bytes. O(length).
pub fn murmur_64a(bytes: &[u8], seed: u64) -> u64 {
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = scramble(u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER));
        hash = (hash ^ mixed).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    }
    let hash = scramble(hash);
    hash ^ hash >> SHIFT
}

fn scramble(word: u64) -> u64 {
    (word ^ word >> SHIFT).wrapping_mul(MULTIPLIER)
}

#[cfg(test)]
mod tests {
    use super::murmur_64a;

    /// Values that the murmurhash64 crate and Appleby's program give.
    #[test]
    fn hashes_are_those_of_the_original() {
        assert_eq!(murmur_64a(b"", 0), 0);
        assert_eq!(murmur_64a(b"", 10), 0xc26e_8bc1_9632_9b0f);
        let hash = murmur_64a(b"Pizza & Mandolino", 2_915_580_697);
        assert_eq!(hash, 0x472f_f7d3_2432_1dfe);
    }
}
