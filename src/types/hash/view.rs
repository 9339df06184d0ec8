//! Owns the reading of a hash in either form. Never changes it.

use crate::collections::element::Element;
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, Stored};

use super::large::look_ahead;
use super::packed::Pairs;
use super::{Hash, Text};

/// What a lookup of a field gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub value: Text<'a>,
    /// When the field expires, in ms since the epoch.
    pub expiry_ms: Option<i64>,
}

impl<'a> Found<'a> {
    /// What an element has.
    #[inline]
    pub fn of(element: &'a Element) -> Found<'a> {
        Found { value: Text::Text(element.value()), expiry_ms: element.expiry_ms() }
    }

    /// Whether the field's time is over. Like a key, a field lives through the millisecond that it expires at.
    #[inline]
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.expiry_ms.is_some_and(|time_ms| time_ms < now_ms)
    }
}

/// A field with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: Text<'a>,
    pub found: Found<'a>,
}

impl<'a> Field<'a> {
    /// The field that an element is.
    #[inline]
    pub fn of(element: &'a Element) -> Field<'a> {
        Field { name: Text::Text(element.key()), found: Found::of(element) }
    }
}

/// A hash in either form, to be read.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    Packed(Pairs<'a>),
    Large(&'a Hash),
}

impl<'a> HashRef<'a> {
    /// The hash in a place; nothing if another type is there.
    #[inline]
    pub fn of(stored: Stored<'a>) -> Option<HashRef<'a>> {
        match stored {
            Stored::Packed(form, bytes) => Pairs::of(form, bytes).map(HashRef::Packed),
            Stored::Object(Object::Hash(hash)) => Some(HashRef::Large(hash)),
            Stored::Object(_) | Stored::String => None,
        }
    }

    /// The hash in a value of its own; nothing if another type is there.
    pub fn of_owned(value: &'a OwnedValue) -> Option<HashRef<'a>> {
        HashRef::of(value.stored())
    }

    /// How many fields there are, those whose time is over included. O(1).
    pub fn len(self) -> usize {
        match self {
            HashRef::Packed(pairs) => pairs.len(),
            HashRef::Large(hash) => hash.len(),
        }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// How many fields there are whose time is not over. O(log n), O(n) if it is packed.
    pub fn live_len(self, now_ms: i64) -> usize {
        self.len() - self.due_before(now_ms)
    }

    /// How many fields expire before a time. O(log n), O(n) if it is packed.
    pub fn due_before(self, time_ms: i64) -> usize {
        match self {
            HashRef::Packed(pairs) => pairs.due_before(time_ms),
            HashRef::Large(hash) => hash.due_before(time_ms),
        }
    }

    /// When the next field expires, in ms since the epoch. O(log n).
    #[inline]
    pub fn next_expiry_ms(self) -> Option<i64> {
        match self {
            HashRef::Packed(pairs) => pairs.next_expiry_ms(),
            HashRef::Large(hash) => hash.next_expiry_ms(),
        }
    }

    /// Whether there are fields whose time is over. O(log n).
    pub fn has_due(self, now_ms: i64) -> bool {
        self.next_expiry_ms().is_some_and(|time_ms| time_ms < now_ms)
    }

    /// A field's value, its time over or not. O(1), O(n) if it is packed.
    #[inline]
    pub fn get(self, name: &[u8]) -> Option<Found<'a>> {
        match self {
            HashRef::Packed(pairs) => pairs.get(name),
            HashRef::Large(hash) => hash.get(name).map(Found::of),
        }
    }

    /// Looks several fields up, in their order. The cost of a `get` for each, in a large hash less.
    pub fn get_many<'n>(
        self,
        count: usize,
        name: impl Fn(usize) -> &'n [u8],
        mut visit: impl FnMut(usize, Option<Found<'_>>),
    ) {
        match self {
            HashRef::Packed(pairs) => {
                (0..count).for_each(|index| visit(index, pairs.get(name(index))));
            }
            HashRef::Large(hash) => look_ahead(hash, count, &name, |hash, index, hashed| {
                visit(index, hash.get_hashed(hashed, name(index)).map(Found::of));
            }),
        }
    }

    /// Shows every field, its time over or not. O(n).
    pub fn for_each(self, mut visit: impl FnMut(Field<'_>)) {
        match self {
            HashRef::Packed(pairs) => pairs.iter().for_each(visit),
            HashRef::Large(hash) => hash.for_each(|element| visit(Field::of(element))),
        }
    }
}
