//! The versions of the format: which are written, and which are read.

use crate::config::RdbVersionCheck;

/// A version of the format that can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RdbVersion {
    /// What Redis 7.0 reads: sets are no listpacks, and consumers have no time of activity.
    V10,
    /// What Redis 7.2 reads and writes, and so do we.
    #[default]
    V11,
    /// What Redis 7.4 reads: fields of hashes may expire, which 7.2 does not know.
    V12,
    /// What Valkey 9 reads besides 11, and not 12: fields of hashes may expire, in a form of its own.
    Valkey80,
}

impl RdbVersion {
    /// The number that stands in the header of a file and in the footer of a payload.
    pub fn number(self) -> u16 {
        match self {
            RdbVersion::V10 => 10,
            RdbVersion::V11 => 11,
            RdbVersion::V12 => 12,
            RdbVersion::Valkey80 => 80,
        }
    }

    /// What a file begins with.
    pub fn header(self) -> String {
        match self {
            RdbVersion::Valkey80 => format!("VALKEY{:03}", self.number()),
            _ => format!("REDIS{:04}", self.number()),
        }
    }

    /// The newest one that a replica reads which says that it is this version of Valkey; none if it says no version.
    /// (No version of Redis says what it is.)
    pub fn read_by_valkey(version: &[u8]) -> Option<RdbVersion> {
        let mut numbers = std::str::from_utf8(version).ok()?.split('.').map(|digits| digits.parse::<u8>());
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return None };
        numbers.all(|number| number.is_ok()).then_some(match (major, minor) {
            (9.., _) => RdbVersion::Valkey80,
            (8, _) | (7, 2..) => RdbVersion::V11,
            _ => RdbVersion::V10,
        })
    }
}

/// Whether data of a version of the format is read: those of Redis up to 8.2 and those of Valkey 9, or, by a relaxed
/// check, newer ones too.
pub fn is_readable_version(version: u16, check: RdbVersionCheck) -> bool {
    match check {
        RdbVersionCheck::Strict => matches!(version, 1..=12 | 80),
        RdbVersionCheck::Relaxed => version > 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_valkey_says_what_it_reads() {
        let read = |version: &str| RdbVersion::read_by_valkey(version.as_bytes());
        assert_eq!(read("9.0.0"), Some(RdbVersion::Valkey80));
        assert_eq!(read("9.1.2"), Some(RdbVersion::Valkey80));
        assert_eq!(read("8.1.1"), Some(RdbVersion::V11));
        assert_eq!(read("7.2.11"), Some(RdbVersion::V11));
        assert_eq!(read("7.0.15"), Some(RdbVersion::V10));
        assert_eq!([read(""), read("9"), read("9.x"), read("nine.one"), read("9.1.2-rc")], [None; 5]);
    }

    #[test]
    fn a_header_names_the_server_whose_version_it_is() {
        assert_eq!(RdbVersion::V10.header(), "REDIS0010");
        assert_eq!(RdbVersion::Valkey80.header(), "VALKEY080");
    }
}
