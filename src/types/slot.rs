//! The place of one value that is a collection: what form it has, and how it takes another. Never a client, a reply, a
//! clock or I/O.
//!
//! A small collection is *packed*: bytes in the format of the RDB file, which lie in its key's record. A large one is
//! an [`Object`]. What reads a type works on [`Stored`]; what changes one works on a [`Slot`], and converts it when it
//! passes the limits. The keyspace's records are slots; an [`OwnedValue`] is one that is not in the keyspace (yet).

use std::ops::Range;

use crate::collections::hash::HashSeed;
use crate::collections::packed::Packed;

use super::object::Object;

/// What packed bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedForm {
    /// A listpack of elements.
    List,
    /// A listpack of members in no particular order.
    Set,
    /// A sorted array of integers.
    IntSet,
    /// A listpack of fields, each followed by its value.
    Hash,
    /// A listpack of fields, each followed by its value and its expiry time (ms since the epoch, 0: none), in the order
    /// of the times, those without one last.
    HashExpiring,
    /// A listpack of members, each followed by its score, in the order of the scores.
    SortedSet,
}

impl PackedForm {
    /// The name of the type, as TYPE gives it.
    pub fn type_name(self) -> &'static str {
        match self {
            PackedForm::List => "list",
            PackedForm::Set | PackedForm::IntSet => "set",
            PackedForm::Hash | PackedForm::HashExpiring => "hash",
            PackedForm::SortedSet => "zset",
        }
    }

    /// The name of the representation, as OBJECT ENCODING gives it.
    pub fn encoding_name(self) -> &'static str {
        match self {
            PackedForm::IntSet => "intset",
            PackedForm::HashExpiring => "listpackex",
            PackedForm::List | PackedForm::Set | PackedForm::Hash | PackedForm::SortedSet => "listpack",
        }
    }
}

/// A value as it lies in its place.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// A string: no collection.
    String,
    Packed(PackedForm, &'a [u8]),
    Object(&'a Object),
}

/// The place of one value. The methods of [`Packed`] are only for packed values.
pub trait Slot: Packed {
    /// The value.
    fn stored(&self) -> Stored<'_>;

    /// The object, if the value is one, to be changed. O(1).
    fn object_mut(&mut self) -> Option<&mut Object>;

    /// Puts another value in the place of this one, which is freed. O(1), O(length) if it is packed.
    fn replace(&mut self, value: OwnedValue);

    /// The seed for the hashes of tables made here.
    fn seed(&self) -> &HashSeed;
}

/// A collection that is not in the keyspace.
#[derive(Debug)]
pub enum OwnedValue {
    Packed(PackedForm, Vec<u8>),
    Object(Box<Object>),
}

impl OwnedValue {
    /// A value for a large collection.
    pub fn object(object: Object) -> OwnedValue {
        OwnedValue::Object(Box::new(object))
    }

    /// The value.
    pub fn stored(&self) -> Stored<'_> {
        match self {
            OwnedValue::Packed(form, bytes) => Stored::Packed(*form, bytes),
            OwnedValue::Object(object) => Stored::Object(object),
        }
    }
}

/// A slot outside the keyspace: a value that is being built, or a test's.
#[derive(Debug)]
pub struct OwnedSlot {
    pub value: OwnedValue,
    seed: HashSeed,
}

impl OwnedSlot {
    /// A slot with this value in it.
    pub fn new(value: OwnedValue, seed: &HashSeed) -> OwnedSlot {
        OwnedSlot { value, seed: seed.clone() }
    }

    fn packed_mut(&mut self) -> &mut Vec<u8> {
        match &mut self.value {
            OwnedValue::Packed(_, bytes) => bytes,
            OwnedValue::Object(_) => unreachable!("the caller has seen that it is packed"),
        }
    }
}

impl Packed for OwnedSlot {
    fn bytes(&self) -> &[u8] {
        match &self.value {
            OwnedValue::Packed(_, bytes) => bytes,
            OwnedValue::Object(_) => &[],
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.packed_mut()
    }

    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        Packed::splice(self.packed_mut(), range, with);
    }
}

impl Slot for OwnedSlot {
    fn stored(&self) -> Stored<'_> {
        self.value.stored()
    }

    fn object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.value {
            OwnedValue::Packed(..) => None,
            OwnedValue::Object(object) => Some(object),
        }
    }

    fn replace(&mut self, value: OwnedValue) {
        self.value = value;
    }

    fn seed(&self) -> &HashSeed {
        &self.seed
    }
}
