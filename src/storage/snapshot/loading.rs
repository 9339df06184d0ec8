//! How a snapshot is read, and what came of it.

use crate::storage::rdb::SanitizeLevel;
use crate::storage::values::LoadSettings;

/// How a snapshot is read.
#[derive(Clone, Debug)]
pub struct LoaderSettings {
    pub values: LoadSettings,
    pub scrutiny: SanitizeLevel,
    /// Whether the checksum at the end must be right (`rdbchecksum`).
    pub checks_sum: bool,
    /// Keys that expired before this time, in ms since the epoch, are left out; nothing if they are to be kept.
    pub expires_before_ms: Option<i64>,
    pub duplicates: Duplicates,
    /// So many keys are read in a step at most; 0: no matter how many. For tests.
    pub keys_per_step: usize,
    pub purpose: Purpose,
    /// Length of the snapshot, if it is known, else 0: what it says of the number of keys is only believed as far as
    /// that goes.
    pub input_bytes: u64,
}

/// What a snapshot is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Its keys are put into the keyspace.
    Load,
    /// Whether it is sound: nothing is kept.
    Check,
}

/// What becomes of a key that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// The snapshot is refused: no server writes a key twice.
    Refuse,
    /// The key that comes takes the place of the one that is there.
    Replace,
}

/// What a step has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadStep {
    More,
    /// More bytes are to be fed, or the end of the input declared.
    NeedsInput,
    /// The snapshot is complete. What was fed beyond it is in [`Loader::rest`].
    Done,
}

/// What was found in a snapshot so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadFigures {
    pub keys: u64,
    /// Keys with an expiry time.
    pub volatile: u64,
    /// Keys left out because their time was over.
    pub expired: u64,
    /// Collections without elements, left out.
    pub empty: u64,
    /// Packed collections that were looked at closely because the settings ask for it.
    pub sanitized: u64,
}

impl LoadFigures {
    /// Keys found so far, whatever became of them.
    pub(crate) fn seen(&self) -> u64 {
        self.keys + self.expired + self.empty
    }
}
