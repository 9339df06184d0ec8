//! The versions of the format: which are written, and which are read.

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
}

impl RdbVersion {
    /// The number that stands in the header of a file and in the footer of a payload.
    pub fn number(self) -> u16 {
        match self {
            RdbVersion::V10 => 10,
            RdbVersion::V11 => 11,
            RdbVersion::V12 => 12,
        }
    }
}

/// Whether data of a version of the format is read: those of Redis up to 8.2, and those of Valkey 9.
pub fn is_readable_version(version: u16) -> bool {
    matches!(version, 1..=12 | 80)
}
