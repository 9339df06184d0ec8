//! One command as the append-only file holds it.

use crate::keyspace::change_log::unit::encode;

/// Elements in one command.
pub(crate) const ELEMENTS_MAX: usize = 64;

/// Writes one command.
pub(crate) fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    encode(out, words.len(), words.iter().copied());
}
