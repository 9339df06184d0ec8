//! Owns the reading of a set in any form. Never changes it.

use crate::collections::element::Element;
use crate::collections::intset::IntSet;
use crate::collections::listpack::Listpack;
use crate::collections::table::look_ahead;
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, PackedForm, Stored};

use super::{Set, Text};

/// A member, as it lies in its set.
#[derive(Clone, Copy)]
pub enum Member<'a> {
    Packed(Text<'a>),
    /// Of a large set.
    Element(&'a Element),
}

impl<'a> Member<'a> {
    /// Its text.
    #[inline]
    pub fn text(self) -> Text<'a> {
        match self {
            Member::Packed(text) => text,
            Member::Element(element) => Text::Text(element.key()),
        }
    }

    /// Calls with its bytes.
    #[inline]
    pub fn with_bytes<R>(self, call: impl FnOnce(&[u8]) -> R) -> R {
        self.text().with_bytes(call)
    }
}

/// A set in any form, to be read.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    IntSet(IntSet<'a>),
    Listpack(Listpack<'a>),
    Large(&'a Set),
}

impl<'a> SetRef<'a> {
    /// The set in a place; nothing if another type is there.
    #[inline]
    pub fn of(stored: Stored<'a>) -> Option<SetRef<'a>> {
        match stored {
            Stored::Packed(PackedForm::IntSet, bytes) => Some(SetRef::IntSet(IntSet::new(bytes))),
            Stored::Packed(PackedForm::Set, bytes) => Some(SetRef::Listpack(Listpack::new(bytes))),
            Stored::Object(Object::Set(set)) => Some(SetRef::Large(set)),
            _ => None,
        }
    }

    /// The set in a value of its own; nothing if another type is there.
    pub fn of_owned(value: &'a OwnedValue) -> Option<SetRef<'a>> {
        SetRef::of(value.stored())
    }

    /// How many members there are. O(1).
    #[inline]
    pub fn len(self) -> usize {
        match self {
            SetRef::IntSet(set) => set.len(),
            SetRef::Listpack(set) => set.len(),
            SetRef::Large(set) => set.len(),
        }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The set, if it is large.
    #[inline]
    pub fn large(self) -> Option<&'a Set> {
        match self {
            SetRef::Large(set) => Some(set),
            SetRef::IntSet(_) | SetRef::Listpack(_) => None,
        }
    }

    /// Whether a member is there. O(1), O(log n) in an intset, O(n) in a listpack.
    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            SetRef::IntSet(_) => self.contains_text(Text::Text(member)),
            SetRef::Listpack(set) => set.first().is_some_and(|first| set.find(member, first, 0).is_some()),
            SetRef::Large(set) => set.contains(member),
        }
    }

    /// Whether a member of another set is in this one.
    #[inline]
    pub fn contains_text(self, member: Text<'_>) -> bool {
        match self {
            SetRef::IntSet(set) => member.integer().is_some_and(|integer| set.contains(integer)),
            SetRef::Listpack(_) | SetRef::Large(_) => member.with_bytes(|bytes| self.contains(bytes)),
        }
    }

    /// Reports for several members, in their order, whether the set contains them. Costs at most a `contains` for each.
    pub fn contains_many<'m>(self, count: usize, member: impl Fn(usize) -> &'m [u8], mut visit: impl FnMut(bool)) {
        match self {
            SetRef::Large(mut set) => look_ahead(
                &mut set,
                |set| set.table(),
                count,
                &member,
                |set, index, hash| visit(set.contains_hashed(hash, member(index))),
            ),
            SetRef::IntSet(_) | SetRef::Listpack(_) => {
                (0..count).for_each(|index| visit(self.contains(member(index))));
            }
        }
    }

    /// Shows every member. O(n).
    pub fn for_each(self, mut visit: impl FnMut(Text<'_>)) {
        match self {
            SetRef::IntSet(set) => set.iter().for_each(|integer| visit(Text::Integer(integer))),
            SetRef::Listpack(set) => set.iter().for_each(visit),
            SetRef::Large(set) => set.for_each(|element| visit(Text::Text(element.key()))),
        }
    }

    /// Every member. O(n); `for_each` is faster.
    pub fn iter(self) -> impl Iterator<Item = Text<'a>> {
        let (integers, texts, elements) = match self {
            SetRef::IntSet(set) => (Some(set.iter()), None, None),
            SetRef::Listpack(set) => (None, Some(set.iter()), None),
            SetRef::Large(set) => (None, None, Some(set.iter())),
        };
        let integers = integers.into_iter().flatten().map(Text::Integer);
        let elements = elements.into_iter().flatten();
        integers.chain(texts.into_iter().flatten()).chain(elements.map(|element| Text::Text(element.key())))
    }
}
