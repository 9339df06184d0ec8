//! CRC-64 as the format's footers hold it (polynomial of Jones, reflected, no final inversion).

use crc_fast::{CrcAlgorithm, Digest};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Redis;

/// The checksum of the bytes so far.
#[derive(Clone, Copy)]
pub struct Checksum {
    digest: Digest,
}

impl Checksum {
    /// That of no bytes: 0.
    pub fn new() -> Self {
        Self { digest: Digest::new(ALGORITHM) }
    }

    /// Takes in more bytes. O(bytes); ten times as fast by thousands as one by one.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// The checksum. O(1).
    pub fn value(&self) -> u64 {
        self.digest.finalize()
    }

    /// The checksum of these bytes. O(bytes).
    pub fn of(bytes: &[u8]) -> u64 {
        crc_fast::checksum(ALGORITHM, bytes)
    }
}

impl Default for Checksum {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_is_that_of_redis() {
        assert_eq!(Checksum::of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(Checksum::new().value(), 0);
    }

    #[test]
    fn pieces_add_up() {
        let bytes: Vec<u8> = (0..1000u32).map(|number| (number * 7) as u8).collect();
        let mut checksum = Checksum::default();
        for piece in bytes.chunks(33) {
            checksum.update(piece);
        }
        assert_eq!(checksum.value(), Checksum::of(&bytes));
    }
}
