//! Whether a primary's data can be loaded at all, found out while they come: before any of the old data are dropped for
//! them.

use crate::config::RdbVersionCheck;
use crate::storage::rdb::{Checksum, Fault, is_readable_version};

/// `REDIS0011`.
const HEADER_BYTES: usize = 9;
/// The checksum at the end.
const CHECKSUM_BYTES: usize = 8;
/// Snapshots from this version on end with one.
const CHECKSUM_VERSION_MIN: u16 = 5;

/// Looks at the bytes of a snapshot as they pass.
#[derive(Default)]
pub struct PayloadCheck {
    versions: RdbVersionCheck,
    header: Vec<u8>,
    version: u16,
    checksum: Checksum,
    /// The last bytes, which may be the checksum.
    tail: Vec<u8>,
}

impl PayloadCheck {
    /// One that accepts those versions.
    pub fn new(versions: RdbVersionCheck) -> PayloadCheck {
        PayloadCheck { versions, ..PayloadCheck::default() }
    }

    /// More bytes have come. O(bytes).
    ///
    /// Errors: no server writes such data, or one of another kind or version.
    pub fn note(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.header.len() < HEADER_BYTES {
            let missing = HEADER_BYTES - self.header.len();
            self.header.extend_from_slice(&bytes[..missing.min(bytes.len())]);
            if self.header.len() == HEADER_BYTES {
                self.version = version_of(&self.header, self.versions).map_err(|fault| fault.to_string())?;
            }
        }
        match bytes.len() {
            CHECKSUM_BYTES.. => {
                self.checksum.update(&self.tail);
                let (settled, tail) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
                self.checksum.update(settled);
                self.tail.clear();
                self.tail.extend_from_slice(tail);
            }
            _ => {
                self.tail.extend_from_slice(bytes);
                let settled = self.tail.len().saturating_sub(CHECKSUM_BYTES);
                self.checksum.update(&self.tail[..settled]);
                self.tail.drain(..settled);
            }
        }
        Ok(())
    }

    /// All bytes have come: whether they are what was sent, as far as the snapshot tells.
    ///
    /// Errors: they are not.
    pub fn verify(&self) -> Result<(), String> {
        let truncated = Fault::Corrupt("the data end early");
        if self.header.len() < HEADER_BYTES {
            return Err(truncated.to_string());
        }
        if self.version < CHECKSUM_VERSION_MIN {
            return Ok(());
        }
        let expected: Result<[u8; CHECKSUM_BYTES], _> = self.tail.as_slice().try_into();
        match expected.map(u64::from_le_bytes) {
            Err(_) => Err(truncated.to_string()),
            // The server that has written it was told to leave the checksum out.
            Ok(0) => Ok(()),
            Ok(expected) if expected == self.checksum.value() => Ok(()),
            Ok(_) => Err(Fault::Corrupt("RDB CRC error").to_string()),
        }
    }
}

/// The version that a header names.
fn version_of(header: &[u8], versions: RdbVersionCheck) -> Result<u16, Fault> {
    let digits = match header {
        [b'R', b'E', b'D', b'I', b'S', digits @ ..] => digits,
        [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => digits,
        _ => return Err(Fault::Corrupt("Wrong signature trying to load DB from file")),
    };
    let version = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
    if is_readable_version(version, versions) { Ok(version) } else { Err(Fault::Version(version)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(header: &str, has_checksum: bool) -> Vec<u8> {
        let mut bytes = [header.as_bytes(), &[7; 40], &[255]].concat();
        let checksum = if has_checksum { Checksum::of(&bytes) } else { 0 };
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn check(bytes: &[u8], piece: usize) -> Result<(), String> {
        let mut check = PayloadCheck::default();
        for piece in bytes.chunks(piece) {
            check.note(piece)?;
        }
        check.verify()
    }

    #[test]
    fn what_was_sent_is_accepted_however_it_is_cut() {
        for piece in 1..70 {
            assert_eq!(check(&snapshot("REDIS0011", true), piece), Ok(()), "{piece}");
            assert_eq!(check(&snapshot("REDIS0012", false), piece), Ok(()), "{piece}");
            assert_eq!(check(&snapshot("VALKEY080", true), piece), Ok(()), "{piece}");
            assert_eq!(check(b"REDIS0004\xff", piece), Ok(()), "{piece}");
        }
    }

    #[test]
    fn each_changed_or_missing_byte_is_found() {
        let whole = snapshot("REDIS0011", true);
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 0x10;
            assert!(check(&changed, 5).is_err(), "{place}");
            assert!(check(&whole[..place], 5).is_err(), "{place}");
        }
    }

    #[test]
    fn a_version_that_is_not_known_is_found_with_the_header() {
        let mut later = PayloadCheck::default();
        assert_eq!(later.note(b"REDIS001"), Ok(()));
        let error = later.note(b"3").expect_err("it is refused");
        assert!(error.contains("13"), "{error}");
        assert_eq!(PayloadCheck::new(RdbVersionCheck::Relaxed).note(b"REDIS0013"), Ok(()));
        assert!(PayloadCheck::default().note(b"SOMETHING").is_err());
    }
}
