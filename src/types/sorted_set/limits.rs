//! Owns up to where a sorted set is packed. Never converts one that is there.

use crate::collections::hash::HashSeed;
use crate::collections::listpack;
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, PackedForm};

use super::SortedSet;

/// Up to where a sorted set is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most elements.
    pub entries: usize,
    /// Longest member, in bytes.
    pub member_bytes: usize,
}

impl Limits {
    /// Whether so many elements with members of up to so many bytes are packed.
    #[inline]
    pub fn allow(&self, entries: usize, member_bytes: usize) -> bool {
        entries <= self.entries && member_bytes <= self.member_bytes
    }

    /// An empty sorted set, in the form that suits so many elements whose members are of about that length.
    pub fn empty_for(&self, entries: usize, member_bytes: usize, seed: &HashSeed) -> OwnedValue {
        if self.allow(entries, member_bytes) {
            OwnedValue::Packed(PackedForm::SortedSet, listpack::create())
        } else {
            OwnedValue::object(Object::SortedSet(SortedSet::new(seed.clone())))
        }
    }
}
